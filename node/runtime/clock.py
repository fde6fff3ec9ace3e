"""Time: the machine's clock, and how far to trust it.

The core and the pool take `now` as an argument; this is where it comes from. The kernel knows
whether a time daemon keeps its clock right, and peers tell theirs in the handshake, so a wrong
clock is named before it costs a block.
"""

import asyncio
import ctypes
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

OFFSET_WARN_MS: Final = 200
"""Clock offset at which an operator is warned."""

_STATUS_UNSYNCHRONISED: Final = 0x0040
_STATUS_NANOSECONDS: Final = 0x2000


class Clock(Protocol):
    """Wall and monotonic time, and waiting."""

    def now_ms(self) -> int:
        """Return milliseconds since the epoch."""
        ...

    def monotonic_ms(self) -> int:
        """Return milliseconds of a clock that never goes back."""
        ...

    async def sleep_ms(self, duration_ms: int) -> None:
        """Wait ``duration_ms``."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """Return milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Return milliseconds of a clock that never goes back."""
        return time.monotonic_ns() // 1_000_000

    async def sleep_ms(self, duration_ms: int) -> None:
        """Wait ``duration_ms``."""
        await asyncio.sleep(duration_ms / 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelClock:
    """What the kernel says about its clock."""

    is_synchronised: bool
    """A time daemon disciplines the clock."""
    offset_ms: float
    """Remaining correction."""
    error_max_ms: float
    """Upper bound of the error, as the time daemon estimates it."""


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time_sec", ctypes.c_long),
        ("time_usec", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("rest", ctypes.c_long * 32),
    )


def load_kernel_clock() -> KernelClock | None:
    """Ask the kernel about its clock without changing it; None where it cannot be asked."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    answer = _Timex()
    if adjtimex(ctypes.byref(answer)) < 0:
        return None
    per_ms = 1_000_000 if answer.status & _STATUS_NANOSECONDS else 1_000
    return KernelClock(
        is_synchronised=not answer.status & _STATUS_UNSYNCHRONISED,
        offset_ms=answer.offset / per_ms,
        error_max_ms=answer.maxerror / 1_000,
    )


def compute_offset_ms(peer_offsets_ms: Iterable[int]) -> int | None:
    """Return how far the median peer's clock is from ours, or None without peers."""
    offsets = sorted(peer_offsets_ms)
    return int(statistics.median(offsets)) if offsets else None
