"""Migrations: empty to head and previous to head give the schema that the code declares."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from services.kit.database import Database
from services.kit.outbox import publish
from services.kit.schema import MIGRATIONS, SchemaMismatch, check_schema, list_revisions, upgrade
from services.kit.tables import METADATA
from tests.support.databases import KINDS, open_fresh
from tests.support.events import make_event

REVISIONS = [
    revision.revision
    for revision in reversed(list(ScriptDirectory(str(MIGRATIONS)).walk_revisions()))
]


async def find_differences(database: Database) -> list[object]:
    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, METADATA))

    async with database.read() as tx:
        return await tx.run_sync(compare)


def test_every_table_of_the_kit_has_a_tenant() -> None:
    assert [name for name, table in METADATA.tables.items() if "tenant" not in table.c] == []


async def test_an_empty_database_comes_to_what_the_code_declares(database: Database) -> None:
    assert await find_differences(database) == []
    assert await list_revisions(database) == (REVISIONS[-1],)
    await check_schema(database)
    await upgrade(database)


@pytest.mark.parametrize("kind", KINDS)
async def test_every_earlier_release_comes_to_head_with_its_data(kind: str, tmp_path: Path) -> None:
    async with open_fresh(kind, tmp_path, is_empty=True) as database:
        await upgrade(database, revision=REVISIONS[0])
        async with database.write() as tx:
            await publish(tx, make_event())
        for revision in REVISIONS[1:]:
            with pytest.raises(SchemaMismatch):
                await check_schema(database)
            await upgrade(database, revision=revision)
        async with database.read() as tx:
            assert (await tx.execute(text("select id from outbox_events"))).scalar() == "e1"
        assert await find_differences(database) == []
        await check_schema(database)


async def test_a_database_of_a_newer_program_is_refused(database: Database) -> None:
    async with database.write() as tx:
        await tx.execute(text("update alembic_version set version_num = 'kit_9999'"))

    with pytest.raises(SchemaMismatch):
        await check_schema(database)
    with pytest.raises(SchemaMismatch):
        await upgrade(database)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_service_adds_its_own_branch_of_migrations(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "versions"
    folder.mkdir()
    (folder / "own_0001.py").write_text(
        "from alembic import op\n"
        "revision, down_revision, branch_labels, depends_on = "
        "'own_0001', None, ('own',), REVISION\n".replace("REVISION", repr(REVISIONS[-1]))
        + "def upgrade():\n    op.execute('create table own (tenant text not null)')\n"
    )
    async with open_fresh(kind, tmp_path, is_empty=True) as database:
        await upgrade(database, versions=[folder])
        assert await list_revisions(database) == ("own_0001",)
        await check_schema(database, versions=[folder])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_migration_that_fails_leaves_nothing_behind(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "versions"
    folder.mkdir()
    (folder / "own_0001.py").write_text(
        "revision, down_revision, branch_labels, depends_on = "
        "'own_0001', None, ('own',), 'kit_0001'\n"
        "def upgrade():\n    raise ZeroDivisionError\n"
    )
    async with open_fresh(kind, tmp_path, is_empty=True) as database:
        with pytest.raises(ZeroDivisionError):
            await upgrade(database, versions=[folder])
        assert await list_revisions(database) == ()
        await upgrade(database)
