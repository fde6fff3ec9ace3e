"""QBFT-STALE, QBFT-TWIN: after a backup is restored, or while our key is used elsewhere.

Four validators: a quorum of the others is all three of them.
"""

import pytest

from node.consensus.effects import BuildBlock, Persist, ReportOwnKeyElsewhere
from node.consensus.sign_state import SignState, decode_sign_state
from node.primitives.types import Height, Round
from tests.support.consensus import (
    BLOCK,
    DUE_MS,
    FOURTH,
    OTHER_BLOCK,
    PROPOSER,
    SECOND,
    THIRD,
    Driver,
    block_by,
    make_keys,
    of_kind,
    prepare,
    propose,
    round_change,
    sealed,
)


def restored(**options: object) -> Driver:
    return Driver(is_restored=True, **options)  # type: ignore[arg-type]


def test_a_restored_validator_signs_nothing_and_says_so_on_disk() -> None:
    driver = restored()

    driver.begin()
    driver.feed(propose())
    driver.time_out()

    assert driver.signed == []
    assert decode_sign_state(driver.stored[-1]).is_silent


def test_a_silent_proposer_asks_for_no_block() -> None:
    driver = restored(key=PROPOSER)

    assert of_kind(driver.begin(), BuildBlock) == []


def test_silence_survives_another_restart_without_the_mark() -> None:
    driver = restored()

    driver.restart()
    driver.begin()
    driver.feed(propose())

    assert driver.signed == []


def test_a_record_missing_over_a_chain_is_taken_for_a_restored_backup() -> None:
    fresh, orphan = (
        Driver(),
        Driver(
            head=BLOCK.header,
            tally=Driver().tally.__class__(
                height=BLOCK.height, validators=Driver().tally.validators
            ),
        ),
    )

    assert not fresh.state.sign_state.is_silent
    assert orphan.state.sign_state.is_silent


@pytest.mark.parametrize(
    ("heard", "is_bounded"),
    [
        pytest.param((PROPOSER, THIRD), False, id="two of three others"),
        pytest.param((PROPOSER, THIRD, THIRD), False, id="one of them twice"),
        pytest.param((PROPOSER, THIRD, FOURTH), True, id="all three"),
    ],
)
def test_the_silence_is_bounded_once_a_quorum_of_the_others_is_heard(
    heard: tuple[object, ...], is_bounded: bool
) -> None:
    driver = restored()

    driver.feed(*(round_change(key, at) for at, key in enumerate(heard, start=1)))  # type: ignore[arg-type]

    assert driver.state.sign_state.is_silent is not is_bounded


def test_we_stay_silent_through_one_height_above_the_highest_heard() -> None:
    driver = restored()
    effects = driver.feed(
        round_change(PROPOSER, 1), prepare(THIRD, height=2), round_change(FOURTH, 1)
    )
    assert [effect.sign_state.silent_through for effect in of_kind(effects, Persist)] == [3]

    parent = BLOCK
    for creator in (SECOND, THIRD, FOURTH):
        driver.import_block(sealed(parent))
        driver.now_ms += 2_000
        driver.begin()
        driver.time_out()
        expected = [round_change(SECOND, 1, height=4)] if driver.state.height == 4 else []
        assert driver.signed == expected
        parent = block_by(creator, parent=parent.header)


def test_a_liar_cannot_silence_us_for_long() -> None:
    driver = restored()

    driver.feed(round_change(PROPOSER, 1), round_change(THIRD, 1), prepare(FOURTH, height=10**9))

    assert driver.state.sign_state.silent_through == 1 + 10 + 1


def test_a_lone_validator_has_nobody_to_hear() -> None:
    alone = make_keys(1)
    base = block_by(alone[0], validators=(alone[0].address,)).header
    driver = Driver(
        key=alone[0],
        head=base,
        tally=Driver().tally.__class__(height=base.height, validators=(alone[0].address,)),
        is_restored=True,
    )

    assert not driver.state.sign_state.is_silent


def test_an_echo_of_our_own_votes_is_no_twin() -> None:
    driver = Driver()
    driver.begin()
    driver.feed(propose())
    driver.time_out()

    assert driver.feed(prepare(SECOND), round_change(SECOND, 1)) == ()


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(prepare(SECOND, OTHER_BLOCK), id="another digest"),
        pytest.param(round_change(SECOND, 3), id="a round we are not in"),
        pytest.param(prepare(SECOND, height=2), id="a height we are not at"),
    ],
)
def test_a_message_of_our_key_that_we_did_not_sign_is_reported(foreign: object) -> None:
    driver = Driver()
    driver.begin()
    driver.feed(propose())

    effects = driver.feed(foreign)  # type: ignore[arg-type]

    assert of_kind(effects, ReportOwnKeyElsewhere) == [ReportOwnKeyElsewhere(message=foreign)]  # type: ignore[arg-type]
    driver.feed(prepare(PROPOSER), prepare(THIRD))
    assert driver.signed == [prepare(SECOND)]


def test_votes_a_restored_validator_forgot_keep_it_silent_when_they_come_back() -> None:
    record = SignState(height=Height(1), round=Round(0))
    driver = Driver(sign_state=record, now_ms=DUE_MS)
    driver.begin()

    driver.feed(prepare(SECOND, OTHER_BLOCK), propose())

    assert driver.signed == []
