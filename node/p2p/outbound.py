"""What waits to be sent to one peer: a bounded queue per lane, votes before everything else.

Spec: WIRE-QUEUE.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from node.p2p.limits import Lane
from node.p2p.wire import FRAME_SIZE_MAX, MEBIBYTE

ORDER: Final = (
    Lane.CONTROL,
    Lane.CONSENSUS,
    Lane.EVIDENCE,
    Lane.REQUESTS,
    Lane.RESPONSES,
    Lane.TRANSACTIONS,
)
"""Lanes, the most urgent first. Control frames are tiny and measure the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneBounds:
    """How much of one lane may wait, and what is dropped beyond."""

    count_max: int
    """Most frames."""
    size_max: int
    """Most bytes."""
    keeps_newest: bool
    """Drop the oldest frame for a new one; else refuse the new one."""


BOUNDS: Final[dict[Lane, LaneBounds]] = {
    Lane.CONTROL: LaneBounds(count_max=32, size_max=64 * 1_024, keeps_newest=True),
    Lane.CONSENSUS: LaneBounds(count_max=1_000, size_max=2 * FRAME_SIZE_MAX, keeps_newest=True),
    Lane.EVIDENCE: LaneBounds(count_max=32, size_max=2 * FRAME_SIZE_MAX, keeps_newest=False),
    Lane.REQUESTS: LaneBounds(count_max=16, size_max=4_096, keeps_newest=False),
    Lane.RESPONSES: LaneBounds(count_max=4, size_max=2 * FRAME_SIZE_MAX, keeps_newest=False),
    Lane.TRANSACTIONS: LaneBounds(count_max=64, size_max=8 * MEBIBYTE, keeps_newest=False),
}
"""Bounds for one peer."""


class Outbound:
    """Frames waiting for one peer."""

    def __init__(self) -> None:
        """Start empty."""
        self._lanes: dict[Lane, deque[bytes]] = {lane: deque() for lane in ORDER}
        self._sizes: dict[Lane, int] = dict.fromkeys(ORDER, 0)
        self._available = asyncio.Event()
        self._room = asyncio.Event()
        self.dropped_count = 0

    def put(self, lane: Lane, data: bytes) -> bool:
        """Queue a frame; return False when a frame had to be dropped for want of room.

        Spec: WIRE-QUEUE.
        """
        waiting, bounds = self._lanes[lane], BOUNDS[lane]
        is_complete = True
        while waiting and not self._has_room(lane, len(data)):
            is_complete = False
            self.dropped_count += 1
            if not bounds.keeps_newest:
                return False
            self._sizes[lane] -= len(waiting.popleft())
        waiting.append(data)
        self._sizes[lane] += len(data)
        self._available.set()
        return is_complete

    async def put_when_room(self, lane: Lane, data: bytes) -> None:
        """Queue a frame, waiting for room: for answers, whose askers wait too."""
        while self._lanes[lane] and not self._has_room(lane, len(data)):
            self._room.clear()
            await self._room.wait()
        self.put(lane, data)

    async def get(self) -> bytes:
        """Wait for the most urgent frame."""
        while True:
            for lane in ORDER:
                if self._lanes[lane]:
                    data = self._lanes[lane].popleft()
                    self._sizes[lane] -= len(data)
                    self._room.set()
                    return data
            self._available.clear()
            await self._available.wait()

    def _has_room(self, lane: Lane, size: int) -> bool:
        bounds = BOUNDS[lane]
        fits = self._sizes[lane] + size <= bounds.size_max
        return fits and len(self._lanes[lane]) < bounds.count_max
