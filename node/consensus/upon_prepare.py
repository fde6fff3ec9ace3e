"""A validator has accepted the proposal.

Spec: QBFT-PREPARE.
"""

from dataclasses import replace

from node.consensus.accounting import reject, relay
from node.consensus.effects import RejectReason
from node.consensus.messages import Prepare, PreparedCertificate
from node.consensus.quorum import quorum_size
from node.consensus.signing import vote_commit
from node.consensus.state import State, Step, Transition
from node.consensus.suspicion import suspect
from node.consensus.upon_commit import decide_if_quorum
from node.primitives.types import Address


def upon_prepare(state: State, message: Prepare, *, source: Address) -> Transition:
    """Count a prepare of this round, once for each author, and see whether it makes a quorum.

    Spec: QBFT-PREPARE.
    """
    signed = message.signed
    known = state.prepares.get(signed.author)
    if known is not None:
        return suspect(state, known, signed).then(
            lambda after: reject(after, RejectReason.SLOT_TAKEN, message, source)
        )
    counted = replace(state, prepares={**state.prepares, signed.author: signed})
    commit = state.commits.get(signed.author)
    return (
        suspect(counted, signed, commit)
        .then(lambda after: relay(after, message, source))
        .then(prepare_if_quorum)
    )


def prepare_if_quorum(state: State) -> Transition:
    """Lock on the accepted block and vote to commit it, once a quorum has prepared it.

    The lock is durable with that vote, before the vote leaves.

    Spec: QBFT-PREPARE, QBFT-LOCK.
    """
    if state.step is not Step.PREPARING or state.accepted is None:
        return Transition(state=state, effects=())
    digest = state.accepted.digest
    agreeing = tuple(
        signed for _, signed in sorted(state.prepares.items()) if signed.payload.digest == digest
    )
    if len(agreeing) < quorum_size(len(state.validators)):
        return decide_if_quorum(state)
    certificate = PreparedCertificate(block=state.accepted, prepares=agreeing)
    locked = replace(state, certificate=certificate, step=Step.COMMITTING)
    return vote_commit(locked, digest).then(decide_if_quorum)
