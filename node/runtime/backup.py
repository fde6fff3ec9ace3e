"""Backups of a node: its settings, documents, keystore and a snapshot of its chain, in one file.

The record of votes is never in a backup and never restored: an old one would let the validator
contradict itself. A restored validator stays silent until a quorum of the others has told how far
they are, and then signs only above that (QBFT-STALE).

Spec: STORE-VOTES, STORE-SNAPSHOT.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node.consensus.seals import check_commit_seals
from node.primitives.errors import InvalidInput, MalformedMessage, Misconfigured, Unavailable
from node.primitives.header import Header
from node.primitives.json_text import decode_json
from node.primitives.types import Height
from node.runtime.ledger import CHAIN_DIRECTORY, load_genesis, open_ledger
from node.settings import Settings, StorageMode, load_settings
from node.storage.leveldb import LevelDbStore
from node.storage.snapshot import SnapshotFile, restore_snapshot, write_snapshot
from node.storage.state_store import StateMode
from node.version import VERSION

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SNAPSHOT: Final = "chain.snapshot"
SETTINGS: Final = "settings"
MANIFEST_SIZE_MAX: Final = 1 << 20
"""Longest manifest read, in bytes."""

PIECE: Final = 1 << 20
"""Bytes hashed or copied at once."""

Progress = Callable[[str], None]
"""Told in words what is being done."""


class InvalidBackup(InvalidInput):
    """A backup that is damaged, incomplete, or of another network."""

    code = "backup.invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """What a backup holds."""

    name: str
    """Whose node it is of."""
    made_at_s: int
    """When."""
    height: Height
    """Height of its chain."""
    block_hash: str
    """Hash (b) at that height."""
    files: tuple[str, ...]
    """Where its files belong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One file of a backup."""

    name: str
    """Name in the archive."""
    place: str
    """Where it belongs; empty for the snapshot."""
    sha256: str
    """Digest of its bytes."""
    is_private: bool
    """Only its owner may read it."""


def create_backup(
    config: Path, out: Path, *, has_key: bool, now_s: int, progress: Progress
) -> BackupReport:
    """Write a backup of a stopped node to ``out``.

    Args:
        config: The node's settings file.
        out: File to write; it appears when it is whole, readable by its owner only.
        has_key: Take the keystore along; its password never is.
        now_s: The time.
        progress: Told what is being done.

    Raises:
        Misconfigured: Settings or database cannot be used; the file exists.
        Unavailable: The disk refused.

    Spec: STORE-VOTES.
    """
    if out.exists():
        raise Misconfigured(f"{out}: exists already; choose another name")
    settings = load_settings(config)
    snapshot = out.with_name(out.name + ".snapshot")
    draft = out.with_name(out.name + ".partial")
    try:
        progress("writing the chain's snapshot")
        header = _write_snapshot(settings, snapshot)
        places = [config, settings.genesis, settings.p2p.membership, *settings.recoveries]
        private = [settings.key.keystore] if has_key and settings.key.keystore else []
        parts = [
            _part(f"{SETTINGS}/{index}-{place.name}", place, is_private=place in private)
            for index, place in enumerate([*places, *private])
        ]
        parts.append(_part(SNAPSHOT, snapshot, is_private=False, is_placed=False))
        report = BackupReport(
            name=settings.name,
            made_at_s=now_s,
            height=header.height,
            block_hash=f"0x{header.hash.hex()}",
            files=tuple(part.place for part in parts if part.place),
        )
        progress("packing")
        _pack(draft, _manifest(report, parts), [*places, *private, snapshot], parts)
        draft.rename(out)
    except OSError as error:
        raise Unavailable(f"{out}: {error.strerror}; nothing was written") from error
    finally:
        snapshot.unlink(missing_ok=True)
        draft.unlink(missing_ok=True)
    return report


def verify_backup(path: Path, progress: Progress) -> BackupReport:
    """Check every byte of a backup against its manifest.

    Raises:
        InvalidBackup: Damaged, torn, or of another form.
        Unavailable: It cannot be read.
    """
    with _opened(path) as archive:
        report, parts = _read_manifest(archive, path)
        for part in parts:
            progress(f"checking {part.name}")
            _check_part(archive, part, path)
    return report


def restore_backup(
    path: Path, config: Path, *, expect: str | None, progress: Progress
) -> BackupReport:
    """Put a node back: files that are missing where they belong, and the chain.

    Files that are there stay as they are; the database must not be there. The record of votes is
    left alone, and is usually absent: the validator then begins silent.

    Args:
        path: The backup.
        config: Where the settings file belongs.
        expect: Hash of the backup's block from another municipality, to compare.
        progress: Told what is being done.

    Raises:
        InvalidBackup: Damaged, or not of the expected block.
        Misconfigured: A database is there already, or a place cannot be written.
        Unavailable: The disk refused.

    Spec: STORE-SNAPSHOT, STORE-VOTES.
    """
    report = verify_backup(path, progress)
    if expect is not None and expect.lower() != report.block_hash:
        raise InvalidBackup(f"{path}: is of block {report.block_hash}, expected {expect}")
    with _opened(path) as archive:
        _, parts = _read_manifest(archive, path)
        for index, part in enumerate(parts):
            if part.place:
                place = config if index == 0 else Path(part.place)
                _put_back(archive, part, place)
        settings = load_settings(config)
        if (settings.data_dir / CHAIN_DIRECTORY).exists():
            raise Misconfigured(
                f"{settings.data_dir / CHAIN_DIRECTORY}: a database is there; move it away first"
            )
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        snapshot = settings.data_dir / SNAPSHOT
        progress("restoring the chain")
        try:
            _extract(archive, SNAPSHOT, snapshot, 0o600)
            _restore_chain(settings, snapshot)
        finally:
            snapshot.unlink(missing_ok=True)
    return report


def _write_snapshot(settings: Settings, path: Path) -> Header:
    genesis = load_genesis(settings.genesis)
    chain = open_ledger(settings, genesis)
    try:
        head = chain.head.height
        epoch_start = head - head % genesis.profile.epoch_length
        lowest = Height(max(chain.base, min(epoch_start, max(0, head - 256))))
        return write_snapshot(chain, path, headers_from=lowest).header
    finally:
        chain.close()


def _restore_chain(settings: Settings, snapshot: Path) -> None:
    genesis = load_genesis(settings.genesis)
    with SnapshotFile(snapshot) as file:
        trusted = file.manifest.header
    if trusted.height:
        check_commit_seals(trusted, trusted.extra_data.validators)
    mode = StateMode.ARCHIVE if settings.storage.mode is StorageMode.ARCHIVE else StateMode.LIVE
    store = LevelDbStore(settings.data_dir / CHAIN_DIRECTORY)
    try:
        restore_snapshot(
            store, snapshot, trusted=trusted, genesis_hash=genesis.header.hash, mode=mode
        )
    finally:
        store.close()


def _part(name: str, path: Path, *, is_private: bool, is_placed: bool = True) -> _Part:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    place = str(path.absolute()) if is_placed else ""
    return _Part(name=name, place=place, sha256=digest, is_private=is_private)


def _manifest(report: BackupReport, parts: list[_Part]) -> bytes:
    document = {
        "format": FORMAT,
        "software": VERSION,
        "name": report.name,
        "made_at_s": report.made_at_s,
        "height": report.height,
        "block_hash": report.block_hash,
        "parts": [
            {
                "name": part.name,
                "place": part.place,
                "sha256": part.sha256,
                "private": part.is_private,
            }
            for part in parts
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def _pack(draft: Path, manifest: bytes, paths: list[Path], parts: list[_Part]) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            entry = tarfile.TarInfo(MANIFEST)
            entry.size = len(manifest)
            archive.addfile(entry, io.BytesIO(manifest))
            for path, part in zip(paths, parts, strict=True):
                archive.add(path, arcname=part.name, recursive=False)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """Open an archive, and translate what is wrong with it.

    Raises:
        InvalidBackup: It is torn or no archive.
        Unavailable: It cannot be read.
    """
    try:
        with tarfile.open(path, mode="r:") as archive:
            yield archive
    except tarfile.TarError as error:
        raise InvalidBackup(f"{path}: torn or no backup ({error}); copy it again") from error
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from error


def _read_manifest(archive: tarfile.TarFile, path: Path) -> tuple[BackupReport, list[_Part]]:
    try:
        file = archive.extractfile(MANIFEST)
        assert file is not None
        document: Any = decode_json(file.read(MANIFEST_SIZE_MAX))
        if document["format"] != FORMAT:
            raise InvalidBackup(f"{path}: of format {document['format']}, this reads {FORMAT}")
        parts = [
            _Part(
                name=str(part["name"]),
                place=str(part["place"]),
                sha256=str(part["sha256"]),
                is_private=bool(part["private"]),
            )
            for part in document["parts"]
        ]
        report = BackupReport(
            name=str(document["name"]),
            made_at_s=int(document["made_at_s"]),
            height=Height(int(document["height"])),
            block_hash=str(document["block_hash"]),
            files=tuple(part.place for part in parts if part.place),
        )
    except (MalformedMessage, KeyError, TypeError, ValueError) as error:
        raise InvalidBackup(f"{path}: no backup, or its manifest is damaged") from error
    return report, parts


def _check_part(archive: tarfile.TarFile, part: _Part, path: Path) -> None:
    digest = hashlib.sha256()
    try:
        file = archive.extractfile(part.name)
    except KeyError as error:
        raise InvalidBackup(f"{path}: {part.name} is missing; copy it again") from error
    assert file is not None
    while piece := file.read(PIECE):
        digest.update(piece)
    if digest.hexdigest() != part.sha256:
        raise InvalidBackup(f"{path}: {part.name} was altered; copy it again")


def _put_back(archive: tarfile.TarFile, part: _Part, place: Path) -> None:
    if place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    _extract(archive, part.name, place, 0o600 if part.is_private else 0o644)


def _extract(archive: tarfile.TarFile, name: str, place: Path, mode: int) -> None:
    file = archive.extractfile(name)
    assert file is not None
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as target:
        while piece := file.read(PIECE):
            target.write(piece)
