"""The disk of a simulated node: what survives a crash, and what does not.

A ``KeyValueStore`` that keeps two images: what the process sees, and what is on the platter. A
synced write carries everything before it to the platter. A crash keeps, of the writes not yet
synced, none or a prefix (the operating system may have written some); a batch is kept whole or not
at all, since a torn record at the tail of the log fails its checksum and is dropped on open.
"""

from collections.abc import Iterator, Mapping

from node.primitives.errors import Unavailable
from node.simulation.dice import Dice
from node.storage.kv import MemoryStore

Batch = Mapping[bytes, bytes | None]
Image = tuple[tuple[bytes, bytes], ...]

_LAST_KEY = b"\xff" * 64


class SimulatedDisk:
    """A ``KeyValueStore`` whose unsynced tail is lost when the node crashes."""

    def __init__(self, dice: Dice) -> None:
        """Start empty."""
        self._dice = dice
        self._platter = MemoryStore()
        self._seen = MemoryStore()
        self._unsynced: list[Batch] = []
        self._is_full = False

    def get(self, key: bytes) -> bytes | None:
        """Return the value at ``key`` as the process sees it, or None."""
        return self._seen.get(key)

    def write(self, batch: Batch, *, sync: bool) -> None:
        """Apply ``batch``; with ``sync`` it and everything before it is on the platter.

        Raises:
            Unavailable: The disk is full; nothing of the batch is visible.
        """
        if self._is_full:
            raise Unavailable("disk: no space left; free some and start the node again")
        kept = dict(batch)
        self._seen.write(kept, sync=sync)
        self._unsynced.append(kept)
        if sync:
            self._flush(len(self._unsynced))

    def iterate(
        self, *, start: bytes, stop: bytes, is_reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield entries with ``start`` <= key < ``stop`` in order, as of the call."""
        return self._seen.iterate(start=start, stop=stop, is_reverse=is_reverse)

    def close(self) -> None:
        """Nothing to release."""

    def fill_up(self) -> None:
        """Refuse all writes until the next crash."""
        self._is_full = True

    def crash(self, torn_tail_permille: int) -> None:
        """Lose what was not synced, or keep a prefix of it, and show what is left."""
        if self._unsynced and self._dice.has_luck(torn_tail_permille):
            self._flush(self._dice.below(len(self._unsynced) + 1))
        self._unsynced.clear()
        self._is_full = False
        self._seen = MemoryStore()
        self._seen.write(dict(self.read_image()), sync=True)

    def read_image(self) -> Image:
        """Return everything on the platter, as a backup taken now would hold it."""
        return tuple(self._platter.iterate(start=b"", stop=_LAST_KEY))

    def restore(self, image: Image) -> None:
        """Replace everything by a backup."""
        self._platter, self._seen = MemoryStore(), MemoryStore()
        self._platter.write(dict(image), sync=True)
        self._seen.write(dict(image), sync=True)
        self._unsynced.clear()

    def _flush(self, count: int) -> None:
        for batch in self._unsynced[:count]:
            self._platter.write(batch, sync=True)
        del self._unsynced[:count]
