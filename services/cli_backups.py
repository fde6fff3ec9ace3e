"""`daicho service NAME backup|restore|replay-since`: copies of a service's database, and back."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Final

import click
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from node.cli.output import Output
from node.primitives.errors import Misconfigured
from services.cli_place import Place, at_service, at_tenant, of_subscriber
from services.kit import deliveries
from services.kit.backup import (
    Restored,
    create_backup,
    restore_backup,
    restore_dump,
    verify_backup,
)
from services.kit.service import sqlite_path

BACKUP_EXAMPLES: Final = """\b
Example:
  daicho service example backup /srv/backups/example
"""


@click.command("backup", epilog=BACKUP_EXAMPLES)
@at_service
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def backup(output: Output, place: Place, directory: Path) -> None:
    """Write a checked copy and its manifest into DIRECTORY while the service runs.

    SQLite is copied, PostgreSQL dumped with `pg_dump`, and what was written is read back.
    Master keys are no part of it; keep a copy of their file apart.
    """

    async def run() -> Path:
        async with place.open(is_current=False) as database:
            return await create_backup(database, directory, now=place.clock.now())

    path = asyncio.run(run())
    manifest = asyncio.run(verify_backup(path))
    output.result(
        {
            "backup": str(path),
            "manifest": f"{path}.json",
            "taken": manifest.taken.isoformat(),
            "sha256": manifest.sha256,
        }
    )


RESTORE_EXAMPLES: Final = """\b
Example:
  daicho service example restore /srv/backups/example/20261123T090000Z.db
"""


@click.command("restore", epilog=RESTORE_EXAMPLES)
@at_service
@click.argument("backup_file", type=click.Path(dir_okay=False, path_type=Path))
def restore(output: Output, place: Place, backup_file: Path) -> None:
    """Put BACKUP_FILE in the place of the database, with the service stopped.

    The backup is first compared with its manifest. A database that is there is never overwritten:
    move the file away before, or on PostgreSQL rename the database and create an empty one. Prints
    what is left to do afterwards.
    """
    target = sqlite_path(place.settings.kit)

    async def run() -> Restored:
        if target is not None:
            return await restore_backup(backup_file, target)
        async with place.open(is_current=False) as database:
            return await restore_dump(backup_file, database)

    restored = asyncio.run(run())
    output.result(
        {
            "restored": str(target or make_url(place.settings.kit.database.url).database),
            "taken": restored.manifest.taken.isoformat(),
            "next": [step.replace("NAME", place.name) for step in restored.steps],
        }
    )


REPLAY_SINCE_EXAMPLES: Final = """\b
Example:
  daicho service relay replay-since --subscriber example 2026-11-23T09:00:00+00:00
"""


@click.command("replay-since", epilog=REPLAY_SINCE_EXAMPLES)
@at_tenant
@of_subscriber
@click.argument("since")
def replay_since(output: Output, place: Place, subscriber: str, since: str) -> None:
    """Send again what a subscriber was sent since a moment, after it was restored from a backup.

    Run it on each service that sends to the restored one. What that one still knows it
    recognises, so an earlier moment does no harm.
    """
    moment = _parse_moment(since)

    async def work(tx: AsyncConnection) -> int:
        told = await place.find_subscriber(tx, subscriber)
        return await deliveries.replay_since(tx, told, by=place.operator(), since=moment)

    count = place.transact(work)
    output.result({"subscriber": subscriber, "since": moment.isoformat(), "replayed": count})


def _parse_moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misconfigured("SINCE: not a time; write as 2026-11-23T09:00:00+00:00") from error
    if moment.tzinfo is None:
        raise Misconfigured("SINCE: has no offset from UTC; write as 2026-11-23T09:00:00+00:00")
    return moment


COMMANDS = (backup, restore, replay_since)
"""What this module adds to every service."""
