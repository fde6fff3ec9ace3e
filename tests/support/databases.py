"""A fresh database of each kind for a test, empty or with the kit's tables."""

import atexit
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.kit.database import Database, open_database
from services.kit.schema import upgrade
from tests.support.postgres import shared_cluster

KINDS = [
    pytest.param("sqlite", id="SQLite"),
    # A real server: kept out of `make check`, run by CI.
    pytest.param("postgresql", id="PostgreSQL", marks=pytest.mark.slow),
]


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
    url = make_url(kind, directory) if is_empty else await _copy_model(kind, directory)
    database = await open_database(url)
    try:
        yield database
    finally:
        await database.close()


_models: dict[str, str] = {}
"""Databases with the kit's tables, migrated once and copied for each test."""


async def _copy_model(kind: str, directory: Path) -> str:
    if kind not in _models:
        home = Path(tempfile.mkdtemp(prefix="daicho-model-"))
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        url = make_url(kind, home)
        model = await open_database(url)
        await upgrade(model)
        await model.close()
        _models[kind] = url
    if kind == "postgresql":
        return shared_cluster().make_database(like=_models[kind])
    url = make_url(kind, directory)
    shutil.copyfile(_models[kind].partition("///")[2], url.partition("///")[2])
    return url
