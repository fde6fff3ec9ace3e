"""Brings a service's database to the schema of its code: alembic, forward only, one transaction.

The kit's revisions are one branch and a service's own are another, found in the folders given.
A release only adds what the one before can live with, so that it can be undone by starting the
older program; what is no longer needed goes a release later.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection

from node.primitives.errors import Misconfigured
from services.kit.database import Database

MIGRATIONS: Final = Path(__file__).parent / "migrations"
"""The kit's own migrations."""


class SchemaMismatch(Misconfigured):
    """The database's schema is not the one this program was written for."""

    code = "database.schema"


async def upgrade(
    database: Database, *, versions: Sequence[Path] = (), revision: str = "heads"
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
    config = _configure(versions)

    def run(connection: Connection) -> None:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, revision)
        except CommandError as error:
            raise SchemaMismatch(
                f"database schema: {error}; start the program that wrote it, or a newer one"
            ) from error

    async with database.write() as tx:
        await tx.run_sync(run)


async def check_schema(database: Database, *, versions: Sequence[Path] = ()) -> None:
    """Refuse a database that is behind the program or ahead of it.

    Raises:
        SchemaMismatch: Migrations are missing, or the database is newer.
    """
    scripts = ScriptDirectory.from_config(_configure(versions))
    found = await list_revisions(database)
    try:
        applied = {script.revision for script in scripts.get_all_current(found)}
    except CommandError as error:
        raise SchemaMismatch(
            f"database schema: {', '.join(found)} is unknown; start the program that wrote it, or "
            "a newer one"
        ) from error
    missing = sorted(set(scripts.get_heads()) - applied)
    if missing:
        raise SchemaMismatch(
            f"database schema: {', '.join(missing)} is not applied; back the database up and run "
            "`daicho service NAME migrate`"
        )


async def list_revisions(database: Database) -> tuple[str, ...]:
    """Return the revisions the database is at; what they depend on is left out."""
    async with database.read() as tx:
        heads = await tx.run_sync(
            lambda connection: MigrationContext.configure(connection).get_current_heads()
        )
    return tuple(sorted(heads))


def _configure(versions: Sequence[Path]) -> Config:
    folders = (MIGRATIONS / "versions", *versions)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option(
        "version_locations", "\n".join(str(folder).replace("%", "%%") for folder in folders)
    )
    return config
