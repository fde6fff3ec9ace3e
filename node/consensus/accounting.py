"""Refusing messages with a reason, and passing good ones on, each once.

Spec: QBFT-RELAY.
"""

from dataclasses import replace
from typing import Final

from node.consensus.effects import Reject, RejectReason, Relay
from node.consensus.messages import Message, RoundChange
from node.consensus.state import State, Transition
from node.primitives.types import Address

ROUND_CHANGE_RELAYS_MAX: Final = 8
"""Round changes of one author passed on during one round of ours; more is noise."""


def reject(
    state: State, reason: RejectReason, message: Message, source: Address | None
) -> Transition:
    """Leave the state alone and say why a message had no effect."""
    effect = Reject(reason=reason, author=message.signed.author, source=source)
    return Transition(state=state, effects=(effect,))


def relay(state: State, message: Message, source: Address) -> Transition:
    """Pass a message on to the others, unless it is our own.

    Each message takes a slot that only one message can take, so it is passed on once.

    Spec: QBFT-RELAY.
    """
    author = message.signed.author
    if author == state.validator:
        return Transition(state=state, effects=())
    except_for = tuple(sorted({author, source}))
    return Transition(state=state, effects=(Relay(message=message, except_for=except_for),))


def relay_within_budget(state: State, message: RoundChange, source: Address) -> Transition:
    """Pass a round change on, unless its author has filled its share for this round.

    Ever higher rounds are each new; without a budget one liar would make everyone send.

    Spec: QBFT-RELAY.
    """
    author = message.signed.author
    count = state.relay_counts.get(author, 0)
    if count >= ROUND_CHANGE_RELAYS_MAX:
        return Transition(state=state, effects=())
    counted = replace(state, relay_counts={**state.relay_counts, author: count + 1})
    return relay(counted, message, source)
