"""QBFT-EVENTS, QBFT-EFFECTS: effects come in the promised order, and a step is a function.

The whole of a height with four honest validators, seen from each of them.
"""

import pytest

from node.consensus.effects import Broadcast, Decide, Effect, Persist, PersistAndSign
from node.consensus.events import MessageReceived, TimerExpired, TimerKind
from node.consensus.machine import step
from node.consensus.messages import Message, Proposal
from node.consensus.sign_state import decode_sign_state
from node.primitives.crypto import PrivateKey
from node.primitives.types import Round
from tests.support.consensus import (
    DUE_MS,
    KEYS,
    PROPOSER,
    SECOND,
    Driver,
    commit,
    of_kind,
    prepare,
    propose,
)


def run_height(keys: tuple[PrivateKey, ...] = KEYS) -> list[Driver]:
    """Deliver everything that is broadcast to everyone, in order, until nothing is left."""
    drivers = [Driver(key=key) for key in keys]
    for driver in drivers:
        driver.begin()
    delivered = 0
    while delivered < sum(len(driver.signed) for driver in drivers):
        delivered = 0
        for sender in drivers:
            for message in list(sender.signed):
                delivered += 1
                for receiver in drivers:
                    if receiver is not sender:
                        receiver.feed(message)
    return drivers


@pytest.mark.parametrize("at", range(4))
def test_four_honest_validators_decide_one_block(at: int) -> None:
    driver = run_height()[at]

    assert len({d.hash for d in decided(driver.effects)}) == 1


def decided(effects: list[Effect]) -> list[object]:
    return [effect.block for effect in of_kind(effects, Decide)]


def test_every_vote_is_durable_before_it_leaves() -> None:
    for driver in run_height():
        durable: list[object] = []
        for effect in driver.effects:
            if isinstance(effect, Persist | PersistAndSign):
                durable.append(decode_sign_state(driver.stored[len(durable)]))
            if isinstance(effect, Broadcast):
                assert covers(durable[-1], effect.message)


def covers(record: object, message: Message) -> bool:
    payload = message.signed.payload
    digest = payload.block.digest if isinstance(message, Proposal) else payload.digest
    return digest in (record.proposal, record.prepare, record.commit)


def test_the_same_state_and_event_give_the_same_transition() -> None:
    driver = Driver()
    driver.begin()
    state = driver.state
    event = MessageReceived(message=propose(), source=PROPOSER.address, now_ms=DUE_MS)

    assert step(state, event) == step(state, event)
    assert state == driver.state


def test_a_decision_is_the_last_effect_of_its_step() -> None:
    driver = Driver(key=SECOND)
    driver.begin()
    driver.feed(propose(), *(prepare(key) for key in KEYS if key is not SECOND))

    effects = driver.feed(*(commit(key) for key in KEYS if key is not SECOND))

    assert isinstance(effects[-1], Decide)


def test_a_node_that_only_follows_does_nothing_with_timers() -> None:
    driver = Driver(key=PrivateKey(b"\x07" * 32))
    timer = TimerExpired(
        kind=TimerKind.BLOCK, height=driver.state.height, round=Round(0), now_ms=DUE_MS
    )

    assert driver.feed(timer) == ()
