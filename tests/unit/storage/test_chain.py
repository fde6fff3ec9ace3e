"""STORE-COMMIT, STORE-OPEN, STORE-MODES, STORE-CACHE: what a chain store keeps and refuses."""

from dataclasses import replace

import pytest

from node.primitives.block import Block
from node.primitives.crypto import keccak256
from node.primitives.errors import InvariantViolation
from node.primitives.trie import verify_account_proof
from node.primitives.types import BlockHash, Hash32, Height, TransactionHash
from node.storage import state_store
from node.storage.chain import open_chain, open_stored
from node.storage.errors import (
    DatabaseCorrupt,
    DatabaseMismatch,
    DiskFailed,
    NotStored,
    StatePruned,
)
from node.storage.kv import MemoryStore
from node.storage.schema import Meta, header_key, meta_key
from node.storage.state_store import ByteCache, StateMode
from node.storage.view import Account, StateChanges
from tests.support.stores import (
    CONTRACT,
    CONTRACT_CODE,
    FailingStore,
    address_of,
    commit,
    log_of,
    make_alloc,
    make_block,
    make_genesis,
    open_made_up,
)


def pay(number: int, balance_wei: int) -> StateChanges:
    return StateChanges(accounts={address_of(number): Account(0, balance_wei)})


def test_genesis_is_the_first_head_and_its_state_can_be_read() -> None:
    chain = open_made_up()

    assert chain.head.height == 0
    view = chain.head_view()
    assert view.load_slot(CONTRACT, 1) == 2**255
    account = view.load_account(CONTRACT)
    assert account is not None
    assert view.load_code(account.code_hash) == CONTRACT_CODE
    assert view.load_code(keccak256(b"")) == b""
    with pytest.raises(InvariantViolation):
        view.load_code(Hash32(bytes(32)))


def test_a_committed_block_is_found_in_every_way() -> None:
    chain = open_made_up()
    made = commit(chain, pay(1, 5), logs=((log_of(1, 2, data=b"x"),), (), (log_of(3),)))

    assert chain.head == made.block.header
    assert chain.load_header(Height(1)) == made.block.header
    assert chain.load_header_by_hash(made.block.hash) == made.block.header
    assert chain.load_block(Height(1)).encode() == made.block.encode()
    assert chain.load_block_by_hash(made.block.hash).transactions == made.block.transactions
    assert chain.load_receipts(Height(1)) == made.receipts
    assert chain.find_transaction(made.block.transactions[2].hash) == (1, 2)
    assert chain.find_height(made.block.hash) == 1
    assert chain.load_hash(Height(1)) == made.block.hash
    assert [block.height for block in chain.iterate_blocks(Height(0), Height(1))] == [0, 1]


def test_what_is_not_stored_is_said_to_be_missing() -> None:
    chain = open_made_up()

    assert chain.find_transaction(TransactionHash(Hash32(bytes(32)))) is None
    assert chain.find_height(BlockHash(Hash32(bytes(32)))) is None
    assert chain.load_hash(Height(1)) is None
    for load in (chain.load_header, chain.load_block, chain.load_receipts, chain.view_at):
        for height in (1, -1, 2**64):
            with pytest.raises(NotStored):
                load(Height(height))
    with pytest.raises(NotStored):
        chain.load_header_by_hash(BlockHash(Hash32(bytes(32))))


def test_seals_are_kept_as_this_node_collected_them() -> None:
    chain = open_made_up()
    made = make_block(chain, pay(1, 5))
    other = made.block.with_seals(made.block.header.extra_data.seals * 2)
    chain.commit_block(other, made.receipts, made.overlay)

    assert chain.load_header(Height(1)).extra_data.seals == other.header.extra_data.seals
    assert chain.load_block_by_hash(made.block.hash).header == other.header


def test_parts_that_disagree_are_not_committed() -> None:
    chain = open_made_up()
    first = make_block(chain, pay(1, 5), logs=((),))
    sibling = make_block(chain, pay(1, 6), logs=((),))
    with pytest.raises(InvariantViolation, match="overlay"):
        chain.commit_block(first.block, first.receipts, sibling.overlay)
    with pytest.raises(InvariantViolation, match="receipts"):
        chain.commit_block(first.block, (), first.overlay)
    chain.commit_block(first.block, first.receipts, first.overlay)
    for late in (first, sibling):
        with pytest.raises(InvariantViolation, match="does not follow"):
            chain.commit_block(late.block, late.receipts, late.overlay)
    orphan = replace(sibling.block.header, height=Height(2))
    with pytest.raises(InvariantViolation, match="does not follow"):
        chain.commit_block(
            Block(header=orphan, transactions=sibling.block.transactions),
            sibling.receipts,
            sibling.overlay,
        )
    assert chain.head == first.block.header


@pytest.mark.parametrize("mode", list(StateMode))
def test_reopening_finds_the_same_head_and_state(mode: StateMode) -> None:
    store = MemoryStore()
    chain = open_made_up(store, mode=mode)
    for number in range(1, 6):
        commit(chain, pay(number, number))

    again = open_made_up(store, mode=mode)
    assert again.head == chain.head
    assert again.head_view().root == chain.head.state_root
    assert again.view_at(Height(3)).load_account(address_of(4)) is None
    assert again.view_at(Height(4)).load_account(address_of(4)) == Account(0, 4)
    assert open_stored(store).head == chain.head


def test_another_genesis_is_refused_by_name() -> None:
    store = MemoryStore()
    open_made_up(store)
    alloc = make_alloc()
    alloc.accounts[address_of(9)] = Account(0, 1)

    with pytest.raises(DatabaseMismatch, match="right genesis file"):
        open_chain(store, genesis=make_genesis(alloc), alloc=alloc, mode=StateMode.ARCHIVE)


@pytest.mark.parametrize(
    ("stored", "asked", "remedy"),
    [
        pytest.param(StateMode.ARCHIVE, StateMode.LIVE, "db prune", id="archive as live"),
        pytest.param(StateMode.LIVE, StateMode.ARCHIVE, "replay", id="live as archive"),
    ],
)
def test_another_mode_is_refused_with_the_remedy(
    stored: StateMode, asked: StateMode, remedy: str
) -> None:
    store = MemoryStore()
    open_made_up(store, mode=stored)

    with pytest.raises(DatabaseMismatch, match=remedy):
        open_made_up(store, mode=asked)


def test_another_schema_and_an_unfinished_rewrite_are_refused() -> None:
    store = MemoryStore()
    open_made_up(store)
    store.write({meta_key(Meta.SCHEMA): (2).to_bytes(4, "big")}, sync=True)
    with pytest.raises(DatabaseMismatch, match="schema 2"):
        open_made_up(store)
    store.write({meta_key(Meta.TASK): b"daicho db prune"}, sync=True)
    with pytest.raises(DatabaseMismatch, match="daicho db prune"):
        open_made_up(store)


def test_an_allocation_of_another_root_does_not_begin_a_chain() -> None:
    store = MemoryStore()
    with pytest.raises(InvariantViolation, match="allocation"):
        open_chain(
            store, genesis=make_genesis(make_alloc()), alloc=StateChanges(), mode=StateMode.LIVE
        )
    assert store.get(meta_key(Meta.SCHEMA)) is None


def test_a_head_pointer_that_leads_nowhere_is_refused() -> None:
    store = MemoryStore()
    chain = open_made_up(store)
    commit(chain, pay(1, 1))
    store.write({header_key(1): chain.load_header(Height(0)).encode()}, sync=True)
    with pytest.raises(DatabaseCorrupt, match="head pointer"):
        open_made_up(store)
    store.write({header_key(1): None}, sync=True)
    with pytest.raises(DatabaseCorrupt, match="leads nowhere"):
        open_made_up(store)


@pytest.mark.parametrize("mode", list(StateMode))
@pytest.mark.parametrize("is_kept", [False, True], ids=["lost", "kept although it failed"])
def test_a_write_that_fails_leaves_a_whole_chain_at_any_write(
    mode: StateMode, is_kept: bool
) -> None:
    for fails_at in range(1, 7):
        inner = MemoryStore()
        known = {}
        try:
            chain = open_made_up(FailingStore(inner, fails_at=fails_at, is_kept=is_kept), mode=mode)
            for number in range(1, 6):
                known[number - 1] = chain.head
                head = chain.head
                commit(chain, pay(number, number), logs=((log_of(number),),))
        except DiskFailed:
            if fails_at > 1:
                assert chain.head == head
                assert (
                    chain.head_view().load_account(address_of(head.height + 1)) is None or is_kept
                )
        again = open_made_up(inner, mode=mode)
        expected = fails_at - 2 + is_kept
        assert again.head.height == max(0, expected)
        for number in range(1, 6):
            is_there = again.head_view().load_account(address_of(number)) is not None
            assert is_there == (number <= again.head.height)
        commit(again, pay(7, 7))


def test_every_block_is_one_batch_that_is_on_disk_on_return() -> None:
    store = FailingStore(MemoryStore(), fails_at=-1)
    chain = open_made_up(store)
    for number in range(1, 4):
        commit(chain, pay(number, number), logs=((log_of(1),),))
        assert store.syncs == [True] * (number + 1)


def test_a_live_chain_reads_its_window_and_proves_its_head() -> None:
    chain = open_made_up(mode=StateMode.LIVE, window=3, node_cache_size=2_000)
    for number in range(1, 9):
        commit(chain, pay(number, number))

    for height in (5, 6, 7, 8):
        view = chain.view_at(Height(height))
        assert view.load_account(address_of(height)) == Account(0, height)
        assert view.load_account(address_of(height + 1)) is None
    with pytest.raises(StatePruned, match="archive node"):
        chain.view_at(Height(4)).load_account(address_of(1))
    proof = chain.build_account_proof(Height(8), address_of(8))
    assert verify_account_proof(chain.head.state_root, address_of(8), proof.nodes) is not None
    with pytest.raises(StatePruned, match="no longer kept"):
        chain.build_account_proof(Height(6), address_of(8))


def test_a_view_taken_before_a_commit_keeps_meaning_the_same_state() -> None:
    for mode in StateMode:
        chain = open_made_up(mode=mode)
        before = chain.head_view()
        commit(chain, StateChanges(accounts={CONTRACT: None}))

        assert before.load_account(CONTRACT) is not None
        assert before.load_slot(CONTRACT, 0) == 7
        assert chain.head_view().load_account(CONTRACT) is None
        assert chain.head_view().load_slot(CONTRACT, 0) == 0


def test_an_altered_trie_node_is_not_taken_for_the_real_one() -> None:
    store = MemoryStore()
    chain = open_made_up(store, node_cache_size=2_000)
    root = chain.head.state_root
    store.write({b"n" + root: b"altered"}, sync=True)

    reopened = open_made_up(store)
    with pytest.raises(DatabaseCorrupt, match="altered"):
        commit(reopened, pay(1, 1))


def test_a_cache_never_holds_more_than_its_bound() -> None:
    cache = ByteCache(10_000)
    for number in range(1_000):
        cache.put(number.to_bytes(4, "big"), bytes(100))
        cache.get(number.to_bytes(4, "big"))
        assert cache.size_bytes <= 10_000 + 260
    assert cache.get((999).to_bytes(4, "big")) == bytes(100)
    assert cache.get((0).to_bytes(4, "big")) is None


def test_readers_of_the_head_share_what_was_read_and_a_new_head_begins_anew() -> None:
    chain = open_made_up()
    commit(chain, pay(1, 5))
    before = chain.head_view()
    assert (before.load_account(address_of(1)), before.load_account(address_of(2))) == (
        Account(0, 5),
        None,
    )

    assert chain.view_at(Height(1)) is before
    commit(chain, StateChanges(accounts={**pay(1, 6).accounts, **pay(2, 7).accounts}))

    after = chain.head_view()
    assert (after.load_account(address_of(1)), after.load_account(address_of(2))) == (
        Account(0, 6),
        Account(0, 7),
    )
    assert (before.load_account(address_of(1)), before.load_account(address_of(2))) == (
        Account(0, 5),
        None,
    )


def test_a_view_remembers_no_more_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_store, "REMEMBERED_MAX", 3)
    view = open_made_up().head_view()

    for number in range(10):
        assert view.load_account(address_of(100 + number)) is None
        assert view.load_slot(CONTRACT, 100 + number) == 0

    assert view.remembered_count == 6
