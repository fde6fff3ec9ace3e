"""STORE-TRIE, STORE-COW, STORE-PROOF: tries and proofs against py-trie's ``HexaryTrie``.

Updates run over many blocks with deletions, dense and sparse keys, nodes short enough to be
embedded, and a node store keyed by path that must always hold exactly the current trie.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trie import HexaryTrie

from node.primitives import rlp
from node.primitives.crypto import keccak256
from node.primitives.errors import InvalidInput
from node.primitives.header import EMPTY_ROOT
from node.primitives.trie import (
    PROOF_NODES_MAX,
    PROOF_SIZE_MAX,
    InvalidProof,
    TrieBuilder,
    build_ordered_proof,
    build_proof,
    compute_ordered_root,
    decode_node,
    ordered_key,
    verify_account_proof,
    verify_proof,
    verify_slot_proof,
)
from node.primitives.types import Address, Hash32
from node.storage.trie_update import (
    encode_node,
    iterate_nodes,
    iterate_trie,
    load_value,
    update_trie,
)
from tests.support.vectors import vectors_path

VALUES = st.binary(min_size=1, max_size=40)
SPARSE = st.binary(min_size=32, max_size=32)
DENSE = st.tuples(st.sampled_from([0, 31]), st.integers(0, 255), st.integers(0, 15)).map(
    lambda at: (
        bytes(at[0])
        + bytes((at[1],))
        + bytes(30 - at[0] if at[0] < 31 else 0)
        + (bytes((at[2],)) if at[0] < 31 else b"")
    )
)
KEYS = st.one_of(SPARSE, DENSE)
ENTRIES = st.dictionaries(KEYS, VALUES, max_size=40)


def hexary(entries: dict[bytes, bytes]) -> HexaryTrie:
    trie = HexaryTrie({})
    for key, value in entries.items():
        trie[key] = value
    return trie


@given(items=st.lists(st.binary(min_size=1, max_size=80), max_size=300))
@settings(max_examples=60, deadline=None)
def test_an_ordered_root_is_that_of_the_judge(items: list[bytes]) -> None:
    judge = hexary({ordered_key(index): item for index, item in enumerate(items)})
    assert compute_ordered_root(items) == judge.root_hash


@pytest.mark.parametrize("count", [0, 1, 2, 16, 17, 127, 128, 129, 255, 256, 257, 1_000])
def test_every_index_of_an_ordered_trie_is_proven(count: int) -> None:
    items = [b"item %d" % index * (index % 9 + 1) for index in range(count)]
    root = compute_ordered_root(items)
    for index in {0, 1, count // 2, count - 1} & set(range(count)):
        proof = build_ordered_proof(items, index)
        assert verify_proof(root, ordered_key(index), proof) == items[index]
    assert verify_proof(root, ordered_key(count), build_ordered_proof(items, count)) is None


@given(entries=ENTRIES)
@settings(max_examples=100, deadline=None)
def test_a_builder_in_key_order_gives_root_and_nodes_of_the_judge(
    entries: dict[bytes, bytes],
) -> None:
    nodes: dict[Hash32, bytes] = {}
    builder = TrieBuilder(lambda _path, node_hash, raw: nodes.__setitem__(node_hash, raw))
    for key in sorted(entries):
        builder.add(key, entries[key])
    root = builder.finish()
    assert root == hexary(entries).root_hash
    assert dict(iterate_trie(root, lambda node_hash, _path: nodes[node_hash])) == entries


def test_a_builder_refuses_entries_out_of_order() -> None:
    for second in (b"\x01", b"\x01\x02\x03", b"\x00\x05"):
        builder = TrieBuilder()
        builder.add(b"\x01\x02", b"value")
        with pytest.raises(InvalidInput):
            builder.add(second, b"value")
    with pytest.raises(InvalidInput):
        TrieBuilder().add(b"\x01", b"")


@given(
    blocks=st.lists(
        st.dictionaries(KEYS, st.one_of(st.none(), VALUES), max_size=20), min_size=1, max_size=8
    ),
    deletions=st.lists(st.integers(0, 200), max_size=60),
)
@settings(max_examples=150, deadline=None)
def test_updates_over_many_blocks_agree_with_the_judge(
    blocks: list[dict[bytes, bytes | None]], deletions: list[int]
) -> None:
    by_path: dict[str, bytes] = {}
    by_hash: dict[Hash32, bytes] = {}
    known: dict[bytes, bytes] = {}
    root = EMPTY_ROOT
    past: list[tuple[Hash32, dict[bytes, bytes]]] = []

    def load(node_hash: Hash32, path: str) -> bytes:
        raw = by_path[path]
        assert keccak256(raw) == node_hash
        return raw

    for number, block in enumerate(blocks):
        order = sorted(known)
        gone = {order[at % len(order)] for at in deletions[number::8]} if order else set()
        entries = {**block, **dict.fromkeys(gone)}
        update = update_trie(root, entries, load)
        for key, value in entries.items():
            if value is None:
                known.pop(key, None)
            else:
                known[key] = value
        assert update.root == hexary(known).root_hash
        for path in update.removed:
            del by_path[path]
        by_path.update((path, raw) for path, (_, raw) in update.written.items())
        by_hash.update(update.written.values())
        root = update.root
        past.append((root, dict(known)))
        current = {
            path
            for path, node in iterate_nodes(root, load)
            if not path or len(encode_node(node)) >= 32
        }
        assert current == set(by_path)
        assert all(load_value(root, key, load) == known.get(key) for key in entries)
    for old_root, entries_then in past:
        found = iterate_trie(old_root, lambda node_hash, _path: by_hash[node_hash])
        assert dict(found) == entries_then


@given(entries=ENTRIES, asked=KEYS)
@settings(max_examples=100, deadline=None)
def test_proofs_are_those_of_the_judge_and_verify(
    entries: dict[bytes, bytes], asked: bytes
) -> None:
    judge = hexary(entries)
    root = Hash32(judge.root_hash)
    for key in [asked, *sorted(entries)[:3]]:
        proof = build_proof(root, key, lambda node_hash, _path: judge.db[node_hash])
        assert verify_proof(root, key, proof) == entries.get(key)
        theirs = [rlp.encode(node) for node in judge.get_proof(key)]
        ours = [node for node in theirs if len(node) >= 32 or keccak256(node) == root]
        assert list(proof) == (ours if entries else [])


@given(entries=st.dictionaries(SPARSE, VALUES, min_size=3, max_size=30), data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_proof_changed_anywhere_is_refused(
    entries: dict[bytes, bytes], data: st.DataObject
) -> None:
    judge = hexary(entries)
    root = Hash32(judge.root_hash)
    key = data.draw(st.sampled_from(sorted(entries)))
    proof = list(build_proof(root, key, lambda node_hash, _path: judge.db[node_hash]))
    at = data.draw(st.integers(0, len(proof) - 1))
    spot = data.draw(st.integers(0, len(proof[at]) - 1))
    flipped = bytearray(proof[at])
    flipped[spot] ^= data.draw(st.integers(1, 255))
    changed = [
        [*proof[:at], bytes(flipped), *proof[at + 1 :]],
        proof[:at] + proof[at + 1 :],
        [*proof, proof[at]],
        [*proof[:at], proof[at], *proof[at:]],
        [b"", *proof],
        [],
    ]
    for one in changed:
        with pytest.raises(InvalidProof):
            verify_proof(root, key, one)
    with pytest.raises(InvalidProof):
        verify_proof(keccak256(b"another root"), key, proof)


@given(data=st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_refused_as_proofs_and_nodes(data: bytes) -> None:
    with pytest.raises(InvalidProof):
        verify_proof(keccak256(b"root"), bytes(32), [data])
    try:
        node = decode_node(data)
    except InvalidProof:
        return
    assert encode_node(node) == data


LEAF = bytes.fromhex("20")
CHILD = b"\x11" * 32


@pytest.mark.parametrize(
    "items",
    [
        pytest.param([], id="no items"),
        pytest.param([LEAF], id="one item"),
        pytest.param([LEAF, b"v", b"w"], id="three items"),
        pytest.param([b"", b"v"], id="no path"),
        pytest.param([b"\x40", b"v"], id="unknown flag"),
        pytest.param([b"\x21", b"v"], id="padding that is not zero"),
        pytest.param([LEAF, b""], id="leaf without value"),
        pytest.param([LEAF, [b"v"]], id="leaf with a list"),
        pytest.param([[LEAF], b"v"], id="path that is a list"),
        pytest.param([b"\x00", CHILD], id="extension without path"),
        pytest.param([b"\x11", b""], id="extension to nothing"),
        pytest.param([b"\x11", CHILD[1:]], id="reference of 31 bytes"),
        pytest.param([b"\x11", [b"\x20", b"v" * 40]], id="embedded node of 32 bytes or more"),
        pytest.param([b""] * 17, id="branch without children"),
        pytest.param([CHILD, *[b""] * 16], id="branch with one child"),
        pytest.param([CHILD, CHILD, *[b""] * 14, b"value"], id="branch with a value"),
        pytest.param([CHILD, CHILD, b"x", *[b""] * 14], id="branch with a short reference"),
    ],
)
def test_a_node_of_no_known_form_proves_nothing(items: list[rlp.Item]) -> None:
    raw = rlp.encode(items)
    with pytest.raises(InvalidProof):
        verify_proof(keccak256(raw), bytes(32), [raw])


def chain_of_extensions(count: int) -> list[bytes]:
    """Return branches below one another, each reached by one digit."""
    nodes = [rlp.encode([b"\x20", b"v" * 40])]
    for _ in range(count - 1):
        nodes.append(rlp.encode([keccak256(nodes[-1]), CHILD, *[b""] * 15]))
    return nodes[::-1]


def test_the_longest_proof_is_read_and_a_longer_one_refused() -> None:
    nodes = chain_of_extensions(PROOF_NODES_MAX)
    assert verify_proof(keccak256(nodes[0]), bytes(32), nodes) == b"v" * 40
    longer = chain_of_extensions(PROOF_NODES_MAX + 1)
    with pytest.raises(InvalidProof, match="at most"):
        verify_proof(keccak256(longer[0]), bytes(33), longer)


def test_a_proof_deeper_than_its_key_is_refused() -> None:
    nodes = chain_of_extensions(4)
    with pytest.raises(InvalidProof, match="deeper"):
        verify_proof(keccak256(nodes[0]), b"\x00", nodes)


def test_a_proof_beyond_its_size_is_refused() -> None:
    leaf = rlp.encode([b"\x20" + bytes(32), bytes(PROOF_SIZE_MAX - 42)])
    assert len(leaf) == PROOF_SIZE_MAX
    assert verify_proof(keccak256(leaf), bytes(32), [leaf]) is not None
    with pytest.raises(InvalidProof, match="bytes"):
        verify_proof(keccak256(leaf), bytes(32), [leaf, b"x"])


def test_an_empty_trie_shows_absence_without_nodes() -> None:
    assert verify_proof(EMPTY_ROOT, bytes(32), []) is None
    with pytest.raises(InvalidProof):
        verify_proof(EMPTY_ROOT, bytes(32), [rlp.encode(b"")])


def test_published_account_proofs_verify() -> None:
    """The ``eth_getProof`` cases of execution-apis, against the roots they were taken at."""
    cases = sorted((vectors_path() / "execution-apis" / "eth_getProof").glob("*.io"))
    checked = 0
    for case in cases:
        lines = case.read_text().splitlines()
        answer = json.loads(next(line for line in lines if line.startswith("<<"))[2:])
        if "result" not in answer:
            continue
        result = answer["result"]
        nodes = [bytes.fromhex(node[2:]) for node in result["accountProof"]]
        address = Address(bytes.fromhex(result["address"][2:]))
        leaf = verify_account_proof(keccak256(nodes[0]), address, nodes)
        checked += 1
        if leaf is None:
            assert int(result["nonce"], 16) == int(result["balance"], 16) == 0
            continue
        assert leaf.nonce == int(result["nonce"], 16)
        assert leaf.balance_wei == int(result["balance"], 16)
        assert leaf.storage_root.hex() == result["storageHash"][2:]
        assert leaf.code_hash.hex() == result["codeHash"][2:]
        for slot in result["storageProof"]:
            proof = [bytes.fromhex(node[2:]) for node in slot["proof"]]
            value = verify_slot_proof(leaf.storage_root, int(slot["key"], 16), proof)
            assert value == int(slot["value"], 16)
    assert checked >= 3
