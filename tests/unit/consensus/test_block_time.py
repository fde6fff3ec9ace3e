"""QBFT-BLOCK-TIME, QBFT-HEARTBEAT, QBFT-STALE-TIMER: when round 0 begins, and who waits for what.

Period 2 s, heartbeat 30 s. The driver's clock stands where the period ends.
"""

import pytest

from node.consensus.effects import BuildBlock, StartTimer
from node.consensus.events import ContentChanged, PendingVotesChanged, TimerExpired, TimerKind
from node.consensus.state import Step
from node.primitives.header import ValidatorVote
from node.primitives.types import Height, Round
from tests.support.consensus import (
    DUE_MS,
    GENESIS_TIME_S,
    OUTSIDER,
    PROPOSER,
    SECOND,
    Driver,
    of_kind,
    propose,
    round_change,
)

HEARTBEAT_MS = (GENESIS_TIME_S + 30) * 1000
VOTE = ValidatorVote(recipient=OUTSIDER.address, is_add=True)


def test_a_new_height_waits_until_the_parents_timestamp_plus_the_period() -> None:
    driver = Driver(now_ms=DUE_MS - 700)

    assert of_kind(driver.effects, StartTimer) == [
        StartTimer(kind=TimerKind.BLOCK, height=Height(1), round=Round(0), delay_ms=700)
    ]
    assert driver.state.step is Step.WAITING


def test_the_round_timer_starts_when_the_block_timer_fires_and_not_before() -> None:
    driver = Driver()

    assert of_kind(driver.begin(), StartTimer) == [
        StartTimer(kind=TimerKind.ROUND, height=Height(1), round=Round(0), delay_ms=4_000)
    ]


def test_a_block_timer_that_fires_early_is_set_again() -> None:
    driver = Driver(now_ms=DUE_MS - 1)

    assert of_kind(driver.begin(), StartTimer)[-1].kind is TimerKind.BLOCK
    assert driver.state.step is Step.WAITING


@pytest.mark.parametrize(("now_ms", "timestamp_s"), [(DUE_MS, 1002), (DUE_MS + 1_999, 1003)])
def test_the_timestamp_is_the_second_of_the_clock(now_ms: int, timestamp_s: int) -> None:
    driver = Driver(key=PROPOSER, now_ms=now_ms)

    (build,) = of_kind(driver.begin(), BuildBlock)

    assert build.timestamp_s == timestamp_s


def test_a_clock_far_behind_is_looked_at_again_within_a_heartbeat() -> None:
    driver = Driver(now_ms=DUE_MS - 3_600_000)

    assert [timer.delay_ms for timer in of_kind(driver.effects, StartTimer)] == [30_000]


def test_a_block_timer_of_another_height_begins_nothing() -> None:
    driver = Driver()
    timer = TimerExpired(
        kind=TimerKind.BLOCK, height=Height(2), round=Round(0), now_ms=driver.now_ms
    )

    assert driver.feed(timer) == ()


def test_an_idle_network_starts_no_round_until_the_heartbeat() -> None:
    driver = Driver(key=PROPOSER, has_content=False)

    assert driver.begin() == (
        StartTimer(kind=TimerKind.BLOCK, height=Height(1), round=Round(0), delay_ms=28_000),
    )


def test_content_that_arrives_while_idle_starts_the_round_at_once() -> None:
    driver = Driver(key=PROPOSER, has_content=False)
    driver.begin()
    driver.now_ms += 500

    effects = driver.feed(ContentChanged(has_content=True, now_ms=driver.now_ms))

    assert of_kind(effects, BuildBlock)[0].may_be_empty is False


def test_the_heartbeat_builds_an_empty_block() -> None:
    driver = Driver(key=PROPOSER, has_content=False, now_ms=HEARTBEAT_MS)

    assert of_kind(driver.begin(), BuildBlock)[0].may_be_empty is True
    assert driver.state.step is Step.PREPARING


def test_the_heartbeat_starts_the_round_timer_of_the_others() -> None:
    driver = Driver(has_content=False, now_ms=HEARTBEAT_MS)

    assert of_kind(driver.begin(), StartTimer)[0].kind is TimerKind.ROUND


def test_a_pending_vote_counts_as_content_for_the_first_proposer() -> None:
    driver = Driver(key=PROPOSER, has_content=False, pending_votes=(VOTE,))

    (build,) = of_kind(driver.begin(), BuildBlock)

    assert build.may_be_empty
    assert build.extra_data.vote == VOTE


def test_a_vote_made_while_idle_starts_the_round_of_its_proposer_only() -> None:
    proposer, other = Driver(key=PROPOSER, has_content=False), Driver(has_content=False)

    for driver in (proposer, other):
        driver.begin()
        driver.feed(PendingVotesChanged(votes=(VOTE,), now_ms=driver.now_ms))

    assert proposer.state.step is Step.PREPARING
    assert other.state.step is Step.WAITING


def test_a_proposer_that_can_include_nothing_goes_back_to_waiting() -> None:
    driver = Driver(key=PROPOSER, has_content=False)
    driver.feed(ContentChanged(has_content=True, now_ms=driver.now_ms))

    assert driver.state.step is Step.WAITING
    assert of_kind(driver.effects, StartTimer)[-1].kind is TimerKind.BLOCK
    assert driver.feed(driver.round_timeout()) == ()


def test_a_proposal_ends_the_waiting_of_a_node_with_nothing_to_include() -> None:
    driver = Driver(has_content=False)
    driver.begin()

    effects = driver.feed(propose())

    assert of_kind(effects, StartTimer)[0].kind is TimerKind.ROUND
    assert driver.state.step is Step.PREPARING


def test_a_validator_that_gave_round_0_up_wakes_those_that_wait() -> None:
    driver = Driver(has_content=False)
    driver.begin()

    effects = driver.feed(round_change(PROPOSER, 1))

    assert of_kind(effects, StartTimer)[0].kind is TimerKind.ROUND
    assert (driver.state.round, driver.state.step) == (0, Step.PROPOSING)


def test_nobody_is_woken_before_the_period_is_over() -> None:
    driver = Driver(has_content=False, now_ms=DUE_MS - 1)

    assert of_kind(driver.feed(round_change(PROPOSER, 1)), StartTimer) == []
    assert driver.state.step is Step.WAITING


@pytest.mark.parametrize(
    "stale",
    [
        pytest.param((TimerKind.BLOCK, 2, 0), id="block timer of a later height"),
        pytest.param((TimerKind.BLOCK, 1, 0), id="block timer after round 0 began"),
        pytest.param((TimerKind.ROUND, 0, 0), id="round timer of an earlier height"),
        pytest.param((TimerKind.ROUND, 1, 1), id="round timer of another round"),
    ],
)
def test_a_timer_that_means_nothing_now_is_ignored(stale: tuple[TimerKind, int, int]) -> None:
    driver = Driver(key=SECOND)
    driver.begin()
    kind, height, at = stale

    effects = driver.feed(
        TimerExpired(kind=kind, height=Height(height), round=Round(at), now_ms=driver.now_ms)
    )

    assert effects == ()
