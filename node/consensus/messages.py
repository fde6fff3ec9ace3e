"""What validators say to one another: four payloads, their signed forms, and the messages.

A *payload* is what a validator signs. A *signed payload* adds the signature and the author
recovered from it; the author is never stated on the wire. A *message* is a signed payload with
what it needs to convince others (justification). A *draft* is a message not signed yet: the core
makes drafts, the shell signs them.

Byte forms are in ``codec``; whether a message is acceptable is decided in ``justification`` and
the ``upon_*`` modules.

Spec: QBFT-MESSAGES.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeAlias, TypeVar

from node.primitives import rlp
from node.primitives.block import Block
from node.primitives.crypto import keccak256, recover_address
from node.primitives.types import Address, Digest, Hash32, Height, Round, Signature


class MessageCode(IntEnum):
    """Number of a message in the ``istanbul/100`` message space; part of what is signed."""

    PROPOSAL = 0x12
    PREPARE = 0x13
    COMMIT = 0x14
    ROUND_CHANGE = 0x15


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalPayload:
    """The proposer offers a block for one height and round."""

    height: Height
    """Height of the block."""
    round: Round
    """Round it is offered in; the block's extra data carries the same."""
    block: Block
    """The block, without seals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparePayload:
    """A validator has accepted the proposal with this digest."""

    height: Height
    """Height voted on."""
    round: Round
    """Round voted in."""
    digest: Digest
    """Hash (c) of the accepted block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitPayload:
    """A validator has seen a quorum of prepares for this digest."""

    height: Height
    """Height voted on."""
    round: Round
    """Round voted in."""
    digest: Digest
    """Hash (c) of the prepared block."""
    seal: Signature
    """The author's signature over hash (a) of the block; goes into the header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitDraft:
    """A commit the core wants signed; the seal does not exist yet."""

    height: Height
    """Height voted on."""
    round: Round
    """Round voted in."""
    digest: Digest
    """Hash to seal, and to name in the payload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedMetadata:
    """Names what the author of a round change had prepared last."""

    round: Round
    """Round in which it was prepared."""
    digest: Digest
    """Digest of the block as proposed in that round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundChangePayload:
    """A validator has given up on the rounds before this one."""

    height: Height
    """Height being decided."""
    round: Round
    """Target round, above 0."""
    prepared: PreparedMetadata | None
    """What the author had prepared, or None."""


Payload: TypeAlias = ProposalPayload | PreparePayload | CommitPayload | RoundChangePayload

P = TypeVar("P", ProposalPayload, PreparePayload, CommitPayload, RoundChangePayload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed(Generic[P]):
    """A payload, its signature, and the author recovered from it.

    Build it with ``recover_signed`` or ``sign_draft`` only; the author is then a fact.
    """

    payload: P
    """What was signed."""
    signature: Signature
    """65 bytes over ``signing_hash(payload)``, low s."""
    author: Address
    """Whose signature it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposed block with the reason it may be proposed in its round."""

    signed: Signed[ProposalPayload]
    """The block, signed by the proposer."""
    round_changes: tuple[Signed[RoundChangePayload], ...] = ()
    """For rounds above 0: a quorum that asked for this round."""
    prepares: tuple[Signed[PreparePayload], ...] = ()
    """The quorum of prepares of the highest prepared round among ``round_changes``, if any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """A vote that the proposal was accepted."""

    signed: Signed[PreparePayload]
    """The vote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A vote that the proposal was prepared, with the seal for the header."""

    signed: Signed[CommitPayload]
    """The vote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundChange:
    """A request for a later round, with the prepared certificate if there is one."""

    signed: Signed[RoundChangePayload]
    """The request."""
    block: Block | None = None
    """The prepared block in its prepared round; present exactly when metadata is."""
    prepares: tuple[Signed[PreparePayload], ...] = ()
    """The quorum that prepared it."""


Message: TypeAlias = Proposal | Prepare | Commit | RoundChange
"""What travels between validators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCertificate:
    """A block and the quorum that prepared it: the lock."""

    block: Block
    """The block as proposed in the prepared round."""
    prepares: tuple[Signed[PreparePayload], ...]
    """A quorum of prepares of its digest, ascending by author."""

    @property
    def metadata(self) -> PreparedMetadata:
        """Return what a round change states about this certificate."""
        return PreparedMetadata(round=self.round, digest=self.block.digest)

    @property
    def round(self) -> Round:
        """Return the round in which it was prepared."""
        return self.block.header.extra_data.round


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalDraft:
    """A proposal the core wants signed."""

    payload: ProposalPayload
    """What to sign."""
    round_changes: tuple[Signed[RoundChangePayload], ...] = ()
    """As in ``Proposal``."""
    prepares: tuple[Signed[PreparePayload], ...] = ()
    """As in ``Proposal``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundChangeDraft:
    """A round change the core wants signed."""

    payload: RoundChangePayload
    """What to sign."""
    certificate: PreparedCertificate | None
    """What ``payload.prepared`` names."""


Draft: TypeAlias = ProposalDraft | PreparePayload | CommitDraft | RoundChangeDraft
"""What the shell is asked to sign."""


def code_of(payload: Payload) -> MessageCode:
    """Return the message code signed along with ``payload``."""
    match payload:
        case ProposalPayload():
            return MessageCode.PROPOSAL
        case PreparePayload():
            return MessageCode.PREPARE
        case CommitPayload():
            return MessageCode.COMMIT
        case RoundChangePayload():
            return MessageCode.ROUND_CHANGE


def encode_payload(payload: Payload) -> bytes:
    """Encode a payload as Besu 25.x has it.

    Spec: QBFT-MESSAGES.
    """
    numbers = (rlp.encode_uint(payload.height), rlp.encode_uint(payload.round))
    return rlp.wrap_list(b"".join(map(rlp.encode, numbers)) + _encode_content(payload))


def _encode_content(payload: Payload) -> bytes:
    match payload:
        case ProposalPayload():
            return payload.block.encode()
        case PreparePayload():
            return rlp.encode(payload.digest)
        case CommitPayload():
            return rlp.encode(payload.digest) + rlp.encode(payload.seal)
        case RoundChangePayload():
            prepared = payload.prepared
            if prepared is None:
                return rlp.encode([])
            return rlp.encode([rlp.encode_uint(prepared.round), prepared.digest])


def signing_hash(payload: Payload) -> Hash32:
    """Return what the author signs: keccak of the RLP of [code, payload].

    Spec: QBFT-SIGNED-HASH.
    """
    return keccak256(rlp.wrap_list(bytes((code_of(payload),)) + encode_payload(payload)))


def recover_signed(payload: P, signature: Signature) -> Signed[P]:
    """Recover the author of a payload.

    Raises:
        InvalidSignature: Not canonical (high s, v not 0 or 1), or recovers no key.

    Spec: QBFT-SIGNED-HASH.
    """
    author = recover_address(signing_hash(payload), signature)
    return Signed(payload=payload, signature=signature, author=author)


def sign_draft(draft: Draft, sign: Callable[[Hash32], Signature], author: Address) -> Message:
    """Sign what the core asked for; both shells use this, with their own signer.

    Args:
        draft: From a ``PersistAndSign`` effect, after its sign-state is durable.
        sign: Signs a 32-byte hash with the validator key (deterministic nonce).
        author: Address of that key.

    Spec: QBFT-SIGNED-HASH.
    """
    match draft:
        case ProposalDraft():
            return Proposal(
                signed=_sign(draft.payload, sign, author),
                round_changes=draft.round_changes,
                prepares=draft.prepares,
            )
        case PreparePayload():
            return Prepare(signed=_sign(draft, sign, author))
        case CommitDraft():
            payload = CommitPayload(
                height=draft.height,
                round=draft.round,
                digest=draft.digest,
                seal=sign(draft.digest),
            )
            return Commit(signed=_sign(payload, sign, author))
        case RoundChangeDraft():
            held = draft.certificate
            return RoundChange(
                signed=_sign(draft.payload, sign, author),
                block=None if held is None else held.block,
                prepares=() if held is None else held.prepares,
            )


def _sign(payload: P, sign: Callable[[Hash32], Signature], author: Address) -> Signed[P]:
    return Signed(payload=payload, signature=sign(signing_hash(payload)), author=author)
