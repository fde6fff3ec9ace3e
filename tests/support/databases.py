"""A fresh database of each kind for a test, empty or with the kit's tables."""

import atexit
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
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


async def open_current(url: str, versions: Sequence[Path] = ()) -> Database:
    """Open a service's database at the program's schema.

    A SQLite file that is not there yet is a copy of one that was migrated once.
    """
    _, _, name = url.partition("sqlite+aiosqlite:///")
    if name:
        _copy_unless_there(await _migrated(tuple(versions)), Path(name))
    database = await open_database(url)
    await upgrade(database, versions=versions)
    return database


def _copy_unless_there(model: Path, path: Path) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model, path)


_migrated_files: dict[tuple[Path, ...], Path] = {}
"""Files of ``open_current``, by the services' migrations."""


async def _migrated(versions: tuple[Path, ...]) -> Path:
    if versions not in _migrated_files:
        path = _make_home() / "service.db"
        model = await open_database(f"sqlite+aiosqlite:///{path}")
        await upgrade(model, versions=versions)
        await model.close()
        _migrated_files[versions] = path
    return _migrated_files[versions]


def _make_home() -> Path:
    home = Path(tempfile.mkdtemp(prefix="daicho-model-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home


_models: dict[str, str] = {}
"""Databases with the kit's tables, migrated once and copied for each test."""


async def _copy_model(kind: str, directory: Path) -> str:
    if kind not in _models:
        url = make_url(kind, _make_home())
        model = await open_database(url)
        await upgrade(model)
        await model.close()
        _models[kind] = url
    if kind == "postgresql":
        return shared_cluster().make_database(like=_models[kind])
    url = make_url(kind, directory)
    shutil.copyfile(_models[kind].partition("///")[2], url.partition("///")[2])
    return url
