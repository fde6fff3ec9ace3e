"""Bounded queues between peers and the node: one per peer, served in turn.

A peer that floods fills its own queue and loses its own messages; nobody else waits for it.

Spec: WIRE-QUEUE.
"""

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from node.primitives.types import Address

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueBounds:
    """How much of one peer may wait."""

    count_max: int
    """Most items."""
    size_max: int
    """Most bytes together."""


@dataclass(frozen=True, slots=True)
class Inbound(Generic[T]):
    """An item and who sent it."""

    peer: Address
    """The node key of the sender."""
    item: T
    """What it sent."""


class _Share(Generic[T]):
    """What waits of one peer."""

    __slots__ = ("items", "size")

    def __init__(self) -> None:
        self.items: deque[tuple[T, int]] = deque()
        self.size = 0


class FairQueue(Generic[T]):
    """A queue with a bounded share for each peer, taken from round robin.

    When a share is full the newest item is refused: what is first served stays in order.
    """

    def __init__(self, bounds: QueueBounds) -> None:
        """Start empty."""
        self._bounds = bounds
        self._shares: OrderedDict[Address, _Share[T]] = OrderedDict()
        self._available = asyncio.Event()
        self.dropped_count = 0

    def __len__(self) -> int:
        """Return how many items wait."""
        return sum(len(share.items) for share in self._shares.values())

    def put(self, peer: Address, item: T, size: int) -> bool:
        """Queue ``item`` of ``size`` bytes, or drop it and return False when the share is full.

        Spec: WIRE-QUEUE.
        """
        share = self._shares.get(peer)
        if share is None:
            share = self._shares[peer] = _Share()
        is_full = len(share.items) >= self._bounds.count_max
        if is_full or (share.items and share.size + size > self._bounds.size_max):
            self.dropped_count += 1
            return False
        share.items.append((item, size))
        share.size += size
        self._available.set()
        return True

    async def get(self) -> Inbound[T]:
        """Wait for the next item, one peer after the other."""
        while not self._shares:
            self._available.clear()
            await self._available.wait()
        return self._take()

    def get_nowait(self) -> Inbound[T] | None:
        """Return the next item, or None when nothing waits."""
        return self._take() if self._shares else None

    def forget(self, peer: Address) -> None:
        """Drop what waits of one peer."""
        self._shares.pop(peer, None)

    def _take(self) -> Inbound[T]:
        peer, share = self._shares.popitem(last=False)
        item, size = share.items.popleft()
        share.size -= size
        if share.items:
            self._shares[peer] = share
        return Inbound(peer, item)


class RecentSet(Generic[T]):
    """Remembers the last ``count_max`` distinct values."""

    def __init__(self, count_max: int) -> None:
        """Start empty."""
        self._count_max = count_max
        self._values: OrderedDict[T, None] = OrderedDict()

    def __contains__(self, value: T) -> bool:
        """Tell whether ``value`` is still remembered."""
        return value in self._values

    def __len__(self) -> int:
        """Return how many values are remembered."""
        return len(self._values)

    def add(self, value: T) -> bool:
        """Remember ``value`` and tell whether it was new."""
        is_new = value not in self._values
        self._values[value] = None
        self._values.move_to_end(value)
        if len(self._values) > self._count_max:
            self._values.popitem(last=False)
        return is_new
