"""Why a proposal or a round change may be believed.

Each function names the first fault, or None. A certificate with a quorum of prepares stands for the
validity of its block: f+1 honest validators have executed it. The block itself is executed when
it is proposed again, before anyone votes for it.

Spec: QBFT-JUSTIFY-PROPOSAL, QBFT-JUSTIFY-ROUND-CHANGE.
"""

from collections.abc import Sequence

from node.consensus.effects import RejectReason
from node.consensus.messages import (
    PreparedMetadata,
    PreparePayload,
    Proposal,
    RoundChange,
    RoundChangePayload,
    Signed,
)
from node.consensus.quorum import quorum_size
from node.primitives.block import Block
from node.primitives.types import Address, Height


def find_proposal_fault(
    proposal: Proposal, *, validators: tuple[Address, ...]
) -> RejectReason | None:
    """Return why a proposal may not be made in its round, or None.

    Author and header are checked elsewhere.

    Spec: QBFT-JUSTIFY-PROPOSAL.
    """
    payload = proposal.signed.payload
    if payload.round == 0:
        is_bare = not proposal.round_changes and not proposal.prepares
        is_own = payload.block.header.coinbase == proposal.signed.author
        return None if is_bare and is_own else RejectReason.BAD_JUSTIFICATION
    if not _is_round_change_quorum(proposal, validators):
        return RejectReason.BAD_JUSTIFICATION
    metadata = highest_prepared(proposal.round_changes)
    if metadata is None:
        is_own = payload.block.header.coinbase == proposal.signed.author
        return None if is_own and not proposal.prepares else RejectReason.BAD_JUSTIFICATION
    is_certified = is_prepared_certificate(
        payload.block.with_round(metadata.round),
        proposal.prepares,
        metadata=metadata,
        height=payload.height,
        validators=validators,
    )
    return None if is_certified else RejectReason.BAD_JUSTIFICATION


def find_round_change_fault(
    message: RoundChange, *, validators: tuple[Address, ...]
) -> RejectReason | None:
    """Return why a round change proves nothing, or None.

    Spec: QBFT-JUSTIFY-ROUND-CHANGE.
    """
    payload = message.signed.payload
    if payload.round == 0:
        return RejectReason.BAD_JUSTIFICATION
    if payload.prepared is None:
        is_bare = message.block is None and not message.prepares
        return None if is_bare else RejectReason.BAD_JUSTIFICATION
    is_certified = (
        message.block is not None
        and payload.prepared.round < payload.round
        and is_prepared_certificate(
            message.block,
            message.prepares,
            metadata=payload.prepared,
            height=payload.height,
            validators=validators,
        )
    )
    return None if is_certified else RejectReason.BAD_JUSTIFICATION


def is_prepared_certificate(
    block: Block,
    prepares: Sequence[Signed[PreparePayload]],
    *,
    metadata: PreparedMetadata,
    height: Height,
    validators: tuple[Address, ...],
) -> bool:
    """Tell whether a quorum of distinct validators prepared ``block`` as ``metadata`` states.

    Every prepare must be good: one that is not makes the sender a liar, not a bad counter.

    Spec: QBFT-JUSTIFY-ROUND-CHANGE.
    """
    authors = [prepare.author for prepare in prepares]
    is_block_named = (
        block.height == height
        and block.header.extra_data.round == metadata.round
        and not block.header.extra_data.seals
        and block.digest == metadata.digest
    )
    return (
        is_block_named
        and _are_distinct_members(authors, validators)
        and len(authors) >= quorum_size(len(validators))
        and all(
            (part.payload.height, part.payload.round, part.payload.digest)
            == (height, metadata.round, metadata.digest)
            for part in prepares
        )
    )


def highest_prepared(
    round_changes: Sequence[Signed[RoundChangePayload]],
) -> PreparedMetadata | None:
    """Return the prepared metadata of the highest round among them, or None when none has any.

    Spec: QBFT-JUSTIFY-PROPOSAL.
    """
    stated = [part.payload.prepared for part in round_changes if part.payload.prepared is not None]
    return max(stated, key=lambda metadata: metadata.round, default=None)


def agree_on_prepared(round_changes: Sequence[Signed[RoundChangePayload]]) -> bool:
    """Tell whether those that name one prepared round name one digest for it.

    Spec: QBFT-JUSTIFY-PROPOSAL.
    """
    stated = [part.payload.prepared for part in round_changes if part.payload.prepared is not None]
    return len({(m.round, m.digest) for m in stated}) == len({m.round for m in stated})


def _is_round_change_quorum(proposal: Proposal, validators: tuple[Address, ...]) -> bool:
    payload = proposal.signed.payload
    authors = [part.author for part in proposal.round_changes]
    return (
        _are_distinct_members(authors, validators)
        and len(authors) >= quorum_size(len(validators))
        and agree_on_prepared(proposal.round_changes)
        and all(
            (part.payload.height, part.payload.round) == (payload.height, payload.round)
            and (part.payload.prepared is None or part.payload.prepared.round < payload.round)
            for part in proposal.round_changes
        )
    )


def _are_distinct_members(authors: Sequence[Address], validators: tuple[Address, ...]) -> bool:
    return len(set(authors)) == len(authors) and set(authors) <= set(validators)
