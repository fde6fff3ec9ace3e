"""RPC-FILTER, RPC-SUBSCRIBE, RPC-LOGS: filters and subscriptions, and their bounds."""

from itertools import count
from typing import Any

import pytest

from node.primitives.types import Hash32, Height, TransactionHash
from node.rpc.errors import InvalidParams, LimitExceeded, NotFound
from node.rpc.filters import FilterKind, FilterRegistry, InstalledFilter
from node.rpc.limits import RpcLimits
from node.rpc.logs import parse_filter
from node.rpc.params import Params
from node.rpc.records import transaction_record
from node.rpc.subscriptions import Subscriptions, build_head_event
from tests.support.ledger import GOVERNOR_KEY, OUTSIDER_KEY
from tests.support.rpc import RpcChain, book

LIMITS = RpcLimits(
    filter_count_max=2,
    filter_idle_max_s=60,
    filter_backlog_max=3,
    subscription_count_max=3,
    log_block_span_max=2,
)
CREATION = bytes.fromhex(book()["bytecode"][2:])


@pytest.fixture
def chain() -> RpcChain:
    return RpcChain()


@pytest.fixture
def registry() -> FilterRegistry:
    names = count()
    return FilterRegistry(LIMITS, lambda: f"filter {next(names)}")


def blocks_from(cursor: int, asked_s: int = 0) -> InstalledFilter:
    return InstalledFilter(kind=FilterKind.BLOCKS, cursor=cursor, asked_s=asked_s)


def test_a_block_filter_gives_each_block_once(chain: RpcChain, registry: FilterRegistry) -> None:
    name = registry.install(blocks_from(1))
    chain.mine()

    first = registry.changes(name, chain.backend, 0)
    chain.mine()

    assert first == ["0x" + chain.ledger.chain.load_header(Height(1)).hash.hex()]
    assert registry.changes(name, chain.backend, 0) == ["0x" + chain.ledger.head.hash.hex()]
    assert registry.changes(name, chain.backend, 0) == []


def test_a_filter_that_fell_far_behind_catches_up_in_parts(
    chain: RpcChain, registry: FilterRegistry
) -> None:
    name = registry.install(blocks_from(1))
    for _ in range(5):
        chain.mine()

    parts = [len(registry.changes(name, chain.backend, 0)) for _ in range(4)]

    assert parts == [2, 2, 1, 0]


def test_filters_are_bounded_and_idle_ones_make_room(registry: FilterRegistry) -> None:
    first = registry.install(blocks_from(1, asked_s=0))
    registry.install(blocks_from(1, asked_s=30))
    with pytest.raises(LimitExceeded):
        registry.install(blocks_from(1, asked_s=60))

    registry.install(blocks_from(1, asked_s=61))

    assert len(registry) == 2
    with pytest.raises(NotFound):
        registry.find(first, 61)


def test_asking_keeps_a_filter_alive(chain: RpcChain, registry: FilterRegistry) -> None:
    name = registry.install(blocks_from(1, asked_s=0))

    for now_s in (50, 100, 150):
        registry.changes(name, chain.backend, now_s)

    assert registry.uninstall(name)
    assert not registry.uninstall(name)


def test_waiting_transactions_are_kept_in_one_bounded_ring(
    chain: RpcChain, registry: FilterRegistry
) -> None:
    early = registry.install(InstalledFilter(kind=FilterKind.PENDING, cursor=0, asked_s=0))
    for at in range(5):
        registry.upon_pending(TransactionHash(Hash32(bytes((at,)) * 32)))
    late = registry.install(
        InstalledFilter(kind=FilterKind.PENDING, cursor=registry.stream_end, asked_s=0)
    )

    seen = registry.changes(early, chain.backend, 0)

    assert seen == ["0x" + bytes((at,)).hex() * 32 for at in (2, 3, 4)]
    assert registry.changes(late, chain.backend, 0) == []


def subscriptions() -> Subscriptions:
    names = count()
    return Subscriptions(LIMITS, lambda: f"subscription {next(names)}")


def test_a_head_notifies_whoever_wants_it(chain: RpcChain) -> None:
    held = subscriptions()
    held.subscribe(Params(["newHeads"]))
    held.subscribe(Params(["logs", {"address": "0x" + "11" * 20}]))
    chain.submit(chain.ledger.call(GOVERNOR_KEY, None, CREATION, gas_limit=2_000_000).raw, "test")

    event = build_head_event(chain.backend, Height(1))
    assert event is not None
    (only,) = held.upon_head(event)

    assert isinstance(only, dict)
    shown: Any = only["params"]
    assert shown["subscription"] == "subscription 0"
    assert shown["result"]["number"] == "0x1"
    assert "transactions" not in shown["result"]


def test_a_waiting_transaction_is_told_by_hash_or_in_full(chain: RpcChain) -> None:
    sent = chain.ledger.call(GOVERNOR_KEY, OUTSIDER_KEY.address, gas_limit=21_000)
    held = subscriptions()
    held.subscribe(Params(["newPendingTransactions"]))
    held.subscribe(Params(["newPendingTransactions", True]))
    assert held.wants_pending

    brief, full = (
        message["params"]["result"]  # type: ignore[index, call-overload]
        for message in held.upon_pending(transaction_record(sent))
    )

    assert brief == "0x" + sent.hash.hex()
    assert full["hash"] == brief  # type: ignore[index, call-overload]
    assert full["blockHash"] is None  # type: ignore[index, call-overload]


def test_subscriptions_are_bounded_and_end() -> None:
    held = subscriptions()
    names = [held.subscribe(Params(["newHeads"])) for _ in range(3)]

    with pytest.raises(LimitExceeded):
        held.subscribe(Params(["newHeads"]))
    assert held.unsubscribe(names[0])
    assert not held.unsubscribe(names[0])
    assert len(held) == 2


@pytest.mark.parametrize("topic", ["syncing", "", "newHeads "])
def test_other_topics_are_refused(topic: str) -> None:
    with pytest.raises(InvalidParams):
        subscriptions().subscribe(Params([topic]))


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param([], id="a list"),
        pytest.param({"address": "0x00"}, id="short address"),
        pytest.param({"topics": "0x00"}, id="topics not a list"),
        pytest.param({"topics": [["0x00"]]}, id="short topic"),
        pytest.param({"topics": [[["0x00"]]]}, id="nested topic"),
    ],
)
def test_a_malformed_filter_is_refused(wanted: Any) -> None:
    with pytest.raises(InvalidParams):
        parse_filter(wanted, LIMITS)
