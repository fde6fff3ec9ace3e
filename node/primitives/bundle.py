"""The audit bundle: a chain, and what belongs to it, as one stream of self-describing records.

After a magic line come records, each an RLP list that begins with its kind: a header, recovery
documents, where the range begins, blocks with receipts, states, evidence, attached files, an end
with the digest of everything before it, and the exporter's signature. ``BundleReader`` yields them
from a stream, bounded in size, in the one order allowed. Whether what they hold is true is the
auditor's question.

Spec: AUDIT-BUNDLE, AUDIT-HEADER, AUDIT-ORDER.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO, Final, TypeAlias

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


# The order of records

_FOLLOWERS: Final[dict[type[Any] | None, tuple[type[Any], ...]]] = {
    None: (BundleHeader,),
    BundleHeader: (
        RecoveryRecord,
        AncestorRecord,
        BlockRecord,
        EvidenceRecord,
        FileRecord,
        EndRecord,
    ),
    RecoveryRecord: (
        RecoveryRecord,
        AncestorRecord,
        BlockRecord,
        EvidenceRecord,
        FileRecord,
        EndRecord,
    ),
    AncestorRecord: (AncestorRecord, SnapshotRecord),
    SnapshotRecord: (StateChunk,),
    StateChunk: (StateChunk, BlockRecord, EvidenceRecord, FileRecord, EndRecord),
    BlockRecord: (BlockRecord, SnapshotRecord, EvidenceRecord, FileRecord, EndRecord),
    EvidenceRecord: (EvidenceRecord, FileRecord, EndRecord),
    FileRecord: (FilePart,),
    FilePart: (FilePart, FileRecord, EndRecord),
    EndRecord: (SignatureRecord,),
    SignatureRecord: (),
}
"""Which records may follow which; a state or file that is not whole is followed by its own."""


class RecordOrder:
    """Holds a stream of records to the one order there is."""

    def __init__(self) -> None:
        """Stand before the first record."""
        self._last: Record | None = None
        self._counts: dict[type[Any], int] = {}

    def take(self, record: Record) -> None:
        """Take the next record.

        Raises:
            InvalidBundle: It may not stand here, or there are too many of its kind.

        Spec: AUDIT-ORDER.
        """
        last = self._last
        kind = type(record)
        allowed = _FOLLOWERS[None if last is None else type(last)]
        if isinstance(last, StateChunk | FilePart):
            is_more = isinstance(record, type(last))
            if is_more is last.is_last:
                allowed = ()
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        if kind not in allowed or count > _COUNTS_MAX.get(kind, count):
            before = "the start" if last is None else _NAMES[type(last)]
            raise InvalidBundle(
                f"bundle: a record of kind {_NAMES[kind]} may not follow {before} here",
                rule="AUDIT-ORDER",
            )
        self._last = record

    def finish(self) -> None:
        """Take the end of the stream.

        Raises:
            InvalidBundle: Records are missing.

        Spec: AUDIT-ORDER.
        """
        if not isinstance(self._last, SignatureRecord):
            raise InvalidBundle("bundle: it ends before its signature", rule="AUDIT-ORDER")


_COUNTS_MAX: Final[dict[type[Any], int]] = {
    RecoveryRecord: RECOVERY_COUNT_MAX,
    AncestorRecord: ANCESTOR_COUNT_MAX,
    SnapshotRecord: SNAPSHOT_COUNT_MAX + 1,
    EvidenceRecord: EVIDENCE_COUNT_MAX,
    FileRecord: FILE_COUNT_MAX,
}

_NAMES: Final[dict[type[Any], str]] = {
    BundleHeader: "bundle",
    RecoveryRecord: "recovery",
    AncestorRecord: "header",
    SnapshotRecord: "snapshot",
    StateChunk: "state",
    BlockRecord: "block",
    EvidenceRecord: "evidence",
    FileRecord: "file",
    FilePart: "part",
    EndRecord: "end",
    SignatureRecord: "signature",
}


# Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A record and where it stands in the file."""

    offset: int
    """First byte of it."""
    size: int
    """Its length."""
    record: Record
    """What it is."""

    @property
    def stop(self) -> int:
        """Return the first byte after it."""
        return self.offset + self.size


class BundleReader:
    """Reads a bundle once, from its start, with a running digest."""

    def __init__(self, file: BinaryIO) -> None:
        """Stand before the magic line of ``file``."""
        self._file = file
        self._digest = sha256()
        self._order = RecordOrder()
        self.offset = 0

    @property
    def digest(self) -> bytes:
        """Return the SHA-256 of every byte before the record yielded last.

        At the end of the stream it is of the whole file.
        """
        return self._digest.digest()

    def read(self) -> Iterator[Piece]:
        """Yield the records in order, to the end of the stream.

        Raises:
            InvalidBundle: The stream is torn, a record is malformed or out of order, or bytes
                follow the last.

        Spec: AUDIT-BUNDLE, AUDIT-ORDER.
        """
        if self._file.read(len(MAGIC)) != MAGIC:
            raise InvalidBundle("not an audit bundle", rule="AUDIT-BUNDLE")
        self._digest.update(MAGIC)
        self.offset = len(MAGIC)
        while (data := read_item(self._file, self.offset)) is not None:
            record = decode_record(data)
            self._order.take(record)
            yield Piece(offset=self.offset, size=len(data), record=record)
            self._digest.update(data)
            self.offset += len(data)
        self._order.finish()


def read_item(file: BinaryIO, offset: int) -> bytes | None:
    """Return the bytes of the next RLP list, or None at the end of the stream.

    Raises:
        InvalidBundle: It is torn, no list, or longer than a record may be.

    Spec: AUDIT-BUNDLE.
    """
    head = file.read(1)
    if not head:
        return None
    if head[0] < 0xC0:
        raise _at(offset, "no record begins here")
    size = head[0] - 0xC0
    if head[0] >= 0xF8:
        extra = file.read(head[0] - 0xF7)
        head += extra
        size = int.from_bytes(extra, "big")
    if size > RECORD_SIZE_MAX:
        raise _at(offset, f"a record of {size} bytes, at most {RECORD_SIZE_MAX}")
    body = file.read(size)
    if len(body) != size:
        raise _at(offset, "the record is torn")
    return head + body


def _at(offset: int, message: str) -> InvalidBundle:
    return InvalidBundle(f"bundle: at byte {offset}: {message}", rule="AUDIT-BUNDLE")
