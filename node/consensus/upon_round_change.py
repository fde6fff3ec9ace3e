"""A validator asks for a later round.

Spec: QBFT-ROUND-CHANGE, QBFT-CATCH-UP.
"""

from dataclasses import replace

from node.consensus.accounting import reject, relay_within_budget
from node.consensus.effects import RejectReason
from node.consensus.justification import agree_on_prepared, find_round_change_fault
from node.consensus.messages import RoundChange
from node.consensus.quorum import early_round_change_size, quorum_size
from node.consensus.rounds import (
    begin_round_zero,
    enter_round,
    propose_after_round_change,
    start_round_timer,
)
from node.consensus.signing import vote_round_change
from node.consensus.state import State, Step, Transition
from node.consensus.suspicion import suspect
from node.consensus.timeouts import block_due_ms
from node.primitives.types import Address, Round


def upon_round_change(
    state: State, message: RoundChange, *, source: Address, now_ms: int
) -> Transition:
    """Keep the latest round change of each validator; follow f+1, act on a quorum.

    Spec: QBFT-ROUND-CHANGE.
    """
    signed = message.signed
    known = state.round_changes.get(signed.author)
    if known is not None and known.signed.payload.round >= signed.payload.round:
        return suspect(state, known.signed, signed).then(
            lambda after: reject(after, RejectReason.SLOT_TAKEN, message, source)
        )
    fault = find_round_change_fault(message, validators=state.validators)
    if fault is not None:
        return reject(state, fault, message, source)
    kept = replace(state, round_changes={**state.round_changes, signed.author: message})
    return (
        suspect(kept, state.last_commits.get(signed.author), signed)
        .then(lambda after: relay_within_budget(after, message, source))
        .then(catch_up_if_enough)
        .then(lambda after: begin_if_waiting(after, now_ms))
        .then(lambda after: start_round_if_quorum(after, now_ms))
    )


def catch_up_if_enough(state: State) -> Transition:
    """Go to the smallest round above ours that f+1 validators are at or beyond.

    One of them is honest, so waiting for our own timer would only keep us behind.

    Spec: QBFT-CATCH-UP.
    """
    above = sorted(
        message.signed.payload.round
        for message in state.round_changes.values()
        if message.signed.payload.round > state.round
    )
    if len(above) < early_round_change_size(len(state.validators)):
        return Transition(state=state, effects=())
    return enter_round(state, Round(above[0])).then(vote_round_change)


def begin_if_waiting(state: State, now_ms: int) -> Transition:
    """Begin round 0 when another validator has already given it up and we wait for content.

    Spec: QBFT-HEARTBEAT.
    """
    is_due = now_ms >= block_due_ms(state.parameters, state.head)
    if state.step is not Step.WAITING or not is_due:
        return Transition(state=state, effects=())
    return begin_round_zero(state, now_ms, is_urged=True)


def start_round_if_quorum(state: State, now_ms: int) -> Transition:
    """Act on the first quorum of round changes for the current round.

    The round timer starts again, so that validators that came to this round at different times
    leave it together; the proposer proposes.

    Spec: QBFT-ROUND-CHANGE, QBFT-ROUND-TIMER.
    """
    if state.round_quorum or state.round == 0 or state.step is not Step.PROPOSING:
        return Transition(state=state, effects=())
    asking = tuple(
        message.signed
        for _, message in sorted(state.round_changes.items())
        if message.signed.payload.round == state.round
    )
    if len(asking) < quorum_size(len(state.validators)) or not agree_on_prepared(asking):
        return Transition(state=state, effects=())
    return start_round_timer(replace(state, round_quorum=asking)).then(
        lambda after: propose_after_round_change(after, now_ms)
    )
