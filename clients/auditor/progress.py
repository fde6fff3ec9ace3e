"""How far an audit is, how fast it goes, and how long it will take.

The clock is an argument; figures are for people and decide nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from clients.auditor.checks import Chart
from clients.auditor.html import BARS_MAX

REPORT_EVERY_S: Final = 0.5
"""Least time between two reports of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a person wants to know while waiting."""

    height: int
    """Height reached."""
    done_bytes: int
    """Bytes of the bundle behind us."""
    total_bytes: int
    """Bytes of the bundle."""
    transactions_per_s: float
    """Rate since this run began."""
    remaining_s: float
    """Time left at this rate."""


Tell: TypeAlias = Callable[[Progress], None]
Clock: TypeAlias = Callable[[], float]
"""Seconds that only go forward."""


class Meter:
    """Measures the rate of one run."""

    def __init__(self, clock: Clock, tell: Tell, total_bytes: int) -> None:
        """Begin now."""
        self._clock = clock
        self._tell = tell
        self._total = total_bytes
        self._began_s = self._told_s = clock()
        self._began_bytes = 0
        self._transactions = 0

    def begin_at(self, done_bytes: int) -> None:
        """Begin in the middle, where an earlier run stopped."""
        self._began_bytes = done_bytes

    def take(self, *, height: int, done_bytes: int, transactions: int) -> None:
        """Note a block, and tell how far we are now and then."""
        self._transactions += transactions
        now_s = self._clock()
        if now_s - self._told_s < REPORT_EVERY_S:
            return
        self._told_s = now_s
        spent_s = now_s - self._began_s
        done = max(1, done_bytes - self._began_bytes)
        self._tell(
            Progress(
                height=height,
                done_bytes=done_bytes,
                total_bytes=self._total,
                transactions_per_s=self._transactions / spent_s,
                remaining_s=spent_s * (self._total - done_bytes) / done,
            )
        )


class Buckets:
    """Sums over a range of heights in a bounded number of buckets, for charts."""

    def __init__(self, first: int, last: int) -> None:
        """Divide [first, last]."""
        self._first = first
        self._width = max(1, -(-(last - first + 1) // BARS_MAX))
        self.sums: dict[str, dict[int, int]] = {}

    def add(self, name: str, height: int, value: int) -> None:
        """Add to the bucket of a height; heights beyond the range go to the outermost."""
        at = max(0, min((height - self._first) // self._width, BARS_MAX - 1))
        sums = self.sums.setdefault(name, {})
        sums[at] = sums.get(at, 0) + value

    def chart(self, name: str, unit: str) -> Chart:
        """Return the sums of one name as a chart, empty buckets included."""
        sums = self.sums.get(name, {})
        points = tuple(
            (f"block {self._first + at * self._width}", sums.get(at, 0))
            for at in range(max(sums, default=-1) + 1)
        )
        return Chart(title=name, unit=unit, points=points)
