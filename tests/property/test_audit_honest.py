"""AUDIT-REPLAY, AUDIT-WALK: no false alarm over a hundred honest chains, whatever is in them.

Random senders, calls that fail, empty blocks, late rounds, few seals, votes, states now and then,
several exports of one chain: the auditor confirms all of it.
"""

import random
from pathlib import Path

import pytest

from clients.auditor.checks import Conclusion
from node.consensus.checkpoint import encode_checkpoint
from node.consensus.quorum import quorum_size
from node.primitives.header import ValidatorVote
from node.primitives.transaction import Transaction
from tests.support.audit_chain import (
    JOINING_KEY,
    PASSER_KEY,
    AuditedChain,
    audit_of,
    recorder_code,
)
from tests.support.ledger import GOVERNOR_KEY, SERVICE_KEYS

RUNS = 100


def send(chain: AuditedChain, dice: random.Random) -> list[Transaction]:
    """Let a few accounts call the recorder, some so that it fails."""
    found = [
        chain.record(key, dice.choice([0, 1, 7, 2**255]))
        for key in dice.sample([*SERVICE_KEYS, GOVERNOR_KEY], dice.randrange(4))
    ]
    if dice.random() < 0.5:
        found.append(chain.record(PASSER_KEY, dice.randrange(1, 2**64)))
    return found


def grow(chain: AuditedChain, dice: random.Random) -> None:
    chain.make(chain.ledger.call(GOVERNOR_KEY, None, recorder_code(), gas_limit=1_000_000))
    for _ in range(dice.randrange(2, 10)):
        is_member = JOINING_KEY.address in chain.tally.validators
        may_vote = chain.tally.next_height % 8 and dice.random() < 0.6
        vote = ValidatorVote(recipient=JOINING_KEY.address, is_add=not is_member)
        members = len(chain.tally.validators)
        chain.make(
            *send(chain, dice),
            vote=vote if may_vote else None,
            at=dice.choice([0, 0, 0, 1, 2, 5]),
            seal_count=dice.randrange(quorum_size(members), members + 1),
        )


@pytest.mark.parametrize("seed", range(RUNS))
def test_an_honest_chain_is_confirmed(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    chain = AuditedChain(label=str(seed))
    grow(chain, dice)
    head = chain.ledger.head.height
    start = dice.choice([1, 1, 1, dice.randrange(1, head + 1)])
    bundle = chain.export(
        tmp_path / "bundle", start=start, snapshot_interval=dice.choice([0, 1, 2, 5])
    )
    audit = audit_of(chain)
    height = dice.randrange(start, head + 1)
    audit.checkpoints = [("c", encode_checkpoint(chain.checkpoint(height)).encode())]

    report = audit.run(bundle)

    assert report.failed == ()
    assert report.conclusion is Conclusion.CONFIRMED
    assert report.subject["blocks"] == str(head - start + 1)
