"""Everything the core knows: one frozen record, replaced by every step.

Per-sender slots bound it: for the current height each validator has one proposal, prepare and
commit in this round, one of each for later rounds, and one round change; later heights have one of
each within a distance. Nothing here is derived from anything but events.

Spec: QBFT-BOUNDS.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from node.consensus.effects import Effect
from node.consensus.evidence import Contradiction
from node.consensus.messages import (
    CommitPayload,
    Message,
    MessageCode,
    PreparedCertificate,
    PreparePayload,
    ProposalDraft,
    ProposalPayload,
    RoundChange,
    RoundChangePayload,
    Signed,
)
from node.consensus.parameters import ConsensusParameters
from node.consensus.sign_state import SignState
from node.consensus.validators import ValidatorTally
from node.primitives.block import Block
from node.primitives.header import Header, ValidatorVote
from node.primitives.types import Address, Height, Round


class Step(StrEnum):
    """How far the current round is."""

    IDLE = "idle"
    """Syncing, or not a validator at this height."""
    WAITING = "waiting"
    """Round 0 has not begun: the period is not over, or there is nothing to include."""
    PROPOSING = "proposing"
    """The round runs; no proposal is accepted yet."""
    PREPARING = "preparing"
    """A proposal is accepted; prepares are counted."""
    COMMITTING = "committing"
    """A quorum prepared it; commits are counted."""
    DECIDED = "decided"
    """A quorum committed; the shell is importing. Nothing changes before ``NewHead``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffered:
    """A message kept for later, with the peer that sent it."""

    message: Message
    """Not yet checked beyond author and distance."""
    source: Address
    """Peer it came from."""


LaterKey: TypeAlias = tuple[Address, MessageCode]
FutureKey: TypeAlias = tuple[Height, Address, MessageCode]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The core's whole memory."""

    parameters: ConsensusParameters
    """Numbers it runs by."""
    validator: Address | None
    """Our validator address, or None for a node that only follows."""
    head: Header
    """Newest decided block."""
    tally: ValidatorTally
    """Tally after ``head``; its set decides the next height."""
    sign_state: SignState
    """Last record handed out for durability."""
    pending_votes: tuple[ValidatorVote, ...] = ()
    """The operator's wishes."""
    has_content: bool = False
    """Whether the pool has something to include."""
    is_syncing: bool = False
    """Whether the shell is importing blocks from peers."""
    heard_heights: Mapping[Address, Height] = field(default_factory=dict[Address, Height])
    """While ``sign_state.is_silent``: the highest height each other validator spoke of."""

    round: Round = Round(0)
    """Current round of height ``head.height + 1``."""
    step: Step = Step.IDLE
    """How far it is."""
    proposal: Signed[ProposalPayload] | None = None
    """The one justified proposal of this round, whatever becomes of its block."""
    is_validating: bool = False
    """Whether the shell is validating the block of ``proposal``."""
    accepted: Block | None = None
    """The block of ``proposal``, once found valid."""
    redraft: ProposalDraft | None = None
    """Our proposal of a prepared block, to be signed once the shell has validated it."""
    is_building: bool = False
    """Whether a ``BuildBlock`` of this round is unanswered."""
    prepares: Mapping[Address, Signed[PreparePayload]] = field(
        default_factory=dict[Address, Signed[PreparePayload]]
    )
    """Prepares of this round by author, whatever their digest."""
    commits: Mapping[Address, Signed[CommitPayload]] = field(
        default_factory=dict[Address, Signed[CommitPayload]]
    )
    """Commits of this round by author, whatever their digest."""
    certificate: PreparedCertificate | None = None
    """Our lock: highest prepared block at this height."""
    round_changes: Mapping[Address, RoundChange] = field(default_factory=dict[Address, RoundChange])
    """Latest valid round change of each validator, ourselves included."""
    round_quorum: tuple[Signed[RoundChangePayload], ...] = ()
    """The first quorum of round changes seen for this round, ascending by author."""
    relay_counts: Mapping[Address, int] = field(default_factory=dict[Address, int])
    """Round changes relayed for each author during this round."""
    last_commits: Mapping[Address, Signed[CommitPayload]] = field(
        default_factory=dict[Address, Signed[CommitPayload]]
    )
    """Latest commit of each author at this height, to notice a dropped lock."""
    reported: frozenset[tuple[Address, Contradiction]] = frozenset()
    """Evidence already handed out at this height."""
    own_messages: Mapping[MessageCode, Message] = field(default_factory=dict[MessageCode, Message])
    """Our newest signed messages at this height, for peers that connect late."""
    later: Mapping[LaterKey, Buffered] = field(default_factory=dict[LaterKey, Buffered])
    """Messages for later rounds of this height."""
    future: Mapping[FutureKey, Buffered] = field(default_factory=dict[FutureKey, Buffered])
    """Messages for later heights."""

    @property
    def height(self) -> Height:
        """Return the height being decided."""
        return Height(self.head.height + 1)

    @property
    def validators(self) -> tuple[Address, ...]:
        """Return the set that decides this height, ascending."""
        return self.tally.validators

    @property
    def is_validator(self) -> bool:
        """Tell whether we are in the set for this height; a role is never cached."""
        return self.validator is not None and self.validator in self.validators


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What one event led to."""

    state: State
    """The state after it."""
    effects: tuple[Effect, ...]
    """To be carried out in this order."""

    def then(self, following: "Callable[[State], Transition]") -> "Transition":
        """Return this transition followed by what ``following`` makes of its state."""
        after = following(self.state)
        return Transition(state=after.state, effects=self.effects + after.effects)
