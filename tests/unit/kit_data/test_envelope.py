"""Envelope: a record opens in its place alone, and never again once its key is shredded."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from node.primitives.errors import InvalidInput, Misconfigured
from services.kit import envelope as envelope_module
from services.kit.audit import close_root as close_audit_root
from services.kit.audit import link, prove, verify_log
from services.kit.database import Database
from services.kit.envelope import (
    OVERHEAD,
    Envelope,
    Erased,
    Owner,
    SealBroken,
    verify_shredding,
)
from services.kit.master_keys import MasterKeys, add_key, create_master_file, load_master_keys
from tests.support.events import HUB, MORNING

MASTERS = MasterKeys((b"\x01" * 32,))
SANAE = Owner(tenant="sakai", person="p:sanae", purpose="circulation")
PLACE = "readers.name:1"


@pytest.fixture
def envelope() -> Envelope:
    return Envelope(MASTERS, actor="library")


async def seal(
    database: Database, envelope: Envelope, owner: Owner = SANAE, value: bytes = b"sanae"
) -> bytes:
    async with database.write() as tx:
        return await envelope.seal(tx, owner, value, context=PLACE, now=MORNING)


async def unseal(
    database: Database, envelope: Envelope, sealed: bytes, tenant: str = "sakai", place: str = PLACE
) -> bytes:
    async with database.read() as tx:
        return await envelope.open(tx, sealed, tenant=tenant, context=place)


async def shred(database: Database, envelope: Envelope, *purposes: str) -> int:
    async with database.write() as tx:
        gone = await envelope.shred(
            tx, tenant="sakai", person=SANAE.person, purposes=purposes or None, now=MORNING
        )
    return len(gone)


async def test_a_record_opens_to_what_was_sealed(database: Database, envelope: Envelope) -> None:
    sealed = await seal(database, envelope)

    assert await unseal(database, envelope, sealed) == b"sanae"
    assert len(sealed) == OVERHEAD + len(b"sanae")
    assert b"sanae" not in sealed
    assert await seal(database, envelope) != sealed


async def test_a_record_opens_nowhere_else(database: Database, envelope: Envelope) -> None:
    sealed = await seal(database, envelope)
    await seal(database, envelope, replace(SANAE, tenant="goka"))

    with pytest.raises(SealBroken):
        await unseal(database, envelope, sealed, place="readers.name:2")
    with pytest.raises(SealBroken):
        await unseal(database, envelope, sealed, tenant="goka")
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(SealBroken):
            await unseal(database, envelope, bytes(changed))
    with pytest.raises(SealBroken):
        await unseal(database, envelope, sealed[: OVERHEAD - 1])


async def test_shredding_one_purpose_leaves_the_others(
    database: Database, envelope: Envelope
) -> None:
    loans = await seal(database, envelope)
    alerts = await seal(database, envelope, replace(SANAE, purpose="alerts"))
    other = await seal(database, envelope, replace(SANAE, person="p:taro"))

    assert await shred(database, envelope, "circulation") == 1
    with pytest.raises(Erased):
        await unseal(database, envelope, loans)
    assert await unseal(database, envelope, alerts) == b"sanae"
    assert await unseal(database, envelope, other) == b"sanae"
    assert await shred(database, envelope) == 1
    assert await shred(database, envelope) == 0
    with pytest.raises(Erased):
        await unseal(database, envelope, alerts)


async def test_a_person_who_comes_back_gets_a_new_key(
    database: Database, envelope: Envelope
) -> None:
    old = await seal(database, envelope)
    await shred(database, envelope)
    new = await seal(database, envelope)

    assert await unseal(database, envelope, new) == b"sanae"
    with pytest.raises(Erased):
        await unseal(database, envelope, old)


async def test_rotating_both_keys_keeps_every_record_and_needs_the_old_master_no_more(
    database: Database,
) -> None:
    old, new = b"\x01" * 32, b"\x02" * 32
    sealed = await seal(database, Envelope(MasterKeys((old,)), actor="library"))
    both = Envelope(MasterKeys((old, new)), actor="library")
    async with database.write() as tx:
        assert await both.rotate_master_key(tx) == 1
        assert await both.rotate_master_key(tx) == 0
        assert await both.rotate_service_key(tx, tenant="sakai", now=MORNING) == 1
        assert (await tx.execute(text("select count(*) from service_keys"))).scalar() == 1

    assert await unseal(database, Envelope(MasterKeys((new,)), actor="x"), sealed) == b"sanae"
    with pytest.raises(Misconfigured, match="master file"):
        await unseal(database, Envelope(MasterKeys((old,)), actor="x"), sealed)


async def test_an_auditor_follows_every_erasure_and_sees_no_name(
    database: Database, envelope: Envelope
) -> None:
    await seal(database, envelope)
    await seal(database, envelope, replace(SANAE, person="p:taro"))
    await shred(database, envelope)

    async with database.write() as tx:
        await link(tx, tenant="sakai")
        later = MORNING + timedelta(hours=1)
        await close_audit_root(tx, tenant="sakai", now=later, source=HUB)
        checks = await verify_shredding(tx, tenant="sakai")
        proof = await prove(tx, tenant="sakai", sequence=3)
        assert (await verify_log(tx, tenant="sakai")).findings == ()
    assert [(check.is_met, check.found) for check in checks] == [
        (True, 2),
        (True, 1),
        (True, 1),
        (True, 0),
    ]
    assert proof.holds()
    assert proof.linked.entry.action == "key.shredded"
    assert "sanae" not in repr(proof)


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        pytest.param("delete from person_keys where person is not null", 0, id="erased unsaid"),
        pytest.param(
            "delete from audit_entries where action = 'key.shredded'", 1, id="announcement removed"
        ),
        pytest.param(
            "update person_keys set person = 'p:sanae', purpose = 'x', wrapped = commitment, "
            "shredded_ms = null where wrapped is null",
            2,
            id="key brought back",
        ),
        pytest.param(
            "update person_keys set salt = commitment where wrapped is null", 3, id="salt kept"
        ),
    ],
)
async def test_an_erasure_that_is_not_what_was_announced_is_found(
    database: Database, envelope: Envelope, statement: str, broken: int
) -> None:
    await seal(database, envelope)
    await seal(database, envelope, replace(SANAE, person="p:taro"))
    await shred(database, envelope)
    async with database.write() as tx:
        await tx.execute(text(statement))
        checks = await verify_shredding(tx, tenant="sakai")

    assert not checks[broken].is_met


async def test_a_record_is_bounded(
    database: Database, envelope: Envelope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envelope_module, "PLAINTEXT_BYTES_MAX", 10)
    await seal(database, envelope, value=b"x" * 10)
    with pytest.raises(InvalidInput):
        await seal(database, envelope, value=b"x" * 11)


def test_a_master_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    create_master_file(path)
    first = load_master_keys(path)
    add_key(path)
    both = load_master_keys(path)

    assert both.active_id != first.active_id
    assert both.find(first.active_id) == first.active
    assert first.active.hex() not in repr(both)
    with pytest.raises(Misconfigured):
        create_master_file(path)
    path.chmod(0o640)
    with pytest.raises(Misconfigured, match="chmod 600"):
        load_master_keys(path)


@pytest.mark.parametrize("content", ["", "zz", "00" * 31, ("11" * 32 + "\n") * 17])
def test_a_master_file_that_holds_no_keys_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "master.key"
    path.touch(mode=0o600)
    path.write_text(content)

    with pytest.raises(Misconfigured):
        load_master_keys(path)
    with pytest.raises(Misconfigured):
        load_master_keys(tmp_path / "absent")
