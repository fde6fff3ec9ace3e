"""ID-CHAIN-RECONCILE, ID-CHAIN-WRITE: the hub and the ledger agree again after a backup came back.

The hub's database is put back to before its addresses were written; to after somebody was erased.
"""

import secrets
from pathlib import Path

import pytest
from sqlalchemy import select

from clients.identity.lifecycle import FlagStatus
from node.execution.permissions import read_standing
from node.primitives.crypto import PrivateKey
from services.hub.addresses import TABLE
from services.hub.publication import CHUNKS, count_stuck, note_failure, select_due
from services.kit.database import Database
from tests.support.hub import HubTown, RunningHub, running_hub
from tests.support.identity import new_hierarchy


async def row_of(hub: RunningHub, address: bytes) -> object | None:
    async with hub.database.read() as tx:
        return (await tx.execute(select(TABLE).where(TABLE.c.address == address))).one_or_none()


async def test_a_restored_hub_reads_off_the_ledger_what_it_forgot(tmp_path: Path) -> None:
    town, hierarchy = HubTown(), new_hierarchy()
    key, backup = PrivateKey(secrets.token_bytes(32)), tmp_path / "backup.db"
    async with running_hub(tmp_path, town=town, hierarchy=hierarchy) as hub:
        holder = hub.holder()
        await hub.bind(holder)
        await hub.register(holder, "library", key)
        await hub.database.back_up(backup)
        await hub.until_recorded(key.address)
    (tmp_path / "hub.db").unlink()
    for rest in ("hub.db-wal", "hub.db-shm"):
        (tmp_path / rest).unlink(missing_ok=True)
    backup.rename(tmp_path / "hub.db")

    async with running_hub(tmp_path, town=town, hierarchy=hierarchy) as hub:

        async def is_known() -> bool:
            row = await row_of(hub, key.address)
            return row is not None and row.written_status == int(FlagStatus.VERIFIED)  # type: ignore[attr-defined]

        await hub.until(is_known)
        row = await row_of(hub, key.address)
        assert row.sends_until_s > 0  # type: ignore[union-attr]
        assert (await hub.own(holder, "GET", "/sectors"))[1]["sectors"][0]["state"] == "written"


async def test_an_erased_person_s_addresses_are_taken_off_the_ledger_and_forgotten(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path) as hub:
        holder, key = hub.holder(), PrivateKey(secrets.token_bytes(32))
        await hub.bind(holder)
        await hub.register(holder, "library", key)
        await hub.until_recorded(key.address)

        async def is_read() -> bool:
            row = await row_of(hub, key.address)
            return bool(row.sends_until_s and row.written_status is not None)  # type: ignore[union-attr]

        await hub.until(is_read)
        assert (await hub.own(holder, "POST", "/erasure", {"confirm": "erase"}))[0] == 200
        await hub.until_recorded(key.address, FlagStatus.REMOVED)

        async def is_forgotten() -> bool:
            return await row_of(hub, key.address) is None

        await hub.until(is_forgotten)
        assert read_standing(hub.town.chain.ledger.view, key.address).resident_until_s == 0


async def test_an_address_the_ledger_refuses_comes_to_stand_alone_and_waits(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path, has_relay=False) as hub:
        keys = [PrivateKey(secrets.token_bytes(32)) for _ in range(3)]
        for key in keys:
            holder = hub.holder()
            await hub.bind(holder)
            await hub.register(holder, "library", key)
        for attempt in range(len(CHUNKS)):

            async def is_asked() -> bool:
                return all([await batch_of(hub.database, key) for key in keys])

            await hub.until(is_asked)
            batches = {await batch_of(hub.database, key) for key in keys}
            assert len(batches) == (1 if attempt < 2 else 3)
            for batch in batches:
                async with hub.database.write() as tx:
                    await note_failure(tx, tenant="goka", operation_id=f"identity:{batch}:record")
        async with hub.database.read() as tx:
            assert await count_stuck(tx, tenant="goka") == 3
            now_s = int(hub.now.timestamp()) + 60
            assert not await select_due(tx, tenant="goka", sector="library", now_s=now_s)
        status, ready = await hub.ask("GET", "/readiness")
        assert status == 503
        assert "hub.addresses_stuck" in str(ready)


async def batch_of(database: Database, key: PrivateKey) -> str | None:
    async with database.read() as tx:
        query = select(TABLE.c.batch).where(TABLE.c.address == key.address)
        return (await tx.execute(query)).scalar()


@pytest.mark.parametrize("part", ["record", "attest"])
async def test_a_failure_of_another_batch_moves_nothing(tmp_path: Path, part: str) -> None:
    async with running_hub(tmp_path, has_relay=False) as hub:
        holder, key = hub.holder(), PrivateKey(secrets.token_bytes(32))
        await hub.bind(holder)
        await hub.register(holder, "library", key)

        async def is_asked() -> bool:
            return await batch_of(hub.database, key) is not None

        await hub.until(is_asked)
        before = await row_of(hub, key.address)
        async with hub.database.write() as tx:
            await note_failure(tx, tenant="goka", operation_id=f"identity:{'0' * 16}:{part}")
        assert await row_of(hub, key.address) == before
