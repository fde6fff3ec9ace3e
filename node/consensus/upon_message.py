"""The gate every message passes: who may speak, about which height and round, and what is kept.

Spec: QBFT-GATE, QBFT-BOUNDS.
"""

from dataclasses import replace
from typing import Final, assert_never

from node.consensus.accounting import reject
from node.consensus.effects import RejectReason, RequestSync
from node.consensus.events import MessageReceived
from node.consensus.messages import (
    Commit,
    Message,
    MessageCode,
    Prepare,
    Proposal,
    RoundChange,
    code_of,
)
from node.consensus.signing import hear_height, upon_own_message_from_elsewhere
from node.consensus.state import Buffered, State, Step, Transition
from node.consensus.suspicion import suspect
from node.consensus.upon_commit import upon_commit
from node.consensus.upon_prepare import upon_prepare
from node.consensus.upon_proposal import upon_proposal
from node.consensus.upon_round_change import upon_round_change
from node.primitives.types import Address, Height

FUTURE_PROPOSAL_DISTANCE_MAX: Final = 1
"""Proposals, which carry blocks, are kept for this many heights ahead only."""


def upon_message_received(state: State, event: MessageReceived) -> Transition:
    """Let a validator's message through to its height and round, keep it, or refuse it.

    Spec: QBFT-GATE.
    """
    message = event.message
    author, height = message.signed.author, message.signed.payload.height
    if author == state.validator:
        return upon_own_message_from_elsewhere(state, message)
    if author not in state.validators:
        return reject(state, RejectReason.NOT_A_VALIDATOR, message, event.source)
    if height < state.height:
        return reject(state, RejectReason.OLD_HEIGHT, message, event.source)
    return hear_height(state, author, height).then(lambda after: _route(after, event))


def handle_current(state: State, message: Message, *, source: Address, now_ms: int) -> Transition:
    """Hand a message of the current height to its rule, or keep it for its round.

    The author is looked up again: a message kept from an earlier height was let in by the set of
    that height, and its author may have been voted out since.

    Spec: QBFT-GATE.
    """
    if state.step in (Step.IDLE, Step.DECIDED):
        return Transition(state=state, effects=())
    if message.signed.author not in state.validators:
        return reject(state, RejectReason.NOT_A_VALIDATOR, message, source)
    at = message.signed.payload.round
    if at < state.round:
        return reject(state, RejectReason.OLD_ROUND, message, source)
    match message:
        case Proposal():
            return upon_proposal(state, message, source=source, now_ms=now_ms)
        case RoundChange():
            return upon_round_change(state, message, source=source, now_ms=now_ms)
        case Prepare() | Commit() if at > state.round:
            return _keep_for_round(state, message, source)
        case Prepare():
            return upon_prepare(state, message, source=source)
        case Commit():
            return upon_commit(state, message, source=source)
        case _:
            assert_never(message)


def replay_kept(state: State, now_ms: int) -> Transition:
    """Handle what was kept for the height and round we have come to, until nothing is left.

    Every pass takes a message out, so the passes are bounded by the buffers.

    Spec: QBFT-GATE.
    """
    done = Transition(state=state, effects=())
    while (taken := _take_kept(done.state)) is not None:
        rest, kept = taken
        after = handle_current(rest, kept.message, source=kept.source, now_ms=now_ms)
        done = Transition(state=after.state, effects=done.effects + after.effects)
    return done


def _route(state: State, event: MessageReceived) -> Transition:
    if event.message.signed.payload.height == state.height:
        return handle_current(state, event.message, source=event.source, now_ms=event.now_ms)
    return _keep_for_height(state, event.message, event.source)


def _keep_for_height(state: State, message: Message, source: Address) -> Transition:
    """Keep a message for a later height within its slot, and hint that we are behind.

    When the buffer is full the farthest height goes first, if it is farther than this one.

    Spec: QBFT-BOUNDS.
    """
    author, height = message.signed.author, message.signed.payload.height
    code = code_of(message.signed.payload)
    distance = height - state.height
    hint = RequestSync(height=Height(height - 1), source=source)
    is_far = distance > state.parameters.future_height_distance_max
    is_bulky = code in (MessageCode.PROPOSAL, MessageCode.ROUND_CHANGE)
    if is_far or (is_bulky and distance > FUTURE_PROPOSAL_DISTANCE_MAX):
        refused = reject(state, RejectReason.TOO_FAR_AHEAD, message, source)
        return Transition(state=state, effects=(hint, *refused.effects))
    key = (height, author, code)
    known = state.future.get(key)
    if known is not None and not _is_newer(known, message):
        return _refuse_taken(state, known, message, source)
    is_first = not any(kept[:2] == (height, author) for kept in state.future)
    future = {**state.future, key: Buffered(message=message, source=source)}
    if len(future) > state.parameters.future_message_count_max:
        farthest = max(future)
        del future[farthest]
        if farthest == key:
            return reject(state, RejectReason.BUFFER_FULL, message, source)
    return Transition(state=replace(state, future=future), effects=(hint,) if is_first else ())


def _keep_for_round(state: State, message: Message, source: Address) -> Transition:
    """Keep a vote for a later round of this height: the highest round each author speaks of.

    Spec: QBFT-BOUNDS.
    """
    key = (message.signed.author, code_of(message.signed.payload))
    known = state.later.get(key)
    if known is not None and not _is_newer(known, message):
        return _refuse_taken(state, known, message, source)
    later = {**state.later, key: Buffered(message=message, source=source)}
    return Transition(state=replace(state, later=later), effects=())


def _is_newer(kept: Buffered, message: Message) -> bool:
    return kept.message.signed.payload.round < message.signed.payload.round


def _refuse_taken(state: State, kept: Buffered, message: Message, source: Address) -> Transition:
    """Refuse a message whose slot is taken, and note it if it contradicts the one kept."""
    return suspect(state, kept.message.signed, message.signed).then(
        lambda after: reject(after, RejectReason.SLOT_TAKEN, message, source)
    )


def _take_kept(state: State) -> tuple[State, Buffered] | None:
    """Take out the next message whose time has come: by kind, then by author."""
    for future_key in sorted(state.future, key=lambda key: (key[0], key[2], key[1])):
        if future_key[0] <= state.height:
            future = dict(state.future)
            kept = future.pop(future_key)
            return replace(state, future=future), kept
    for later_key in sorted(state.later, key=lambda key: (key[1], key[0])):
        if state.later[later_key].message.signed.payload.round <= state.round:
            later = dict(state.later)
            kept = later.pop(later_key)
            return replace(state, later=later), kept
    return None
