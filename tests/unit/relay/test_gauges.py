"""RELAY-QUOTA: what waits, is under way or failed is shown to Prometheus, with the oldest's age."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.kit.database import DatabaseUnavailable
from services.kit.intents import IntentState
from services.kit.metrics import Metrics
from services.relay import store
from services.relay.gauges import Gauges
from services.relay.operations import Operation
from services.relay.schema import MIGRATIONS
from tests.support.clock import FakeClock
from tests.support.databases import open_current

STATES = [
    IntentState.INTENDED,
    IntentState.INTENDED,
    IntentState.BATCHED,
    IntentState.SENT,
    IntentState.MINED,
    IntentState.FINAL,
    IntentState.FAILED,
    IntentState.REPLACED,
]


def figures(metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.render().decode())
    prefix = "daicho_service_relay_"
    return {
        sample.name.removeprefix(prefix): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith(prefix)
    }


async def test_the_figures_are_those_of_the_database_and_outlive_it(tmp_path: Path) -> None:
    clock, metrics = FakeClock(), Metrics("relay")
    database = await open_current(f"sqlite+aiosqlite:///{tmp_path / 'relay.db'}", [MIGRATIONS])
    gauges = Gauges(database, "sakai", clock)
    gauges.show(metrics)
    nothing = {"pending": 0, "sent": 0, "failed": 0, "oldest_pending_age_seconds": 0}
    await gauges.read()
    assert figures(metrics) == nothing

    now_ms = int(clock.now().timestamp() * 1_000)
    async with database.write() as tx:
        for at, state in enumerate(STATES):
            operation = Operation(
                tenant="sakai",
                service="library",
                operation_id=f"loan-{at}",
                to=b"\x11" * 20,  # type: ignore[arg-type]
                data=b"",
                gas_limit=30_000,
            )
            # The oldest of all has come to its end and does not count.
            age_ms = 90_000 if state is IntentState.FINAL else 10_000 + at
            await store.add_operation(tx, operation, received_ms=now_ms - age_ms)
            await store.change_operation(tx, tenant="sakai", word=operation.word, state=state.value)
    await gauges.read()
    clock.move(5)
    assert figures(metrics) == {
        "pending": 2,
        "sent": 3,
        "failed": 1,
        "oldest_pending_age_seconds": 15.004,
    }

    async with database.write() as tx:
        await tx.exec_driver_sql("drop table relay_operations")
    with pytest.raises(DatabaseUnavailable):
        await gauges.read()
    clock.move(60)
    assert figures(metrics)["oldest_pending_age_seconds"] == 75.004
    clock.move(-3_600)
    assert figures(metrics)["oldest_pending_age_seconds"] == 0
    await database.close()
