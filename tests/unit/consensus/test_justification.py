"""QBFT-JUSTIFY-PROPOSAL, QBFT-JUSTIFY-ROUND-CHANGE: what a later round must bring along.

Four validators, a quorum is three. The honest case first, then every way to be short of it.
"""

from dataclasses import replace

import pytest

from node.consensus.effects import RejectReason
from node.consensus.justification import find_proposal_fault, find_round_change_fault
from node.consensus.messages import Prepare, PreparedCertificate, Proposal, RoundChange
from node.primitives.block import Block
from node.primitives.crypto import PrivateKey
from node.primitives.types import Round
from tests.support.consensus import (
    BLOCK,
    FOURTH,
    KEYS,
    OTHER_BLOCK,
    OUTSIDER,
    PROPOSER,
    SECOND,
    TALLY,
    THIRD,
    block_by,
    certificate,
    prepare,
    propose,
    round_change,
    sealed,
)

HELD = certificate()
FRESH = block_by(SECOND, at=1)
AGAIN = BLOCK.with_round(Round(1))
PREPARES = [prepare(key) for key in KEYS[:3]]
BARE = [round_change(key, 1) for key in KEYS[:3]]
LOCKED = [round_change(PROPOSER, 1, held=HELD), *BARE[1:]]


def fault(message: Proposal) -> RejectReason | None:
    return find_proposal_fault(message, validators=TALLY.validators)


def offer(
    block: Block = FRESH,
    changes: list[RoundChange] = BARE,
    prepares: list[Prepare] | None = None,
    key: PrivateKey = SECOND,
) -> Proposal:
    return propose(block, key, round_changes=changes, prepares=prepares or [])


@pytest.mark.parametrize(
    "good",
    [
        pytest.param(propose(), id="round 0"),
        pytest.param(offer(), id="nothing prepared, a fresh block"),
        pytest.param(offer(AGAIN, LOCKED, PREPARES), id="the prepared block, its creator kept"),
        pytest.param(
            offer(changes=[round_change(key, 1) for key in KEYS]), id="more than a quorum"
        ),
    ],
)
def test_a_justified_proposal_has_no_fault(good: Proposal) -> None:
    assert fault(good) is None


HIGHER = certificate(AGAIN)
AT_TWO = [
    round_change(PROPOSER, 2, held=HELD),
    round_change(SECOND, 2, held=HIGHER),
    round_change(THIRD, 2),
]
AGAIN_AT_TWO = BLOCK.with_round(Round(2))


def test_the_highest_prepared_round_counts() -> None:
    high = [prepare(key, AGAIN) for key in KEYS[:3]]

    assert fault(offer(AGAIN_AT_TWO, AT_TWO, high, THIRD)) is None
    assert fault(offer(AGAIN_AT_TWO, AT_TWO, PREPARES, THIRD)) is RejectReason.BAD_JUSTIFICATION


OTHER_LOCK = certificate(OTHER_BLOCK)
BAD_PROPOSALS = [
    pytest.param(replace(propose(), round_changes=(BARE[0].signed,)), id="round 0, round changes"),
    pytest.param(replace(propose(), prepares=(PREPARES[0].signed,)), id="round 0, prepares"),
    pytest.param(propose(block_by(SECOND)), id="round 0, another's block"),
    pytest.param(offer(changes=BARE[:2]), id="two round changes"),
    pytest.param(offer(changes=[*BARE[:2], BARE[1]]), id="one author twice"),
    pytest.param(offer(changes=[*BARE[:2], round_change(OUTSIDER, 1)]), id="a stranger's"),
    pytest.param(offer(changes=[*BARE, round_change(OUTSIDER, 1)]), id="a stranger's on top"),
    pytest.param(offer(changes=[*BARE[:2], round_change(THIRD, 2)]), id="another round"),
    pytest.param(offer(changes=[*BARE[:2], round_change(THIRD, 1, height=2)]), id="another height"),
    pytest.param(
        offer(changes=[*BARE[:2], round_change(THIRD, 1, held=HIGHER)], block=AGAIN),
        id="prepared in the target round",
    ),
    pytest.param(
        offer(AGAIN, [LOCKED[0], round_change(SECOND, 1, held=OTHER_LOCK), BARE[2]], PREPARES),
        id="one prepared round, two digests",
    ),
    pytest.param(offer(FRESH, LOCKED, PREPARES), id="a fresh block though one is prepared"),
    pytest.param(offer(AGAIN, LOCKED), id="no prepares though one is prepared"),
    pytest.param(offer(AGAIN, LOCKED, PREPARES[:2]), id="two prepares"),
    pytest.param(offer(AGAIN, LOCKED, [*PREPARES[:2], PREPARES[1]]), id="one prepare twice"),
    pytest.param(
        offer(AGAIN, LOCKED, [*PREPARES[:2], prepare(OUTSIDER)]), id="a stranger's prepare"
    ),
    pytest.param(
        offer(AGAIN, LOCKED, [*PREPARES, prepare(FOURTH, OTHER_BLOCK)]), id="a bad one on top"
    ),
    pytest.param(
        offer(AGAIN, LOCKED, [*PREPARES[:2], prepare(THIRD, at=1)]), id="a prepare of another round"
    ),
    pytest.param(offer(FRESH, BARE, PREPARES), id="prepares though nothing is prepared"),
    pytest.param(offer(AGAIN, BARE), id="another's block though nothing is prepared"),
    pytest.param(
        offer(OTHER_BLOCK.with_round(Round(1)), LOCKED, PREPARES), id="another than the prepared"
    ),
]


@pytest.mark.parametrize("bad", BAD_PROPOSALS)
def test_an_unjustified_proposal_is_refused(bad: Proposal) -> None:
    assert fault(bad) is RejectReason.BAD_JUSTIFICATION


def change_fault(message: RoundChange) -> RejectReason | None:
    return find_round_change_fault(message, validators=TALLY.validators)


@pytest.mark.parametrize(
    "good",
    [
        pytest.param(round_change(SECOND, 1), id="bare"),
        pytest.param(round_change(SECOND, 1, held=HELD), id="with a certificate"),
        pytest.param(round_change(SECOND, 9, held=certificate(by=KEYS)), id="with four prepares"),
    ],
)
def test_a_round_change_that_proves_what_it_says_has_no_fault(good: RoundChange) -> None:
    assert change_fault(good) is None


def with_prepares(*prepares: Prepare) -> RoundChange:
    signed = tuple(message.signed for message in prepares)
    return replace(round_change(SECOND, 1, held=HELD), prepares=signed)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(round_change(SECOND, 0), id="target 0"),
        pytest.param(replace(round_change(SECOND, 1), block=BLOCK), id="block without metadata"),
        pytest.param(
            replace(round_change(SECOND, 1), prepares=HELD.prepares), id="prepares without metadata"
        ),
        pytest.param(
            replace(round_change(SECOND, 1, held=HELD), block=None), id="metadata without a block"
        ),
        pytest.param(
            replace(round_change(SECOND, 1, held=HELD), block=OTHER_BLOCK), id="another block"
        ),
        pytest.param(
            replace(round_change(SECOND, 1, held=HELD), block=AGAIN),
            id="the block in another round",
        ),
        pytest.param(round_change(SECOND, 1, held=HIGHER), id="prepared in the target round"),
        pytest.param(with_prepares(*PREPARES[:2]), id="two prepares"),
        pytest.param(with_prepares(*PREPARES[:2], PREPARES[1]), id="one author twice"),
        pytest.param(with_prepares(*PREPARES[:2], prepare(OUTSIDER)), id="a stranger's prepare"),
        pytest.param(
            with_prepares(*PREPARES[:2], prepare(THIRD, OTHER_BLOCK)), id="another digest"
        ),
        pytest.param(with_prepares(*PREPARES[:2], prepare(THIRD, height=2)), id="another height"),
        pytest.param(with_prepares(*PREPARES[:2], prepare(THIRD, at=1)), id="another round"),
        pytest.param(
            round_change(
                SECOND, 1, held=PreparedCertificate(block=sealed(BLOCK), prepares=HELD.prepares)
            ),
            id="a block with seals",
        ),
    ],
)
def test_a_round_change_that_does_not_is_refused(bad: RoundChange) -> None:
    assert change_fault(bad) is RejectReason.BAD_JUSTIFICATION
