"""A process that commits made-up blocks and votes until it is killed; it prints what is durable.

Run as ``python -m tests.support.storage_writer DIRECTORY MODE``. A line ``block N`` or ``vote N``
is printed only after the store said that it is on disk.
"""

import random
import sys
from pathlib import Path

from node.primitives.types import Height, Round
from node.storage.leveldb import LevelDbStore
from node.storage.state_store import StateMode
from node.storage.view import StateChanges
from node.storage.votes import VoteStore
from tests.support.stores import (
    KEY,
    ModelState,
    commit,
    log_of,
    make_alloc,
    open_made_up,
    random_changes,
)


def main(directory: Path, mode: StateMode) -> None:
    chain = open_made_up(LevelDbStore(directory / "chain"), mode=mode)
    votes = VoteStore(LevelDbStore(directory / "votes"))
    model = ModelState()
    model.apply(make_alloc())
    for height in range(1, chain.head.height + 1):
        model.apply(changes_at(height, model))
    while True:
        height = chain.head.height + 1
        record = b"vote at %d" % height
        votes.save_sign_state(KEY.address, record, height=Height(height), at=Round(0))
        print("vote", height, flush=True)
        changes = changes_at(height, model)
        model.apply(changes)
        commit(chain, changes, logs=((log_of(height, data=bytes(2_000)),),))
        print("block", height, flush=True)


def changes_at(height: int, model: ModelState) -> StateChanges:
    """Return the changes of a block, always the same for a height and the state before it."""
    return random_changes(random.Random(height), model)


if __name__ == "__main__":
    main(Path(sys.argv[1]), StateMode(sys.argv[2]))
