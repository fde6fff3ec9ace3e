"""A fresh database of each kind for a test, empty or with the kit's tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.kit.database import Database, open_database
from services.kit.schema import upgrade
from tests.support.postgres import shared_cluster

KINDS = [pytest.param("sqlite", id="SQLite"), pytest.param("postgresql", id="PostgreSQL")]


def make_url(kind: str, directory: Path) -> str:
    """Return the URL of a database that does not exist yet (SQLite) or is empty."""
    if kind == "sqlite":
        return f"sqlite+aiosqlite:///{directory / 'service.db'}"
    return shared_cluster().make_database()


@asynccontextmanager
async def open_fresh(
    kind: str, directory: Path, *, is_empty: bool = False
) -> AsyncIterator[Database]:
    """Open a new database, with the kit's tables unless it is to be empty."""
    database = await open_database(make_url(kind, directory))
    try:
        if not is_empty:
            await upgrade(database)
        yield database
    finally:
        await database.close()
