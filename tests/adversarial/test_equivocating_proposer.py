"""QBFT-PROPOSAL, QBFT-RELAY, QBFT-EVIDENCE: a proposer shows two blocks.

Four validators, the first proposer lies and votes for both blocks. Whatever the order in which its
words and the honest ones arrive, no two honest validators decide differently, and whoever sees both
proposals can prove it.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from node.consensus.effects import Decide, RecordEvidence, Relay
from node.consensus.evidence import Contradiction, decode_evidence, encode_evidence, verify_evidence
from node.consensus.messages import Message
from tests.support.consensus import (
    BLOCK,
    FOURTH,
    OTHER_BLOCK,
    PROPOSER,
    SECOND,
    TALLY,
    THIRD,
    Driver,
    commit,
    of_kind,
    prepare,
    propose,
)

LIES: list[Message] = [
    propose(BLOCK),
    propose(OTHER_BLOCK),
    prepare(PROPOSER, BLOCK),
    prepare(PROPOSER, OTHER_BLOCK),
    commit(PROPOSER, BLOCK),
    commit(PROPOSER, OTHER_BLOCK),
]


@settings(max_examples=80, deadline=None)
@given(order=st.data())
def test_honest_validators_never_decide_two_blocks(order: st.DataObject) -> None:
    honest = [Driver(key=key) for key in (SECOND, THIRD, FOURTH)]
    for driver in honest:
        driver.begin()
    waiting = [(driver, lie) for driver in honest for lie in LIES]
    seen = [0, 0, 0]
    while waiting:
        receiver, message = waiting.pop(order.draw(st.integers(0, len(waiting) - 1)))
        receiver.feed(message)
        for at, sender in enumerate(honest):
            fresh = sender.signed[seen[at] :]
            seen[at] = len(sender.signed)
            waiting += [(peer, said) for said in fresh for peer in honest if peer is not sender]

    decided = {effect.block.hash for d in honest for effect in of_kind(d.effects, Decide)}
    assert len(decided) <= 1


def test_both_proposals_reach_everyone_and_convict() -> None:
    first, second = Driver(key=SECOND), Driver(key=THIRD)
    for driver in (first, second):
        driver.begin()
    first.feed(propose(BLOCK))
    (relayed,) = of_kind(second.feed(propose(OTHER_BLOCK)), Relay)

    (record,) = of_kind(first.feed(relayed.message), RecordEvidence)

    proof = decode_evidence(encode_evidence(record.evidence))
    assert proof.contradiction is Contradiction.DOUBLE_PROPOSAL
    assert proof.author == PROPOSER.address
    assert verify_evidence(proof, TALLY.validators).is_met
