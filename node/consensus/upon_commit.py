"""A validator has seen the proposal prepared.

Spec: QBFT-COMMIT.
"""

from dataclasses import replace

from node.consensus.accounting import reject, relay
from node.consensus.effects import Decide, RejectReason
from node.consensus.messages import Commit
from node.consensus.quorum import quorum_size
from node.consensus.seals import recover_sealer
from node.consensus.state import State, Step, Transition
from node.consensus.suspicion import suspect
from node.primitives.types import Address


def upon_commit(state: State, message: Commit, *, source: Address) -> Transition:
    """Count a commit of this round with a good seal, and see whether it makes a quorum.

    Spec: QBFT-COMMIT.
    """
    signed = message.signed
    known = state.commits.get(signed.author)
    if known is not None:
        return suspect(state, known, signed).then(
            lambda after: reject(after, RejectReason.SLOT_TAKEN, message, source)
        )
    if recover_sealer(signed.payload.digest, signed.payload.seal) != signed.author:
        return reject(state, RejectReason.BAD_SEAL, message, source)
    counted = replace(
        state,
        commits={**state.commits, signed.author: signed},
        last_commits={**state.last_commits, signed.author: signed},
    )
    return (
        suspect(counted, state.prepares.get(signed.author), signed)
        .then(lambda after: relay(after, message, source))
        .then(decide_if_quorum)
    )


def decide_if_quorum(state: State) -> Transition:
    """Close the height once a quorum has committed the accepted block.

    Nothing of this height is processed afterwards: a timer that fires between the decision and its
    import must not make us vote again.

    Spec: QBFT-COMMIT, QBFT-CLOSED.
    """
    if state.step not in (Step.PREPARING, Step.COMMITTING) or state.accepted is None:
        return Transition(state=state, effects=())
    digest = state.accepted.digest
    seals = tuple(
        signed.payload.seal
        for _, signed in sorted(state.commits.items())
        if signed.payload.digest == digest
    )
    if len(seals) < quorum_size(len(state.validators)):
        return Transition(state=state, effects=())
    return Transition(
        state=replace(state, step=Step.DECIDED),
        effects=(Decide(block=state.accepted.with_seals(seals)),),
    )
