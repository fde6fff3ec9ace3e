"""Crashes: killed at every step between request and acknowledgement, full disks, old backups.

Nothing is lost and nothing takes effect twice. A day of the two services has some number of steps;
the process is killed at the first, the second, and so on, and started again each time.
"""

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from services.kit import database as database_module
from services.kit.database import DatabaseUnavailable, open_database
from services.kit.deliveries import replay_since
from services.kit.outbox import publish
from tests.support.crashes import Crash, Fuse
from tests.support.databases import KINDS, open_fresh
from tests.support.events import MORNING, OPERATOR, make_event
from tests.support.towns import LIBRARY, Towns, is_in_order, sqlite_url

DAY = ["a1", "b1", "a2"]
STEPS_MAX = 100


@asynccontextmanager
async def open_towns(kind: str, directory: Path) -> AsyncIterator[Towns]:
    for name in ("hub", "library"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    async with (
        open_fresh(kind, directory / "hub") as hub,
        open_fresh(kind, directory / "library") as library,
    ):
        towns = Towns(hub, library)
        await towns.prepare()
        yield towns


async def live(towns: Towns, fuse: Fuse) -> None:
    """Let a client make its requests and the dispatcher carry them."""
    for name in DAY:
        await towns.do(name, fuse)
        await towns.start(fuse).run_once()


async def forget(towns: Towns) -> None:
    """Empty both services, so that the next kill starts from nothing."""
    for database, tables in (
        (towns.hub, ("outbox_deliveries", "outbox_events", "deed")),
        (towns.library, ("inbox_events", "heard")),
    ):
        async with database.write() as tx:
            for table in tables:
                await tx.execute(text(f"delete from {table}"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
async def test_a_kill_at_any_step_loses_nothing_and_doubles_nothing(
    kind: str, tmp_path: Path
) -> None:
    async with open_towns(kind, tmp_path) as towns:
        whole = Fuse()
        await live(towns, whole)
        assert await towns.heard() == DAY
        assert 20 < whole.burnt < STEPS_MAX
        for step in range(whole.burnt):
            await forget(towns)
            with pytest.raises(Crash):
                await live(towns, Fuse(step))
            done_before = await towns.deeds()
            await towns.settle()
            assert sorted(await towns.heard()) == done_before, f"killed at step {step}"
            # The client, which never had an answer, asks again.
            await live(towns, Fuse())
            await towns.settle()
            assert sorted(await towns.heard()) == sorted(DAY), f"killed at step {step}"
            assert is_in_order(await towns.heard(), DAY), f"killed at step {step}"


CHILD = """
import asyncio, sys
from tests.support.towns import Towns, sqlite_url
from services.kit.database import open_database
from pathlib import Path

async def main():
    home = Path(sys.argv[1])
    hub = await open_database(sqlite_url(home / "hub" / "service.db"))
    library = await open_database(sqlite_url(home / "library" / "service.db"))
    towns = Towns(hub, library)
    number = int(sys.argv[2])
    while True:
        for subject in "abc":
            await towns.do(f"{subject}{number:06}")
        print(number, flush=True)
        number += 1
        await towns.start().run_once()

asyncio.run(main())
"""


def run_until_killed(home: Path, number: int, rounds: int) -> list[str]:
    """Run the services as a process, kill it mid-work, return what it said was done."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(home), str(number)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    ) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(rounds)]
        time.sleep(0.01)
        child.kill()
        child.wait(timeout=10)
    return said


async def test_a_process_killed_by_the_system_leaves_a_sound_file_and_loses_no_deed(
    tmp_path: Path,
) -> None:
    async with open_towns("sqlite", tmp_path) as towns:
        pass
    said: list[str] = []
    for rounds in (1, 4):
        number = int(said[-1]) + 5 if said else 0
        said += await asyncio.to_thread(run_until_killed, tmp_path, number, rounds)

    hub = await open_database(sqlite_url(tmp_path / "hub" / "service.db"))
    library = await open_database(sqlite_url(tmp_path / "library" / "service.db"))
    towns = Towns(hub, library)
    towns.clock.move(3_600)
    assert (await hub.check_integrity()).is_sound
    assert (await library.check_integrity()).is_sound
    await towns.settle()
    deeds, heard = await towns.deeds(), await towns.heard()
    await hub.close()
    await library.close()
    assert sorted(heard) == deeds
    assert is_in_order(heard, deeds)
    told = {f"{subject}{int(line):06}" for line in said for subject in "abc"}
    assert told <= set(deeds)


async def test_a_full_disk_refuses_the_deed_whole_and_says_so(tmp_path: Path) -> None:
    async with open_towns("sqlite", tmp_path) as towns:
        await towns.do("a0")
        async with towns.hub.write() as tx:
            pages = (await tx.execute(text("pragma page_count"))).scalar_one()
            await tx.execute(text(f"pragma max_page_count = {pages + 2}"))
        refused = []
        for number in range(1, 60):
            try:
                await towns.do(f"a{number:02}")
            except DatabaseUnavailable as error:
                refused.append((number, str(error)))
        assert refused
        assert all("disk is full" in message for _, message in refused)
        async with towns.hub.write() as tx:
            await tx.execute(text("pragma max_page_count = 1000000"))
        for number, _ in refused:
            await towns.do(f"a{number:02}")
        await towns.settle()

        assert sorted(await towns.heard()) == await towns.deeds()
        assert len(await towns.deeds()) == 60


async def test_a_library_restored_from_an_old_backup_hears_the_rest_again_and_once(
    tmp_path: Path,
) -> None:
    async with open_towns("sqlite", tmp_path) as towns:
        await towns.do("a1")
        await towns.settle()
        await towns.library.back_up(tmp_path / "old.db")
        await towns.do("a2")
        await towns.do("b1")
        await towns.settle()

        restored = await open_database(sqlite_url(tmp_path / "old.db"))
        after = Towns(towns.hub, restored, towns.clock)
        await after.settle()
        assert await after.heard() == ["a1"]
        async with towns.hub.write() as tx:
            assert await replay_since(tx, LIBRARY, by=OPERATOR, since=MORNING) == 3
        await after.settle()
        assert sorted(await after.heard()) == ["a1", "a2", "b1"]
        assert is_in_order(await after.heard(), ["a1", "a2", "b1"])
        await restored.close()


async def test_a_hub_restored_from_an_old_backup_doubles_nothing_and_reuses_no_number(
    tmp_path: Path,
) -> None:
    async with open_towns("sqlite", tmp_path) as towns:
        await towns.do("a1")
        await towns.hub.back_up(tmp_path / "old.db")
        await towns.do("a2")
        await towns.settle()
        assert await towns.heard() == ["a1", "a2"]

        restored = await open_database(sqlite_url(tmp_path / "old.db"))
        after = Towns(restored, towns.library, towns.clock)
        await after.settle()
        assert await after.heard() == ["a1", "a2"]
        # The deed that was lost with the hub's disk is done again, and told under its own id.
        await after.do("a2")
        await after.do("a3")
        await after.settle()
        assert await after.heard() == ["a1", "a2", "a3"]
        await restored.close()


@pytest.mark.parametrize("days", [-400, 400], ids=["back", "ahead"])
async def test_a_clock_that_jumps_between_any_two_steps_loses_and_doubles_nothing(
    tmp_path: Path, days: int
) -> None:
    async with open_towns("sqlite", tmp_path) as towns:
        for step in range(0, 30, 3):
            await forget(towns)
            with pytest.raises(Crash):
                await live(towns, Fuse(step))
            towns.clock.move(days * 86_400)
            await live(towns, Fuse())
            await towns.settle()
            assert sorted(await towns.heard()) == sorted(DAY)
            assert is_in_order(await towns.heard(), DAY)


async def test_a_file_locked_by_another_process_is_the_world_being_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_MS", 50)
    async with open_fresh("sqlite", tmp_path) as database:
        other = sqlite3.connect(tmp_path / "service.db", isolation_level=None)
        other.execute("begin immediate")

        async def tell() -> None:
            async with database.write() as tx:
                await publish(tx, make_event())

        with pytest.raises(DatabaseUnavailable, match="locked"):
            await tell()
        other.execute("rollback")
        other.close()
        await tell()
