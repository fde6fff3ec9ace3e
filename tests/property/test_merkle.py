"""MERKLE-TREE.

Roots and proofs against RFC 6962's recursive definition, and every way to bend a proof.
"""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.primitives.merkle import build_proof, compute_root, is_included

LEAVES = st.lists(st.binary(max_size=8), min_size=1, max_size=40)


def defined_root(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + defined_root(leaves[:split]) + defined_root(leaves[split:])).digest()


@given(LEAVES)
def test_roots_follow_the_definition(leaves: list[bytes]) -> None:
    assert compute_root(leaves) == defined_root(leaves)


def test_the_empty_tree_has_the_defined_root() -> None:
    assert compute_root([]) == defined_root([])


@given(LEAVES, st.data())
def test_every_leaf_is_proven_at_its_place_only(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    root, proof = compute_root(leaves), build_proof(leaves, index)
    count = len(leaves)

    assert is_included(root, leaves[index], proof, index=index, count=count)
    assert not is_included(root, leaves[index] + b"x", proof, index=index, count=count)
    assert not is_included(root, leaves[index], (*proof, b"\x00" * 32), index=index, count=count)
    if proof:
        assert not is_included(root, leaves[index], proof[:-1], index=index, count=count)
        bent = (bytes((proof[0][0] ^ 1,)) + proof[0][1:], *proof[1:])
        assert not is_included(root, leaves[index], bent, index=index, count=count)


@given(LEAVES)
def test_a_node_is_no_leaf(leaves: list[bytes]) -> None:
    if len(leaves) > 1:
        inner = b"\x01" + b"".join(sha256(b"\x00" + leaf).digest() for leaf in leaves[:2])
        assert not is_included(compute_root(leaves), inner, (), index=0, count=1)


@pytest.mark.parametrize(("index", "count"), [(-1, 3), (3, 3), (0, 0)])
def test_a_place_outside_the_tree_is_refused(index: int, count: int) -> None:
    leaves = [b"a", b"b", b"c"]

    assert not is_included(
        compute_root(leaves), b"a", build_proof(leaves, 0), index=index, count=count
    )
    with pytest.raises(IndexError):
        build_proof(leaves[:count], index)
