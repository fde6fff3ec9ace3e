"""QBFT-JUSTIFY-PROPOSAL, QBFT-JUSTIFY-ROUND-CHANGE: two liars of seven forge what they can.

Seven validators: f is two, a quorum five. The honest have prepared block A in round 0. The liars
may say anything in their own names and repeat anything the honest have said, now or before; they
cannot get a block other than A taken in a later round.
"""

from itertools import chain, combinations

import pytest

from node.consensus.messages import RoundChange
from node.consensus.state import Step
from node.consensus.validators import tally_at_base
from node.primitives.types import Round
from tests.support.consensus import (
    DUE_MS,
    Driver,
    block_by,
    certificate,
    genesis_header,
    make_keys,
    prepare,
    propose,
    round_change,
)

KEYS = make_keys(7)
BASE = genesis_header(KEYS)
LIARS, HONEST = KEYS[1:3], (KEYS[0], *KEYS[3:])
BLOCK_A = block_by(KEYS[0], parent=BASE)
BLOCK_B = block_by(KEYS[1], parent=BASE, at=1, label="lie")
HELD = certificate(BLOCK_A, by=HONEST)
SAID_BY_HONEST = [round_change(key, 1, held=HELD) for key in HONEST]
SAID_BY_LIARS = [round_change(key, 1) for key in LIARS]


def judge() -> Driver:
    driver = Driver(key=KEYS[6], head=BASE, tally=tally_at_base(BASE), now_ms=DUE_MS)
    driver.begin()
    return driver


def subsets(parts: list[RoundChange]) -> list[tuple[RoundChange, ...]]:
    sizes = (combinations(parts, size) for size in range(len(parts) + 1))
    return list(chain.from_iterable(sizes))


def test_no_set_of_round_changes_lets_another_block_pass() -> None:
    forged = [prepare(key, BLOCK_B, at=0) for key in LIARS]
    for changes in subsets([*SAID_BY_LIARS, *SAID_BY_HONEST]):
        for prepares in ((), forged, [*forged, *(prepare(key, BLOCK_A) for key in HONEST)]):
            driver = judge()
            driver.feed(propose(BLOCK_B, KEYS[1], round_changes=changes, prepares=prepares))
            assert driver.state.accepted is None


def test_the_locked_block_passes_with_the_honest_words() -> None:
    driver = judge()

    driver.feed(
        propose(
            BLOCK_A.with_round(Round(1)),
            KEYS[1],
            round_changes=[*SAID_BY_LIARS, *SAID_BY_HONEST[:3]],
            prepares=[prepare(key, BLOCK_A) for key in HONEST],
        )
    )

    assert driver.state.step is Step.PREPARING


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_certificate_of_liars_and_repeats_is_no_certificate(count: int) -> None:
    forged = certificate(BLOCK_B.with_round(Round(0)), by=(*LIARS, *LIARS, *LIARS)[:count])
    driver = judge()

    driver.feed(*(round_change(key, 1, held=forged) for key in LIARS))

    assert dict(driver.state.round_changes) == {}
    assert driver.state.round == 0
