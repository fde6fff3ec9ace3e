"""Entering a height and entering a round: what is forgotten, what is kept, which timer runs.

Spec: QBFT-NEW-HEIGHT, QBFT-RESUME, QBFT-ROUND-TIMER.
"""

from dataclasses import replace

from node.consensus.effects import BuildBlock, StartTimer, ValidateBlock
from node.consensus.events import TimerKind
from node.consensus.messages import (
    CommitDraft,
    ProposalDraft,
    ProposalPayload,
    RoundChange,
    RoundChangeDraft,
    RoundChangePayload,
)
from node.consensus.proposer import select_proposer
from node.consensus.signing import ask_to_sign, may_vote
from node.consensus.state import State, Step, Transition
from node.consensus.timeouts import (
    block_due_ms,
    block_timestamp_s,
    heartbeat_due_ms,
    round_timeout_ms,
)
from node.consensus.validators import choose_vote
from node.primitives.block import Block
from node.primitives.header import ExtraData, ValidatorVote
from node.primitives.types import Address, Round


def enter_height(state: State, now_ms: int) -> Transition:
    """Begin the height after the head: everything of the height before is forgotten.

    Our role is read from the set of this height, never remembered. Votes of ours recorded for this
    height are taken up again.

    Spec: QBFT-NEW-HEIGHT.
    """
    fresh = replace(
        _without_round(state, Round(0)),
        step=Step.IDLE,
        certificate=None,
        round_changes={},
        last_commits={},
        reported=frozenset(),
        own_messages={},
        later={},
        future={key: kept for key, kept in state.future.items() if key[0] >= state.height},
    )
    if state.is_syncing or not state.is_validator:
        return Transition(state=fresh, effects=())
    if fresh.sign_state.height == fresh.height:
        return _resume(fresh)
    waiting = replace(fresh, step=Step.WAITING)
    return Transition(state=waiting, effects=(_block_timer(waiting, now_ms),))


def _resume(state: State) -> Transition:
    """Take a height up where our recorded votes left it.

    With a block prepared in that very round we stand where we stood before; else the round is
    open. Votes recorded but perhaps never sent are signed again, which gives the same bytes.

    Spec: QBFT-RESUME, QBFT-LOCK.
    """
    record = state.sign_state
    held = record.certificate
    open_round = replace(state, round=record.round, certificate=held, step=Step.PROPOSING)
    if held is not None and held.round == record.round:
        resumed = replace(
            open_round,
            step=Step.COMMITTING,
            accepted=held.block,
            prepares={prepare.author: prepare for prepare in held.prepares},
        )
        commit = CommitDraft(height=state.height, round=record.round, digest=held.block.digest)
        return start_round_timer(resumed).then(lambda after: ask_to_sign(after, commit))
    if not record.has_round_change:
        return start_round_timer(open_round)
    payload = RoundChangePayload(
        height=state.height, round=record.round, prepared=record.round_change_prepared
    )
    draft = RoundChangeDraft(payload=payload, certificate=held)
    return start_round_timer(open_round).then(lambda after: ask_to_sign(after, draft))


def enter_round(state: State, at: Round) -> Transition:
    """Begin round ``at`` of the same height: what belongs to the old round is forgotten.

    The lock, the round changes and messages kept for later rounds stay.

    Spec: QBFT-ROUND-TIMER.
    """
    return start_round_timer(replace(_without_round(state, at), step=Step.PROPOSING))


def start_round_timer(state: State) -> Transition:
    """Start the timer of the current round, replacing any other.

    Spec: QBFT-ROUND-TIMER.
    """
    timer = StartTimer(
        kind=TimerKind.ROUND,
        height=state.height,
        round=state.round,
        delay_ms=round_timeout_ms(state.parameters, state.round),
    )
    return Transition(state=state, effects=(timer,))


def begin_round_zero(state: State, now_ms: int, *, is_urged: bool = False) -> Transition:
    """Begin round 0 if it is time and there is a reason; else wait for either.

    A reason is: something in the pool, a validator vote of ours if the turn is ours, silence for
    the length of the heartbeat, or another validator that has given its round up (``is_urged``):
    it knows of something we do not, and must not grow lonely in high rounds. The round timer starts
    here and not at the head, so that an idle network does not change rounds.

    Spec: QBFT-BLOCK-TIME, QBFT-HEARTBEAT.
    """
    if state.step is not Step.WAITING:
        return Transition(state=state, effects=())
    is_due = now_ms >= block_due_ms(state.parameters, state.head)
    has_vote = is_our_turn(state) and next_vote(state) is not None
    is_wanted = is_urged or state.has_content or has_vote or is_heartbeat_due(state, now_ms)
    if not is_due or not is_wanted:
        return Transition(state=state, effects=(_block_timer(state, now_ms),))
    begun = start_round_timer(replace(state, step=Step.PROPOSING))
    if not (is_our_turn(state) and may_vote(state)):
        return begun
    may_be_empty = has_vote or is_heartbeat_due(state, now_ms)
    return begun.then(lambda after: ask_for_block(after, now_ms, may_be_empty=may_be_empty))


def propose_after_round_change(state: State, now_ms: int) -> Transition:
    """Propose in a later round: the highest prepared block there is, or else a new one.

    Spec: QBFT-PROPOSE.
    """
    is_open = state.step is Step.PROPOSING and state.proposal is None
    if not (is_open and is_our_turn(state) and may_vote(state)):
        return Transition(state=state, effects=())
    locked = _highest_prepared(state)
    if locked is None or locked.block is None:
        return ask_for_block(state, now_ms, may_be_empty=True)
    block = locked.block.with_round(state.round)
    draft = ProposalDraft(
        payload=ProposalPayload(height=state.height, round=state.round, block=block),
        round_changes=state.round_quorum,
        prepares=locked.prepares,
    )
    return Transition(
        state=replace(state, redraft=draft),
        effects=(ValidateBlock(parent=state.head, block=block),),
    )


def ask_for_block(state: State, now_ms: int, *, may_be_empty: bool) -> Transition:
    """Ask the shell for a block to propose in the current round, once for each round.

    Spec: QBFT-PROPOSE.
    """
    if state.is_building or state.validator is None:
        return Transition(state=state, effects=())
    build = BuildBlock(
        height=state.height,
        round=state.round,
        parent=state.head,
        coinbase=state.validator,
        timestamp_s=block_timestamp_s(state.parameters, state.head, now_ms),
        extra_data=ExtraData(validators=state.validators, vote=next_vote(state), round=state.round),
        may_be_empty=may_be_empty,
    )
    return Transition(state=replace(state, is_building=True), effects=(build,))


def draft_own_block(state: State, block: Block) -> ProposalDraft:
    """Build the draft that offers a block of ours in the current round."""
    return ProposalDraft(
        payload=ProposalPayload(height=state.height, round=state.round, block=block),
        round_changes=state.round_quorum,
    )


def is_our_turn(state: State) -> bool:
    """Tell whether we propose in the current round.

    Spec: QBFT-PROPOSER.
    """
    return state.validator == proposer_of(state, state.round)


def proposer_of(state: State, at: Round) -> Address:
    """Return the proposer of a round of the current height.

    Spec: QBFT-PROPOSER.
    """
    return select_proposer(state.validators, parent_coinbase=state.head.coinbase, at=at)


def next_vote(state: State) -> ValidatorVote | None:
    """Return the validator vote a block of ours would carry now.

    Spec: QBFT-VOTE-CAST.
    """
    if state.validator is None:
        return None
    return choose_vote(
        state.pending_votes,
        state.tally,
        voter=state.validator,
        epoch_length=state.parameters.epoch_length,
    )


def is_heartbeat_due(state: State, now_ms: int) -> bool:
    """Tell whether a block must follow the head though nothing waits.

    Spec: QBFT-HEARTBEAT.
    """
    return now_ms >= heartbeat_due_ms(state.parameters, state.head)


def wait_for_content(state: State, now_ms: int) -> Transition:
    """Go back to waiting in round 0, because nothing could be included after all.

    Spec: QBFT-HEARTBEAT.
    """
    waiting = replace(state, step=Step.WAITING, has_content=False)
    return Transition(state=waiting, effects=(_block_timer(waiting, now_ms),))


def _block_timer(state: State, now_ms: int) -> StartTimer:
    """Build the block timer: to the period's end, or, past that, to the heartbeat.

    Never longer than a heartbeat, so that a clock set right again is noticed.
    """
    due_ms = block_due_ms(state.parameters, state.head)
    if now_ms >= due_ms and not state.has_content:
        due_ms = heartbeat_due_ms(state.parameters, state.head)
    return StartTimer(
        kind=TimerKind.BLOCK,
        height=state.height,
        round=Round(0),
        delay_ms=min(max(0, due_ms - now_ms), state.parameters.heartbeat_s * 1000),
    )


def _highest_prepared(state: State) -> RoundChange | None:
    """Return the round change with the highest prepared block among this round's quorum."""
    members = {part.author for part in state.round_quorum}
    locked = [
        message
        for author, message in sorted(state.round_changes.items())
        if author in members
        and message.signed.payload.round == state.round
        and message.block is not None
    ]
    return max(locked, key=_prepared_round, default=None)


def _prepared_round(message: RoundChange) -> int:
    """Return the prepared round a round change states, or -1."""
    prepared = message.signed.payload.prepared
    return -1 if prepared is None else prepared.round


def _without_round(state: State, at: Round) -> State:
    return replace(
        state,
        round=at,
        proposal=None,
        is_validating=False,
        accepted=None,
        redraft=None,
        is_building=False,
        prepares={},
        commits={},
        round_quorum=(),
        relay_counts={},
    )
