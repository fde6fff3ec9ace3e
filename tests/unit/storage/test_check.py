"""STORE-CHECK: each kind of damage is found by the check that names it, and none stops the rest."""

from collections.abc import Callable

import pytest

from node.primitives.types import Height
from node.storage import schema
from node.storage.chain import ChainStore
from node.storage.check import verify_database
from node.storage.kv import MemoryStore
from node.storage.schema import Meta, Prefix, hash_address, hash_slot, meta_key
from node.storage.state_store import StateMode
from node.storage.view import Account, StateChanges
from tests.support.stores import CONTRACT, address_of, commit, log_of, open_made_up

ALL = [
    "schema",
    "headers link",
    "blocks match headers",
    "indexes lead to blocks",
    "flat state leads to root",
    "trie is whole",
]


def grown(mode: StateMode) -> tuple[MemoryStore, ChainStore]:
    store = MemoryStore()
    chain = open_made_up(store, mode=mode, node_cache_size=0)
    for number in range(1, 5):
        changes = StateChanges(accounts={address_of(number): Account(0, number)})
        changes.slots[CONTRACT] = {number + 10: number}
        commit(chain, changes, logs=((log_of(number),), ()))
    return store, open_made_up(store, mode=mode, node_cache_size=0)


def failed(chain: ChainStore, start: Height | None = None) -> list[str]:
    checks = list(verify_database(chain, start=start))
    assert [check.name for check in checks] == ALL
    return [check.name for check in checks if not check.is_passed]


@pytest.mark.parametrize("mode", list(StateMode))
def test_a_whole_database_passes_every_check_and_tells_how_far_it_is(mode: StateMode) -> None:
    _, chain = grown(mode)
    told: set[str] = set()

    def report(part: str, _done: int, _total: int) -> None:
        told.add(part)

    assert all(check.is_passed for check in verify_database(chain, progress=report))
    assert told == {"headers", "blocks", "indexes"}


def first_node(store: MemoryStore, prefix: Prefix) -> bytes:
    start, stop = schema.range_of(prefix)
    return next(key for key, _ in store.iterate(start=start, stop=stop))


def damage_body(store: MemoryStore) -> None:
    store.write({schema.body_key(2): b"\xc0"}, sync=True)


def swap_headers(store: MemoryStore) -> None:
    store.write({schema.header_key(2): store.get(schema.header_key(1))}, sync=True)


def damage_receipts(store: MemoryStore) -> None:
    store.write({schema.receipts_key(3): store.get(schema.receipts_key(2))}, sync=True)


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        pytest.param(
            lambda store: store.write({meta_key(Meta.SCHEMA): b"\x00"}, sync=True),
            ["schema"],
            id="schema",
        ),
        pytest.param(
            swap_headers,
            ["headers link", "blocks match headers"],
            id="header of another height",
        ),
        pytest.param(damage_body, ["blocks match headers"], id="body without transactions"),
        pytest.param(
            damage_receipts,
            ["blocks match headers", "indexes lead to blocks"],
            id="receipts of another block",
        ),
        pytest.param(
            lambda store: store.write({schema.body_key(2): None}, sync=True),
            ["blocks match headers", "indexes lead to blocks"],
            id="body missing",
        ),
        pytest.param(
            lambda store: store.write({first_node(store, Prefix.TRANSACTION): None}, sync=True),
            ["indexes lead to blocks"],
            id="transaction not indexed",
        ),
        pytest.param(
            lambda store: store.write({first_node(store, Prefix.LOG_TERM): None}, sync=True),
            ["indexes lead to blocks"],
            id="log not indexed",
        ),
        pytest.param(
            lambda store: store.write({first_node(store, Prefix.HEIGHT_BY_HASH): None}, sync=True),
            ["headers link"],
            id="block hash not indexed",
        ),
        pytest.param(
            lambda store: store.write(
                {schema.account_key(hash_address(address_of(2))): b"\xc2\x80\x09"}, sync=True
            ),
            ["flat state leads to root"],
            id="flat account",
        ),
        pytest.param(
            lambda store: store.write(
                {schema.slot_key(hash_address(CONTRACT), hash_slot(12)): b"\x09"}, sync=True
            ),
            ["flat state leads to root"],
            id="flat slot",
        ),
        pytest.param(
            lambda store: store.write({schema.slot_key(bytes(32), bytes(32)): b"\x09"}, sync=True),
            ["flat state leads to root"],
            id="slot of nobody",
        ),
        pytest.param(
            lambda store: store.write({first_node(store, Prefix.CODE): None}, sync=True),
            ["trie is whole"],
            id="code missing",
        ),
        pytest.param(
            lambda store: store.write({first_node(store, Prefix.NODE_BY_PATH): b"x"}, sync=True),
            ["trie is whole"],
            id="trie node altered",
        ),
    ],
)
def test_damage_is_found_by_the_check_that_names_it(
    damage: Callable[[MemoryStore], None], names: list[str]
) -> None:
    store, chain = grown(StateMode.LIVE)
    damage(store)

    assert failed(chain) == names


def test_a_check_can_go_on_where_it_was_interrupted() -> None:
    store, chain = grown(StateMode.LIVE)
    damage_body(store)

    assert failed(chain, Height(2)) == ["blocks match headers"]
    assert failed(chain, Height(3)) == []
