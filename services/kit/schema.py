"""Brings a service's database to the schema of its code: alembic, forward only, one transaction.

The kit's revisions are one branch and a service's own are another, found in the folders given.
A release only adds what the one before can live with, so that it can be undone by starting the
older program; what is no longer needed goes a release later.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

from node.primitives.errors import Misconfigured
from services.kit.database import Database
from services.kit.revisions import find_applied, find_heads, read_revisions

MIGRATIONS: Final = Path(__file__).parent / "migrations"
"""The kit's own migrations."""

HEADS: Final = "heads"
"""Alembic's name for the last revision of every branch."""

VERSION_TABLE: Final = Table("alembic_version", MetaData(), Column("version_num", String(32)))
"""Where Alembic notes what is applied."""


class SchemaMismatch(Misconfigured):
    """The database's schema is not the one this program was written for."""

    code = "database.schema"


async def upgrade(
    database: Database, *, versions: Sequence[Path] = (), revision: str = HEADS
) -> None:
    """Apply every migration not yet applied, all or none.

    Args:
        database: The service's database.
        versions: Folders with the service's own migrations.
        revision: Where to stop; every head unless a test wants less.

    Raises:
        SchemaMismatch: The database was written by a newer program.
        DatabaseUnavailable: The database does not answer.
    """
    missing = await _list_missing(database, versions)
    if revision == HEADS and not missing:
        return
    async with database.write() as tx:
        await tx.run_sync(_apply, versions, revision)


async def check_schema(database: Database, *, versions: Sequence[Path] = ()) -> None:
    """Refuse a database that is behind the program or ahead of it.

    Raises:
        SchemaMismatch: Migrations are missing, or the database is newer.
    """
    missing = await _list_missing(database, versions)
    if missing:
        raise SchemaMismatch(
            f"database schema: {', '.join(missing)} is not applied; back the database up and run "
            "`daicho service NAME migrate`"
        )


async def list_revisions(database: Database) -> tuple[str, ...]:
    """Return the revisions the database is at; what they depend on is left out."""
    async with database.read() as tx:
        return await tx.run_sync(_read_versions)


async def _list_missing(database: Database, versions: Sequence[Path]) -> list[str]:
    known = read_revisions(_folders(versions))
    found = await list_revisions(database)
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise SchemaMismatch(
            f"database schema: {', '.join(unknown)} is unknown; start the program that wrote it, "
            "or a newer one"
        )
    return sorted(find_heads(known) - find_applied(known, found))


def _read_versions(connection: Connection) -> tuple[str, ...]:
    if not inspect(connection).has_table(VERSION_TABLE.name):
        return ()
    return tuple(sorted(connection.execute(select(VERSION_TABLE.c.version_num)).scalars()))


def _apply(connection: Connection, versions: Sequence[Path], revision: str) -> None:
    # Alembic is slow to load, and a program that starts has hardly ever anything to apply.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option(
        "version_locations",
        "\n".join(str(folder).replace("%", "%%") for folder in _folders(versions)),
    )
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise SchemaMismatch(
            f"database schema: {error}; start the program that wrote it, or a newer one"
        ) from error


def _folders(versions: Sequence[Path]) -> tuple[Path, ...]:
    return (MIGRATIONS / "versions", *versions)
