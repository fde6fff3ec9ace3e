"""Proof that a validator contradicted itself: two signed payloads no honest validator makes.

Spec: QBFT-EVIDENCE.
"""

from dataclasses import dataclass
from enum import StrEnum

from node.consensus.messages import (
    CommitPayload,
    PreparePayload,
    ProposalPayload,
    RoundChangePayload,
    Signed,
)
from node.primitives.types import Address, Height, Round


class Contradiction(StrEnum):
    """How two payloads of one author contradict each other."""

    DOUBLE_PROPOSAL = "double_proposal"
    DOUBLE_PREPARE = "double_prepare"
    DOUBLE_COMMIT = "double_commit"
    DOUBLE_ROUND_CHANGE = "double_round_change"
    DROPPED_LOCK = "dropped_lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Two payloads by one author, at one height, that cannot both be honest."""

    contradiction: Contradiction
    """What is wrong with them."""
    first: (
        Signed[ProposalPayload]
        | Signed[PreparePayload]
        | Signed[CommitPayload]
        | Signed[RoundChangePayload]
    )
    """The earlier, or the one with the smaller signature bytes when of one round and kind."""
    second: (
        Signed[ProposalPayload]
        | Signed[PreparePayload]
        | Signed[CommitPayload]
        | Signed[RoundChangePayload]
    )
    """The other."""

    @property
    def author(self) -> Address:
        """Return whom it convicts, if a validator at ``height``."""
        return self.first.author

    @property
    def height(self) -> Height:
        """Return the height of both."""
        return self.first.payload.height

    @property
    def round(self) -> Round:
        """Return the round of the first."""
        return self.first.payload.round
