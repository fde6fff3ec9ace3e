"""The key-value store everything else is built on, and the in-memory one.

A store is an ordered map of bytes with atomic batches. ``MemoryStore`` passes the same contract
tests as LevelDB (``storage.leveldb``) and serves replay, simulation and tests.

Spec: STORE-BATCH.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from sortedcontainers import SortedDict


class KeyValueStore(Protocol):
    """An ordered map of bytes with atomic, optionally durable, batches."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value at ``key``, or None when there is none."""
        ...

    def write(self, batch: Mapping[bytes, bytes | None], *, sync: bool) -> None:
        """Apply ``batch`` atomically; None deletes. With ``sync`` it is on disk on return.

        Raises:
            Unavailable: The disk refused; nothing of the batch is visible.
        """
        ...

    def iterate(
        self, *, start: bytes, stop: bytes, is_reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Return entries with ``start`` <= key < ``stop`` in order, as of the call."""
        ...

    def close(self) -> None:
        """Release the store; later calls fail."""
        ...


class MemoryStore:
    """A ``KeyValueStore`` in memory, for replay, simulation and tests."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries: SortedDict[bytes, bytes] = SortedDict()

    def get(self, key: bytes) -> bytes | None:
        """Return the value at ``key``, or None when there is none."""
        value: bytes | None = self._entries.get(key)
        return value

    def write(self, batch: Mapping[bytes, bytes | None], *, sync: bool) -> None:
        """Apply ``batch``; ``sync`` has nothing to do here."""
        del sync
        for key, value in batch.items():
            if value is None:
                self._entries.pop(key, None)
            else:
                self._entries[key] = value

    def iterate(
        self, *, start: bytes, stop: bytes, is_reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Return entries with ``start`` <= key < ``stop`` in order, as of the call."""
        keys = list(self._entries.irange(start, stop, (True, False), reverse=is_reverse))
        return iter([(key, self._entries[key]) for key in keys])

    def close(self) -> None:
        """Nothing to release."""
