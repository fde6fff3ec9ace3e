"""Merkle trees over byte strings: roots and inclusion proofs of batches and lists.

The tree of RFC 6962: a leaf is SHA-256(00 || data), a node SHA-256(01 || left || right), and the
left part of n leaves is the largest power of two below n. One shape for eligible lists, roll
batches, audit roots and anchors, so that one verifier serves all of them.

Spec: MERKLE-TREE.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from node.primitives.types import Hash32

EMPTY_ROOT: Final = Hash32(sha256(b"").digest())
"""Root of no leaves."""

PROOF_LENGTH_MAX: Final = 64
"""Longest proof looked at."""


def hash_leaf(data: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\x00" + data).digest()


def _hash_node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def compute_root(leaves: Sequence[bytes]) -> Hash32:
    """Return the root over ``leaves`` in order.

    Spec: MERKLE-TREE.
    """
    if not leaves:
        return EMPTY_ROOT
    level = [hash_leaf(leaf) for leaf in leaves]
    while len(level) > 1:
        level = _next_level(level)
    return Hash32(level[0])


def _next_level(level: list[bytes]) -> list[bytes]:
    """Pair neighbours; an odd last one moves up, which gives RFC 6962's shape."""
    paired = [_hash_node(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
    return paired + level[len(paired) * 2 :]


def build_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the sibling hashes from leaf ``index`` to the root.

    Raises:
        IndexError: There is no such leaf.

    Spec: MERKLE-TREE.
    """
    return Tree(leaves).build_proof(index)


class Tree:
    """A tree kept whole, for lists of which many proofs are asked."""

    __slots__ = ("_levels",)

    def __init__(self, leaves: Sequence[bytes]) -> None:
        """Hash all levels."""
        self._levels = [[hash_leaf(leaf) for leaf in leaves]]
        while len(self._levels[-1]) > 1:
            self._levels.append(_next_level(self._levels[-1]))

    @property
    def count(self) -> int:
        """Return how many leaves there are."""
        return len(self._levels[0])

    @property
    def root(self) -> Hash32:
        """Return the root.

        Spec: MERKLE-TREE.
        """
        return Hash32(self._levels[-1][0]) if self.count else EMPTY_ROOT

    def build_proof(self, index: int) -> tuple[bytes, ...]:
        """Return the sibling hashes from leaf ``index`` to the root.

        Raises:
            IndexError: There is no such leaf.

        Spec: MERKLE-TREE.
        """
        if not 0 <= index < self.count:
            raise IndexError(f"leaf {index} of {self.count}")
        places = [(level, index >> at ^ 1) for at, level in enumerate(self._levels)]
        return tuple(level[sibling] for level, sibling in places if sibling < len(level))


def is_included(
    root: bytes, leaf: bytes, proof: Sequence[bytes], *, index: int, count: int
) -> bool:
    """Tell whether ``leaf`` stands at ``index`` of the ``count`` leaves under ``root``.

    Spec: MERKLE-TREE.
    """
    if not 0 <= index < count or len(proof) > PROOF_LENGTH_MAX:
        return False
    value = hash_leaf(leaf)
    siblings = iter(proof)
    while count > 1:
        if index ^ 1 < count:
            sibling = next(siblings, None)
            if sibling is None or len(sibling) != 32:
                return False
            value = _hash_node(value, sibling) if index % 2 == 0 else _hash_node(sibling, value)
        index, count = index // 2, (count + 1) // 2
    return next(siblings, None) is None and value == root
