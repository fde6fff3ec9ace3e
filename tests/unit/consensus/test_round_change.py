"""QBFT-ROUND-TIMEOUT, QBFT-ROUND-CHANGE, QBFT-CATCH-UP, QBFT-ROUND-TIMER: leaving a round together.

Four validators: f+1 is two, a quorum three. We are the fourth, whose turn is round 3.
"""

from node.consensus.effects import Broadcast, RecordEvidence, RejectReason, StartTimer
from node.consensus.events import TimerKind
from node.consensus.evidence import Contradiction
from node.consensus.messages import RoundChange
from node.consensus.parameters import ROUND_MAX
from node.consensus.state import Step
from node.primitives.types import Height, Round
from tests.support.consensus import (
    FOURTH,
    PROPOSER,
    SECOND,
    THIRD,
    Driver,
    certificate,
    commit,
    of_kind,
    prepare,
    propose,
    reasons,
    round_change,
)


def begun() -> Driver:
    driver = Driver(key=FOURTH)
    driver.begin()
    return driver


def timer(at: int, delay_ms: int) -> StartTimer:
    return StartTimer(kind=TimerKind.ROUND, height=Height(1), round=Round(at), delay_ms=delay_ms)


def test_a_timeout_enters_the_next_round_and_asks_for_it() -> None:
    driver = begun()

    effects = driver.time_out()

    assert effects[0] == timer(1, 8_000)
    assert effects[-1] == Broadcast(message=round_change(FOURTH, 1))
    assert (driver.state.round, driver.state.step) == (1, Step.PROPOSING)


def time_out_followed(driver: Driver) -> None:
    """Time out, and let two others ask for the same round."""
    driver.time_out()
    at = driver.state.round
    driver.feed(round_change(PROPOSER, at), round_change(SECOND, at))


def test_every_timeout_that_others_follow_sends_a_newer_round_change() -> None:
    driver = begun()

    time_out_followed(driver)
    time_out_followed(driver)
    driver.time_out()

    assert driver.signed == [round_change(FOURTH, at) for at in (1, 2, 3)]


def test_a_round_change_that_no_quorum_followed_is_sent_again() -> None:
    driver = begun()
    driver.time_out()
    driver.feed(round_change(PROPOSER, 1))

    effects = driver.time_out()

    assert effects == (timer(1, 8_000), Broadcast(message=round_change(FOURTH, 1)))
    assert driver.state.round == 1


def test_those_who_are_further_than_we_count_as_followers() -> None:
    driver = begun()
    driver.time_out()
    driver.feed(round_change(PROPOSER, 1), round_change(SECOND, 5))

    driver.time_out()

    assert driver.state.round == 2


def test_a_timeout_takes_the_lock_along() -> None:
    driver = begun()
    driver.feed(propose(), prepare(PROPOSER), prepare(SECOND))

    driver.time_out()

    held = certificate(by=(PROPOSER, SECOND, FOURTH))
    assert driver.signed[-1] == round_change(FOURTH, 1, held=held)


def test_the_lock_is_carried_through_rounds_without_a_proposal() -> None:
    driver = begun()
    driver.feed(propose(), prepare(PROPOSER), prepare(SECOND))

    time_out_followed(driver)
    time_out_followed(driver)
    driver.time_out()

    last = driver.signed[-1]
    assert isinstance(last, RoundChange)
    assert (last.signed.payload.round, last.block) == (3, certificate().block)


def test_one_round_change_above_ours_moves_nobody() -> None:
    driver = begun()

    driver.feed(round_change(PROPOSER, 5))

    assert driver.state.round == 0


def test_f_plus_one_round_changes_move_us_to_the_smallest_of_their_rounds() -> None:
    driver = begun()

    driver.feed(round_change(PROPOSER, 7), round_change(SECOND, 4))

    assert driver.state.round == 4
    assert driver.signed == [round_change(FOURTH, 4)]


def test_catching_up_works_when_the_messages_are_of_different_rounds_and_late() -> None:
    driver = begun()
    driver.feed(round_change(PROPOSER, 2))
    driver.time_out()

    driver.feed(round_change(SECOND, 5))

    assert driver.state.round == 2


def test_one_author_counts_once_for_catching_up() -> None:
    driver = begun()

    driver.feed(round_change(PROPOSER, 2), round_change(PROPOSER, 3))

    assert driver.state.round == 0


def test_a_waiting_validator_catches_up_too() -> None:
    driver = Driver(key=FOURTH, has_content=False)

    driver.feed(round_change(PROPOSER, 1), round_change(SECOND, 1))

    assert driver.state.round == 1


def test_the_timer_starts_again_with_the_first_quorum_for_the_round_only() -> None:
    driver = begun()
    driver.time_out()
    driver.feed(round_change(PROPOSER, 1))

    first = driver.feed(round_change(SECOND, 1))
    second = driver.feed(round_change(THIRD, 1))

    assert of_kind(first, StartTimer) == [timer(1, 8_000)]
    assert of_kind(second, StartTimer) == []


def test_a_round_change_to_the_past_or_again_is_refused() -> None:
    driver = begun()
    time_out_followed(driver)
    driver.time_out()
    driver.feed(round_change(PROPOSER, 3))

    assert reasons(driver.feed(round_change(SECOND, 1))) == [RejectReason.OLD_ROUND]
    assert reasons(driver.feed(round_change(PROPOSER, 3))) == [RejectReason.SLOT_TAKEN]
    assert reasons(driver.feed(round_change(PROPOSER, 2))) == [RejectReason.SLOT_TAKEN]


def test_two_round_changes_to_one_round_are_evidence() -> None:
    driver = begun()
    driver.feed(round_change(PROPOSER, 1))

    (record,) = of_kind(driver.feed(round_change(PROPOSER, 1, held=certificate())), RecordEvidence)

    assert record.evidence.contradiction is Contradiction.DOUBLE_ROUND_CHANGE


def test_forgetting_a_commit_is_evidence() -> None:
    driver = begun()
    driver.feed(propose(), commit(PROPOSER))

    (record,) = of_kind(driver.feed(round_change(PROPOSER, 1)), RecordEvidence)

    assert record.evidence.contradiction is Contradiction.DROPPED_LOCK


def test_the_highest_round_is_the_last() -> None:
    driver = begun()
    driver.feed(round_change(PROPOSER, ROUND_MAX), round_change(SECOND, ROUND_MAX))
    assert driver.state.round == ROUND_MAX

    assert driver.time_out() == (timer(ROUND_MAX, 60_000),)
