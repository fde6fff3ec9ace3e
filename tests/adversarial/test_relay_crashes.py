"""RELAY-FENCE, RELAY-ONE-NONCE, RELAY-FINAL, RELAY-ONE-SIGNER: killed anywhere, restored from any.

The relay dies before or after each thing it does to the world: a database commit, a transaction
handed to a node, an event taken or acknowledged. A new process goes on from the database. Then the
contract must have anchored each operation once and the service must know it is final.
"""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.core.transport import Node, NodeUnavailable
from services.kit.database import Database
from services.kit.deliveries import replay_since
from services.kit.intents import IntentState
from services.relay.machine import WINDOW, ForeignSigner
from services.relay.relay import Relay
from services.relay.signer import KeystoreSigner
from services.relay.store import WrongAccount
from tests.support.events import OPERATOR
from tests.support.followed import Town, town_nodes
from tests.support.ledger import SERVICE_KEYS
from tests.support.relay import (
    TO_LIBRARY,
    TO_RELAY,
    Pair,
    opened_database,
    pair_of,
    settle,
    start,
)

STEPS = 44
"""Commits and sends of a day with two operations; each can be the last thing a process does."""


class Killed(BaseException):
    """The process is gone: nothing after this point runs."""


class Fuse:
    """Counts the steps of a process and kills it at one."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.count = 0

    def burn(self) -> None:
        self.count += 1
        if self.count == self.at:
            raise Killed


class FusedDatabase(Database):
    """A database whose process may die before or after any commit."""

    def __init__(self, inner: Database, fuse: Fuse) -> None:
        super().__init__(writer=inner._writer, reader=inner._reader, path=inner._path)
        self.fuse = fuse

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with super().write() as tx:
            yield tx
            self.fuse.burn()
        self.fuse.burn()


class FusedNode:
    """A node to which a process may die before or after handing a transaction over."""

    def __init__(self, inner: Node, fuse: Fuse) -> None:
        self.inner = inner
        self.fuse = fuse

    @property
    def name(self) -> str:
        return "fused"

    async def call(self, method: str, *params: object) -> object:
        if method != "eth_sendRawTransaction":
            return await self.inner.call(method, *params)
        self.fuse.burn()
        answer = await self.inner.call(method, *params)
        self.fuse.burn()
        return answer

    async def batch(self, calls) -> list[object]:
        return await self.inner.batch(calls)


@pytest.fixture
def town() -> Town:
    return Town()


@pytest.fixture
async def pair(town: Town, tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair_of(town, tmp_path) as pair:
        yield pair


async def finish(pair: Pair, nodes: Sequence[Node]) -> None:
    """Start a new process and let everything come to its end."""
    relay = await pair.open(nodes)
    await start(pair.town, relay)
    pair.town.clock.move(7_200)
    pair.town.heartbeat()
    await pair.carry()
    await settle(pair.town, relay)
    pair.town.clock.move(7_200)
    await pair.carry()


async def work(pair: Pair, relay: Relay, numbers: Sequence[int]) -> None:
    """Do a short day's work, from request to acknowledgement."""
    for number in numbers:
        await pair.ask(number)
    await pair.carry()
    await settle(pair.town, relay, 3)
    await pair.carry()


async def live(pair: Pair, nodes: Sequence[Node], numbers: Sequence[int]) -> None:
    """Start a process and let it do its day's work."""
    relay = await pair.open(nodes)
    await start(pair.town, relay)
    await work(pair, relay, numbers)


async def test_the_day_has_as_many_steps_as_the_test_below_kills_at(town: Town, pair: Pair) -> None:
    fuse = Fuse(10**9)
    async with town_nodes(town) as (node,):
        pair.database = FusedDatabase(pair.database, fuse)
        relay = await pair.open([FusedNode(node, fuse)])
        await start(town, relay)
        fuse.count = 0
        await work(pair, relay, (1, 2))

    assert fuse.count == STEPS


@pytest.mark.slow
@pytest.mark.parametrize("at", range(1, STEPS + 1))
async def test_killed_at_any_step_each_operation_happens_once(
    town: Town, pair: Pair, at: int
) -> None:
    fuse = Fuse(10**9)
    whole = pair.database
    async with town_nodes(town) as (node,):
        pair.database = FusedDatabase(whole, fuse)
        relay = await pair.open([FusedNode(node, fuse)])
        await start(town, relay)
        fuse.count, fuse.at = 0, at
        with pytest.raises(Killed):
            await work(pair, relay, (1, 2))
        pair.database = whole
        await finish(pair, [node])

    assert sorted(pair.anchored()) == [1, 2]
    for number in (1, 2):
        assert (await pair.state(number)).state is IntentState.FINAL


@pytest.mark.parametrize("at", [1, 2, WINDOW, WINDOW + 1, 2 * WINDOW, 2 * WINDOW + 2])
async def test_killed_while_it_fences_it_fences_again_and_goes_on(
    town: Town, pair: Pair, at: int
) -> None:
    fuse = Fuse(at + 8)
    whole = pair.database
    async with town_nodes(town) as (node,):
        pair.database = FusedDatabase(whole, fuse)
        with pytest.raises(Killed):
            await live(pair, [FusedNode(node, fuse)], [1])
        pair.database = whole
        if "loan-1" not in await asked(pair):
            await pair.ask(1)
        await finish(pair, [node])

    assert pair.anchored() == [1]


async def asked(pair: Pair) -> list[str]:
    """Return the operations the library has asked for."""
    async with pair.library.read() as tx:
        rows = await tx.exec_driver_sql("select operation_id from chain_intents")
        return [row[0] for row in rows]


async def test_all_nodes_down_for_a_minute_delay_and_lose_nothing(town: Town, pair: Pair) -> None:
    class Switch:
        is_up = True

        def __init__(self, inner: Node) -> None:
            self.inner = inner

        @property
        def name(self) -> str:
            return "switch"

        async def call(self, method: str, *params: object) -> object:
            if not Switch.is_up:
                raise NodeUnavailable("down")
            return await self.inner.call(method, *params)

        async def batch(self, calls) -> list[object]:
            if not Switch.is_up:
                raise NodeUnavailable("down")
            return await self.inner.batch(calls)

    async with town_nodes(town) as (node,):
        relay = await pair.open([Switch(node)])
        await start(town, relay)
        await pair.ask(1)
        await pair.carry()
        Switch.is_up = False
        for _ in range(6):
            with pytest.raises(Exception, match="down"):
                await relay.run_once()
            town.clock.move(10)
        Switch.is_up = True
        town.clock.move(61)
        town.heartbeat()
        await settle(town, relay)
        await pair.carry()

    assert pair.anchored() == [1]
    assert (await pair.state(1)).state is IntentState.FINAL


def restore(backup: Path, folder: Path) -> str:
    """Return the URL of a copy of a backup."""
    folder.mkdir()
    shutil.copy(backup, folder / "service.db")
    return f"sqlite+aiosqlite:///{folder / 'service.db'}"


async def test_a_relay_restored_from_an_old_backup_sends_nothing_twice(
    town: Town, pair: Pair, tmp_path: Path
) -> None:
    begin = town.clock.now()
    backup = tmp_path / "relay-backup.db"
    async with town_nodes(town) as nodes:
        relay = await pair.open(nodes)
        await start(town, relay)
        await pair.ask(1)
        await pair.carry()
        await settle(town, relay)
        await pair.database.back_up(backup)
        for number in (2, 3):
            await pair.ask(number)
        await pair.carry()
        await settle(town, relay)
        town.chain.is_mining = False
        await pair.ask(4)
        await pair.carry()
        await relay.run_once()
        assert pair.anchored() == [1, 2, 3]

        url = restore(backup, tmp_path / "restored")
        async with opened_database(url, TO_LIBRARY, is_relay=True) as restored:
            pair.database = restored
            async with pair.library.write() as tx:
                await replay_since(tx, TO_RELAY, by=OPERATOR, since=begin)
            await pair.ask(5)
            await finish(pair, nodes)

    assert sorted(pair.anchored()) == [1, 2, 3, 4, 5]
    for number in range(1, 6):
        assert (await pair.state(number)).state is IntentState.FINAL


async def test_a_transaction_that_only_another_node_s_pool_knows_is_found_or_made_void(
    town: Town, pair: Pair, tmp_path: Path
) -> None:
    """The backup knows nothing of loan 1; after the restore the service asks for it behind loan 2.

    The restored relay has signed its first nonces when a block brings the old transaction.
    """
    backup = tmp_path / "relay-backup.db"
    async with town_nodes(town) as nodes:
        relay = await pair.open(nodes)
        await start(town, relay)
        await pair.database.back_up(backup)
        town.chain.is_mining = False
        await pair.ask(1)
        await pair.carry()
        await relay.run_once()
        (forgotten,) = town.chain.pool.candidates(100)

        url = restore(backup, tmp_path / "restored")
        async with opened_database(url, TO_LIBRARY, is_relay=True) as restored:
            pair.database = restored
            again: Relay = await pair.open(nodes)
            await pair.ask(2)
            await pair.carry()
            async with pair.library.write() as tx:
                await replay_since(
                    tx, TO_RELAY, by=OPERATOR, since=town.clock.now().replace(year=2020)
                )
            await pair.carry()
            town.clock.move(60)
            town.chain.ledger.make(seconds=62)
            town.chain._refresh()
            await again.run_once()
            town.chain.ledger.make(forgotten)
            town.chain._refresh()
            await settle(town, again, 8)
            await pair.carry()

    assert sorted(pair.anchored()) == [1, 2]
    for number in (1, 2):
        assert (await pair.state(number)).state is IntentState.FINAL


async def test_a_relay_whose_database_is_lost_learns_from_the_chain_what_it_sent(
    town: Town, pair: Pair, tmp_path: Path
) -> None:
    begin = town.clock.now()
    async with town_nodes(town) as nodes:
        relay = await pair.open(nodes)
        await start(town, relay)
        for number in (1, 2):
            await pair.ask(number)
        await pair.carry()
        await settle(town, relay)

        url = f"sqlite+aiosqlite:///{tmp_path / 'new' / 'service.db'}"
        async with opened_database(url, TO_LIBRARY, is_relay=True) as empty:
            pair.database = empty
            async with pair.library.write() as tx:
                await replay_since(tx, TO_RELAY, by=OPERATOR, since=begin)
            await pair.ask(3)
            await finish(pair, nodes)

    assert pair.anchored() == [1, 2, 3]
    for number in (1, 2, 3):
        assert (await pair.state(number)).state is IntentState.FINAL


async def test_two_relays_with_one_key_stop_instead_of_racing(
    town: Town, pair: Pair, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    async with town_nodes(town) as nodes, pair_of(town, tmp_path / "other") as other:
        first = await pair.open(nodes)
        await start(town, first)
        second = await other.open(nodes)

        async def race() -> None:
            for _ in range(8):
                town.heartbeat()
                await second.run_once()
                await first.run_once()

        with pytest.raises(ForeignSigner, match="stop the other process"):
            await race()


async def test_a_database_of_another_key_is_refused(town: Town, pair: Pair) -> None:
    async with town_nodes(town) as nodes:
        relay = await pair.open(nodes)
        await start(town, relay)
        pair.signer = KeystoreSigner(SERVICE_KEYS[1], chain_id=1)

        with pytest.raises(WrongAccount, match="belongs to account"):
            await pair.open(nodes)
