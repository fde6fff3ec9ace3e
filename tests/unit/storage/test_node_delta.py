"""STORE-DELTA: archived branches kept as differences are the same nodes, at any height."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.primitives.crypto import keccak256
from node.primitives.trie import EMPTY_REFERENCE, encode_branch, encode_leaf
from node.primitives.types import Height
from node.storage import schema
from node.storage.errors import DatabaseCorrupt
from node.storage.kv import MemoryStore
from node.storage.node_delta import CHANGED_MAX, MARK, apply_delta, base_of, encode_delta
from node.storage.schema import Prefix
from node.storage.state_store import StateMode
from node.storage.view import StateChanges
from tests.support.stores import CONTRACT, commit, open_made_up

REFERENCES = st.one_of(
    st.just(EMPTY_REFERENCE),
    st.binary(min_size=32, max_size=32).map(lambda digest: b"\xa0" + digest),
    st.binary(min_size=1, max_size=20).map(lambda value: encode_leaf("ab", value)),
)
CHILDREN = st.lists(REFERENCES, min_size=16, max_size=16)


@given(children=CHILDREN, changes=st.dictionaries(st.integers(0, 15), REFERENCES, max_size=6))
def test_a_difference_makes_the_branch_it_was_made_from(
    children: list[bytes], changes: dict[int, bytes]
) -> None:
    base = encode_branch(children)
    after = [changes.get(index, child) for index, child in enumerate(children)]
    raw = encode_branch(after)
    delta = encode_delta(keccak256(base), base, raw)
    changed = sum(one != other for one, other in zip(children, after, strict=True))
    if delta is None:
        assert changed in (0, *range(CHANGED_MAX + 1, 17)) or len(raw) < 35 + 33 * changed
        return
    assert changed <= CHANGED_MAX
    assert len(delta) < len(raw)
    assert base_of(delta) == keccak256(base)
    assert apply_delta(delta, base) == raw


def test_whole_nodes_refer_to_nothing_and_leaves_have_no_difference() -> None:
    branch = encode_branch([b"\xa0" + bytes(32)] * 16)
    leaf = encode_leaf("ab", bytes(40))
    assert base_of(branch) is None
    assert base_of(leaf) is None
    assert encode_delta(keccak256(branch), branch, leaf) is None
    assert encode_delta(keccak256(leaf), leaf, branch) is None


@given(tail=st.binary(max_size=80))
def test_a_damaged_difference_gives_other_bytes_and_no_error(tail: bytes) -> None:
    base = encode_branch([b"\xa0" + bytes(32)] * 16)
    assert isinstance(apply_delta(MARK + keccak256(base) + tail, base), bytes)


def grown(store: MemoryStore) -> list[dict[int, int]]:
    """Toggle a few of many slots back and forth, so that old nodes come back too."""
    chance = random.Random(2)
    chain = open_made_up(store)
    known = {0: 7, 1: 2**255}
    states = [dict(known)]
    for number in range(60):
        slots = {slot: slot + 1 for slot in range(100)} if not number else {}
        for _ in range(3):
            slots[chance.randrange(100)] = chance.choice([0, 1, 2])
        commit(chain, StateChanges(slots={CONTRACT: slots}))
        known.update(slots)
        states.append(dict(known))
    return states


def records(store: MemoryStore) -> dict[bytes, bytes]:
    start, stop = schema.range_of(Prefix.NODE_BY_HASH)
    return dict(store.iterate(start=start, stop=stop))


def test_every_height_of_an_archive_reads_the_same_through_differences() -> None:
    store = MemoryStore()
    states = grown(store)
    kept = records(store)
    deltas = [record for record in kept.values() if base_of(record) is not None]
    assert len(deltas) > 100
    for record in deltas:
        base_hash = base_of(record)
        assert base_hash is not None
        assert base_of(kept[schema.node_hash_key(base_hash)]) is None

    chain = open_made_up(store, node_cache_size=1_000)
    assert chain.mode is StateMode.ARCHIVE
    for height, known in enumerate(states):
        view = chain.view_at(Height(height))
        assert all(view.load_slot(CONTRACT, slot) == value for slot, value in known.items())


def test_a_base_stays_whole_although_its_node_comes_back() -> None:
    chance = random.Random(5)
    store = MemoryStore()
    chain = open_made_up(store, node_cache_size=5_000)
    commit(chain, StateChanges(slots={CONTRACT: dict.fromkeys(range(2, 100), 9)}))
    for _ in range(150):
        commit(
            chain, StateChanges(slots={CONTRACT: {chance.choice([3, 4, 5]): chance.choice([1, 2])}})
        )
    kept = records(store)
    bases = {base_of(record) for record in kept.values()} - {None}
    assert bases
    assert all(base_of(kept[schema.node_hash_key(base)]) is None for base in bases if base)


def test_a_difference_whose_base_is_missing_is_refused_by_name() -> None:
    store = MemoryStore()
    grown(store)
    kept = records(store)
    bases = {base_of(record) for record in kept.values()} - {None}
    store.write(dict.fromkeys(schema.node_hash_key(base) for base in bases if base), sync=True)

    with pytest.raises(DatabaseCorrupt, match="missing or altered"):
        read_everything(store)


def read_everything(store: MemoryStore) -> None:
    chain = open_made_up(store, node_cache_size=1_000)
    for height in range(61):
        for slot in range(100):
            chain.view_at(Height(height)).load_slot(CONTRACT, slot)
