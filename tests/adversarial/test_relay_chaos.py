"""RELAY-FINAL, RELAY-ONE-NONCE: disk full, database restarted, clock jumping; each happens once.

Afterwards the contract must have anchored each operation once and the service must know it.
"""

import dataclasses
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from node.primitives.errors import LedgerError
from services.kit.database import DatabaseUnavailable
from services.kit.intents import IntentState
from tests.support.clock import FakeClock
from tests.support.followed import Town, town_nodes
from tests.support.postgres import Cluster, make_cluster
from tests.support.relay import (
    TO_LIBRARY,
    TO_RELAY,
    Pair,
    opened_database,
    pair_of,
    settle,
    start,
)


@pytest.fixture
def town() -> Town:
    return Town()


@pytest.fixture
async def pair(town: Town, tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair_of(town, tmp_path) as pair:
        yield pair


async def assert_once(pair: Pair, *numbers: int) -> None:
    assert sorted(pair.anchored()) == list(numbers)
    for number in numbers:
        assert (await pair.state(number)).state is IntentState.FINAL


@contextmanager
def full_disk() -> Iterator[None]:
    """Let the system refuse whatever this process writes to files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_delays_and_says_so(town: Town, pair: Pair) -> None:
    async with town_nodes(town) as nodes:
        relay = await pair.open(nodes)
        await start(town, relay)
        await pair.ask(1)
        await pair.ask(2)
        await pair.carry()
        for act in (relay.run_once, lambda: pair.ask(3)):
            with full_disk(), pytest.raises(DatabaseUnavailable, match="disk is not full"):
                await act()
        assert pair.anchored() == []
        await relay.run_once()
        town.heartbeat()
        with full_disk(), pytest.raises(DatabaseUnavailable, match="disk is not full"):
            await relay.run_once()
        await pair.ask(3)
        town.clock.move(7_200)
        await pair.carry()
        await settle(town, relay)
        town.clock.move(7_200)
        await pair.carry()
    await assert_once(pair, 1, 2, 3)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = make_cluster()
    yield cluster
    cluster.close()


async def insist(act: Callable[[], Awaitable[object]]) -> int:
    """Do it again while connections to the old server are found broken; return how often."""
    for attempt in range(20):
        try:
            await act()
        except DatabaseUnavailable:
            continue
        return attempt
    raise AssertionError("the database is not found again")


@pytest.mark.slow
async def test_postgresql_that_is_restarted_while_the_relay_works_delays_only(
    town: Town, cluster: Cluster
) -> None:
    async with (
        opened_database(cluster.make_database(), TO_RELAY, is_relay=False) as library,
        opened_database(cluster.make_database(), TO_LIBRARY, is_relay=True) as database,
        town_nodes(town) as nodes,
    ):
        pair = Pair(town, library, database)
        relay = await pair.open(nodes)
        await start(town, relay)
        for number in (1, 2, 3):
            await pair.ask(number)
            await pair.carry()
            cluster.stop()
            with pytest.raises(DatabaseUnavailable):
                await relay.run_once()
            cluster.start()
            await insist(relay.run_once)
            town.heartbeat()
            cluster.stop()
            cluster.start()
            await insist(relay.run_once)
            await insist(library.check_integrity)
            town.clock.move(7_200)
            town.heartbeat()
            await insist(pair.carry)
        for _ in range(6):
            await insist(relay.run_once)
            town.heartbeat()
        town.clock.move(7_200)
        await insist(pair.carry)
        await assert_once(pair, 1, 2, 3)


class SkewedClock(FakeClock):
    """The town's clock, wrong by what a test says."""

    def __init__(self, right: FakeClock) -> None:
        super().__init__()
        self.right = right
        self.wrong_by_s = 0

    def now(self) -> datetime:
        return self.right.now() + timedelta(seconds=self.wrong_by_s)


@pytest.mark.parametrize(
    ("wrong_by_s", "said"),
    [
        pytest.param(-3_600, "timestamp: expected after", id="an hour back"),
        pytest.param(-60, "timestamp: expected after", id="a minute back"),
        pytest.param(3_600, "", id="an hour ahead"),
        pytest.param(40 * 86_400, "two municipalities", id="forty days ahead"),
    ],
)
async def test_a_clock_that_jumps_while_operations_are_under_way_doubles_nothing(
    town: Town, pair: Pair, wrong_by_s: int, said: str
) -> None:
    right, skewed = town.clock, SkewedClock(town.clock)
    pair.intake = dataclasses.replace(pair.intake, clock=skewed)
    async with town_nodes(town) as nodes:
        town.clock = skewed  # type: ignore[assignment]
        relay = await pair.open(nodes)
        town.clock = right
        await start(town, relay)
        await pair.ask(1)
        await pair.carry()
        await relay.run_once()
        skewed.wrong_by_s = wrong_by_s
        await pair.ask(2)
        await pair.carry()
        for _ in range(4):
            with pytest.raises(LedgerError, match=said) if said else nullcontext():
                await relay.run_once()
            assert said or (await relay.status()).is_stale == (wrong_by_s > 0)
            town.heartbeat()
        skewed.wrong_by_s = 0
        await settle(town, relay)
        town.clock.move(7_200)
        town.heartbeat()
        await pair.carry()
    await assert_once(pair, 1, 2)
