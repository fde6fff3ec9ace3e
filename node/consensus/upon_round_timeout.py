"""The round took too long.

Spec: QBFT-ROUND-TIMEOUT.
"""

from typing import Final

from node.consensus.effects import Broadcast
from node.consensus.events import TimerExpired
from node.consensus.messages import MessageCode
from node.consensus.parameters import ROUND_MAX
from node.consensus.quorum import quorum_size
from node.consensus.rounds import enter_round, start_round_timer
from node.consensus.signing import vote_round_change
from node.consensus.state import State, Step, Transition
from node.primitives.types import Round

RUNNING: Final = frozenset({Step.PROPOSING, Step.PREPARING, Step.COMMITTING})
"""Steps in which a round timer means something."""


def upon_round_timeout(state: State, event: TimerExpired) -> Transition:
    """Give the round up and ask for the next, taking the lock along.

    Each timeout sends a new round change, which stands for all earlier ones. One that a quorum has
    not followed yet is sent again instead: once timeouts have reached the cap, a validator that
    went on alone would stay ahead of the others for ever.

    Spec: QBFT-ROUND-TIMEOUT, QBFT-STALE-TIMER.
    """
    is_current = (event.height, event.round) == (state.height, state.round)
    if not is_current or state.step not in RUNNING:
        return Transition(state=state, effects=())
    if state.round >= ROUND_MAX:
        return start_round_timer(state)
    if is_ahead(state):
        return start_round_timer(state).then(send_round_change_again)
    return enter_round(state, Round(state.round + 1)).then(vote_round_change)


def is_ahead(state: State) -> bool:
    """Tell whether we asked for this round and fewer than a quorum have come as far.

    Spec: QBFT-ROUND-TIMEOUT.
    """
    asked = state.own_messages.get(MessageCode.ROUND_CHANGE)
    if asked is None or asked.signed.payload.round != state.round or state.proposal is not None:
        return False
    followed = sum(
        message.signed.payload.round >= state.round for message in state.round_changes.values()
    )
    return followed < quorum_size(len(state.validators))


def send_round_change_again(state: State) -> Transition:
    """Send our newest round change again: it may have been lost.

    Spec: QBFT-RESEND.
    """
    message = state.own_messages[MessageCode.ROUND_CHANGE]
    return Transition(state=state, effects=(Broadcast(message=message),))
