"""Backups: taken in use, read back, found out when damaged, and restored with the next steps."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from node.primitives.errors import Misconfigured
from services.kit.backup import (
    BackupDamaged,
    create_backup,
    restore_backup,
    restore_dump,
    verify_backup,
)
from services.kit.database import Database, open_database
from services.kit.dumps import DumpFailed, write_dump
from services.kit.outbox import publish
from services.kit.schema import check_schema
from tests.support.databases import open_fresh
from tests.support.events import MORNING, make_event


async def back_up(database: Database, directory: Path) -> Path:
    async with database.write() as tx:
        await publish(tx, make_event())
    return await create_backup(database, directory, now=MORNING)


async def test_a_backup_restores_to_what_was_there_and_says_what_to_do(tmp_path: Path) -> None:
    async with open_fresh("sqlite", tmp_path) as database:
        async with database.write() as unfinished:
            await unfinished.execute(text("delete from outbox_events"))
            path = await create_backup(database, tmp_path / "empty", now=MORNING)
        path = await back_up(database, tmp_path / "backups")
    assert (path.stat().st_mode & 0o777, path.name) == (0o600, "20260401T000000Z.db")

    restored = await restore_backup(path, tmp_path / "new.db")
    assert restored.manifest == await verify_backup(path)
    assert "2026-04-01T00:00:00+00:00" in restored.steps[2]
    again = await open_database(f"sqlite+aiosqlite:///{tmp_path / 'new.db'}")
    await check_schema(again)
    async with again.read() as tx:
        assert (await tx.execute(text("select id from outbox_events"))).scalar() == "e1"
    await again.close()


async def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    async with open_fresh("sqlite", tmp_path) as database:
        path = await back_up(database, tmp_path / "backups")
        with pytest.raises(Misconfigured):
            await create_backup(database, tmp_path / "backups", now=MORNING)
    for existing in ("new.db", "new.db-wal"):
        (tmp_path / existing).touch()
        with pytest.raises(Misconfigured, match="move it away"):
            await restore_backup(path, tmp_path / "new.db")
        (tmp_path / existing).unlink()


@pytest.mark.parametrize("part", ["content", "manifest", "no manifest", "no content"])
async def test_a_damaged_backup_is_refused_before_anything_is_written(
    tmp_path: Path, part: str
) -> None:
    async with open_fresh("sqlite", tmp_path) as database:
        path = await back_up(database, tmp_path / "backups")
    manifest = path.with_name(path.name + ".json")
    match part:
        case "content":
            damaged = bytearray(path.read_bytes())
            damaged[len(damaged) // 2] ^= 1
            path.write_bytes(damaged)
        case "manifest":
            manifest.write_text('{"taken": 3}')
        case "no manifest":
            manifest.unlink()
        case _:
            path.unlink()

    with pytest.raises(BackupDamaged):
        await restore_backup(path, tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


@pytest.mark.slow
async def test_postgresql_is_dumped_in_use_and_restored_into_an_empty_database(
    tmp_path: Path,
) -> None:
    async with open_fresh("postgresql", tmp_path) as database:
        async with database.write() as unfinished:
            await unfinished.execute(text("delete from outbox_events"))
            await create_backup(database, tmp_path / "meanwhile", now=MORNING)
        path = await back_up(database, tmp_path / "backups")
        with pytest.raises(Misconfigured, match="holds tables"):
            await restore_dump(path, database)
    assert (path.stat().st_mode & 0o777, path.name) == (0o600, "20260401T000000Z.dump")
    assert sorted(each.name for each in path.parent.iterdir()) == [path.name, f"{path.name}.json"]

    async with open_fresh("postgresql", tmp_path, is_empty=True) as again:
        restored = await restore_dump(path, again)
        await check_schema(again)
        async with again.write() as tx:
            assert (await tx.execute(text("select id from outbox_events"))).scalar() == "e1"
            await publish(tx, make_event("e2"))
    assert restored.manifest == await verify_backup(path)
    assert "2026-04-01T00:00:00+00:00" in restored.steps[2]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["content", "content and manifest"])
async def test_a_damaged_dump_fills_nothing(tmp_path: Path, part: str) -> None:
    async with open_fresh("postgresql", tmp_path) as database:
        path = await back_up(database, tmp_path / "backups")
    damaged = path.read_bytes()[:-200]
    path.write_bytes(damaged)
    if part == "content and manifest":
        manifest = path.with_name(path.name + ".json")
        fields = json.loads(manifest.read_text())
        manifest.write_text(json.dumps(fields | {"sha256": hashlib.sha256(damaged).hexdigest()}))

    async with open_fresh("postgresql", tmp_path, is_empty=True) as again:
        with pytest.raises((BackupDamaged, DumpFailed)):
            await restore_dump(path, again)
        async with again.read() as tx:
            count = "select count(*) from information_schema.tables where table_schema = 'public'"
            assert (await tx.execute(text(count))).scalar() == 0


@pytest.mark.slow
async def test_postgresql_s_programs_are_named_where_they_are_missing_or_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url("postgresql+asyncpg://nobody:geheim@/none")
    with pytest.raises(DumpFailed) as failed:
        await write_dump(url, tmp_path / "copy.dump")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Misconfigured, match="postgresql-client"):
        await write_dump(url, tmp_path / "copy.dump")

    assert "pg_dump failed" in str(failed.value)
    assert "geheim" not in str(failed.value)
    assert not os.listdir(tmp_path)
