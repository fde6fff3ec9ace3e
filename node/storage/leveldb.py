"""LevelDB behind ``KeyValueStore``: the only importer of plyvel.

Every failure is translated here: a lock held by another process, a directory that may not be
written, a full or failing disk, contradicting files. LevelDB drops a torn tail of its log by
itself when it opens; ``repair`` rebuilds a database whose index of files is damaged.

Spec: STORE-BATCH, STORE-OPEN.
"""

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NoReturn

import plyvel

from node.storage.errors import (
    DatabaseCorrupt,
    DatabaseLocked,
    DatabaseReadOnly,
    DiskFailed,
    DiskFull,
)

BLOCK_CACHE_SIZE: Final = 64 * 1024 * 1024
"""Default bound of the uncompressed blocks LevelDB keeps in memory, in bytes."""

WRITE_BUFFER_SIZE: Final = 16 * 1024 * 1024
"""Bytes gathered in memory before a table is written; two such buffers may exist."""

FILES_OPEN_MAX: Final = 200
"""Most table files held open. Each is mapped into memory and has at most 2 MiB, so that mapped
files take at most 400 MiB of what the system counts as resident."""

BLOOM_FILTER_BITS: Final = 10
"""Bits for each key of the filter that answers most look-ups of absent keys without a read."""


class LevelDbStore:
    """A ``KeyValueStore`` in a directory of its own."""

    def __init__(self, path: Path, *, cache_size: int = BLOCK_CACHE_SIZE) -> None:
        """Open the database in ``path``, made when missing.

        Args:
            path: Directory of its own.
            cache_size: Bound of the uncompressed blocks kept in memory, in bytes.

        Raises:
            DatabaseLocked: Another process has it open.
            DatabaseReadOnly: It may not be written.
            DatabaseCorrupt: Its files contradict each other.
            DiskFull: No space is left.
            DiskFailed: The disk refused.
        """
        self._path = path
        self._db = _open(path, cache_size)

    @property
    def path(self) -> Path:
        """Return the directory."""
        return self._path

    def get(self, key: bytes) -> bytes | None:
        """Return the value at ``key``, or None when there is none.

        Raises:
            DatabaseCorrupt: A table file does not match its checksum.
            DiskFailed: The disk refused.
        """
        try:
            value: bytes | None = self._db.get(key)
        except plyvel.Error as error:
            _translate(error, self._path)
        return value

    def write(self, batch: Mapping[bytes, bytes | None], *, sync: bool) -> None:
        """Apply ``batch`` atomically; None deletes. With ``sync`` it is on disk on return.

        Raises:
            DiskFull: No space is left; nothing of the batch is visible.
            DiskFailed: The disk refused; nothing of the batch is visible.
        """
        writes = self._db.write_batch(sync=sync)
        for key, value in batch.items():
            if value is None:
                writes.delete(key)
            else:
                writes.put(key, value)
        try:
            writes.write()
        except plyvel.Error as error:
            _translate(error, self._path)

    def iterate(
        self, *, start: bytes, stop: bytes, is_reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Return entries with ``start`` <= key < ``stop`` in order, as of the call.

        Raises:
            DatabaseCorrupt: A table file does not match its checksum.
            DiskFailed: The disk refused.
        """
        found = self._db.iterator(start=start, stop=stop, reverse=is_reverse, verify_checksums=True)
        return self._translated(found)

    def _translated(self, found: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        try:
            yield from found
        except plyvel.Error as error:
            _translate(error, self._path)

    def compact(self) -> None:
        """Rewrite the table files without what was overwritten or deleted."""
        try:
            self._db.compact_range()
        except plyvel.Error as error:
            _translate(error, self._path)

    def measure_size_bytes(self) -> int:
        """Return the bytes of the files in its directory."""
        return sum(entry.stat().st_size for entry in self._path.iterdir() if entry.is_file())

    def close(self) -> None:
        """Release the directory; later calls fail."""
        self._db.close()


def repair(path: Path) -> None:
    """Rebuild the index of files of a damaged database; what no file holds any more is lost.

    Run ``daicho db check`` afterwards.

    Raises:
        DatabaseCorrupt: It could not be rebuilt.
    """
    try:
        plyvel.repair_db(str(path))
    except plyvel.Error as error:
        _translate(error, path)


def _open(path: Path, cache_size: int) -> plyvel.DB:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _translate(error, path)
    try:
        return plyvel.DB(
            str(path),
            create_if_missing=True,
            lru_cache_size=cache_size,
            write_buffer_size=WRITE_BUFFER_SIZE,
            max_open_files=FILES_OPEN_MAX,
            bloom_filter_bits=BLOOM_FILTER_BITS,
        )
    except plyvel.Error as error:
        _translate(error, path)


def _translate(error: Exception, path: Path) -> NoReturn:
    """Raise what the operator can act on, from what LevelDB or the system says.

    Spec: STORE-OPEN.
    """
    text = error.args[0] if error.args else ""
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(error)
    if "lock" in said and ("already held" in said or os.strerror(errno.EAGAIN) in said):
        raise DatabaseLocked(
            f"database {path} is open in another process; stop that process first"
        ) from error
    if os.strerror(errno.ENOSPC) in said or os.strerror(errno.EDQUOT) in said:
        raise DiskFull(f"database {path}: no space left; free some and restart the node") from error
    refused = (errno.EROFS, errno.EACCES, errno.EPERM)
    if any(os.strerror(number) in said for number in refused):
        raise DatabaseReadOnly(
            f"database {path} may not be written ({said}); give this user the directory"
        ) from error
    if isinstance(error, plyvel.CorruptionError) or "Corruption" in said or "corrupt" in said:
        raise DatabaseCorrupt(
            f"database {path} is damaged ({said}); restore a snapshot, or run "
            "`daicho db repair` and then `daicho db check`"
        ) from error
    raise DiskFailed(f"database {path}: {said}") from error
