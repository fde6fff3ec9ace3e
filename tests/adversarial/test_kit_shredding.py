"""Shredding: neither value nor key can be dug out of the files, the log or a later backup.

The attacker has every byte of the database's directory and of a backup made afterwards, and the
master key too. The test plants values and the keys that opened them and looks for both.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from node.primitives.errors import Misconfigured
from services.kit import database as module
from services.kit.database import Database, open_database
from services.kit.envelope import Envelope, Erased, Owner
from services.kit.master_keys import MasterKeys
from tests.support.databases import open_fresh
from tests.support.events import MORNING

PERSON = Owner(tenant="sakai", person="p:planted-person-reference", purpose="circulation")
SECRET = "境町大字長井戸一番地 planted-address".encode()
PEOPLE = 200


async def read_keys(database: Database, person: str) -> list[bytes]:
    """Return what a thief would need: the wrapped key and the salt of a person."""
    statement = text("select wrapped, salt from person_keys where person = :person")
    async with database.read() as tx:
        return [bytes(v) for row in await tx.execute(statement, {"person": person}) for v in row]


async def fill(database: Database, envelope: Envelope) -> bytes:
    """Store many records, so that pages split and move, the planted one among them."""
    sealed = b""
    async with database.write() as tx:
        await tx.execute(text("create table record (tenant text, id integer, body blob)"))
    for number in range(PEOPLE):
        owner = PERSON if number == PEOPLE // 2 else replace(PERSON, person=f"p:{number:04}")
        async with database.write() as tx:
            body = await envelope.seal(tx, owner, SECRET, context=f"record:{number}", now=MORNING)
            values = {"id": number, "body": body}
            await tx.execute(text("insert into record values ('sakai', :id, :body)"), values)
        sealed = body if owner is PERSON else sealed
    return sealed


def dig(directory: Path) -> bytes:
    """Return every byte of every file below ``directory``."""
    return b"\n".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


async def test_nothing_of_an_erased_person_is_left_in_any_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    envelope = Envelope(MasterKeys((b"\x07" * 32,)), actor="library")
    async with open_fresh("sqlite", home) as database:
        sealed = await fill(database, envelope)
        keys = await read_keys(database, PERSON.person)
        traces = [*keys, PERSON.person.encode()]
        before = dig(home)
        assert all(trace in before for trace in traces)
        assert SECRET not in before

        async with database.write() as tx:
            await envelope.shred(tx, tenant="sakai", person=PERSON.person, now=MORNING)
        await database.scrub()
        await database.back_up(home / "later-backup.db")

        after = dig(home)
        assert [trace for trace in (*traces, SECRET) if trace in after] == []
        async with database.read() as tx:
            with pytest.raises(Erased):
                await envelope.open(tx, sealed, tenant="sakai", context=f"record:{PEOPLE // 2}")
            others = await tx.execute(
                text("select id, body from record where id <> :id"), {"id": PEOPLE // 2}
            )
            for row in others.all():
                opened = await envelope.open(
                    tx, bytes(row.body), tenant="sakai", context=f"record:{row.id}"
                )
                assert opened == SECRET


async def test_an_open_reader_delays_the_scrub_instead_of_spoiling_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT_MS", 100)
    async with open_fresh("sqlite", tmp_path) as database:
        async with database.read() as tx:
            await tx.execute(text("select * from person_keys"))
            with pytest.raises(module.DatabaseUnavailable, match="run it again"):
                await database.scrub()
        await database.scrub()


async def test_an_old_backup_stays_shut_once_both_upper_keys_are_rotated(tmp_path: Path) -> None:
    old, new = b"\x01" * 32, b"\x02" * 32
    async with open_fresh("sqlite", tmp_path) as database:
        before = Envelope(MasterKeys((old,)), actor="library")
        async with database.write() as tx:
            sealed = await before.seal(tx, PERSON, SECRET, context="record:1", now=MORNING)
        await database.back_up(tmp_path / "old-backup.db")
        both = Envelope(MasterKeys((old, new)), actor="library")
        async with database.write() as tx:
            await both.shred(tx, tenant="sakai", person=PERSON.person, now=MORNING)
            await both.rotate_service_key(tx, tenant="sakai", now=MORNING)
            await both.rotate_master_key(tx)

    backup = f"sqlite+aiosqlite:///{tmp_path / 'old-backup.db'}"
    restored = await open_database(backup)
    async with restored.read() as tx:
        after = Envelope(MasterKeys((new,)), actor="library")
        with pytest.raises(Misconfigured):
            await after.open(tx, sealed, tenant="sakai", context="record:1")
    await restored.close()


async def test_postgresql_rewrites_its_tables_without_the_key(tmp_path: Path) -> None:
    envelope = Envelope(MasterKeys((b"\x07" * 32,)), actor="library")
    async with open_fresh("postgresql", tmp_path) as database:
        async with database.write() as tx:
            await envelope.seal(tx, PERSON, SECRET, context="record:1", now=MORNING)
        keys = await read_keys(database, PERSON.person)
        async with database.write() as tx:
            await envelope.shred(tx, tenant="sakai", person=PERSON.person, now=MORNING)
        await database.scrub()
        async with database.write() as tx:
            await tx.execute(text("checkpoint"))
            statement = text(
                "select pg_read_binary_file(pg_relation_filepath(oid)) from pg_class "
                "where relkind in ('r', 'i', 't') and relnamespace = 'public'::regnamespace"
            )
            files = [bytes(row[0]) for row in await tx.execute(statement)]

        assert [key for key in (*keys, PERSON.person.encode()) for f in files if key in f] == []
