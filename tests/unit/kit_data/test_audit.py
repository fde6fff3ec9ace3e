"""Audit log: no entry can change, go or move unseen, and each can be shown without the others."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from node.primitives.errors import InvalidInput
from node.primitives.types import Hash32, Height, TransactionHash
from services.kit import audit
from services.kit.audit import (
    ROOT_READY,
    TEXT_LENGTH_MAX,
    AuditEntry,
    AuditReport,
    AuditRoot,
    close_root,
    link,
    note_anchored,
    prove,
    record,
    record_read,
    verify_log,
)
from services.kit.database import Database
from services.kit.deliveries import lease_deliveries
from services.kit.events import decode_event
from services.kit.outbox import subscribe
from tests.support.events import HUB, MORNING, make_subscriber

ENTRY = AuditEntry(
    tenant="sakai",
    time=MORNING,
    actor="staff:7",
    role="librarian",
    purpose="circulation",
    action="loan.extended",
    subject="p:abc",
    before=Hash32(b"\x01" * 32),
    after=Hash32(b"\x02" * 32),
)


async def write(database: Database, count: int = 1) -> None:
    for _ in range(count):
        async with database.write() as tx:
            await record(tx, ENTRY)


async def root(database: Database, hours: int = 1) -> AuditRoot | None:
    async with database.write() as tx:
        await link(tx, tenant="sakai")
        now = MORNING + timedelta(hours=hours)
        return await close_root(tx, tenant="sakai", now=now, source=HUB)


async def verify(database: Database) -> AuditReport:
    async with database.read() as tx:
        return await verify_log(tx, tenant="sakai")


async def break_in(database: Database, statement: str) -> None:
    async with database.write() as tx:
        await tx.execute(text(statement))


async def test_entries_are_chained_and_rooted_and_the_relay_is_told(database: Database) -> None:
    relay = make_subscriber("relay", types=(ROOT_READY,))
    async with database.write() as tx:
        await subscribe(tx, relay)
    await write(database, 5)
    first = await root(database)
    await write(database, 2)
    second = await root(database, hours=2)

    assert first is not None
    assert second is not None
    assert (first.first, first.last, second.first, second.last) == (1, 5, 6, 7)
    assert await root(database, hours=3) is None
    assert await verify(database) == AuditReport(entries=7, roots=2, findings=())
    async with database.write() as tx:
        (told,) = await lease_deliveries(tx, relay, now=MORNING)
    data = decode_event(told.body).data
    assert data == {"root": "0x" + first.root.hex(), "count": 5, "first": 1}


async def test_an_entry_of_a_deed_that_failed_does_not_exist(database: Database) -> None:
    async def fail() -> None:
        async with database.write() as tx:
            await record(tx, ENTRY)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await root(database) is None


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        pytest.param(
            "update audit_entries set actor = 'x' where sequence = 2", "hash", id="changed"
        ),
        pytest.param("delete from audit_entries where sequence = 2", "sequence", id="removed"),
        pytest.param(
            "update audit_entries set previous = salt where sequence = 3",
            "previous",
            id="unchained",
        ),
        pytest.param(
            "update audit_roots set root = (select salt from audit_entries limit 1)",
            "root",
            id="root changed",
        ),
        pytest.param("update audit_roots set first = 2", "roots", id="root moved"),
        pytest.param("delete from audit_entries where sequence = 5", "root", id="tail removed"),
    ],
)
async def test_a_hand_in_the_database_is_found(
    database: Database, statement: str, check: str
) -> None:
    await write(database, 5)
    await root(database)
    await break_in(database, statement)

    report = await verify(database)
    assert check in {finding.check for finding in report.findings}


async def test_each_entry_can_be_shown_to_stand_under_the_root(database: Database) -> None:
    await write(database, 5)
    closed = await root(database)
    for sequence in range(1, 6):
        async with database.read() as tx:
            proof = await prove(tx, tenant="sakai", sequence=sequence)
        assert proof.holds()
        assert proof.root == closed
        forged = replace(proof.linked, entry=replace(proof.linked.entry, actor="nobody"))
        assert not replace(proof, linked=forged).holds()
        assert not replace(proof, linked=replace(proof.linked, sequence=9)).holds()

    async with database.read() as tx:
        with pytest.raises(InvalidInput):
            await prove(tx, tenant="sakai", sequence=6)
        with pytest.raises(InvalidInput):
            await prove(tx, tenant="goka", sequence=1)


async def test_equal_deeds_have_unequal_hashes(database: Database) -> None:
    await write(database, 2)
    await root(database)
    async with database.read() as tx:
        one = await prove(tx, tenant="sakai", sequence=1)
        other = await prove(tx, tenant="sakai", sequence=2)

    assert one.linked.salt != other.linked.salt


async def test_a_read_of_personal_data_names_fields_and_no_values(database: Database) -> None:
    async with database.write() as tx:
        await record_read(tx, ENTRY, fields=("name", "address"))
    await root(database)
    async with database.read() as tx:
        shown = (await prove(tx, tenant="sakai", sequence=1)).linked.entry

    assert (shown.action, shown.detail, shown.subject) == ("read", "name,address", "p:abc")


async def test_where_a_root_is_anchored_is_kept(database: Database) -> None:
    await write(database)
    closed = await root(database)
    assert closed is not None
    anchor = TransactionHash(Hash32(b"\x09" * 32))
    async with database.write() as tx:
        for known, expected in ((closed.root, True), (Hash32(bytes(32)), False)):
            noted = await note_anchored(
                tx, tenant="sakai", root=known, transaction_hash=anchor, height=Height(4)
            )
            assert noted is expected
    async with database.read() as tx:
        proof = await prove(tx, tenant="sakai", sequence=1)

    assert (proof.root.transaction_hash, proof.root.height) == (anchor, 4)
    assert proof.holds()


async def test_a_root_covers_a_bounded_run(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "ROOT_ENTRIES_MAX", 3)
    monkeypatch.setattr(audit, "LINK_BATCH_MAX", 4)
    await write(database, 5)
    runs = [await root(database) for _ in range(3)]

    assert [(run.first, run.last) for run in runs if run] == [(1, 3), (4, 5)]
    assert (await verify(database)).findings == ()


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(replace(ENTRY, detail="x" * (TEXT_LENGTH_MAX + 1)), id="long text"),
        pytest.param(replace(ENTRY, after=Hash32(b"short")), id="short hash"),
    ],
)
async def test_an_entry_is_bounded(database: Database, wrong: AuditEntry) -> None:
    with pytest.raises(InvalidInput):
        async with database.write() as tx:
            await record(tx, wrong)
    async with database.write() as tx:
        await record(tx, replace(ENTRY, detail="x" * TEXT_LENGTH_MAX))
