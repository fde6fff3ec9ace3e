"""Asking for our own votes, and knowing when not to.

Spec: QBFT-SIGN-STATE, QBFT-STALE.
"""

from dataclasses import replace

from node.consensus.effects import Persist, PersistAndSign, ReportOwnKeyElsewhere
from node.consensus.messages import (
    Commit,
    CommitDraft,
    Draft,
    Message,
    Prepare,
    PreparePayload,
    Proposal,
    RoundChange,
    RoundChangeDraft,
    RoundChangePayload,
)
from node.consensus.quorum import quorum_size
from node.consensus.sign_state import SignState, follow
from node.consensus.state import State, Transition
from node.primitives.types import Address, Digest, Height


def ask_to_sign(state: State, draft: Draft) -> Transition:
    """Ask for a vote to be made durable and signed, unless it may not be.

    The record moves on at once, before the shell answers, so that no second vote can be asked for
    meanwhile.

    Spec: QBFT-SIGN-STATE, QBFT-LOCK.
    """
    record = follow(state.sign_state, draft, state.certificate) if may_vote(state) else None
    if record is None:
        return Transition(state=state, effects=())
    return Transition(
        state=replace(state, sign_state=record),
        effects=(PersistAndSign(sign_state=record, draft=draft),),
    )


def may_vote(state: State) -> bool:
    """Tell whether we may sign at this height at all.

    Spec: QBFT-STALE, QBFT-SYNC-GATE.
    """
    record = state.sign_state
    return (
        state.is_validator
        and not state.is_syncing
        and not record.is_silent
        and state.height > record.silent_through
    )


def vote_prepare(state: State, digest: Digest) -> Transition:
    """Ask for our prepare of ``digest`` in the current round."""
    return ask_to_sign(state, PreparePayload(height=state.height, round=state.round, digest=digest))


def vote_commit(state: State, digest: Digest) -> Transition:
    """Ask for our commit and seal of ``digest`` in the current round."""
    return ask_to_sign(state, CommitDraft(height=state.height, round=state.round, digest=digest))


def vote_round_change(state: State) -> Transition:
    """Ask for our round change to the current round, with our lock."""
    held = state.certificate
    payload = RoundChangePayload(
        height=state.height,
        round=state.round,
        prepared=None if held is None else held.metadata,
    )
    return ask_to_sign(state, RoundChangeDraft(payload=payload, certificate=held))


def hear_height(state: State, author: Address, height: Height) -> Transition:
    """Note how far another validator is, while we do not know how far we ourselves have voted.

    A vote of ours at height k means that k-1 was decided, so that among any quorum of the others an
    honest one speaks of k-1 or more. Once a quorum of them (or all, in sets of three or fewer) is
    heard, we stay silent through one height above the highest.

    Spec: QBFT-STALE.
    """
    if not state.sign_state.is_silent or author == state.validator:
        return Transition(state=state, effects=())
    bound = Height(state.height + state.parameters.future_height_distance_max)
    heard = dict(state.heard_heights)
    heard[author] = max(heard.get(author, Height(0)), min(height, bound))
    return settle_silence(replace(state, heard_heights=heard))


def settle_silence(state: State) -> Transition:
    """End the unbounded silence once enough of the others are heard.

    Spec: QBFT-STALE.
    """
    record = state.sign_state
    others = frozenset(state.validators) - {state.validator}
    heard = [height for author, height in state.heard_heights.items() if author in others]
    needed = min(quorum_size(len(state.validators)), len(others))
    if not record.is_silent or len(heard) < needed:
        return Transition(state=state, effects=())
    through = max([record.silent_through, record.height, *heard]) + 1
    settled = replace(record, is_silent=False, silent_through=Height(through))
    return Transition(
        state=replace(state, sign_state=settled, heard_heights={}),
        effects=(Persist(sign_state=settled),),
    )


def upon_own_message_from_elsewhere(state: State, message: Message) -> Transition:
    """Notice that our key signed something this node did not.

    Echoes of what we signed ourselves are the usual case and mean nothing.

    Spec: QBFT-TWIN.
    """
    record, payload = state.sign_state, message.signed.payload
    if (payload.height, payload.round) < (record.height, record.round) or _is_ours(record, message):
        return Transition(state=state, effects=())
    bound = state.height + state.parameters.future_height_distance_max
    through = max(record.silent_through, min(payload.height, bound) + 1)
    settled = replace(record, silent_through=Height(through))
    if settled == record:
        return Transition(state=state, effects=())
    return Transition(
        state=replace(state, sign_state=settled),
        effects=(Persist(sign_state=settled), ReportOwnKeyElsewhere(message=message)),
    )


def _is_ours(record: SignState, message: Message) -> bool:
    payload = message.signed.payload
    if (payload.height, payload.round) != (record.height, record.round):
        return False
    match message:
        case Proposal():
            return record.proposal == message.signed.payload.block.digest
        case Prepare():
            return record.prepare == message.signed.payload.digest
        case Commit():
            return record.commit == message.signed.payload.digest
        case RoundChange():
            return (
                record.has_round_change
                and record.round_change_prepared == message.signed.payload.prepared
            )
