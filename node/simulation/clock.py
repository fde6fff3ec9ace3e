"""Virtual time: one agenda for the whole network, one clock per node.

The agenda runs whatever is due next; things due at the same instant run in the order they were put
on it. A node's clock is the true time plus an error that can drift from the start (skew) or change
in the middle (jump). Timers measure durations and do not notice a jump, as monotonic clocks do
not; only timestamps do.
"""

import heapq
from typing import Generic, TypeVar

Task = TypeVar("Task")


class Agenda(Generic[Task]):
    """What will happen, in order of virtual time."""

    def __init__(self) -> None:
        """Start empty, at time zero."""
        self.now_ms = 0
        self._queue: list[tuple[int, int, Task]] = []
        self._count = 0

    def __len__(self) -> int:
        """Return how many tasks are waiting."""
        return len(self._queue)

    def add(self, after_ms: int, task: Task) -> None:
        """Put ``task`` on the agenda, ``after_ms`` from now (at once when that is past)."""
        self._count += 1
        heapq.heappush(self._queue, (self.now_ms + max(0, after_ms), self._count, task))

    def take(self) -> Task:
        """Advance to the next task and return it; the caller checks that there is one."""
        self.now_ms, _, task = heapq.heappop(self._queue)
        return task


class LocalClock:
    """The wall clock of one node: true time plus an error."""

    def __init__(self, epoch_s: int, offset_ms: int) -> None:
        """Start ``offset_ms`` away from the true time, which begins at ``epoch_s``."""
        self._epoch_ms = epoch_s * 1000
        self.offset_ms = offset_ms

    def jump(self, by_ms: int) -> None:
        """Set the clock forward, or back when negative."""
        self.offset_ms += by_ms

    def read_ms(self, true_ms: int) -> int:
        """Return what the clock shows, in milliseconds since the epoch, at ``true_ms``."""
        return self._epoch_ms + true_ms + self.offset_ms
