"""Snapshots: the state after one block, recent headers and codes, in checked chunks.

A snapshot file is its chunks one after another and then a manifest that names each by its SHA-256,
so that it can be written and read as a stream, and served to a peer chunk by chunk. Restoring
believes nothing in it but what a header the caller trusts commits to: the state root is recomputed
and headers must link. The database counts as unfinished until the last batch.

Spec: STORE-SNAPSHOT.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self, TypeAlias

from node.primitives import rlp
from node.primitives.crypto import keccak256, sha256
from node.primitives.errors import InvalidInput, LedgerError, MalformedMessage
from node.primitives.header import Header, decode_header
from node.primitives.types import BlockHash, Hash32, Height
from node.storage import schema
from node.storage.chain import ChainStore, stage_header, stage_identity
from node.storage.errors import DatabaseMismatch, DiskFailed, DiskFull, NotStored
from node.storage.kv import KeyValueStore
from node.storage.schema import Meta, Prefix, meta_key
from node.storage.state_store import StateMode, decode_record, encode_record
from node.storage.state_stream import (
    AccountEntry,
    SlotEntry,
    StateEntry,
    StateRoot,
    iterate_flat,
    iterate_view,
)
from node.storage.view import EMPTY_CODE_HASH

MAGIC: Final = b"DAICHO-SNAPSHOT\n"
FORMAT: Final = 1
TRAILER_SIZE: Final = 8 + len(MAGIC)
"""Bytes at the end of a file: size of the manifest, and the magic again."""

CHUNK_SIZE: Final = 512 * 1024
"""A chunk is closed once it has this many bytes."""

CHUNK_SIZE_MAX: Final = CHUNK_SIZE + 64 * 1024
"""Longest chunk accepted: one closed just before its largest entry, a code, was added."""

MANIFEST_SIZE_MAX: Final = 4 * 1024 * 1024
"""Longest manifest accepted; enough for 50 GB of chunks."""

HEADERS_DEFAULT: Final = 256
"""Headers before the snapshot's that come along: what BLOCKHASH can ask for."""

HEADERS_MAX: Final = 100_000
"""Most headers accepted in a snapshot; three epochs of 30,000 blocks fit."""

RESTORE_BATCH_SIZE: Final = 4 * 1024 * 1024
"""Bytes gathered before a restore writes them."""

PROGRESS_STEP: Final = 1_000
"""Entries between two reports of progress."""

RESTORE_TASK: Final = b"daicho db restore"

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many of how many entries or chunks are done; the total is 0 when it is not known."""


class InvalidSnapshot(InvalidInput):
    """A snapshot that is damaged, incomplete, or not of the block it should be."""

    code = "storage.snapshot_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a snapshot holds."""

    genesis_hash: BlockHash
    """Chain it is of."""
    header: Header
    """Header of its block, with the seals of who wrote it."""
    chunks: tuple[bytes, ...]
    """SHA-256 of each chunk, in order."""
    sizes: tuple[int, ...]
    """Bytes of each chunk."""

    @property
    def height(self) -> Height:
        """Return the height of its block."""
        return self.header.height

    def encode(self) -> bytes:
        """Return its bytes."""
        sizes = [rlp.encode_uint(size) for size in self.sizes]
        return rlp.encode(
            [
                rlp.encode_uint(FORMAT),
                self.genesis_hash,
                self.header.encode(),
                [[digest, size] for digest, size in zip(self.chunks, sizes, strict=True)],
            ]
        )


def decode_manifest(data: bytes) -> Manifest:
    """Decode a manifest.

    Raises:
        InvalidSnapshot: It is no manifest of this format, or beyond a bound.

    Spec: STORE-SNAPSHOT.
    """
    if len(data) > MANIFEST_SIZE_MAX:
        raise InvalidSnapshot(f"manifest: {len(data)} bytes, at most {MANIFEST_SIZE_MAX}")
    try:
        version, genesis, header, chunks = rlp.as_list(rlp.decode(data), 4, "manifest")
        if rlp.as_uint(version, 1, "manifest.format") != FORMAT:
            raise MalformedMessage(f"manifest: another format than {FORMAT}")
        pairs = [rlp.as_list(pair, 2, "manifest.chunk") for pair in rlp.as_list(chunks)]
        manifest = Manifest(
            genesis_hash=BlockHash(Hash32(rlp.as_bytes(genesis, 32, "manifest.genesis"))),
            header=decode_header(rlp.as_bytes(header, what="manifest.header")),
            chunks=tuple(rlp.as_bytes(pair[0], 32, "manifest.digest") for pair in pairs),
            sizes=tuple(rlp.as_uint(pair[1], 4, "manifest.size") for pair in pairs),
        )
    except MalformedMessage as error:
        raise InvalidSnapshot(f"snapshot manifest: {error.message}") from error
    if any(not 0 < size <= CHUNK_SIZE_MAX for size in manifest.sizes):
        raise InvalidSnapshot(f"manifest: a chunk is empty or over {CHUNK_SIZE_MAX} bytes")
    return manifest


# Writing


def write_snapshot(
    chain: ChainStore,
    path: Path,
    *,
    height: Height | None = None,
    headers_from: Height | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Write the state after block ``height`` to ``path``; the file appears when it is whole.

    The chain may go on committing in another thread.

    Args:
        chain: The chain.
        path: File to write; replaced if it exists.
        height: Which block; the head when left out. A live node can only write the head's.
        headers_from: Lowest header to bring along; 256 below ``height`` when left out. Consensus
            needs those since the start of the epoch.
        progress: Told the entries written.

    Raises:
        NotStored: There is no such block.
        StatePruned: The state is no longer kept.
        StateMismatch: The database contradicts itself; nothing is left at ``path``.
        DiskFull: No space is left.
        DiskFailed: The disk refused.

    Spec: STORE-SNAPSHOT.
    """
    header, entries = _open_entries(chain, height)
    draft = path.with_name(path.name + ".partial")
    try:
        with draft.open("wb") as file:
            writer = _ChunkWriter(file)
            first = max(chain.base, header.height - HEADERS_DEFAULT)
            lowest = Height(max(chain.base, first if headers_from is None else headers_from))
            _write_chain_part(chain, writer, header, lowest)
            _write_state(writer, entries, header, progress)
            manifest = writer.finish(_genesis_hash_of(chain), header)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        kind = DiskFull if error.errno == 28 else DiskFailed
        raise kind(f"snapshot {path}: {error.strerror}") from error
    except LedgerError:
        draft.unlink(missing_ok=True)
        raise
    return manifest


def _open_entries(chain: ChainStore, height: Height | None) -> tuple[Header, Iterator[StateEntry]]:
    """Return a header and an iterator over exactly the state it commits to."""
    if height is not None and height != chain.head.height:
        return chain.load_header(height), iterate_view(chain.view_at(height))
    while True:
        header = chain.head
        entries = iterate_flat(chain.store)
        if chain.is_at_rest(header):
            return header, entries


def _write_chain_part(
    chain: ChainStore, writer: "_ChunkWriter", header: Header, lowest: Height
) -> None:
    for height in range(lowest, header.height):
        writer.add([b"h", chain.load_header(Height(height)).encode()])
    start, stop = schema.range_of(Prefix.CODE)
    for _, code in chain.store.iterate(start=start, stop=stop):
        writer.add([b"c", code])


def _write_state(
    writer: "_ChunkWriter",
    entries: Iterator[StateEntry],
    header: Header,
    progress: Progress | None,
) -> None:
    root = StateRoot()
    for count, entry in enumerate(entries, 1):
        root.add(entry)
        match entry:
            case AccountEntry(address_hash, record):
                writer.add([b"a", address_hash, encode_record(record)])
            case SlotEntry(slot_hash, value):
                writer.add([b"s", slot_hash, value])
        if progress is not None and count % PROGRESS_STEP == 0:
            progress(count, 0)
    check_root(root.finish(), header)


class _ChunkWriter:
    """Gathers entries into chunks and writes them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._parts: list[bytes] = []
        self._size = 0
        self._digests: list[bytes] = []
        self._sizes: list[int] = []
        file.write(MAGIC)

    def add(self, entry: rlp.Item) -> None:
        encoded = rlp.encode(entry)
        self._parts.append(encoded)
        self._size += len(encoded)
        if self._size >= CHUNK_SIZE:
            self._flush()

    def finish(self, genesis_hash: BlockHash, header: Header) -> Manifest:
        if self._parts:
            self._flush()
        manifest = Manifest(
            genesis_hash=genesis_hash,
            header=header,
            chunks=tuple(self._digests),
            sizes=tuple(self._sizes),
        )
        data = manifest.encode()
        self._file.write(data + len(data).to_bytes(8, "big") + MAGIC)
        return manifest

    def _flush(self) -> None:
        chunk = rlp.wrap_list(b"".join(self._parts))
        self._file.write(chunk)
        self._digests.append(sha256(chunk))
        self._sizes.append(len(chunk))
        self._parts, self._size = [], 0


# Reading


class SnapshotFile:
    """A snapshot on disk, read chunk by chunk; what a node serves to peers."""

    def __init__(self, path: Path) -> None:
        """Open the file and read its manifest.

        Raises:
            InvalidSnapshot: It is no snapshot, or its end is missing.
            DiskFailed: It cannot be read.
        """
        self._path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise DiskFailed(f"snapshot {path}: {error.strerror}") from error
        try:
            self.manifest_bytes: Final = self._read_manifest()
            self.manifest: Final = decode_manifest(self.manifest_bytes)
            self._offsets = self._compute_offsets()
        except InvalidInput:
            self._file.close()
            raise

    def read_chunk(self, index: int) -> bytes:
        """Return a chunk, checked against the manifest.

        Raises:
            InvalidSnapshot: There is no such chunk, or it was altered.
        """
        if not 0 <= index < len(self.manifest.chunks):
            raise InvalidSnapshot(f"chunk {index} of {len(self.manifest.chunks)} does not exist")
        chunk = os.pread(self._file.fileno(), self.manifest.sizes[index], self._offsets[index])
        check_chunk(self.manifest, index, chunk)
        return chunk

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _read_manifest(self) -> bytes:
        size = os.fstat(self._file.fileno()).st_size
        start = self._file.read(len(MAGIC))
        trailer = os.pread(self._file.fileno(), TRAILER_SIZE, max(0, size - TRAILER_SIZE))
        if start != MAGIC:
            raise InvalidSnapshot(f"{self._path}: not a snapshot file")
        if len(trailer) != TRAILER_SIZE or trailer[8:] != MAGIC or size < len(MAGIC) + TRAILER_SIZE:
            raise InvalidSnapshot(f"{self._path}: its end is missing; copy it again")
        length = int.from_bytes(trailer[:8], "big")
        if length > min(MANIFEST_SIZE_MAX, size):
            raise InvalidSnapshot(f"{self._path}: its manifest is damaged; copy it again")
        return os.pread(self._file.fileno(), length, size - TRAILER_SIZE - length)

    def _compute_offsets(self) -> list[int]:
        offsets = [len(MAGIC)]
        for size in self.manifest.sizes:
            offsets.append(offsets[-1] + size)
        whole = offsets.pop() + len(self.manifest_bytes) + TRAILER_SIZE
        actual = os.fstat(self._file.fileno()).st_size
        if whole != actual:
            raise InvalidSnapshot(
                f"{self._path}: {actual} bytes, its manifest says {whole}; copy it again"
            )
        return offsets


def check_chunk(manifest: Manifest, index: int, chunk: bytes) -> None:
    """Refuse a chunk that is not the one the manifest names.

    Raises:
        InvalidSnapshot: It is another one.

    Spec: STORE-SNAPSHOT.
    """
    if len(chunk) != manifest.sizes[index] or sha256(chunk) != manifest.chunks[index]:
        raise InvalidSnapshot(f"chunk {index} is not the one the manifest names; copy it again")


def check_root(found: Hash32, header: Header) -> None:
    """Refuse a state that is not the one a header commits to.

    Raises:
        InvalidSnapshot: The roots differ.

    Spec: STORE-SNAPSHOT.
    """
    if found != header.state_root:
        raise InvalidSnapshot(
            f"state root 0x{found.hex()} at height {header.height}, the header says "
            f"0x{header.state_root.hex()}",
            rule="STORE-SNAPSHOT",
        )


# Restoring


class SnapshotRestore:
    """Fills an empty database from chunks, in order, from a file or from peers."""

    def __init__(
        self,
        store: KeyValueStore,
        manifest: Manifest,
        *,
        trusted: Header,
        genesis_hash: BlockHash,
        mode: StateMode,
    ) -> None:
        """Check what the manifest claims and mark the database as unfinished.

        A restore that was interrupted begins again; what it had written is removed.

        Args:
            store: An empty database, or one left by an interrupted restore.
            manifest: The snapshot's.
            trusted: Header of the snapshot's block whose seals the caller has checked, or that a
                checkpoint names. Its seals are the ones stored.
            genesis_hash: Of the chain to restore.
            mode: Which states the database will keep.

        Raises:
            InvalidSnapshot: It is of another chain, height or block.
            DatabaseMismatch: The database is not empty.
        """
        _check_claims(manifest, trusted, genesis_hash)
        _empty(store)
        self._store = store
        self._manifest = manifest
        self._trusted = trusted
        self._mode = mode
        self._next = 0
        self._codes: set[bytes] = {EMPTY_CODE_HASH}
        self._headers: list[Header] = []
        self._batch: dict[bytes, bytes | None] = {}
        self._batch_size = 0
        self._owner = b""
        self._root = StateRoot(self._keep_node)

    @property
    def next_index(self) -> int:
        """Return which chunk is needed next; the count of chunks when all are in."""
        return self._next

    def add_chunk(self, chunk: bytes) -> None:
        """Add chunk ``next_index``.

        Raises:
            InvalidSnapshot: It is not the one the manifest names, or holds what may not be there.
            Unavailable: The disk refused.

        Spec: STORE-SNAPSHOT.
        """
        if self._next >= len(self._manifest.chunks):
            raise InvalidSnapshot("more chunks than the manifest names")
        check_chunk(self._manifest, self._next, chunk)
        try:
            for item in rlp.decode_list(chunk):
                self._add_entry([rlp.as_bytes(part) for part in rlp.as_list(item)])
        except InvalidSnapshot:
            raise
        except InvalidInput as error:
            raise InvalidSnapshot(f"chunk {self._next}: {error.message}") from error
        self._next += 1
        if self._batch_size >= RESTORE_BATCH_SIZE:
            self._flush()

    def finish(self) -> None:
        """Check the state root and make the database whole.

        Raises:
            InvalidSnapshot: Chunks are missing, or they do not lead to the trusted header.

        Spec: STORE-SNAPSHOT.
        """
        if self._next != len(self._manifest.chunks):
            raise InvalidSnapshot(
                f"{self._next} of {len(self._manifest.chunks)} chunks; the rest is missing"
            )
        try:
            found = self._root.finish()
        except InvalidInput as error:
            raise InvalidSnapshot(f"snapshot: {error.message}") from error
        check_root(found, self._trusted)
        self._check_links()
        base = self._headers[0].height if self._headers else self._trusted.height
        self._flush()
        batch: dict[bytes, bytes | None] = {}
        for header in (*self._headers, self._trusted):
            stage_header(header, batch)
        stage_identity(self._manifest.genesis_hash, self._mode, base, batch)
        head = schema.encode_height(self._trusted.height) + self._trusted.hash
        batch[meta_key(Meta.HEAD)] = head
        batch[meta_key(Meta.RESTORED)] = schema.encode_height(self._trusted.height)
        batch[meta_key(Meta.TASK)] = None
        self._store.write(batch, sync=True)

    def _add_entry(self, parts: list[bytes]) -> None:
        match parts:
            case [b"h", raw] if len(self._headers) < HEADERS_MAX:
                self._headers.append(decode_header(raw))
            case [b"c", code]:
                code_hash = keccak256(code)
                self._codes.add(code_hash)
                self._put(schema.code_key(code_hash), code)
            case [b"a", address_hash, raw] if len(address_hash) == 32:
                self._add_account(address_hash, raw)
            case [b"s", slot_hash, value] if len(slot_hash) == 32 and 0 < len(value) <= 32:
                self._root.add(SlotEntry(slot_hash, value))
                self._put(schema.slot_key(self._owner, slot_hash), value)
            case _:
                raise InvalidSnapshot(f"chunk {self._next}: an entry of unknown form")

    def _add_account(self, address_hash: bytes, raw: bytes) -> None:
        record = decode_record(raw)
        if record.account.code_hash not in self._codes:
            raise InvalidSnapshot(
                f"the code 0x{record.account.code_hash.hex()} of an account is missing"
            )
        self._owner = address_hash
        self._root.add(AccountEntry(address_hash, record))
        self._put(schema.account_key(address_hash), encode_record(record))

    def _check_links(self) -> None:
        child = self._trusted
        for header in reversed(self._headers):
            if header.hash != child.parent_hash or header.height != child.height - 1:
                raise InvalidSnapshot(
                    f"the header at height {header.height} is not the parent of the next",
                    rule="STORE-SNAPSHOT",
                )
            child = header

    def _keep_node(self, owner: bytes, path: str, node_hash: Hash32, raw: bytes) -> None:
        if self._mode is StateMode.ARCHIVE:
            self._put(schema.node_hash_key(node_hash), raw)
        else:
            self._put(schema.node_path_key(owner, path), raw)

    def _put(self, key: bytes, value: bytes) -> None:
        self._batch[key] = value
        self._batch_size += len(key) + len(value)

    def _flush(self) -> None:
        self._store.write(self._batch, sync=True)
        self._batch, self._batch_size = {}, 0


def restore_snapshot(
    store: KeyValueStore,
    path: Path,
    *,
    trusted: Header,
    genesis_hash: BlockHash,
    mode: StateMode,
    progress: Progress | None = None,
) -> Manifest:
    """Restore the snapshot in ``path`` into an empty database.

    Raises:
        InvalidSnapshot: It is damaged, incomplete, or not of the trusted block.
        DatabaseMismatch: The database is not empty.

    Spec: STORE-SNAPSHOT.
    """
    with SnapshotFile(path) as file:
        restore = SnapshotRestore(
            store, file.manifest, trusted=trusted, genesis_hash=genesis_hash, mode=mode
        )
        for index in range(len(file.manifest.chunks)):
            restore.add_chunk(file.read_chunk(index))
            if progress is not None:
                progress(index + 1, len(file.manifest.chunks))
        restore.finish()
        return file.manifest


def _check_claims(manifest: Manifest, trusted: Header, genesis_hash: BlockHash) -> None:
    if manifest.genesis_hash != genesis_hash:
        raise InvalidSnapshot(
            f"the snapshot is of the chain with genesis 0x{manifest.genesis_hash.hex()}, not "
            f"0x{genesis_hash.hex()}"
        )
    if manifest.height != trusted.height:
        raise InvalidSnapshot(
            f"the snapshot is of height {manifest.height}, the trusted header of {trusted.height}"
        )
    if manifest.header.hash != trusted.hash:
        raise InvalidSnapshot(
            f"the snapshot is of block 0x{manifest.header.hash.hex()} at height {manifest.height}, "
            f"the trusted header is 0x{trusted.hash.hex()}"
        )


def _empty(store: KeyValueStore) -> None:
    """Remove what an interrupted restore left; refuse a database that holds anything else."""
    is_interrupted = store.get(meta_key(Meta.TASK)) == RESTORE_TASK
    everything = store.iterate(start=b"\x00", stop=b"\xff")
    if not is_interrupted:
        if next(everything, None) is not None:
            raise DatabaseMismatch("the database is not empty; name an empty directory")
        store.write({meta_key(Meta.TASK): RESTORE_TASK}, sync=True)
        return
    batch: dict[bytes, bytes | None] = {}
    for key, _ in everything:
        if key != meta_key(Meta.TASK):
            batch[key] = None
        if len(batch) == 10_000:
            store.write(batch, sync=True)
            batch = {}
    store.write(batch, sync=True)


def _genesis_hash_of(chain: ChainStore) -> BlockHash:
    raw = chain.store.get(meta_key(Meta.GENESIS))
    if raw is None:
        raise NotStored("the database has no genesis record")
    return BlockHash(Hash32(raw))
