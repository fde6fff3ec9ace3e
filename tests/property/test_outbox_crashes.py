"""Outbox and inbox as a model: whatever happens, each deed is heard once and in order.

Deeds, deliveries, outages, clock jumps and kills come in any order; afterwards the services are
left in peace, and what the library heard is compared with what the hub did.
"""

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kit.database import open_database
from services.kit.schema import upgrade
from tests.support.crashes import Crash, Fuse
from tests.support.towns import Towns, is_in_order, sqlite_url

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("do"), st.sampled_from("ab"), st.none() | st.integers(0, 3)),
        st.tuples(st.just("carry"), st.just(""), st.none() | st.integers(0, 24)),
        st.tuples(st.just("outage"), st.just(""), st.none()),
        st.tuples(st.just("clock"), st.just(""), st.integers(-100_000, 100_000)),
    ),
    min_size=1,
    max_size=12,
)


async def play(steps: list[tuple[str, str, int | None]], home: Path) -> None:
    hub = await open_database(sqlite_url(home / "hub.db"))
    library = await open_database(sqlite_url(home / "library.db"))
    for database in (hub, library):
        await upgrade(database)
    towns = Towns(hub, library)
    await towns.prepare()
    told: list[str] = []
    for number, (kind, subject, fuse) in enumerate(steps):
        if kind == "do":
            name = f"{subject}{number:02}"
            with suppress(Crash):
                await towns.do(name, Fuse(fuse))
            told += [name] if name in await towns.deeds() else []
        elif kind == "carry":
            with suppress(Crash):
                await towns.start(Fuse(fuse)).run_once()
        elif kind == "outage":
            await towns.start(is_down=True).run_once()
        else:
            towns.clock.move(fuse or 0)
        heard = await towns.heard()
        assert len(set(heard)) == len(heard)
        assert set(heard) <= set(told)
    await towns.settle()
    heard = await towns.heard()
    await hub.close()
    await library.close()
    assert sorted(heard) == sorted(told)
    assert is_in_order(heard, told)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_every_deed_is_heard_once_and_in_order(steps: list[tuple[str, str, int | None]]) -> None:
    with tempfile.TemporaryDirectory() as home:
        asyncio.run(play(steps, Path(home)))
