"""Writes a chain as an audit bundle: blocks with receipts, states, documents, evidence, files.

The bundle is written beside its name and appears when it is whole. An export that was interrupted
is continued after its last whole block; what was written is hashed again, never believed. Two
exports of the same range by one node are equal byte for byte.

Spec: AUDIT-BUNDLE, AUDIT-EXPORT.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import BinaryIO, Final

from node.consensus.evidence import decode_evidence
from node.genesis.profile import ChainProfile
from node.membership.recovery import Recovery, encode_recovery
from node.primitives.block import decode_block
from node.primitives.bundle import (
    EVIDENCE_COUNT_MAX,
    FILE_COUNT_MAX,
    MAGIC,
    NAME_SIZE_MAX,
    RECORD_SIZE_MAX,
    SNAPSHOT_COUNT_MAX,
    AncestorRecord,
    BlockRecord,
    BundleHeader,
    EndRecord,
    EvidenceRecord,
    FilePart,
    FileRecord,
    Record,
    RecoveryRecord,
    SnapshotRecord,
    StateChunk,
    sign_bundle,
)
from node.primitives.bundle_stream import BundleReader
from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput, Misconfigured, Unavailable
from node.primitives.types import ZERO_ADDRESS, Height
from node.storage.chain import ChainStore
from node.storage.state_chunks import iterate_chunks
from node.storage.state_stream import iterate_view
from node.version import VERSION

ANCESTORS_MIN: Final = 256
"""Headers before a range: what BLOCKHASH can ask for."""

PART_SIZE: Final = 512 * 1024
"""Bytes of an attached file in one record."""

PROGRESS_STEP: Final = 100
"""Blocks between two reports of progress."""

Progress = Callable[[int], None]
"""Told the height reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundlePlan:
    """What to put into a bundle."""

    profile: ChainProfile
    """The network; a range that starts later than its genesis brings the headers of an epoch."""
    start: Height
    """First height, 1 or more."""
    stop: Height
    """Last height."""
    snapshot_interval: int = 0
    """Heights between two states; 0 for none."""
    recoveries: tuple[Recovery, ...] = ()
    """Recovery documents of the node."""
    evidence: Sequence[bytes] = ()
    """Evidence the node keeps, any heights."""
    files: tuple[Path, ...] = ()
    """Files to attach."""
    key: PrivateKey | None = None
    """Key of the node, to sign with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleReport:
    """What was written."""

    first: Height
    """First height in it."""
    last: Height
    """Last height in it."""
    block_count: int
    """Blocks in the bundle."""
    digest: bytes
    """SHA-256 of the whole file."""
    size_bytes: int
    """Its length."""


def export_bundle(
    chain: ChainStore, path: Path, plan: BundlePlan, progress: Progress
) -> BundleReport:
    """Write the bundle that ``plan`` describes to ``path``, or continue an interrupted export.

    Args:
        chain: The chain; an archive for states of past heights.
        path: File to write; replaced when it exists.
        plan: What goes into it.
        progress: Told the height reached.

    Raises:
        Misconfigured: The plan asks for what cannot be, or a file cannot be read.
        NotStored: A block is not kept by this node.
        StatePruned: A state is not kept by this node.
        Unavailable: The disk refused; what was written stays and can be continued.

    Spec: AUDIT-EXPORT.
    """
    header = _header_of(plan)
    draft = path.with_name(path.name + ".partial")
    try:
        begun = _trim(draft, header)
        with draft.open("w+b" if begun is None else "r+b") as file:
            writer = _Writer(file)
            if begun is None:
                writer.begin(header)
                _write_start(writer, chain, plan)
            else:
                writer.block_count = begun.block_count
                writer.transaction_count = begun.transaction_count
            reached = plan.start - 1 if begun is None else begun.height
            _write_blocks(writer, chain, plan, reached, progress)
            _write_rest(writer, plan)
            report = writer.finish(plan)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}; free space and run it again") from error
    return report


def _header_of(plan: BundlePlan) -> BundleHeader:
    """Return the header of a plan.

    Raises:
        Misconfigured: It asks for what cannot be.
    """
    if not 1 <= plan.start <= plan.stop + 1:
        raise Misconfigured("the range must begin at height 1 or later, and not after its end")
    heights: tuple[Height, ...] = ()
    if plan.snapshot_interval:
        step = plan.snapshot_interval
        heights = tuple(
            Height(at) for at in range(-(-plan.start // step) * step, plan.stop + 1, step)
        )
    if plan.start > 1:
        heights = (Height(plan.start - 1), *heights)
    if len(heights) > SNAPSHOT_COUNT_MAX or len(plan.files) > FILE_COUNT_MAX:
        raise Misconfigured("too many states or files for one bundle; choose a wider interval")
    return BundleHeader(
        chain_id=plan.profile.chain_id,
        genesis_hash=plan.profile.genesis_hash,
        first=plan.start,
        last=plan.stop,
        tool=f"daicho {VERSION}",
        exporter=ZERO_ADDRESS if plan.key is None else plan.key.address,
        snapshots=heights,
    )


def _write_start(writer: "_Writer", chain: ChainStore, plan: BundlePlan) -> None:
    """Write the documents, and for a later range what it stands on."""
    for document in plan.recoveries:
        if document.height <= plan.stop:
            writer.write(RecoveryRecord(document=encode_recovery(document).encode()))
    if plan.start == 1:
        return
    base = plan.start - 1
    epoch = base - base % plan.profile.epoch_length
    for height in range(max(0, min(epoch, base - ANCESTORS_MIN)), base + 1):
        writer.write(AncestorRecord(header=chain.load_header(Height(height)).encode()))
    _write_state(writer, chain, Height(base))


def _write_blocks(
    writer: "_Writer", chain: ChainStore, plan: BundlePlan, reached: int, progress: Progress
) -> None:
    for height in range(reached + 1, plan.stop + 1):
        at = Height(height)
        block = chain.load_block(at)
        receipts = tuple(receipt.encode() for receipt in chain.load_receipts(at))
        writer.write(BlockRecord(block=block.encode(), receipts=receipts))
        writer.block_count += 1
        writer.transaction_count += len(block.transactions)
        if plan.snapshot_interval and height % plan.snapshot_interval == 0:
            _write_state(writer, chain, at)
        if height % PROGRESS_STEP == 0:
            progress(height)


def _write_state(writer: "_Writer", chain: ChainStore, height: Height) -> None:
    view = chain.view_at(height)
    writer.write(SnapshotRecord(height=height, state_root=view.root))
    for chunk in iterate_chunks(iterate_view(view), view.load_code):
        writer.write(chunk)


def _write_rest(writer: "_Writer", plan: BundlePlan) -> None:
    """Write evidence of the range, oldest first, and the attached files.

    Raises:
        Misconfigured: A file cannot be read, or changed meanwhile.
    """
    found = sorted((decode_evidence(each).height, each) for each in plan.evidence)
    for height, evidence in found[-EVIDENCE_COUNT_MAX:]:
        if plan.start <= height <= plan.stop and len(evidence) < RECORD_SIZE_MAX:
            writer.write(EvidenceRecord(evidence=evidence))
            writer.evidence_count += 1
    for path in plan.files:
        try:
            _write_file(writer, path)
        except OSError as error:
            raise Misconfigured(
                f"{path}: cannot be read ({error.strerror}); check the path"
            ) from error


def _write_file(writer: "_Writer", path: Path) -> None:
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").digest()
        size = file.tell()
        file.seek(0)
        name = path.name.encode()[-NAME_SIZE_MAX:].decode(errors="ignore")
        writer.write(FileRecord(digest=digest, size_bytes=size, name=name))
        left = size
        while True:
            data = file.read(min(PART_SIZE, left))
            left -= len(data)
            writer.write(FilePart(is_last=not left, data=data))
            if not left:
                break
            if not data:
                raise Misconfigured(f"{path}: changed while it was read; try again")
    writer.file_count += 1


class _Writer:
    """Writes records and keeps their digest and counts."""

    def __init__(self, file: BinaryIO) -> None:
        """Write to ``file``, whose bytes so far are hashed; it stands at its end after that."""
        self._file = file
        self._digest = sha256()
        while data := file.read(PART_SIZE):
            self._digest.update(data)
        self.block_count = 0
        self.transaction_count = 0
        self.evidence_count = 0
        self.file_count = 0

    def begin(self, header: BundleHeader) -> None:
        """Write the first bytes."""
        self._put(MAGIC)
        self.write(header)

    def write(self, record: Record) -> None:
        """Write a record."""
        self._put(record.encode())

    def finish(self, plan: BundlePlan) -> BundleReport:
        """Write end and signature.

        Spec: AUDIT-DIGEST, AUDIT-SIGNATURE.
        """
        self.write(
            EndRecord(
                block_count=self.block_count,
                transaction_count=self.transaction_count,
                evidence_count=self.evidence_count,
                file_count=self.file_count,
                digest=self._digest.digest(),
            )
        )
        self.write(sign_bundle(self._digest.digest(), plan.key))
        return BundleReport(
            first=plan.start,
            last=plan.stop,
            block_count=self.block_count,
            digest=self._digest.digest(),
            size_bytes=self._file.tell(),
        )

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)


@dataclass(slots=True)
class _Begun:
    """How far an interrupted export came."""

    stop: int
    """First byte after what is whole."""
    height: int
    """Height of the last whole block."""
    block_count: int = 0
    transaction_count: int = 0


def _trim(draft: Path, header: BundleHeader) -> _Begun | None:
    """Cut a draft back to its last whole block; None when there is none to continue.

    Spec: AUDIT-EXPORT.
    """
    if not draft.exists():
        return None
    begun: _Begun | None = None
    blocks = transactions = 0
    height = header.first - 1
    with draft.open("rb") as file:
        try:
            for piece in BundleReader(file).read():
                match piece.record:
                    case BundleHeader() if piece.record != header:
                        return None
                    case BlockRecord(block=raw):
                        block = decode_block(raw)
                        height = block.height
                        blocks += 1
                        transactions += len(block.transactions)
                        is_whole = height not in header.snapshots
                    case StateChunk(is_last=is_last):
                        is_whole = is_last
                    case _:
                        is_whole = False
                if is_whole:
                    begun = _Begun(piece.stop, height, blocks, transactions)
        except InvalidInput:
            pass
    if begun is not None:
        os.truncate(draft, begun.stop)
    return begun
