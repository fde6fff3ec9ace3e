"""Noticing contradictions among what one validator has signed.

Spec: QBFT-EVIDENCE.
"""

from dataclasses import replace

from node.consensus.effects import RecordEvidence
from node.consensus.evidence import Evidence, SignedPayload, find_contradiction
from node.consensus.state import State, Transition


def suspect(state: State, first: SignedPayload | None, second: SignedPayload | None) -> Transition:
    """Record evidence if two payloads contradict, once for each author and kind at a height.

    Spec: QBFT-EVIDENCE.
    """
    if first is None or second is None:
        return Transition(state=state, effects=())
    found = find_contradiction(first, second)
    if found is None or (first.author, found) in state.reported:
        return Transition(state=state, effects=())
    evidence = Evidence(contradiction=found, first=first, second=second)
    return Transition(
        state=replace(state, reported=state.reported | {(first.author, found)}),
        effects=(RecordEvidence(evidence=evidence),),
    )
