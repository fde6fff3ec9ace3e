"""What the relay measures of its operations, for Prometheus at ``/metrics``.

Figures are read from the database now and then, not at every look, and stay as they were while it
does not answer; the age of the oldest operation goes on growing, so that an alarm still rings.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from node.primitives.errors import Unavailable
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.events import to_milliseconds
from services.kit.intents import IntentState
from services.kit.metrics import Metrics
from services.relay import store

PAUSE_S: Final = 15.0
"""Pause between two readings."""


@dataclass(slots=True)
class Gauges:
    """The figures of one relay as last read."""

    database: Database
    """Where operations are."""
    tenant: str
    """The municipality."""
    clock: Clock
    """The present."""
    pending: int = 0
    """Operations without a nonce."""
    sent: int = 0
    """Operations that stand at a nonce and are not settled."""
    failed: int = 0
    """Operations that failed, ever."""
    oldest_ms: int | None = None
    """When the oldest operation without an end arrived; None when there is none."""

    def show(self, metrics: Metrics) -> None:
        """Show the figures at ``/metrics``."""
        metrics.watch(
            "relay_pending", "Operations that wait for a nonce.", lambda: float(self.pending)
        )
        metrics.watch(
            "relay_sent", "Operations signed and not settled yet.", lambda: float(self.sent)
        )
        metrics.watch("relay_failed", "Operations that failed.", lambda: float(self.failed))
        metrics.watch(
            "relay_oldest_pending_age_seconds",
            "Age of the oldest operation that is not settled; 0 without one.",
            lambda: self.oldest_age_s,
        )

    @property
    def oldest_age_s(self) -> float:
        """Return how long the oldest operation without an end has waited, in seconds."""
        if self.oldest_ms is None:
            return 0.0
        return max(0, to_milliseconds(self.clock.now()) - self.oldest_ms) / 1_000

    async def run(self) -> None:
        """Read again and again until cancelled."""
        while True:
            # Readiness tells of the database; the next reading may succeed.
            with suppress(Unavailable):
                await self.read()
            await self.clock.sleep(PAUSE_S)

    async def read(self) -> None:
        """Read the figures once.

        Raises:
            DatabaseUnavailable: The database does not answer; the figures stay.
        """
        async with self.database.read() as tx:
            counts = await store.count_states(tx, tenant=self.tenant)
            oldest_ms = await store.find_oldest_unsettled(tx, tenant=self.tenant)
        self.pending = counts[IntentState.INTENDED]
        self.sent = sum(counts[state] for state in store.UNDER_WAY)
        self.failed = counts[IntentState.FAILED]
        self.oldest_ms = oldest_ms
