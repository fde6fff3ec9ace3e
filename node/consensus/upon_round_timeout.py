"""The round took too long.

Spec: QBFT-ROUND-TIMEOUT.
"""

from typing import Final

from node.consensus.events import TimerExpired
from node.consensus.parameters import ROUND_MAX
from node.consensus.rounds import enter_round, start_round_timer
from node.consensus.signing import vote_round_change
from node.consensus.state import State, Step, Transition
from node.primitives.types import Round

RUNNING: Final = frozenset({Step.PROPOSING, Step.PREPARING, Step.COMMITTING})
"""Steps in which a round timer means something."""


def upon_round_timeout(state: State, event: TimerExpired) -> Transition:
    """Give the round up and ask for the next, taking the lock along.

    Each timeout sends a new round change, which stands for all earlier ones.

    Spec: QBFT-ROUND-TIMEOUT, QBFT-STALE-TIMER.
    """
    is_current = (event.height, event.round) == (state.height, state.round)
    if not is_current or state.step not in RUNNING:
        return Transition(state=state, effects=())
    if state.round >= ROUND_MAX:
        return start_round_timer(state)
    return enter_round(state, Round(state.round + 1)).then(vote_round_change)
