"""What the shell tells the core: the input alphabet of ``machine.step``.

The core has no clock; every event carries ``now_ms``, the wall clock in milliseconds since the
epoch as the shell reads it when it hands the event over. The shell feeds events one at a time and
carries out all effects of one event, in order, before or while it waits for the next; answers to
effects (``BlockBuilt``, ``BlockValidated``, ``MessageSigned``) may come at any later time, in any
order, or never: the core ignores answers to questions it no longer asks.

Spec: QBFT-EVENTS.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from node.consensus.messages import Message
from node.consensus.sign_state import SignState
from node.consensus.validators import ValidatorTally
from node.primitives.block import Block
from node.primitives.header import Header, ValidatorVote
from node.primitives.types import Address, BlockHash, Height, Round


class TimerKind(StrEnum):
    """Which of the core's two timers."""

    BLOCK = "block"
    ROUND = "round"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The node came up; ``machine.start`` takes this and returns the first transition.

    The shell has loaded chain and sign-state from disk and checked them.
    """

    head: Header
    """The newest decided block."""
    tally: ValidatorTally
    """The tally after ``head`` was applied."""
    sign_state: SignState | None
    """Last record made durable for a ``PersistAndSign``, or None if there never was one."""
    is_restored: bool
    """The database came from a backup or snapshot, or the sign-state is known to be lost: the core
    will not sign until it knows its forgotten votes are behind it (QBFT-STALE). The core answers
    with ``Persist``; once that is durable the shell may forget the mark. A missing sign-state over
    a chain longer than genesis is taken for the same."""
    pending_votes: tuple[ValidatorVote, ...] = ()
    """The operator's pending validator votes."""
    is_syncing: bool = False
    """See ``SyncChanged``."""
    now_ms: int
    """Wall clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHead:
    """A block became final here, decided by this core or imported by sync.

    Send it after the block is durable, once for each block or once for the last of a range.
    """

    head: Header
    """The newest decided block."""
    tally: ValidatorTally
    """The tally after ``head`` was applied."""
    now_ms: int
    """Wall clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncChanged:
    """The node started or ended catching up. While syncing the core neither proposes nor votes.

    The shell must call the node in sync when no connected peer is ahead, also when there are no
    peers at all, so that a network of cold nodes starts.
    """

    is_syncing: bool
    """True while blocks are being imported from peers."""
    now_ms: int
    """Wall clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerExpired:
    """A timer set by ``StartTimer`` ran out. Stale ones may be sent; they are ignored."""

    kind: TimerKind
    """As in the effect."""
    height: Height
    """As in the effect."""
    round: Round
    """As in the effect."""
    now_ms: int
    """Wall clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived:
    """A peer sent a message that ``codec.decode_message`` accepted."""

    message: Message
    """Decoded, signatures recovered."""
    source: Address
    """Node key of the peer it came from; may differ from the author."""
    now_ms: int
    """Wall clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockBuilt:
    """Answer to ``BuildBlock``."""

    height: Height
    """As asked."""
    round: Round
    """As asked."""
    block: Block | None
    """The block; None when there is nothing to include and ``may_be_empty`` was False."""
    now_ms: int
    """Wall clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockValidated:
    """Answer to ``ValidateBlock``."""

    block_hash: BlockHash
    """Hash (b) of the block asked about."""
    is_valid: bool
    """Whether every execution rule holds on the state of our head."""
    now_ms: int
    """Wall clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSigned:
    """Answer to ``PersistAndSign``: the record is durable and this is the signed message."""

    message: Message
    """From ``messages.sign_draft``."""
    now_ms: int
    """Wall clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentChanged:
    """The pool now has, or no longer has, transactions a block could include.

    Send it when the answer changes, and after each ``NewHead`` before anything else.
    """

    has_content: bool
    """Whether a block built now would hold a transaction."""
    now_ms: int
    """Wall clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingVotesChanged:
    """The operator added or withdrew validator votes."""

    votes: tuple[ValidatorVote, ...]
    """All that are pending, oldest first; one at most per recipient."""
    now_ms: int
    """Wall clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerConnected:
    """A connection to a peer was established; it is told where we stand."""

    peer: Address
    """Its node key."""
    now_ms: int
    """Wall clock."""


Event: TypeAlias = (
    NewHead
    | SyncChanged
    | TimerExpired
    | MessageReceived
    | BlockBuilt
    | BlockValidated
    | MessageSigned
    | ContentChanged
    | PendingVotesChanged
    | PeerConnected
)
