"""Reads an audit bundle from a stream: one record after another, in the one order allowed.

Spec: AUDIT-BUNDLE, AUDIT-ORDER.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO, Final

from node.primitives.bundle import (
    ANCESTOR_COUNT_MAX,
    EVIDENCE_COUNT_MAX,
    FILE_COUNT_MAX,
    MAGIC,
    RECORD_SIZE_MAX,
    RECOVERY_COUNT_MAX,
    SNAPSHOT_COUNT_MAX,
    AncestorRecord,
    BlockRecord,
    BundleHeader,
    EndRecord,
    EvidenceRecord,
    FilePart,
    FileRecord,
    InvalidBundle,
    Record,
    RecoveryRecord,
    SignatureRecord,
    SnapshotRecord,
    StateChunk,
    decode_record,
)

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
