"""A block became final, or the node started or ended catching up.

Spec: QBFT-NEW-HEIGHT, QBFT-SYNC-GATE.
"""

from dataclasses import replace

from node.consensus.events import NewHead, SyncChanged
from node.consensus.rounds import enter_height
from node.consensus.signing import settle_silence
from node.consensus.state import State, Transition


def upon_new_head(state: State, event: NewHead) -> Transition:
    """Move on to the next height, whoever decided this one.

    A head at or below ours is an echo and changes nothing.

    Spec: QBFT-NEW-HEIGHT.
    """
    if event.head.height <= state.head.height:
        return Transition(state=state, effects=())
    moved = replace(state, head=event.head, tally=event.tally)
    return settle_silence(moved).then(lambda after: enter_height(after, event.now_ms))


def upon_sync_changed(state: State, event: SyncChanged) -> Transition:
    """Stop taking part while catching up; start afresh at the head when that is done.

    Spec: QBFT-SYNC-GATE.
    """
    if event.is_syncing == state.is_syncing:
        return Transition(state=state, effects=())
    return enter_height(replace(state, is_syncing=event.is_syncing), event.now_ms)
