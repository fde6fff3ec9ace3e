"""Short forms of archived branches: what differs from an earlier branch that is stored whole.

Most branches a block rewrites differ from the one before in one child of sixteen. Kept as a
difference they take a seventh of the space. A difference always
refers to a record stored whole, which stays whole for ever, so a node costs two reads at most.

Spec: STORE-DELTA.
"""

from typing import Final

from node.primitives.trie import Branch, encode_branch
from node.primitives.types import Hash32
from node.storage.trie_update import read_node

MARK: Final = b"\x00"
"""First byte of a difference; a whole node begins with an RLP list prefix, at least 0xc0."""

CHANGED_MAX: Final = 4
"""Children that may differ; beyond that the branch is stored whole and becomes the new base."""


def encode_delta(base_hash: Hash32, base: bytes, raw: bytes) -> bytes | None:
    """Return the difference that makes ``raw`` of ``base``, or None when whole is better.

    Spec: STORE-DELTA.
    """
    before, after = read_node(base), read_node(raw)
    if not isinstance(before, Branch) or not isinstance(after, Branch):
        return None
    changed = [at for at in range(16) if before.children[at] != after.children[at]]
    if not 0 < len(changed) <= CHANGED_MAX:
        return None
    bits = sum(1 << at for at in changed).to_bytes(2, "big")
    delta = MARK + base_hash + bits + b"".join(after.children[at] for at in changed)
    return delta if len(delta) < len(raw) else None


def base_of(record: bytes) -> Hash32 | None:
    """Return the hash of the whole node a record refers to, or None when it is whole itself."""
    return Hash32(record[1:33]) if record[:1] == MARK else None


def apply_delta(record: bytes, base: bytes) -> bytes:
    """Return the node that a difference makes of its base.

    What a damaged record gives does not hash to the node's name; the caller compares.

    Spec: STORE-DELTA.
    """
    node = read_node(base)
    if not isinstance(node, Branch):
        return b""
    children = list(node.children)
    bits = int.from_bytes(record[33:35], "big")
    at = 35
    for index in range(16):
        if bits >> index & 1:
            end = _reference_end(record, at)
            children[index] = record[at:end]
            at = end
    return encode_branch(children)


def _reference_end(record: bytes, at: int) -> int:
    first = record[at] if at < len(record) else 0
    if first == 0xA0:
        return at + 33
    return at + 1 + max(0, first - 0xC0)
