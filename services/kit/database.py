"""One database per service: SQLite on a file by default, PostgreSQL by URL, the same tests on both.

Every write is one transaction that takes the write lock at its first statement: on SQLite by
``BEGIN IMMEDIATE`` behind one writer, because a deferred transaction that reads and then writes
fails under load whatever its timeout; on PostgreSQL at the serialisable level, tried again when it
loses a race. Reads run beside writes. Callers get a SQLAlchemy connection and use Core; no session,
no objects.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from node.primitives.errors import Misconfigured, Unavailable
from services.kit.dumps import read_dump, write_dump

T = TypeVar("T")

BUSY_TIMEOUT_MS: Final = 10_000
"""How long a SQLite statement waits for another process's lock."""

READERS_MAX: Final = 8
"""Connections that read at once."""

ATTEMPTS_MAX: Final = 8
"""Times a PostgreSQL transaction is tried that lost a race."""

SERIALIZATION_FAILURES: Final = frozenset({"40001", "40P01"})
"""SQLSTATEs of a transaction that may be tried again unchanged."""


_NOT_WRITTEN: Final = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}
)
"""What SQLite says when the system does not let it write."""


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, is full, or is damaged."""

    code = "database.unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Integrity:
    """What an integrity check found."""

    is_sound: bool
    """Nothing wrong was found."""
    findings: tuple[str, ...]
    """What is wrong, in the database's words."""


class Database:
    """A service's database. Open with ``open_database``, close when done."""

    def __init__(self, *, writer: AsyncEngine, reader: AsyncEngine, path: Path | None) -> None:
        """Hold the engines; ``path`` is SQLite's file, None for PostgreSQL."""
        self._writer = writer
        self._reader = reader
        self._path = path
        self._write_lock = asyncio.Lock()

    @property
    def is_sqlite(self) -> bool:
        """Tell whether this is SQLite."""
        return self._path is not None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a read transaction: one consistent view, never blocking a writer.

        Raises:
            DatabaseUnavailable: The database does not answer.
        """
        async with _translated(), AsyncExitStack() as stack:
            yield await _enter(stack, self._reader.connect())

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Open a write transaction; it commits on leaving, and rolls back on any error.

        On PostgreSQL a lost race surfaces as ``DatabaseUnavailable``; ``transact`` tries again.

        Raises:
            DatabaseUnavailable: The database does not answer, is full, or refused the commit.
        """
        if not self.is_sqlite:
            async with _translated(), AsyncExitStack() as stack:
                yield await _enter(stack, self._writer.begin())
            return
        async with self._write_lock, _translated(), AsyncExitStack() as stack:
            yield await _enter(stack, self._writer.begin())

    async def transact(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run ``work`` in a write transaction, again if it lost a race with another.

        Raises:
            DatabaseUnavailable: It lost every attempt, or the database does not answer.
        """
        for attempt in range(ATTEMPTS_MAX):
            try:
                async with self.write() as connection:
                    return await work(connection)
            except DatabaseUnavailable as error:
                if not _is_lost_race(error.__cause__) or attempt == ATTEMPTS_MAX - 1:
                    raise
                await asyncio.sleep(0.005 * 2**attempt)
        raise AssertionError("unreachable")

    async def check_integrity(self) -> Integrity:
        """Ask the database whether its file is sound (SQLite); PostgreSQL watches itself."""
        if not self.is_sqlite:
            async with self.read() as connection:
                await connection.execute(text("select 1"))
            return Integrity(is_sound=True, findings=())
        async with self.read() as connection:
            rows = (await connection.execute(text("pragma integrity_check"))).scalars().all()
        findings = tuple(str(row) for row in rows if row != "ok")
        return Integrity(is_sound=not findings, findings=findings)

    async def back_up(self, target: Path) -> None:
        """Write a consistent copy while the database is in use: a SQLite file, or a dump.

        Raises:
            Misconfigured: ``target`` exists, or PostgreSQL's programs are not installed.
            DatabaseUnavailable: The copy could not be written.
            DumpFailed: PostgreSQL could not be dumped.
        """
        _check_absent(target)
        if self._path is None:
            await write_dump(self._writer.url, target)
        else:
            await asyncio.to_thread(_copy_sqlite, self._path, target)

    async def take_dump(self, path: Path) -> None:
        """Fill a PostgreSQL database, which must be empty, from a dump.

        Raises:
            Misconfigured: It holds tables, or PostgreSQL's programs are not installed.
            DumpFailed: The dump cannot be read, or the database does not take it.
        """
        holds = text(
            "select count(*) from information_schema.tables "
            "where table_schema not in ('pg_catalog', 'information_schema')"
        )
        async with self.read() as connection:
            if (await connection.execute(holds)).scalar_one():
                raise Misconfigured(
                    "kit.database.url: the database holds tables; stop the service, rename the "
                    "database and create an empty one in its place"
                )
        await read_dump(self._writer.url, path)

    async def scrub(self) -> None:
        """Remove from the files what deleted and overwritten rows left behind.

        SQLite overwrites what it frees, but a page it rearranges may keep old bytes, and the log
        holds earlier pages: the file is rebuilt and the log cut to nothing. PostgreSQL's tables are
        rewritten; its log keeps old pages until it is recycled. Run it at a quiet hour.

        Raises:
            DatabaseUnavailable: Readers were in the way, or there is no room; try again.
        """
        if self._path is not None:
            async with self._write_lock:
                await asyncio.to_thread(_scrub_sqlite, self._path)
            return
        async with _translated(), AsyncExitStack() as stack:
            connection = await _enter(stack, self._writer.connect())
            outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await outside.execute(text("vacuum (full, analyze)"))

    async def close(self) -> None:
        """Close every connection."""
        await self._writer.dispose()
        await self._reader.dispose()


async def open_database(url: str) -> Database:
    """Open the database that ``url`` names.

    Args:
        url: ``sqlite+aiosqlite:///absolute/path`` or ``postgresql+asyncpg://user@host/name``.

    Raises:
        Misconfigured: The URL is of another kind.
        DatabaseUnavailable: The database does not answer.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise Misconfigured("database.url: not a URL; see docs/services.md") from error
    if parsed.drivername == "sqlite+aiosqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise Misconfigured("database.url: give a file, as sqlite+aiosqlite:////srv/hub.db")
        database = _open_sqlite(url, Path(parsed.database))
    elif parsed.drivername == "postgresql+asyncpg":
        database = _open_postgresql(url)
    else:
        raise Misconfigured(
            f"database.url: {parsed.drivername} is not supported; use sqlite+aiosqlite or "
            "postgresql+asyncpg"
        )
    async with database.read() as connection:
        await connection.execute(text("select 1"))
    return database


def _open_sqlite(url: str, path: Path) -> Database:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = create_async_engine(url, pool_size=1, max_overflow=0)
    reader = create_async_engine(url, pool_size=READERS_MAX, max_overflow=0)
    for engine in (writer, reader):
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(writer.sync_engine, "begin", _begin_immediate)
    event.listen(reader.sync_engine, "begin", _begin_deferred)
    return Database(writer=writer, reader=reader, path=path)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Set what every connection needs; transactions are begun by us, not by the driver."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
    ):
        cursor.execute(f"pragma {pragma}")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN DEFERRED")
    connection.exec_driver_sql("pragma query_only = ON")


def _open_postgresql(url: str) -> Database:
    writer = create_async_engine(url, pool_size=READERS_MAX, isolation_level="SERIALIZABLE")
    reader = create_async_engine(
        url,
        pool_size=READERS_MAX,
        isolation_level="REPEATABLE READ",
        connect_args={"server_settings": {"default_transaction_read_only": "on"}},
    )
    return Database(writer=writer, reader=reader, path=None)


def _scrub_sqlite(path: Path) -> None:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None)
    try:
        connection.execute("pragma secure_delete = ON")
        connection.execute("vacuum")
        (is_busy, *_) = connection.execute("pragma wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise DatabaseUnavailable(f"scrubbing {path} failed: {error}; run it again") from error
    finally:
        connection.close()
    if is_busy:
        raise DatabaseUnavailable(f"scrubbing {path}: a reader was in the way; run it again")


def _check_absent(target: Path) -> None:
    if target.exists():
        raise Misconfigured(f"{target} exists already; name another file")


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy page by page with SQLite's own backup, then make the copy a single file."""
    partial = target.with_name(target.name + ".partial")
    try:
        with (
            sqlite3.connect(f"file:{source}?mode=ro", uri=True) as live,
            sqlite3.connect(partial) as copy,
        ):
            live.backup(copy)
            copy.execute("pragma journal_mode = DELETE")
        live.close()
        copy.close()
        shutil.move(partial, target)
    except (sqlite3.Error, OSError) as error:
        partial.unlink(missing_ok=True)
        raise DatabaseUnavailable(f"backup to {target} failed: {error}") from error


async def _enter(
    stack: AsyncExitStack, opening: AbstractAsyncContextManager[AsyncConnection]
) -> AsyncConnection:
    """Connect; only here is an error of the operating system the database's.

    A damaged SQLite file may put bytes into its message that are no text.
    """
    try:
        return await stack.enter_async_context(opening)
    except (TimeoutError, OSError, UnicodeDecodeError) as error:
        raise DatabaseUnavailable(f"database: {_first_line(error)}") from error


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """Turn the driver's trouble with the world into ours; wrong statements stay what they are."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise DatabaseUnavailable(f"database: {_first_line(error)}") from error
    except DBAPIError as error:
        if error.connection_invalidated or _is_lost_race(error) or _is_damaged(error):
            raise DatabaseUnavailable(f"database: {_first_line(error)}") from error
        raise


def _first_line(error: BaseException) -> str:
    """Return the driver's sentence alone: statement and parameters may hold personal data."""
    origin = getattr(error, "orig", None) or error
    remedy = ""
    if (getattr(origin, "sqlite_errorcode", 0) & 0xFF) in _NOT_WRITTEN:
        remedy = "; see that the disk is not full and the file may be written"
    return str(origin).partition("\n")[0][:200] + remedy


def _is_damaged(error: DBAPIError) -> bool:
    """Tell whether SQLite found its file damaged, or no database at all."""
    codes = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return getattr(error.orig, "sqlite_errorcode", None) in codes


def _is_lost_race(error: BaseException | None) -> bool:
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state in SERIALIZATION_FAILURES
