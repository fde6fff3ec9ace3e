"""What wakes the service's workers: the board took something new of the ledger.

Workers look at the state and do what is due, then wait. Between two looks lies a pause, which time
itself needs (windows, mixers' turns), but news of the ledger ends it at once.
"""

import asyncio

from services.kit.clock import Clock


class Pulse:
    """Beats when there is news."""

    def __init__(self) -> None:
        """Begin without news."""
        self._next = asyncio.Event()

    def beat(self) -> None:
        """Wake everyone who listens."""
        self._next.set()
        self._next = asyncio.Event()

    def listen(self) -> "Listener":
        """Return what one worker waits with."""
        return Listener(self)

    @property
    def next(self) -> asyncio.Event:
        """Return what the next beat sets."""
        return self._next


class Listener:
    """One worker's way of waiting; news that came while it worked is not missed."""

    def __init__(self, pulse: Pulse) -> None:
        """Listen from now on."""
        self._pulse = pulse
        self._heard = pulse.next

    async def wait(self, clock: Clock, pause_s: float) -> None:
        """Return when there is news, at the latest after a pause of ``pause_s``."""
        waits = {
            asyncio.ensure_future(self._heard.wait()),
            asyncio.ensure_future(clock.sleep(pause_s)),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        self._heard = self._pulse.next
