"""Whose turn it is, and who has most: the order of senders inside sources.

A sender belongs to the source that brought the first of the transactions it has waiting. Every
step is constant time, so that a flood of senders costs no more than a flood of one.

Spec: POOL-FAIR, POOL-EVICT.
"""

from collections.abc import Iterator

from node.primitives.types import Address


class Rotation:
    """Turn order of sources and their senders, and the senders by how much they have waiting."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._lanes: dict[str, dict[Address, None]] = {}
        self._source_of: dict[Address, str] = {}
        self._count_of: dict[Address, int] = {}
        self._by_count: dict[int, dict[Address, None]] = {}
        self._count_max = 0

    def lanes(self) -> Iterator[tuple[str, tuple[Address, ...]]]:
        """Yield each source and its senders, both in turn order."""
        for source, senders in self._lanes.items():
            yield source, tuple(senders)

    def largest(self) -> tuple[int, Address | None]:
        """Return who has most, and how many; the longest-standing of equals.

        Spec: POOL-EVICT.
        """
        if not self._count_max:
            return 0, None
        return self._count_max, next(iter(self._by_count[self._count_max]))

    def grew(self, sender: Address, source: str) -> None:
        """Count one more of ``sender``, who comes last in turn when new."""
        count = self._count_of.get(sender, 0)
        if not count:
            self._source_of[sender] = source
            self._lanes.setdefault(source, {})[sender] = None
        self._recount(sender, count, count + 1)

    def shrank(self, sender: Address) -> None:
        """Count one less of ``sender``, who leaves with the last."""
        count = self._count_of[sender]
        self._recount(sender, count, count - 1)
        if count == 1:
            source = self._source_of.pop(sender)
            del self._lanes[source][sender]
            if not self._lanes[source]:
                del self._lanes[source]

    def served(self, sender: Address) -> None:
        """Move ``sender`` to the back of its source, and its source behind the others.

        Spec: POOL-FAIR.
        """
        source = self._source_of.get(sender)
        if source is None:
            return
        lane = self._lanes.pop(source)
        del lane[sender]
        lane[sender] = None
        self._lanes[source] = lane

    def _recount(self, sender: Address, old: int, new: int) -> None:
        if old:
            bucket = self._by_count[old]
            del bucket[sender]
            if not bucket:
                del self._by_count[old]
        if new:
            self._count_of[sender] = new
            self._by_count.setdefault(new, {})[sender] = None
        else:
            del self._count_of[sender]
        self._count_max = max(self._count_max, new)
        while self._count_max and self._count_max not in self._by_count:
            self._count_max -= 1
