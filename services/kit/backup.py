"""Backups of a service's database: taken in use, checked by reading back, never overwritten.

A backup is one file, a copy of SQLite's or a dump of PostgreSQL's, and a manifest beside it.
Restoring fills a place where nothing is and says what the operator must do next, since other
services have moved on meanwhile: nothing is lost or doubled if they send again what came after, and
events are recognised by their ids. Master keys are no part of a backup.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from node.primitives.errors import LedgerError, Misconfigured
from node.primitives.json_text import decode_json
from services.kit.database import Database, DatabaseUnavailable, open_database
from services.kit.schema import list_revisions

MANIFEST_BYTES_MAX: Final = 4_096
"""Largest manifest read."""

_CHUNK: Final = 1 << 20


class BackupDamaged(Misconfigured):
    """A backup that is not what its manifest says; another one is needed."""

    code = "backup.damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup is."""

    taken: datetime
    """When it was begun; whatever came later is not in it."""
    sha256: str
    """Of the file."""
    revisions: tuple[str, ...]
    """Schema it was written under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A restored database, and what is left to do."""

    manifest: Manifest
    """The backup it came from."""
    steps: tuple[str, ...]
    """What the operator does next, in order."""


async def create_backup(database: Database, directory: Path, *, now: datetime) -> Path:
    """Write a backup into ``directory``, read it back, and return its path.

    Raises:
        Misconfigured: A backup of this second exists, or PostgreSQL's programs do not.
        DatabaseUnavailable: It could not be written.
        DumpFailed: PostgreSQL could not be dumped.
        BackupDamaged: The copy is not sound.
    """
    name = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = directory / f"{name}{'.db' if database.is_sqlite else '.dump'}"
    _make_directory(directory)
    revisions = await list_revisions(database)
    await database.back_up(target)
    target.chmod(0o600)
    if database.is_sqlite:
        revisions = await _check_sound(target)
    manifest = {
        "taken": now.astimezone(UTC).isoformat(),
        "sha256": _hash_file(target),
        "revisions": list(revisions),
    }
    _manifest_of(target).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return target


async def verify_backup(path: Path) -> Manifest:
    """Read a backup whole and compare it with its manifest.

    Raises:
        BackupDamaged: It is not what it was.
    """
    manifest = _read_manifest(path)
    try:
        found = _hash_file(path)
    except OSError as error:
        raise BackupDamaged(f"backup {path}: {error.strerror}; use another one") from error
    if found != manifest.sha256:
        raise BackupDamaged(f"backup {path}: content differs from its manifest; use another one")
    return manifest


async def restore_backup(path: Path, target: Path) -> Restored:
    """Make the SQLite file ``target`` from a backup, with the service stopped.

    Raises:
        Misconfigured: ``target`` exists.
        BackupDamaged: The backup is not what it was.
        DatabaseUnavailable: The file could not be written.
    """
    manifest = await verify_backup(path)
    leftovers = [file for file in (target, _log_of(target)) if file.exists()]
    if leftovers:
        raise Misconfigured(f"{leftovers[0]} exists; stop the service and move it away first")
    partial = target.with_name(target.name + ".partial")
    try:
        shutil.copyfile(path, partial)
        partial.chmod(0o600)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DatabaseUnavailable(f"restoring {target}: {error.strerror}") from error
    await _check_sound(target)
    return _after(manifest)


async def restore_dump(path: Path, database: Database) -> Restored:
    """Fill an empty PostgreSQL database from a backup, with the service stopped.

    Raises:
        Misconfigured: The database is not empty.
        BackupDamaged: The backup is not what it was.
        DumpFailed: The database does not take it.
    """
    manifest = await verify_backup(path)
    await database.take_dump(path)
    found = await list_revisions(database)
    if found != manifest.revisions:
        raise BackupDamaged(f"{path}: holds another schema than its manifest says; use another one")
    return _after(manifest)


def _after(manifest: Manifest) -> Restored:
    since = manifest.taken.isoformat()
    return Restored(
        manifest=manifest,
        steps=(
            "apply missing migrations: daicho service NAME migrate",
            "start the service; it reads the chain's events again from its own cursor",
            f"on each sender: daicho service SENDER replay-since --subscriber NAME {since}",
            f"shred again every erasure that was carried out after {since}",
        ),
    )


async def _check_sound(path: Path) -> tuple[str, ...]:
    try:
        copy = await open_database(_url_of(path))
        try:
            integrity = await copy.check_integrity()
            revisions = await list_revisions(copy)
        finally:
            await copy.close()
    except LedgerError as error:
        raise BackupDamaged(f"{path}: cannot be read back; use another backup") from error
    if not integrity.is_sound:
        raise BackupDamaged(f"{path}: {integrity.findings[0]}; use another backup")
    return revisions


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(f"backup to {directory}: {error.strerror}") from error


def _url_of(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path.absolute()}"


def _read_manifest(path: Path) -> Manifest:
    try:
        with _manifest_of(path).open("rb") as file:
            fields = decode_json(file.read(MANIFEST_BYTES_MAX))
        if not isinstance(fields, dict):
            raise ValueError("not an object")
        return Manifest(
            taken=datetime.fromisoformat(str(fields["taken"])),
            sha256=str(fields["sha256"]),
            revisions=tuple(str(revision) for revision in fields["revisions"]),
        )
    except (OSError, LedgerError, ValueError, KeyError, TypeError) as error:
        raise BackupDamaged(f"backup {path}: no readable manifest; use another one") from error


def _manifest_of(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _log_of(path: Path) -> Path:
    """Return SQLite's log of a database, which would be played into a restored file."""
    return path.with_name(path.name + "-wal")


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
