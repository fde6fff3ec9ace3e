"""STORE-PRUNE: an archive becomes a live database, whatever write fails on the way."""

import pytest

from node.primitives.errors import InvalidInput
from node.primitives.types import Height
from node.storage import prune, schema
from node.storage.chain import open_stored
from node.storage.check import verify_database
from node.storage.errors import DatabaseMismatch, DiskFailed, StatePruned
from node.storage.kv import MemoryStore
from node.storage.prune import prune_states
from node.storage.schema import Prefix, account_key, hash_address
from node.storage.state_store import StateMode
from node.storage.state_stream import StateRoot, iterate_flat
from node.storage.view import Account, StateChanges
from tests.support.stores import CONTRACT, FailingStore, address_of, commit, open_made_up


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "BATCH_COUNT", 10)


def archive() -> MemoryStore:
    store = MemoryStore()
    chain = open_made_up(store)
    for number in range(1, 12):
        changes = StateChanges(accounts={address_of(number): Account(0, number)})
        changes.slots[CONTRACT] = {number + 10: number}
        commit(chain, changes)
    return store


def test_a_pruned_archive_is_smaller_live_and_goes_on() -> None:
    store = archive()
    told: list[str] = []
    removed = prune_states(store, progress=lambda part, _done: told.append(part))

    start, stop = schema.range_of(Prefix.NODE_BY_HASH)
    assert list(store.iterate(start=start, stop=stop)) == []
    assert removed > 50
    assert set(told) == {"writing nodes by path", "removing nodes"}
    chain = open_made_up(store, mode=StateMode.LIVE)
    assert all(check.is_passed for check in verify_database(chain))
    with pytest.raises(StatePruned):
        chain.view_at(Height(5)).load_account(address_of(1))
    commit(chain, StateChanges(accounts={CONTRACT: None}))
    assert all(check.is_passed for check in verify_database(chain))
    with pytest.raises(DatabaseMismatch, match="already"):
        prune_states(store)


def test_a_live_database_holds_the_nodes_of_its_head_and_no_others() -> None:
    store = MemoryStore()
    chain = open_made_up(store, mode=StateMode.LIVE)
    for number in range(1, 12):
        changes = StateChanges(accounts={address_of(number): Account(0, number)})
        changes.slots[CONTRACT] = dict.fromkeys(range(number, 40, number), number % 3)
        changes.accounts[address_of(number // 2)] = None
        commit(chain, changes)
    expected = set()
    root = StateRoot(lambda owner, path, *_: expected.add(schema.node_path_key(owner, path)))
    for entry in iterate_flat(store):
        root.add(entry)
    assert root.finish() == chain.head.state_root
    start, stop = schema.range_of(Prefix.NODE_BY_PATH)
    assert {key for key, _ in store.iterate(start=start, stop=stop)} == expected


def test_pruning_is_completed_after_any_write_that_failed() -> None:
    fails_at = 1
    while True:
        inner = archive()
        try:
            prune_states(FailingStore(inner, fails_at=fails_at))
        except DiskFailed:
            if fails_at > 1:
                with pytest.raises(DatabaseMismatch, match="daicho db prune"):
                    open_stored(inner)
            prune_states(inner)
            assert all(check.is_passed for check in verify_database(open_stored(inner)))
            fails_at += 1
            continue
        break
    assert fails_at > 8


def test_an_archive_whose_flat_state_is_wrong_stays_an_archive() -> None:
    store = archive()
    store.write({account_key(hash_address(address_of(3))): None}, sync=True)

    with pytest.raises(InvalidInput, match="state root"):
        prune_states(store)
    assert open_stored(store).mode is StateMode.ARCHIVE
