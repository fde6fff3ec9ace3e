"""The audit bundle: a chain, and what belongs to it, as one stream of self-describing records.

After a magic line come records, each an RLP list that begins with its kind: a header, recovery
documents, where the range begins, blocks with receipts, states, evidence, attached files, an end
with the digest of everything before it, and the exporter's signature. Here are the records and
their bytes; ``bundle_stream`` reads a row of them. Whether what they hold is true is the auditor's
question.

Spec: AUDIT-BUNDLE, AUDIT-HEADER.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from node.primitives import rlp
from node.primitives.block import BLOCK_SIZE_MAX, TRANSACTION_COUNT_MAX
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.errors import InvalidInput, MalformedMessage
from node.primitives.types import (
    ZERO_ADDRESS,
    Address,
    BlockHash,
    Hash32,
    Height,
)

MAGIC: Final = b"DAICHO-BUNDLE\n"
"""First bytes of every bundle."""

FORMAT: Final = 1
"""Version of the records."""

SIGNING_DOMAIN: Final = b"daicho bundle v1"
"""Separates the exporter's signature from every other use of the same key."""

RECORD_SIZE_MAX: Final = 24 * 1024 * 1024
"""Longest record read, in bytes: evidence holds two proposals with their justifications."""

SNAPSHOT_COUNT_MAX: Final = 10_000
"""Most states in one bundle."""

ANCESTOR_COUNT_MAX: Final = 100_000
"""Most headers before a range; three epochs of 30,000 blocks fit."""

RECOVERY_COUNT_MAX: Final = 64
"""Most recovery documents."""

EVIDENCE_COUNT_MAX: Final = 1_000
"""Most pieces of evidence; a node keeps no more."""

FILE_COUNT_MAX: Final = 10_000
"""Most attached files."""

CHUNK_SIZE_MAX: Final = 1024 * 1024
"""Longest piece of a state or of an attached file."""

NAME_SIZE_MAX: Final = 255
"""Longest name of an attached file, and of the exporting program, in bytes."""


class InvalidBundle(InvalidInput):
    """A bundle that is torn, out of order, beyond a bound, or not one at all."""

    code = "bundle.invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleHeader:
    """What the bundle says it holds."""

    chain_id: int
    """Chain id of the network."""
    genesis_hash: BlockHash
    """The network."""
    first: Height
    """First height whose block is here; 1 for a chain from its genesis on."""
    last: Height
    """Last height whose block is here."""
    tool: str
    """Program and version that wrote it."""
    exporter: Address = ZERO_ADDRESS
    """Key of the exporting node; zero when it is not signed."""
    snapshots: tuple[Height, ...] = ()
    """Heights whose state is here, ascending."""

    def encode(self) -> bytes:
        """Return the record's bytes.

        Spec: AUDIT-HEADER.
        """
        return rlp.encode(
            [
                b"bundle",
                rlp.encode_uint(FORMAT),
                rlp.encode_uint(self.chain_id),
                self.genesis_hash,
                rlp.encode_uint(self.first),
                rlp.encode_uint(self.last),
                self.tool.encode(),
                self.exporter,
                [rlp.encode_uint(height) for height in self.snapshots],
            ]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryRecord:
    """A recovery document that binds in the range."""

    document: bytes
    """The document's file."""

    def encode(self) -> bytes:
        """Return the record's bytes."""
        return rlp.encode([b"recovery", self.document])


@dataclass(frozen=True, slots=True, kw_only=True)
class AncestorRecord:
    """A header before the range: for the validators' votes and BLOCKHASH."""

    header: bytes
    """The header, with its round and seals."""

    def encode(self) -> bytes:
        """Return the record's bytes."""
        return rlp.encode([b"header", self.header])


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRecord:
    """Announces the state after a block; its chunks follow."""

    height: Height
    """Height of the block."""
    state_root: Hash32
    """Root it should have."""

    def encode(self) -> bytes:
        """Return the record's bytes."""
        return rlp.encode([b"snapshot", rlp.encode_uint(self.height), self.state_root])


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChunk:
    """A piece of the state announced before: an RLP list of entries in trie order."""

    is_last: bool
    """Whether the state ends with it."""
    entries: bytes
    """The list."""

    def encode(self) -> bytes:
        """Return the record's bytes."""
        return rlp.encode([b"state", _flag(self.is_last), self.entries])


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRecord:
    """A block and the receipts of its transactions."""

    block: bytes
    """RLP of header, transactions, ommers and withdrawals."""
    receipts: tuple[bytes, ...]
    """Consensus bytes of each receipt, by index."""

    def encode(self) -> bytes:
        """Return the record's bytes."""
        return rlp.encode([b"block", self.block, self.receipts])


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRecord:
    """Two signed messages by which a validator convicts itself."""

    evidence: bytes
    """As nodes encode it."""

    def encode(self) -> bytes:
        """Return the record's bytes."""
        return rlp.encode([b"evidence", self.evidence])


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """Announces an attached file; its parts follow."""

    digest: bytes
    """SHA-256 of the file: its address."""
    size_bytes: int
    """Its length."""
    name: str
    """What it is called, for people."""

    def encode(self) -> bytes:
        """Return the record's bytes."""
        return rlp.encode(
            [b"file", self.digest, rlp.encode_uint(self.size_bytes), self.name.encode()]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """A piece of the file announced before."""

    is_last: bool
    """Whether the file ends with it."""
    data: bytes
    """The piece."""

    def encode(self) -> bytes:
        """Return the record's bytes."""
        return rlp.encode([b"part", _flag(self.is_last), self.data])


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRecord:
    """Closes the bundle: what was in it, and the digest of it."""

    block_count: int
    """Blocks."""
    transaction_count: int
    """Transactions in them."""
    evidence_count: int
    """Pieces of evidence."""
    file_count: int
    """Attached files."""
    digest: bytes
    """SHA-256 of every byte before this record."""

    def encode(self) -> bytes:
        """Return the record's bytes."""
        counts = (
            self.block_count,
            self.transaction_count,
            self.evidence_count,
            self.file_count,
        )
        return rlp.encode([b"end", *(rlp.encode_uint(count) for count in counts), self.digest])


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureRecord:
    """The exporter's word for the bundle, last in the file."""

    signature: bytes
    """Over ``compute_bundle_hash``; empty when it is not signed."""

    def encode(self) -> bytes:
        """Return the record's bytes."""
        return rlp.encode([b"signature", self.signature])


Record: TypeAlias = (
    BundleHeader
    | RecoveryRecord
    | AncestorRecord
    | SnapshotRecord
    | StateChunk
    | BlockRecord
    | EvidenceRecord
    | FileRecord
    | FilePart
    | EndRecord
    | SignatureRecord
)


def compute_bundle_hash(digest: bytes) -> Hash32:
    """Return what the exporter signs.

    Args:
        digest: SHA-256 of every byte before the signature record.

    Spec: AUDIT-SIGNATURE.
    """
    return keccak256(SIGNING_DOMAIN + digest)


def sign_bundle(digest: bytes, key: PrivateKey | None) -> SignatureRecord:
    """Return the signature record; an empty one without a key.

    Spec: AUDIT-SIGNATURE.
    """
    signature = b"" if key is None else bytes(key.sign(compute_bundle_hash(digest)))
    return SignatureRecord(signature=signature)


def decode_record(data: bytes) -> Record:
    """Decode one record; what it holds is decoded by whoever asks.

    Raises:
        InvalidBundle: Of unknown kind or form, or beyond a bound.

    Spec: AUDIT-BUNDLE.
    """
    try:
        items = rlp.decode_list(data)
        kind = rlp.as_bytes(items[0], what="kind") if items else b""
        if kind not in _DECODERS:
            raise MalformedMessage(f"a record of unknown kind {kind[:20]!r}")
        length, decode = _DECODERS[kind]
        if len(items) != length:
            raise MalformedMessage(f"{kind.decode()}: {len(items)} items, expected {length}")
        return decode(items)
    except (MalformedMessage, UnicodeDecodeError) as error:
        raise InvalidBundle(f"bundle: {error}", rule="AUDIT-BUNDLE") from error


def _decode_header(items: list[rlp.Decoded]) -> BundleHeader:
    if rlp.as_uint(items[1], 1, "format") != FORMAT:
        raise MalformedMessage(f"bundle of another format than {FORMAT}")
    snapshots = rlp.as_list(items[8], what="snapshots")
    if len(snapshots) > SNAPSHOT_COUNT_MAX:
        raise MalformedMessage(f"{len(snapshots)} states, at most {SNAPSHOT_COUNT_MAX}")
    return BundleHeader(
        chain_id=rlp.as_uint(items[2], 8, "chain id"),
        genesis_hash=BlockHash(Hash32(rlp.as_bytes(items[3], 32, "genesis hash"))),
        first=_height(items[4]),
        last=_height(items[5]),
        tool=_text(items[6], "tool"),
        exporter=Address(rlp.as_bytes(items[7], 20, "exporter")),
        snapshots=tuple(_height(item) for item in snapshots),
    )


def _decode_block(items: list[rlp.Decoded]) -> BlockRecord:
    receipts = rlp.as_list(items[2], what="receipts")
    if len(receipts) > TRANSACTION_COUNT_MAX:
        raise MalformedMessage(f"{len(receipts)} receipts, at most {TRANSACTION_COUNT_MAX}")
    block = rlp.as_bytes(items[1], what="block")
    if len(block) > BLOCK_SIZE_MAX:
        raise MalformedMessage(f"block of {len(block)} bytes, at most {BLOCK_SIZE_MAX}")
    return BlockRecord(
        block=block, receipts=tuple(rlp.as_bytes(item, what="receipt") for item in receipts)
    )


def _decode_file(items: list[rlp.Decoded]) -> FileRecord:
    return FileRecord(
        digest=rlp.as_bytes(items[1], 32, "file digest"),
        size_bytes=rlp.as_uint(items[2], 8, "file size"),
        name=_text(items[3], "file name"),
    )


def _decode_end(items: list[rlp.Decoded]) -> EndRecord:
    blocks, transactions, evidence, files = (rlp.as_uint(item, 8, "count") for item in items[1:5])
    return EndRecord(
        block_count=blocks,
        transaction_count=transactions,
        evidence_count=evidence,
        file_count=files,
        digest=rlp.as_bytes(items[5], 32, "digest"),
    )


def _decode_snapshot(items: list[rlp.Decoded]) -> SnapshotRecord:
    root = Hash32(rlp.as_bytes(items[2], 32, "state root"))
    return SnapshotRecord(height=_height(items[1]), state_root=root)


def _decode_signature(items: list[rlp.Decoded]) -> SignatureRecord:
    signature = rlp.as_bytes(items[1], what="signature")
    if len(signature) not in (0, 65):
        raise MalformedMessage(f"signature of {len(signature)} bytes")
    return SignatureRecord(signature=signature)


_DECODERS: Final[dict[bytes, tuple[int, Callable[[list[rlp.Decoded]], Record]]]] = {
    b"bundle": (9, _decode_header),
    b"recovery": (2, lambda items: RecoveryRecord(document=rlp.as_bytes(items[1]))),
    b"header": (2, lambda items: AncestorRecord(header=rlp.as_bytes(items[1]))),
    b"snapshot": (3, _decode_snapshot),
    b"state": (3, lambda items: StateChunk(is_last=_is_set(items[1]), entries=_chunk(items[2]))),
    b"block": (3, _decode_block),
    b"evidence": (2, lambda items: EvidenceRecord(evidence=rlp.as_bytes(items[1]))),
    b"file": (4, _decode_file),
    b"part": (3, lambda items: FilePart(is_last=_is_set(items[1]), data=_chunk(items[2]))),
    b"end": (6, _decode_end),
    b"signature": (2, _decode_signature),
}


def _height(item: rlp.Decoded) -> Height:
    return Height(rlp.as_uint(item, 8, "height"))


def _text(item: rlp.Decoded, what: str) -> str:
    data = rlp.as_bytes(item, what=what)
    if len(data) > NAME_SIZE_MAX:
        raise MalformedMessage(f"{what}: {len(data)} bytes, at most {NAME_SIZE_MAX}")
    return data.decode("utf-8")


def _chunk(item: rlp.Decoded) -> bytes:
    data = rlp.as_bytes(item, what="chunk")
    if len(data) > CHUNK_SIZE_MAX:
        raise MalformedMessage(f"chunk of {len(data)} bytes, at most {CHUNK_SIZE_MAX}")
    return data


def _flag(value: bool) -> bytes:
    return b"\x01" if value else b""


def _is_set(item: rlp.Decoded) -> bool:
    value = rlp.as_bytes(item, what="flag")
    if value not in (b"", b"\x01"):
        raise MalformedMessage("a flag is neither set nor unset")
    return value == b"\x01"
