"""RELAY-FINAL, RELAY-INTAKE, RELAY-ROOTS, RELAY-QUOTA, RELAY-REPLACE, RELAY-FENCE: ask and hear.

The whole path: a service's outbox, the relay's inbox, a real chain behind real ports, reports back.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.core.transport import CallRefused, NodeUnavailable
from node.primitives.types import Height
from services.kit.audit import ROOT_READY
from services.kit.events import Event
from services.kit.inbox import accept
from services.kit.intents import IntentState
from services.kit.outbox import subscribe
from services.relay.intake import QuotaExceeded
from services.relay.machine import WINDOW
from services.relay.operations import compute_word, read_tail
from services.relay.roots import compute_stream
from tests.support.databases import KINDS
from tests.support.followed import Town, town_nodes
from tests.support.ledger import SERVICE_KEYS
from tests.support.relay import (
    LIBRARY,
    TO_LIBRARY,
    UNSETTLED_MAX,
    Pair,
    anchor_call,
    carry,
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


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_service_asks_for_becomes_final_and_the_service_hears_of_it(
    town: Town, tmp_path: Path, kind: str
) -> None:
    async with pair_of(town, tmp_path, kind) as pair, town_nodes(town) as nodes:
        relay = await pair.open(nodes)
        await start(town, relay)
        for number in (1, 2, 3):
            await pair.ask(number)
        await pair.carry()
        await settle(town, relay)
        await pair.carry()

        assert pair.anchored() == [1, 2, 3]
        status = await pair.state(2)
        assert status.state is IntentState.FINAL
        place = town.chain.ledger.chain.find_transaction(status.transaction_hash)
        assert place is not None
        assert status.height == place[0]


async def test_the_transaction_on_chain_names_the_operation(town: Town, pair: Pair) -> None:
    async with town_nodes(town) as nodes:
        relay = await pair.open(nodes)
        await start(town, relay)
        await pair.ask(1)
        await pair.carry()
        await settle(town, relay)
        await pair.carry()

    status = await pair.state(1)
    assert status.height is not None
    block = town.chain.ledger.chain.load_block(status.height)
    assert block is not None
    (data,) = [tx.data for tx in block.transactions if tx.to == town.anchors]
    assert read_tail(data) == compute_word("sakai", LIBRARY, "loan-1")


async def test_a_call_that_reverts_has_failed_and_says_so(town: Town, pair: Pair) -> None:
    async with town_nodes(town) as nodes:
        relay = await pair.open(nodes)
        await start(town, relay)
        await pair.ask(1)
        await pair.ask(2, data=anchor_call(1))
        await pair.carry()
        await settle(town, relay)
        await pair.carry()

    assert (await pair.state(1)).state is IntentState.FINAL
    second = await pair.state(2)
    assert second.state is IntentState.FAILED
    assert second.reason == "the call reverted"
    assert pair.anchored() == [1]


async def test_a_call_that_no_node_ever_takes_fails_and_the_next_ones_go_on(
    town: Town, pair: Pair
) -> None:
    async with town_nodes(town, 2) as nodes:
        relay = await pair.open(nodes)
        await start(town, relay)
        await pair.ask(1, gas=21_001)
        await pair.ask(2)
        await pair.carry()
        for _ in range(10):
            town.clock.move(7)
            await settle(town, relay, 1)
        await pair.carry()

    first = await pair.state(1)
    assert first.state is IntentState.FAILED
    assert first.reason == "pool.intrinsic_gas"
    assert (await pair.state(2)).state is IntentState.FINAL


async def test_a_request_no_transaction_can_hold_fails_at_once(town: Town, pair: Pair) -> None:
    await pair.ask(1, gas=20_000)
    await pair.carry()

    status = await pair.state(1)
    assert status.state is IntentState.FAILED
    assert status.reason == "relay.operation_invalid"


async def test_more_operations_than_the_window_holds_all_become_final(
    town: Town, pair: Pair
) -> None:
    count = WINDOW + 5
    async with town_nodes(town) as nodes:
        relay = await pair.open(nodes)
        await start(town, relay)
        for number in range(count):
            await pair.ask(number)
        await pair.carry()
        await settle(town, relay)

    assert pair.anchored() == list(range(count))


async def test_nothing_is_signed_before_a_block_after_the_start_is_read(
    town: Town, pair: Pair
) -> None:
    async with town_nodes(town) as nodes:
        relay = await pair.open(nodes)
        await pair.ask(1)
        await pair.carry()
        for _ in range(3):
            await relay.run_once()

        assert (await relay.status()).signed == 0
        assert pair.anchored() == []

        await start(town, relay)
        await settle(town, relay)

        assert pair.anchored() == [1]


async def test_an_operation_withdrawn_while_it_waits_is_replaced_on_chain(
    town: Town, pair: Pair
) -> None:
    async with town_nodes(town) as nodes:
        relay = await pair.open(nodes)
        await pair.ask(1)
        await pair.withdraw(1)
        await pair.ask(2)
        await pair.carry()
        await start(town, relay)
        await settle(town, relay)
        await pair.carry()

    assert (await pair.state(1)).state is IntentState.REPLACED
    assert (await pair.state(2)).state is IntentState.FINAL
    assert pair.anchored() == [2]


async def test_an_operation_withdrawn_after_it_was_sent_is_replaced_or_final_never_both(
    town: Town, pair: Pair
) -> None:
    async with town_nodes(town) as nodes:
        relay = await pair.open(nodes)
        await start(town, relay)
        town.chain.is_mining = False
        await pair.ask(1)
        await pair.carry()
        await relay.run_once()
        await pair.withdraw(1)
        await pair.carry()
        await relay.run_once()
        await settle(town, relay)
        await pair.carry()

    assert (await pair.state(1)).state is IntentState.REPLACED
    assert pair.anchored() == []


async def test_a_service_that_asks_too_much_waits_and_loses_nothing(town: Town, pair: Pair) -> None:
    for number in range(UNSETTLED_MAX + 1):
        await pair.ask(number)
    with pytest.raises(QuotaExceeded):
        await pair.carry()
    async with town_nodes(town) as nodes:
        relay = await pair.open(nodes)
        await start(town, relay)
        for _ in range(4):
            await settle(town, relay, 4)
            town.clock.move(120)
            await pair.carry()

    assert sorted(pair.anchored()) == list(range(UNSETTLED_MAX + 1))


async def test_an_operation_told_twice_is_sent_once(town: Town, pair: Pair) -> None:
    async with town_nodes(town) as nodes:
        relay = await pair.open(nodes)
        await start(town, relay)
        await pair.ask(1)
        await pair.carry()
        await settle(town, relay)
        await pair.ask(1)
        await pair.carry()
        await settle(town, relay)

    assert pair.anchored() == [1]


class Failing:
    """A node that takes a transaction and then answers with an error, or not at all."""

    def __init__(self, inner, error: Callable[[], Exception], *, is_deaf: bool) -> None:
        self.inner = inner
        self.error = error
        self.is_deaf = is_deaf

    @property
    def name(self) -> str:
        return "failing"

    async def call(self, method: str, *params: object) -> object:
        if method != "eth_sendRawTransaction":
            return await self.inner.call(method, *params)
        if not self.is_deaf:
            await self.inner.call(method, *params)
        raise self.error()

    async def batch(self, calls) -> list[object]:
        return await self.inner.batch(calls)


@pytest.mark.parametrize("is_deaf", [True, False], ids=["before it took it", "after it took it"])
@pytest.mark.parametrize(
    "error",
    [
        pytest.param(lambda: NodeUnavailable("reset"), id="breaks off"),
        pytest.param(lambda: CallRefused("no", reason="pool.full"), id="says it is full"),
        pytest.param(lambda: CallRefused("no", reason="pool.nonce_too_low"), id="says mined"),
        pytest.param(lambda: CallRefused("no", reason="pool.gas_cap"), id="says never"),
    ],
)
async def test_a_node_that_breaks_off_or_lies_delays_and_doubles_nothing(
    town: Town, pair: Pair, error: Callable[[], Exception], is_deaf: bool
) -> None:
    async with town_nodes(town) as (node,):
        relay = await pair.open([Failing(node, error, is_deaf=is_deaf), node])
        for _ in range(8):
            town.heartbeat()
        await pair.ask(1)
        await pair.carry()
        for _ in range(10):
            await settle(town, relay, 1)
            town.clock.move(61)
            town.heartbeat()
        await pair.carry()

    assert pair.anchored() == [1]
    assert (await pair.state(1)).state is IntentState.FINAL


def test_the_relay_s_account_is_one_of_the_municipality_s_services(town: Town, pair: Pair) -> None:
    assert pair.signer.account == SERVICE_KEYS[0].address


async def test_a_root_is_anchored_and_its_service_told_where(town: Town, pair: Pair) -> None:
    told: list[Event] = []

    async def hear(_tx: AsyncConnection, event: Event) -> None:
        told.append(event)

    asking = Event(
        id="audit-root:1",
        source=LIBRARY,
        type=ROOT_READY,
        subject="audit",
        tenant="sakai",
        time=town.clock.now(),
        data={"root": "0x" + "5a" * 32, "count": 7, "first": 1},
    )
    async with pair.database.write() as tx:
        await subscribe(tx, replace(TO_LIBRARY, types=("jp.daicho.audit.root-anchored",)))
    async with town_nodes(town) as nodes:
        relay = await pair.open(nodes)
        await start(town, relay)
        await accept(pair.database, asking, pair.intake.handle)
        await settle(town, relay)
        await carry(pair.database, TO_LIBRARY, pair.library, hear, town)

    (event,) = told
    assert event.data["root"] == "0x" + "5a" * 32
    height = event.data["height"]
    assert isinstance(height, int)
    (log,) = town.chain.ledger.chain.load_receipts(Height(height))[0].logs
    stream = compute_stream("sakai", LIBRARY, "audit")
    assert log.topics[2] == stream
