"""Round 0 may begin: the period is over, something waits, or the heartbeat is due.

Spec: QBFT-BLOCK-TIME, QBFT-HEARTBEAT.
"""

from dataclasses import replace

from node.consensus.events import BlockBuilt, ContentChanged, PendingVotesChanged, TimerExpired
from node.consensus.rounds import (
    begin_round_zero,
    draft_own_block,
    wait_for_content,
)
from node.consensus.signing import ask_to_sign
from node.consensus.state import State, Step, Transition


def upon_block_timeout(state: State, event: TimerExpired) -> Transition:
    """Begin round 0 if the timer is of this height and the clock agrees.

    Spec: QBFT-BLOCK-TIME, QBFT-STALE-TIMER.
    """
    if event.height != state.height or state.step is not Step.WAITING:
        return Transition(state=state, effects=())
    return begin_round_zero(state, event.now_ms)


def upon_content_changed(state: State, event: ContentChanged) -> Transition:
    """Begin round 0 at once when something to include arrives after the period.

    Spec: QBFT-HEARTBEAT.
    """
    noted = replace(state, has_content=event.has_content)
    if not event.has_content:
        return Transition(state=noted, effects=())
    return begin_round_zero(noted, event.now_ms)


def upon_pending_votes_changed(state: State, event: PendingVotesChanged) -> Transition:
    """Take the operator's votes; one of them is reason enough for a block.

    Spec: QBFT-VOTE-CAST, QBFT-HEARTBEAT.
    """
    return begin_round_zero(replace(state, pending_votes=event.votes), event.now_ms)


def upon_block_built(state: State, event: BlockBuilt) -> Transition:
    """Propose the block that was built for this round, or wait if there was nothing to include.

    Spec: QBFT-PROPOSE, QBFT-HEARTBEAT.
    """
    is_asked = (
        state.is_building
        and state.step is Step.PROPOSING
        and (event.height, event.round) == (state.height, state.round)
    )
    if not is_asked:
        return Transition(state=state, effects=())
    done = replace(state, is_building=False)
    if event.block is None:
        is_first = state.round == 0
        return (
            wait_for_content(done, event.now_ms) if is_first else Transition(state=done, effects=())
        )
    return ask_to_sign(done, draft_own_block(done, event.block))
