"""A clock that moves only when a test moves it."""

import asyncio
from datetime import UTC, datetime, timedelta


class FakeClock:
    """A ``Clock`` that stands still; sleepers wake when time is moved past them."""

    def __init__(self, now: datetime = datetime(2026, 4, 1, 0, 0, tzinfo=UTC)) -> None:
        """Start at ``now``, by default the morning of a fiscal year in Japan."""
        self._now = now
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return the present of the test."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has moved the clock by ``seconds``."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + timedelta(seconds=seconds), waiter))
        await waiter

    def move(self, seconds: float) -> None:
        """Move time, forwards or backwards, and wake whoever is due."""
        self._now += timedelta(seconds=seconds)
        due = [waiter for at, waiter in self._sleepers if at <= self._now]
        self._sleepers = [(at, waiter) for at, waiter in self._sleepers if at > self._now]
        for waiter in due:
            if not waiter.done():
                waiter.set_result(None)
