"""ID-CHAIN-APART, ID-CHAIN-RECONCILE: when addresses go to the ledger after whatever was late.

The real tables, a publisher whose clock a test moves, and final blocks that say what it asked for.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from clients.core.proofs import ProvenReceipt
from clients.identity.chain import BUCKET_S, LIFETIME_S, STATUS_RECORDED
from clients.identity.lifecycle import FlagStatus
from node.primitives.receipt import Log, Receipt
from node.primitives.types import Address, Hash32
from services.hub.addresses import APART_WINDOWS, TABLE, Windows
from services.hub.publication import CHUNKS, Publisher, note_block
from services.hub.service import MIGRATIONS
from services.kit.database import Database, open_database
from services.kit.follower import FinalBlock
from services.kit.schema import upgrade
from tests.support.clock import FakeClock
from tests.support.ledger import SERVICE_KEYS, Ledger

WINDOW_S = 600
WINDOWS = Windows(window_s=WINDOW_S, apart_max=6)
SECTORS = ("bus", "library")
REGISTRY = Address(b"\x07" * 20)
FAR_S = (APART_WINDOWS * WINDOW_S) + 60
"""How far apart the places of one person are, at least."""


@dataclass
class Desk:
    """The publisher, its database and its time."""

    database: Database
    clock: FakeClock
    publisher: Publisher

    @property
    def now_s(self) -> int:
        return int(self.clock.now().timestamp())

    def start(self) -> None:
        """Start the publisher anew, as after a restart."""
        self.publisher = Publisher(
            database=self.database,
            clock=self.clock,
            tenant="goka",
            source="urn:daicho:goka:hub",
            registry=REGISTRY,
            sectors=SECTORS,
            windows=WINDOWS,
        )

    async def add(self, number: int, sector: str, place_s: int, **changes: Any) -> Address:
        """Keep an address with a place among the windows."""
        address = Address(number.to_bytes(20, "big"))
        values = {
            "tenant": "goka",
            "address": address,
            "sector": sector,
            "pseudonym": number.to_bytes(32, "big"),
            "is_current": True,
            "status": int(FlagStatus.VERIFIED),
            "level": 3,
            "checked_s": self.now_s - self.now_s % BUCKET_S,
            "not_before_s": place_s,
            "settle_s": 0,
            "attempts": 0,
            "sends_until_s": self.now_s + 30 * 86_400,
            **changes,
        }
        async with self.database.write() as tx:
            await tx.execute(insert(TABLE).values(**values))
        return address

    async def asked(self) -> set[Address]:
        """Return the addresses that are under way."""
        async with self.database.read() as tx:
            rows = await tx.execute(select(TABLE.c.address).where(TABLE.c.batch.is_not(None)))
            return {Address(bytes(each)) for each in rows.scalars()}

    async def run(self, seconds: int, *, step_s: int = 1) -> list[tuple[int, Address]]:
        """Let time pass and the publisher look, step by step; return what it asked for when."""
        told, before = [], await self.asked()
        for _ in range(0, seconds, step_s):
            self.clock.move(step_s)
            if await self.publisher.publish_due():
                after = await self.asked()
                told += [(self.now_s, each) for each in sorted(after - before)]
                before = after
        return told

    async def finish(self, *accounts: Address) -> None:
        """Let a final block say what was asked for about addresses."""
        logs = tuple(self.log(each) for each in accounts)
        receipt = Receipt(
            type=2, is_success=True, cumulative_gas_used=0, bloom=b"\x00" * 256, logs=logs
        )
        ledger = Ledger()
        made = FinalBlock(
            header=replace(ledger.head, timestamp_s=self.now_s),
            outcomes=(
                ProvenReceipt(
                    index=0,
                    transaction=ledger.call(SERVICE_KEYS[0], REGISTRY, b""),
                    receipt=receipt,
                ),
            ),
        )
        async with self.database.write() as tx:
            await note_block(tx, made, tenant="goka", registry=REGISTRY)

    def log(self, account: Address) -> Log:
        """Return the event about a standing address."""
        checked_s = self.now_s - self.now_s % BUCKET_S
        words = (int(FlagStatus.VERIFIED) + 1, 3, checked_s, checked_s + LIFETIME_S)
        return Log(
            address=REGISTRY,
            topics=(
                STATUS_RECORDED,
                Hash32(account.rjust(32, b"\x00")),
                Hash32((1).to_bytes(32, "big")),
            ),
            data=b"".join(word.to_bytes(32, "big") for word in words),
        )


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    database = await open_database(f"sqlite+aiosqlite:///{tmp_path / 'hub.db'}")
    await upgrade(database, versions=(MIGRATIONS,))
    clock = FakeClock()
    made = Desk(database, clock, Publisher.__new__(Publisher))
    made.start()
    try:
        yield made
    finally:
        await database.close()


def start_of(sector: str, after_s: int) -> int:
    return WINDOWS.next_start(sector, after_s)


async def test_after_a_start_every_sector_waits_for_its_own_window(desk: Desk) -> None:
    started_s = desk.now_s
    late = [
        await desk.add(at, sector, started_s - 60) for at, sector in enumerate(SECTORS, start=1)
    ]

    assert await desk.publisher.publish_due() == 0
    told = await desk.run(WINDOW_S)

    assert sorted(told) == sorted(
        (start_of(sector, started_s), address)
        for sector, address in zip(SECTORS, late, strict=True)
    )


async def test_of_windows_that_began_unwatched_one_is_served_and_the_others_wait(
    desk: Desk,
) -> None:
    await desk.run(WINDOW_S)
    for at, sector in enumerate(SECTORS, start=1):
        await desk.add(at, sector, desk.now_s)
    frozen_until_s = desk.now_s + 7 * WINDOW_S
    first = await desk.run(7 * WINDOW_S, step_s=7 * WINDOW_S)
    then = await desk.run(WINDOW_S)

    assert [at_s for at_s, _ in first] == [frozen_until_s]
    assert len(then) == 1
    other = SECTORS[int.from_bytes(then[0][1], "big") - 1]
    assert then[0][0] == start_of(other, frozen_until_s)
    assert {first[0][1], then[0][1]} == {Address(at.to_bytes(20, "big")) for at in (1, 2)}


async def test_sectors_take_turns_however_seldom_anybody_looks(desk: Desk) -> None:
    wanted = set()
    for at in range(6):
        wanted.add(await desk.add(at + 1, SECTORS[at % 2], desk.now_s))
    told = await desk.run(9 * WINDOW_S, step_s=3 * WINDOW_S)

    assert {address for _, address in told} == wanted


@pytest.mark.parametrize("is_restarted", [True, False])
async def test_a_late_place_of_another_sector_waits_until_the_first_is_final_and_old(
    desk: Desk, is_restarted: bool
) -> None:
    await desk.publisher.publish_due()
    first = await desk.add(1, "library", desk.now_s + 60)
    second = await desk.add(2, "bus", desk.now_s + 60 + FAR_S)
    if is_restarted:
        desk.clock.move(20 * WINDOW_S)
        desk.start()

    told = await desk.run(10 * WINDOW_S, step_s=30)
    assert [address for _, address in told] == [first]

    shown_s = desk.now_s
    await desk.finish(first)
    if is_restarted:
        desk.start()
    told = await desk.run(3 * WINDOW_S)
    assert [address for _, address in told] == [second]
    assert told[0][0] >= shown_s + WINDOW_S


async def test_places_of_the_same_time_do_not_wait_for_one_another(desk: Desk) -> None:
    near = [
        await desk.add(1, "library", desk.now_s),
        await desk.add(2, "bus", desk.now_s + APART_WINDOWS * WINDOW_S - 1),
    ]

    told = await desk.run(4 * WINDOW_S, step_s=10)

    assert {address for _, address in told} == set(near)


@pytest.mark.parametrize(
    "changes", [{"attempts": len(CHUNKS)}, {"checked_s": 0}], ids=["refused", "out of date"]
)
async def test_an_address_that_cannot_go_holds_nobody_up(
    desk: Desk, changes: dict[str, int]
) -> None:
    await desk.add(1, "library", desk.now_s, **changes)
    second = await desk.add(2, "bus", desk.now_s + FAR_S)

    told = await desk.run(6 * WINDOW_S, step_s=10)

    assert [address for _, address in told] == [second]


async def test_a_stop_waits_for_nobody(desk: Desk) -> None:
    await desk.add(1, "library", desk.now_s)
    stopped = await desk.add(2, "bus", desk.now_s + FAR_S)
    await desk.finish(stopped)
    async with desk.database.write() as tx:
        await tx.execute(
            update(TABLE)
            .where(TABLE.c.address == stopped)
            .values(status=int(FlagStatus.SUSPENDED), settle_s=0, not_before_s=0)
        )

    told = await desk.run(WINDOW_S)

    assert stopped in {address for _, address in told}
