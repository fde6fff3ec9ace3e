"""RELAY-INTAKE: the relay's and the noticeboard's migrations give what their code declares."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from services.example import tables as example_tables
from services.example.service import MIGRATIONS as EXAMPLE_MIGRATIONS
from services.kit.schema import check_schema, upgrade
from services.kit.tables import METADATA as KIT
from services.relay import tables as relay_tables
from services.relay.schema import MIGRATIONS as RELAY_MIGRATIONS
from tests.support.databases import KINDS, open_fresh


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("own", "versions"),
    [
        pytest.param(relay_tables.METADATA, RELAY_MIGRATIONS, id="relay"),
        pytest.param(example_tables.METADATA, EXAMPLE_MIGRATIONS, id="example"),
    ],
)
async def test_an_empty_database_comes_to_what_the_code_declares(
    own: MetaData, versions: Path, kind: str, tmp_path: Path
) -> None:
    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, [KIT, own]))

    async with open_fresh(kind, tmp_path, is_empty=True) as database:
        await upgrade(database, versions=[versions])
        await check_schema(database, versions=[versions])
        async with database.read() as tx:
            assert await tx.run_sync(compare) == []
    assert [name for name, table in own.tables.items() if "tenant" not in table.c] == []
