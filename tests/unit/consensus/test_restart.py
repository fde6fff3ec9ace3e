"""QBFT-RESUME, QBFT-LOCK, QBFT-SIGN-STATE: what was voted before a crash holds after it."""

import pytest

from node.consensus.effects import Broadcast, Decide, StartTimer
from node.consensus.messages import Prepare, Proposal, RoundChange
from node.consensus.sign_state import decode_sign_state
from node.consensus.state import Step
from tests.support.consensus import (
    FOURTH,
    OTHER_BLOCK,
    PROPOSER,
    SECOND,
    THIRD,
    Driver,
    certificate,
    commit,
    of_kind,
    prepare,
    propose,
    round_change,
)


def begun(**options: object) -> Driver:
    driver = Driver(**options)  # type: ignore[arg-type]
    driver.begin()
    return driver


def test_a_validator_that_prepared_one_block_prepares_no_other_after_a_restart() -> None:
    driver = begun()
    driver.feed(propose())
    driver.restart()

    driver.feed(propose(OTHER_BLOCK))

    assert [m for m in driver.signed if isinstance(m, Prepare)] == [prepare(SECOND)]


def test_a_proposer_makes_no_second_proposal_after_a_restart() -> None:
    driver = begun(key=PROPOSER)
    driver.restart()
    driver.now_ms += 1_000

    driver.begin()

    assert len([m for m in driver.signed if isinstance(m, Proposal)]) == 1


def test_a_committed_block_is_committed_again_and_can_be_decided() -> None:
    driver = begun()
    driver.feed(propose(), prepare(PROPOSER), prepare(THIRD))

    effects = driver.restart()

    assert [effect.message for effect in of_kind(effects, Broadcast)] == [commit(SECOND)]
    assert driver.state.step is Step.COMMITTING
    assert len(of_kind(driver.feed(commit(PROPOSER), commit(THIRD)), Decide)) == 1


def test_the_lock_is_carried_into_the_next_round_after_a_restart() -> None:
    driver = begun()
    driver.feed(propose(), prepare(PROPOSER), prepare(THIRD))
    driver.restart()

    driver.time_out()

    held = certificate(by=(PROPOSER, SECOND, THIRD))
    assert driver.signed[-1] == round_change(SECOND, 1, held=held)


def test_the_round_reached_is_resumed_and_its_round_change_sent_again() -> None:
    driver = begun(key=FOURTH)
    driver.feed(propose(), prepare(PROPOSER), prepare(THIRD))
    for at in (1, 2):
        driver.time_out()
        driver.feed(round_change(PROPOSER, at), round_change(SECOND, at))
    driver.time_out()
    last = driver.signed[-1]

    effects = driver.restart()

    assert [timer.delay_ms for timer in of_kind(effects, StartTimer)] == [32_000]
    assert [effect.message for effect in of_kind(effects, Broadcast)] == [last]
    assert isinstance(last, RoundChange)
    assert driver.state.round == 3
    assert decode_sign_state(driver.stored[-1]).certificate == driver.state.certificate


def test_an_equivocating_proposer_gains_nothing_from_our_restart() -> None:
    driver = begun()
    driver.feed(propose(), prepare(PROPOSER), prepare(THIRD))
    driver.restart()

    driver.feed(propose(OTHER_BLOCK), prepare(PROPOSER, OTHER_BLOCK), prepare(THIRD, OTHER_BLOCK))

    assert driver.state.accepted == propose().signed.payload.block
    assert commit(SECOND, OTHER_BLOCK) not in driver.signed


@pytest.mark.parametrize("crashes", range(1, 5))
def test_restarting_again_and_again_signs_nothing_new(crashes: int) -> None:
    driver = begun()
    driver.feed(propose(), prepare(PROPOSER), prepare(THIRD))
    before = set(map(repr, driver.signed))

    for _ in range(crashes):
        driver.restart()

    assert set(map(repr, driver.signed)) == before


def test_a_crash_between_record_and_signature_is_made_good() -> None:
    driver = begun()
    driver.feed(propose(), prepare(PROPOSER))
    driver.answers = False
    driver.feed(prepare(THIRD))
    driver.answers = True
    assert commit(SECOND) not in driver.signed

    driver.restart()

    assert driver.signed[-1] == commit(SECOND)
