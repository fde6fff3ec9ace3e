"""Writes a second with 8 connections, on both databases: ``python -m tests.bench kit``.

A bare write reads and changes one row. A full one is a service's usual transaction: it also
publishes an event to two subscribers and records an audit entry. Eight tasks make them at once,
writing through to disk. A transaction that lost a race and was tried again counts once.
"""

import asyncio
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.audit import AuditEntry, record
from services.kit.database import Database, open_database
from services.kit.outbox import publish, subscribe
from services.kit.schema import upgrade
from tests.bench.record import record as keep
from tests.support.events import MORNING, make_event, make_subscriber
from tests.support.postgres import Cluster, find_binaries

CONNECTIONS = 8
WRITES = 100
"""Writes of each connection."""

ENTRY = AuditEntry(
    tenant="sakai",
    time=MORNING,
    actor="staff:7",
    role="librarian",
    purpose="circulation",
    action="loan.extended",
    subject="p:abc",
)


async def prepare(database: Database) -> None:
    """Make the tables and the subscribers."""
    await upgrade(database)
    async with database.write() as tx:
        await tx.execute(text("create table loan (id integer primary key, count integer)"))
        for number in range(CONNECTIONS):
            await tx.execute(text("insert into loan values (:id, 0)"), {"id": number})
        for name in ("relay", "notices"):
            await subscribe(tx, make_subscriber(name))


async def measure(database: Database, *, is_bare: bool) -> dict[str, object]:
    """Make the writes and return what they took."""
    latencies: list[float] = []
    attempts = 0

    async def extend(tx: AsyncConnection, connection: int, number: int) -> None:
        nonlocal attempts
        attempts += 1
        query = text("select count from loan where id = :id")
        count = (await tx.execute(query, {"id": connection})).scalar_one()
        change = text("update loan set count = :count where id = :id")
        await tx.execute(change, {"id": connection, "count": count + 1})
        if is_bare:
            return
        subject = f"loan:{connection}"
        await publish(tx, replace(make_event(f"{connection}-{number}"), subject=subject))
        await record(tx, ENTRY)

    async def work(connection: int) -> None:
        for number in range(WRITES):
            started = time.perf_counter()

            async def one(tx: AsyncConnection, number: int = number) -> None:
                await extend(tx, connection, number)

            await database.transact(one)
            latencies.append(time.perf_counter() - started)

    async with database.write() as tx:
        await tx.execute(text("update loan set count = 0"))
    started, started_cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work(connection) for connection in range(CONNECTIONS)))
    seconds = time.perf_counter() - started
    cpu_seconds = time.process_time() - started_cpu
    async with database.read() as tx:
        total = (await tx.execute(text("select sum(count) from loan"))).scalar_one()
    assert total == CONNECTIONS * WRITES
    latencies.sort()
    return {
        "writes_per_s": round(total / seconds),
        "cpu_ms_per_write": round(cpu_seconds / total * 1_000, 2),
        "latency_ms_median": round(latencies[len(latencies) // 2] * 1_000, 1),
        "latency_ms_99th": round(latencies[len(latencies) * 99 // 100] * 1_000, 1),
        "attempts_per_write": round(attempts / total, 3),
    }


async def measure_all(directory: Path, cluster: Cluster | None) -> dict[str, object]:
    """Measure each database that is there."""
    urls = {"sqlite": f"sqlite+aiosqlite:///{directory / 'bench.db'}"}
    if cluster is not None:
        urls["postgresql"] = cluster.make_database()
    figures: dict[str, object] = {"connections": CONNECTIONS}
    for name, url in urls.items():
        database = await open_database(url)
        await prepare(database)
        figures[name] = {
            "bare": await measure(database, is_bare=True),
            "full": await measure(database, is_bare=False),
        }
        await database.close()
    return figures


def main() -> None:
    """Measure both databases and record."""
    binaries = find_binaries()
    cluster = None if binaries is None else Cluster(binaries, is_durable=True)
    try:
        with tempfile.TemporaryDirectory() as directory:
            keep("kit", asyncio.run(measure_all(Path(directory), cluster)))
    finally:
        if cluster is not None:
            cluster.close()


if __name__ == "__main__":
    main()
