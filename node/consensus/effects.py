"""What the core asks of the shell: the output alphabet of ``machine.step``.

The shell carries effects out strictly in the order given. It may run ``BuildBlock``,
``ValidateBlock`` and ``PersistAndSign`` in the background and answer later by an event; all
others take effect at once. The core never waits and never asks again: a question without an answer
costs at most the round.

Spec: QBFT-EFFECTS.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from node.consensus.events import TimerKind
from node.consensus.evidence import Evidence
from node.consensus.messages import Draft, Message
from node.consensus.sign_state import SignState
from node.primitives.block import Block
from node.primitives.header import ExtraData, Header
from node.primitives.types import Address, Height, Round


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTimer:
    """Fire ``TimerExpired`` once after ``delay_ms``; replaces the running timer of that kind.

    Measure by a monotonic clock. There is no effect to cancel: stale timers are ignored.
    """

    kind: TimerKind
    """Which timer."""
    height: Height
    """To be handed back."""
    round: Round
    """To be handed back."""
    delay_ms: int
    """From now; 0 fires at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildBlock:
    """Build a block on ``parent`` and answer ``BlockBuilt``.

    The header's coinbase, timestamp and extra data are exactly those given. Keep the executed
    overlay by hash (b).
    """

    height: Height
    """``parent.height + 1``."""
    round: Round
    """To be handed back."""
    parent: Header
    """The head to build on."""
    coinbase: Address
    """Our validator address."""
    timestamp_s: int
    """Timestamp of the block."""
    extra_data: ExtraData
    """Validators, vote and round of the block."""
    may_be_empty: bool
    """When False and no transaction fits, answer with ``block=None``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateBlock:
    """Execute ``block`` on the state of ``parent`` and answer ``BlockValidated``.

    Check every rule of ``execution.rules``; the core has checked its own (header constants,
    validators, vote, round, timestamp, parent). Keep the overlay by hash (b). A block already
    executed under that hash is answered at once: the round differs, the contents do not.
    """

    parent: Header
    """Our head."""
    block: Block
    """The proposed block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersistAndSign:
    """Make ``sign_state`` durable (synced), then sign ``draft``, then answer ``MessageSigned``.

    In exactly that order. If the record cannot be made durable, do not sign: stop the node. If the
    signer is unavailable, do not answer. Nothing is sent by this effect. A signer that keeps
    its own sign-state applies ``sign_state.check_follows`` itself.
    """

    sign_state: SignState
    """The whole record; it replaces the one before."""
    draft: Draft
    """What to sign, with ``messages.sign_draft``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Persist:
    """Make ``sign_state`` durable (synced); nothing is signed. If that fails, stop the node."""

    sign_state: SignState
    """The whole record; it replaces the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcast:
    """Send our own message to every connected validator."""

    message: Message
    """Signed by us and durable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send a message to one peer, who has just connected."""

    peer: Address
    """Node key of the peer."""
    message: Message
    """Signed by us and durable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Pass another validator's message on, once, to every connected validator but these."""

    message: Message
    """Found valid for the current height."""
    except_for: tuple[Address, ...]
    """Its author, and the peer it came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """Import ``block`` as final, durably, then send ``NewHead``. The core does nothing until then.

    The block carries the deciding round and a quorum of seals. Its overlay is known by hash (b)
    unless the node restarted since; then execute it again. A block that cannot be imported is an
    ``InvariantViolation``.
    """

    block: Block
    """Sealed block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEvidence:
    """Store a proof that a validator contradicted itself, and serve it to whoever asks."""

    evidence: Evidence
    """Verifiable by anyone who knows the validator set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSync:
    """A validator is ahead: ask ``source`` (or anyone) for blocks up to ``height``. A hint."""

    height: Height
    """Highest block that must exist if the author is honest."""
    source: Address
    """Peer whose message said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOwnKeyElsewhere:
    """A message signed by our key that this node did not sign: the key is in use elsewhere.

    The core has stopped signing as for a stale sign-state (QBFT-STALE). Raise an alarm.
    """

    message: Message
    """The foreign message."""


class RejectReason(StrEnum):
    """Why a message had no effect; for metrics and tests, one word each."""

    NOT_A_VALIDATOR = "not_a_validator"
    OLD_HEIGHT = "old_height"
    TOO_FAR_AHEAD = "too_far_ahead"
    BUFFER_FULL = "buffer_full"
    OLD_ROUND = "old_round"
    SLOT_TAKEN = "slot_taken"
    CONTRADICTS = "contradicts"
    WRONG_PROPOSER = "wrong_proposer"
    BAD_HEADER = "bad_header"
    BAD_TIMESTAMP = "bad_timestamp"
    BAD_JUSTIFICATION = "bad_justification"
    BAD_SEAL = "bad_seal"
    WRONG_DIGEST = "wrong_digest"
    INVALID_BLOCK = "invalid_block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """Count a message that was refused. The author, not the source, is to blame."""

    reason: RejectReason
    """Why."""
    author: Address
    """Who signed it."""
    source: Address | None
    """Who sent it to us, when known."""


Effect: TypeAlias = (
    StartTimer
    | BuildBlock
    | ValidateBlock
    | PersistAndSign
    | Persist
    | Broadcast
    | Send
    | Relay
    | Decide
    | RecordEvidence
    | RequestSync
    | ReportOwnKeyElsewhere
    | Reject
)
