"""STORE-COMMIT, STORE-VOTES, STORE-BATCH: kill -9 at any moment loses nothing that was durable.

A process commits blocks and votes on LevelDB and says what is on disk; it is killed at random
moments, again and again on the same directory. Each time the database opens by itself, holds at
least what was said, passes every check, and is the state that the same changes lead to in memory.
"""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from node.storage.check import verify_database
from node.storage.leveldb import LevelDbStore
from node.storage.state_store import StateMode
from node.storage.votes import VoteStore
from tests.support.storage_writer import changes_at
from tests.support.stores import KEY, ModelState, make_alloc, open_made_up

KILLS = 6
ROOT = Path(__file__).resolve().parents[2]


def kill_a_writer(directory: Path, mode: StateMode, after_lines: int, after_s: float) -> list[str]:
    """Run the writer, kill it ``after_s`` seconds after its n-th line, return its whole lines."""
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.support.storage_writer", str(directory), mode.value],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    lines = [writer.stdout.readline() for _ in range(after_lines)]
    time.sleep(after_s)
    writer.kill()
    rest = writer.stdout.read()
    writer.stdout.close()
    writer.wait()
    lines += [line for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
    return [line.decode().strip() for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(StateMode))
def test_a_killed_node_restarts_with_everything_it_called_durable(
    tmp_path: Path, mode: StateMode
) -> None:
    chance = random.Random(mode.value)
    before = 0
    for _ in range(KILLS):
        lines = kill_a_writer(tmp_path, mode, chance.randint(1, 60), chance.random() / 50)
        said = dict.fromkeys(("block", "vote"), 0)
        for line in lines:
            kind, number = line.split()
            said[kind] = int(number)

        chain = open_made_up(LevelDbStore(tmp_path / "chain"), mode=mode)
        head = chain.head.height
        assert head >= max(said["block"], before)
        assert head <= said["block"] + 1 or head == before
        assert all(check.is_passed for check in verify_database(chain))
        model = ModelState()
        model.apply(make_alloc())
        for height in range(1, head + 1):
            model.apply(changes_at(height, model))
        assert chain.head.state_root == model.root()
        chain.close()

        votes = LevelDbStore(tmp_path / "votes")
        record = VoteStore(votes).load_sign_state(KEY.address)
        assert record is not None
        assert int(record.split()[-1]) >= max(said["vote"], head)
        votes.close()
        before = head
    assert before > 20
