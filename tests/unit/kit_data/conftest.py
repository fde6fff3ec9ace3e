"""Every test that takes ``database`` runs on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.kit.database import Database
from tests.support.databases import KINDS, open_fresh


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """Return a fresh database with the kit's tables."""
    async with open_fresh(request.param, tmp_path) as opened:
        yield opened
