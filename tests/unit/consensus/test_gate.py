"""QBFT-GATE, QBFT-BOUNDS, QBFT-RELAY, QBFT-RESEND: who is heard, what is kept, what goes on.

Every bound is met here at its edge.
"""

from dataclasses import replace

import pytest

from node.consensus.accounting import ROUND_CHANGE_RELAYS_MAX
from node.consensus.effects import RecordEvidence, Reject, RejectReason, Relay, RequestSync, Send
from node.consensus.events import MessageReceived, PeerConnected
from node.consensus.messages import Message
from node.primitives.types import Height
from tests.support.consensus import (
    BLOCK,
    DUE_MS,
    FOURTH,
    OTHER_BLOCK,
    OUTSIDER,
    PARAMETERS,
    PROPOSER,
    SECOND,
    THIRD,
    Driver,
    block_by,
    certificate,
    commit,
    of_kind,
    prepare,
    propose,
    reasons,
    round_change,
)

NEXT = block_by(SECOND, parent=BLOCK.header)


def begun(**options: object) -> Driver:
    driver = Driver(**options)  # type: ignore[arg-type]
    driver.begin()
    return driver


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(propose(BLOCK, OUTSIDER), id="proposal"),
        pytest.param(prepare(OUTSIDER), id="prepare"),
        pytest.param(commit(OUTSIDER), id="commit"),
        pytest.param(round_change(OUTSIDER), id="round change"),
    ],
)
def test_a_stranger_is_not_heard(message: Message) -> None:
    driver = begun()
    before = driver.state

    assert reasons(driver.feed(message)) == [RejectReason.NOT_A_VALIDATOR]
    assert driver.state == before


@pytest.mark.parametrize(
    ("message", "is_kept"),
    [
        pytest.param(prepare(THIRD, height=11), True, id="vote at the distance"),
        pytest.param(prepare(THIRD, height=12), False, id="vote beyond it"),
        pytest.param(propose(NEXT, SECOND), True, id="block for the next height"),
        pytest.param(round_change(THIRD, 1, height=2), True, id="round change for the next"),
        pytest.param(round_change(THIRD, 1, height=3), False, id="round change for the one after"),
    ],
)
def test_later_heights_are_kept_within_a_distance(message: Message, is_kept: bool) -> None:
    driver = begun(key=FOURTH)

    effects = driver.feed(message)

    assert (len(driver.state.future) == 1) is is_kept
    assert (reasons(effects) == []) is is_kept
    height = Height(message.signed.payload.height - 1)
    assert of_kind(effects, RequestSync) == [
        RequestSync(height=height, source=message.signed.author)
    ]


def test_a_hint_to_sync_is_given_once_for_each_author_and_height() -> None:
    driver = begun()
    driver.feed(prepare(THIRD, NEXT))

    assert of_kind(driver.feed(commit(THIRD, NEXT)), RequestSync) == []
    assert len(of_kind(driver.feed(commit(FOURTH, NEXT)), RequestSync)) == 1


def test_one_message_of_a_kind_is_kept_for_an_author_and_height() -> None:
    driver = begun()
    driver.feed(prepare(THIRD, height=3))

    assert reasons(driver.feed(prepare(THIRD, OTHER_BLOCK, height=3))) == [RejectReason.SLOT_TAKEN]
    assert reasons(driver.feed(prepare(THIRD, at=1, height=3))) == []
    assert len(driver.state.future) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(
            prepare(THIRD, height=3), prepare(THIRD, OTHER_BLOCK, height=3), id="later height"
        ),
        pytest.param(commit(THIRD, at=2), commit(THIRD, OTHER_BLOCK, at=2), id="later round"),
    ],
)
def test_a_contradiction_among_kept_messages_is_evidence(first: Message, second: Message) -> None:
    driver = begun()
    driver.feed(first)

    (record,) = of_kind(driver.feed(second), RecordEvidence)

    assert record.evidence.author == THIRD.address


def test_when_the_buffer_is_full_the_farthest_height_goes_first() -> None:
    driver = begun(parameters=replace(PARAMETERS, future_message_count_max=2))
    driver.feed(prepare(THIRD, height=4), prepare(THIRD, height=5))

    assert reasons(driver.feed(prepare(THIRD, height=6))) == [RejectReason.BUFFER_FULL]
    assert reasons(driver.feed(prepare(THIRD, height=3))) == []
    assert sorted(key[0] for key in driver.state.future) == [3, 4]


def test_one_vote_of_a_kind_is_kept_for_later_rounds_the_highest() -> None:
    driver = begun()
    driver.feed(prepare(THIRD, at=3), commit(THIRD, at=3), prepare(THIRD, at=9))

    assert reasons(driver.feed(prepare(THIRD, at=8))) == [RejectReason.SLOT_TAKEN]
    assert len(driver.state.later) == 2


def test_votes_kept_for_a_later_round_count_when_it_comes() -> None:
    driver = begun(key=FOURTH)
    block = block_by(SECOND, at=1)
    changes = [round_change(key, 1) for key in (PROPOSER, SECOND, THIRD)]
    driver.feed(prepare(PROPOSER, block), prepare(THIRD, block))

    driver.feed(propose(block, SECOND, round_changes=changes))

    assert driver.signed[-1] == commit(FOURTH, block)


def test_earlier_rounds_are_refused() -> None:
    driver = begun(key=FOURTH)
    driver.time_out()

    assert (
        reasons(driver.feed(propose(), prepare(THIRD), commit(THIRD)))
        == [RejectReason.OLD_ROUND] * 3
    )


def test_a_good_message_is_passed_on_once_and_not_back() -> None:
    driver = begun()
    event = MessageReceived(message=prepare(THIRD), source=FOURTH.address, now_ms=DUE_MS)

    first, second = driver.feed(event), driver.feed(event)

    assert first == (
        Relay(message=prepare(THIRD), except_for=tuple(sorted((THIRD.address, FOURTH.address)))),
    )
    assert second == (
        Reject(reason=RejectReason.SLOT_TAKEN, author=THIRD.address, source=FOURTH.address),
    )


def test_round_changes_of_one_author_are_passed_on_within_a_budget() -> None:
    driver = begun()
    flood = [round_change(THIRD, at) for at in range(1, ROUND_CHANGE_RELAYS_MAX + 5)]

    relays = of_kind(driver.feed(*flood), Relay)

    assert len(relays) == ROUND_CHANGE_RELAYS_MAX
    assert len(driver.state.round_changes) == 1


def test_a_peer_that_connects_is_told_our_round_change_and_the_votes_of_this_round() -> None:
    driver = begun()
    driver.feed(propose(), prepare(PROPOSER), prepare(THIRD))
    peer = PeerConnected(peer=FOURTH.address, now_ms=DUE_MS)

    assert driver.feed(peer) == (
        Send(peer=FOURTH.address, message=prepare(SECOND)),
        Send(peer=FOURTH.address, message=commit(SECOND)),
    )
    driver.time_out()
    held = certificate(by=(PROPOSER, SECOND, THIRD))
    latest = of_kind(driver.feed(peer), Send)
    assert round_change(SECOND, 1, held=held) in [send.message for send in latest]
    assert prepare(SECOND) not in [send.message for send in latest]
