"""STORE-OVERLAY, STORE-COW, STORE-MODES, STORE-DELTA, STORE-WINDOW: states against a naive model.

The model keeps dictionaries and lets py-trie's ``HexaryTrie`` compute each root from nothing.
Chains touch, delete, wipe and create accounts over many blocks, in both modes, with caches so
small that nodes are read back from the store.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.primitives.trie import verify_account_proof, verify_slot_proof
from node.primitives.types import Height
from node.storage.errors import StatePruned
from node.storage.state import build_overlay
from node.storage.state_store import StateMode
from node.storage.view import BackedView
from tests.support.stores import (
    ModelState,
    address_of,
    commit,
    make_alloc,
    open_made_up,
    random_changes,
)


def assert_same(view: BackedView, model: ModelState) -> None:
    for number in range(12):
        address = address_of(number)
        assert view.load_account(address) == model.accounts.get(address)
        for slot in range(24):
            assert view.load_slot(address, slot) == model.slots.get(address, {}).get(slot, 0)


def model_of_genesis() -> ModelState:
    model = ModelState()
    model.apply(make_alloc())
    return model


@pytest.mark.parametrize("mode", list(StateMode))
@given(seed=st.integers(0, 2**32), blocks=st.integers(1, 14))
@settings(max_examples=25, deadline=None)
def test_every_block_leads_to_the_state_and_root_of_the_model(
    mode: StateMode, seed: int, blocks: int
) -> None:
    chance = random.Random(seed)
    chain = open_made_up(mode=mode, node_cache_size=4_000, window=5)
    model = model_of_genesis()
    models = [model.copy()]
    for _ in range(blocks):
        changes = random_changes(chance, model)
        model.apply(changes)
        made = commit(chain, changes)
        assert made.overlay.root == model.root()
        assert_same(made.overlay, model)
        models.append(model.copy())
    for height, known in enumerate(models):
        view = chain.view_at(Height(height))
        if mode is StateMode.ARCHIVE or height >= blocks - 5:
            assert_same(view, known)
        else:
            with pytest.raises(StatePruned, match="archive"):
                view.load_account(address_of(0))


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_sibling_and_stacked_overlays_do_not_see_each_other(seed: int) -> None:
    chance = random.Random(seed)
    chain = open_made_up(node_cache_size=4_000)
    model = model_of_genesis()
    for _ in range(3):
        changes = random_changes(chance, model)
        model.apply(changes)
        commit(chain, changes)
    branches = []
    for _ in range(3):
        first, second = model.copy(), model.copy()
        changes = random_changes(chance, first)
        first.apply(changes)
        second.apply(changes)
        below = build_overlay(chain.head_view(), changes)
        more = random_changes(chance, second)
        second.apply(more)
        branches.append((below, first, build_overlay(below, more), second))
    for below, first, above, second in branches:
        assert (below.root, above.root) == (first.root(), second.root())
        assert_same(below, first)
        assert_same(above, second)
    assert_same(chain.head_view(), model)
    assert chain.head_view().root == model.root()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_a_proof_shows_what_the_state_holds_at_any_archived_height(seed: int) -> None:
    chance = random.Random(seed)
    chain = open_made_up(node_cache_size=4_000)
    model = model_of_genesis()
    models = [model.copy()]
    for _ in range(4):
        changes = random_changes(chance, model)
        model.apply(changes)
        commit(chain, changes)
        models.append(model.copy())
    for height, known in enumerate(models):
        root = chain.load_header(Height(height)).state_root
        for number in range(12):
            address = address_of(number)
            proof = chain.build_account_proof(Height(height), address, (0, 5, 23))
            leaf = verify_account_proof(root, address, proof.nodes)
            account = known.accounts.get(address)
            assert (leaf is None) == (account is None)
            if leaf is None or account is None:
                continue
            assert (leaf.nonce, leaf.balance_wei, leaf.code_hash) == (
                account.nonce,
                account.balance_wei,
                account.code_hash,
            )
            for slot in proof.slots:
                value = verify_slot_proof(leaf.storage_root, slot.slot, slot.nodes)
                assert value == slot.value == known.slots.get(address, {}).get(slot.slot, 0)
