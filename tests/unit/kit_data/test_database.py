"""Databases: every write locks first, reads never write, trouble of the world has one name."""

import ast
import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.errors import Misconfigured
from services.kit.database import Database, DatabaseUnavailable, open_database
from tests.support.databases import open_fresh
from tests.support.postgres import make_cluster

SERVICES = Path(__file__).resolve().parents[3] / "services"
DOORS = (
    SERVICES / "kit" / "database.py",
    # A process of its own, whose file the service must not be able to open through the kit.
    SERVICES / "election" / "commission" / "attestor_store.py",
)
OWN_DOOR = re.compile(
    r"create_(async_)?engine|sqlite3\.connect|asyncpg\.connect|aiosqlite\.connect"
)


async def make_counter(database: Database) -> None:
    async with database.write() as tx:
        await tx.execute(text("create table counter (value integer not null)"))
        await tx.execute(text("insert into counter values (0)"))


async def count(database: Database) -> int:
    async with database.read() as tx:
        return int((await tx.execute(text("select value from counter"))).scalar_one())


def test_services_have_no_other_door_to_a_database() -> None:
    others = [
        f"{path.relative_to(SERVICES)}: {ast.unparse(node.func)}"
        for path in sorted(SERVICES.rglob("*.py"))
        if path not in DOORS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and OWN_DOOR.search(ast.unparse(node.func))
    ]

    assert others == []


async def test_the_writer_holds_the_lock_before_its_first_statement(tmp_path: Path) -> None:
    async with open_fresh("sqlite", tmp_path) as database, database.write():
        other = sqlite3.connect(tmp_path / "service.db", timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("begin immediate")
        other.close()


async def test_sqlite_writes_through_and_overwrites_what_it_frees(tmp_path: Path) -> None:
    async with open_fresh("sqlite", tmp_path) as database:
        for opened in (database.read, database.write):
            async with opened() as tx:
                found = {
                    name: (await tx.execute(text(f"pragma {name}"))).scalar()
                    for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
                }
            assert found == {
                "journal_mode": "wal",
                "synchronous": 2,
                "secure_delete": 1,
                "foreign_keys": 1,
            }


async def test_a_reader_cannot_write(database: Database) -> None:
    await make_counter(database)

    async def write_while_reading() -> None:
        async with database.read() as tx:
            await tx.execute(text("update counter set value = 1"))

    with pytest.raises((SQLAlchemyError, DatabaseUnavailable)):
        await write_while_reading()
    assert await count(database) == 0


async def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    await make_counter(database)

    async def fail() -> None:
        async with database.write() as tx:
            await tx.execute(text("update counter set value = 1"))
            raise OSError("trouble of the caller's own")

    with pytest.raises(OSError, match="of the caller's own"):
        await fail()
    assert await count(database) == 0


async def test_eight_writers_that_read_first_lose_no_update(database: Database) -> None:
    await make_counter(database)

    async def add_one(tx: AsyncConnection) -> None:
        value = (await tx.execute(text("select value from counter"))).scalar_one()
        await asyncio.sleep(0)
        await tx.execute(text("update counter set value = :v"), {"v": value + 1})

    async def work() -> None:
        for _ in range(4):
            await transact_patiently(database, add_one)

    await asyncio.gather(*(work() for _ in range(8)))

    assert await count(database) == 32


async def transact_patiently(
    database: Database, work: Callable[[AsyncConnection], Awaitable[None]]
) -> None:
    """Try as a client would: a race lost eight times is answered 503, and asked again."""
    for _ in range(50):
        try:
            return await database.transact(work)
        except DatabaseUnavailable:
            await asyncio.sleep(0.01)
    raise AssertionError("no progress")


async def test_a_reader_sees_one_state_while_others_write(database: Database) -> None:
    await make_counter(database)
    async with database.read() as reading:
        before = (await reading.execute(text("select value from counter"))).scalar()
        async with database.write() as tx:
            await tx.execute(text("update counter set value = 7"))
        after = (await reading.execute(text("select value from counter"))).scalar()

    assert (before, after, await count(database)) == (0, 0, 7)


async def test_a_backup_taken_in_use_is_whole_and_is_never_overwritten(tmp_path: Path) -> None:
    async with open_fresh("sqlite", tmp_path) as database:
        await make_counter(database)
        await database.back_up(tmp_path / "copy.db")
        with pytest.raises(Misconfigured):
            await database.back_up(tmp_path / "copy.db")
    copy = await open_database(f"sqlite+aiosqlite:///{tmp_path / 'copy.db'}")
    assert await count(copy) == 0
    assert (await copy.check_integrity()).is_sound
    await copy.close()


async def test_a_damaged_file_is_found_and_is_not_our_bug(tmp_path: Path) -> None:
    async with open_fresh("sqlite", tmp_path) as database:
        await make_counter(database)
        await database.scrub()
    path = tmp_path / "service.db"
    damaged = bytearray(path.read_bytes())
    for at in range(4096, len(damaged), 997):
        damaged[at] ^= 0xFF
    path.write_bytes(damaged)

    async def look() -> None:
        database = await open_database(f"sqlite+aiosqlite:///{path}")
        try:
            found = await database.check_integrity()
        finally:
            await database.close()
        assert not found.is_sound
        raise DatabaseUnavailable("; ".join(found.findings))

    with pytest.raises(DatabaseUnavailable):
        await look()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite+aiosqlite:///:memory:",
        "sqlite+aiosqlite://",
        "sqlite:////tmp/x.db",
        "mysql://x/y",
        "nothing",
    ],
)
async def test_any_other_url_is_the_operators_to_repair(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"database\.url"):
        await open_database(url)


async def end_connection(
    opened: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
) -> None:
    """Meet connections that broke while they were unused, then break one in use."""
    while True:
        async with opened() as tx:
            await tx.execute(text("select pg_terminate_backend(pg_backend_pid())"))


async def test_postgresql_restarted_is_the_world_being_down_and_then_up(tmp_path: Path) -> None:
    cluster = make_cluster()
    try:
        database = await open_database(cluster.make_database())
        await make_counter(database)
        cluster.stop()
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable):
                await count(database)
        cluster.start()
        for opened in (database.read, database.write):
            with pytest.raises(DatabaseUnavailable):
                await end_connection(opened)
        assert await count(database) == 0
        await database.close()
    finally:
        cluster.close()
