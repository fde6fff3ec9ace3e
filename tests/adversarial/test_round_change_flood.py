"""QBFT-BOUNDS, QBFT-RELAY, QBFT-CATCH-UP: one validator floods rounds, heights and slots.

Whatever f validators send, an honest one keeps a fixed number of messages, does not change its
round, and passes only a few of them on.
"""

from node.consensus.accounting import ROUND_CHANGE_RELAYS_MAX
from node.consensus.effects import Relay
from node.consensus.parameters import ROUND_MAX
from tests.support.consensus import (
    FOURTH,
    PROPOSER,
    SECOND,
    THIRD,
    Driver,
    commit,
    of_kind,
    prepare,
    propose,
    round_change,
)

FLOOD = 300


def test_ever_higher_rounds_move_nobody_and_fill_one_slot() -> None:
    driver = Driver()
    driver.begin()
    rounds = [*range(1, FLOOD), ROUND_MAX]

    effects = driver.feed(*(round_change(FOURTH, at) for at in rounds))

    assert driver.state.round == 0
    assert list(driver.state.round_changes) == [FOURTH.address]
    assert len(of_kind(effects, Relay)) == ROUND_CHANGE_RELAYS_MAX


def test_votes_for_every_later_round_fill_two_slots() -> None:
    driver = Driver()
    driver.begin()

    driver.feed(*(vote(FOURTH, at=at) for at in range(1, FLOOD) for vote in (prepare, commit)))

    assert len(driver.state.later) == 2


def test_votes_for_every_later_height_stay_within_the_distance() -> None:
    driver = Driver()
    driver.begin()

    driver.feed(*(vote(FOURTH, height=h) for h in range(2, FLOOD) for vote in (prepare, commit)))

    assert len(driver.state.future) == 2 * driver.parameters.future_height_distance_max


def test_the_honest_decide_through_the_flood() -> None:
    driver = Driver()
    driver.begin()

    driver.feed(
        *(round_change(FOURTH, at) for at in range(1, 50)),
        propose(),
        *(prepare(FOURTH, at=at) for at in range(1, 50)),
        prepare(PROPOSER),
        prepare(THIRD),
    )

    assert driver.signed == [prepare(SECOND), commit(SECOND)]
