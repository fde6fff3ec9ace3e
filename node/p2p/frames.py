"""What nodes say to one another: one record per kind of frame.

Payloads of consensus, evidence, transactions, blocks and snapshots are opaque bytes here; their
owners decode them. Byte forms and bounds are in ``wire``.

Spec: WIRE-FRAME.
"""

from dataclasses import dataclass
from typing import TypeAlias

from node.primitives.types import (
    Address,
    BlockHash,
    Hash32,
    Height,
    Signature,
    TransactionHash,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """First frame of both ends: who I say I am, and what must agree between us."""

    protocol_version: int
    """Version of wire format and block rules."""
    genesis_hash: BlockHash
    """The network."""
    fork_document_hash: Hash32
    """The fork document in force; zero when there is none."""
    membership_hash: Hash32
    """The sender's membership document."""
    membership_version: int
    """Its version."""
    node: Address
    """The sender's node key, proven by the next frame."""
    nonce: bytes
    """32 fresh random bytes."""
    agent: str
    """Software and version, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Second frame: the node key signs what both ends said and both certificates."""

    signature: Signature
    """Over the transcript, see ``handshake.proof_hash``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """Third frame: your proof holds and we agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodbye:
    """Last frame before closing: why."""

    reason: str
    """A stable word, as in ``handshake.Refusal`` and ``score.Offence``."""
    detail: str
    """One sentence for the other operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The sender's chain, sent after the handshake and at every new head."""

    height: Height
    """Height of the head."""
    block_hash: BlockHash
    """Hash (b) of the head."""
    oldest_height: Height
    """Lowest height whose block the sender can serve."""
    snapshot_height: Height
    """Height of the newest snapshot the sender can serve; 0 for none."""
    membership_hash: Hash32
    """The sender's membership document, which may have been replaced since the handshake."""
    membership_version: int
    """Its version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Asks for a ``Pong``; also keeps the connection from looking idle."""

    id: int
    """Returned by the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """Answers a ``Ping``."""

    id: int
    """Of the ping."""
    clock_ms: int
    """The sender's wall clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusMessage:
    """An encoded consensus message."""

    payload: bytes
    """Bytes of ``consensus.codec``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceReport:
    """Encoded evidence of equivocation."""

    payload: bytes
    """Bytes of ``consensus.evidence``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionAnnouncement:
    """Names transactions the sender's pool holds."""

    hashes: tuple[TransactionHash, ...]
    """Their hashes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionRequest:
    """Asks for announced transactions; those still waiting come as a batch."""

    hashes: tuple[TransactionHash, ...]
    """Their hashes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionBatch:
    """Whole transactions, requested or fresh from a client."""

    transactions: tuple[bytes, ...]
    """Canonical bytes of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRequest:
    """Asks for blocks of consecutive heights."""

    id: int
    """Returned by the answer."""
    start: Height
    """First height."""
    count: int
    """How many; fewer may come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockResponse:
    """Answers a ``BlockRequest`` from its first height on."""

    id: int
    """Of the request."""
    blocks: tuple[bytes, ...]
    """Encoded blocks; none when the sender lacks the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRequest:
    """Asks for headers of consecutive heights."""

    id: int
    """Returned by the answer."""
    start: Height
    """First height."""
    count: int
    """How many; fewer may come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderResponse:
    """Answers a ``HeaderRequest`` from its first height on."""

    id: int
    """Of the request."""
    headers: tuple[bytes, ...]
    """Encoded headers; none when the sender lacks the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRequest:
    """Asks for the manifest of the snapshot at one height."""

    id: int
    """Returned by the answer."""
    height: Height
    """Height of the snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestResponse:
    """Answers a ``ManifestRequest``."""

    id: int
    """Of the request."""
    manifest: bytes
    """Bytes of ``storage.snapshot``; empty when the sender has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRequest:
    """Asks for one chunk of a snapshot."""

    id: int
    """Returned by the answer."""
    height: Height
    """Height of the snapshot."""
    index: int
    """Position of the chunk in the manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkResponse:
    """Answers a ``ChunkRequest``."""

    id: int
    """Of the request."""
    chunk: bytes
    """The chunk; empty when the sender has none."""


HandshakeFrame: TypeAlias = Hello | Proof | Welcome | Goodbye
"""Frames before a peer is known."""

Request: TypeAlias = BlockRequest | HeaderRequest | ManifestRequest | ChunkRequest
"""Frames that ask for one answer."""

Response: TypeAlias = BlockResponse | HeaderResponse | ManifestResponse | ChunkResponse
"""Answers to requests."""

Gossip: TypeAlias = (
    ConsensusMessage
    | EvidenceReport
    | TransactionAnnouncement
    | TransactionRequest
    | TransactionBatch
    | Status
    | Ping
    | Pong
)
"""Frames that expect no answer by id, or bring the cheap ones."""

Frame: TypeAlias = HandshakeFrame | Request | Response | Gossip
"""Everything that travels."""
