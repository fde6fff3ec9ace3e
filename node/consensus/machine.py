"""QBFT as a function: a state and an event give a state and effects.

It opens no socket, reads no clock, draws no random number and holds no key. The shells
(``runtime``, ``simulation``) feed it events one at a time and carry its effects out in order. Each
event has one rule, in the module named for it.

Spec: QBFT-EVENTS, QBFT-EFFECTS.
"""

from dataclasses import replace
from typing import assert_never

from node.consensus.effects import Persist
from node.consensus.events import (
    BlockBuilt,
    BlockValidated,
    ContentChanged,
    Event,
    MessageReceived,
    MessageSigned,
    NewHead,
    PeerConnected,
    PendingVotesChanged,
    Started,
    SyncChanged,
    TimerExpired,
    TimerKind,
)
from node.consensus.parameters import ConsensusParameters
from node.consensus.rounds import enter_height
from node.consensus.sign_state import SignState
from node.consensus.signing import settle_silence
from node.consensus.state import State, Transition
from node.consensus.upon_block_time import (
    upon_block_built,
    upon_block_timeout,
    upon_content_changed,
    upon_pending_votes_changed,
)
from node.consensus.upon_message import replay_kept, upon_message_received
from node.consensus.upon_message_signed import upon_message_signed, upon_peer_connected
from node.consensus.upon_new_head import upon_new_head, upon_sync_changed
from node.consensus.upon_proposal import upon_block_validated
from node.consensus.upon_round_timeout import upon_round_timeout
from node.primitives.types import Address, Round


def start(parameters: ConsensusParameters, validator: Address | None, event: Started) -> Transition:
    """Come up at a head, with what is remembered of our own votes.

    A validator without a record gets its first one at once, so that a node that has followed the
    chain and never voted is not taken for one that has lost its votes when it starts again.

    Args:
        parameters: Numbers of the network, and limits.
        validator: Address of our validator key, or None for a node that only follows.
        event: What the shell found on disk.

    Spec: QBFT-RESUME, QBFT-STALE.
    """
    record = event.sign_state
    is_lost = record is None and event.head.height > 0
    if record is None:
        record = SignState(height=event.head.height, round=Round(0))
    is_stale = validator is not None and (is_lost or event.is_restored)
    state = State(
        parameters=parameters,
        validator=validator,
        head=event.head,
        tally=event.tally,
        sign_state=replace(record, is_silent=record.is_silent or is_stale),
        pending_votes=event.pending_votes,
        is_syncing=event.is_syncing,
    )
    is_first = validator is not None and event.sign_state is None
    effects = (Persist(sign_state=state.sign_state),) if is_stale or is_first else ()
    return (
        Transition(state=state, effects=effects)
        .then(settle_silence)
        .then(lambda after: enter_height(after, event.now_ms))
    )


def step(state: State, event: Event) -> Transition:
    """Take one event: the rule for it, then whatever was kept for the round it led to.

    Spec: QBFT-EVENTS.
    """
    return _dispatch(state, event).then(lambda after: replay_kept(after, event.now_ms))


def _dispatch(state: State, event: Event) -> Transition:  # noqa: C901, PLR0911
    match event:
        case NewHead():
            return upon_new_head(state, event)
        case SyncChanged():
            return upon_sync_changed(state, event)
        case TimerExpired(kind=TimerKind.BLOCK):
            return upon_block_timeout(state, event)
        case TimerExpired():
            return upon_round_timeout(state, event)
        case MessageReceived():
            return upon_message_received(state, event)
        case BlockBuilt():
            return upon_block_built(state, event)
        case BlockValidated():
            return upon_block_validated(state, event)
        case MessageSigned():
            return upon_message_signed(state, event)
        case ContentChanged():
            return upon_content_changed(state, event)
        case PendingVotesChanged():
            return upon_pending_votes_changed(state, event)
        case PeerConnected():
            return upon_peer_connected(state, event)
        case _:
            assert_never(event)
