"""Copy-on-write updates of a stored trie: one pass per block, each changed node hashed once.

Nodes are read through a loader and never changed; an update yields the new root, the nodes it
wrote and the paths whose stored node is gone. Sibling updates of one root are therefore
independent, and a committed root stays what it was. Keys are 32 bytes and values shorter than 300
bytes, as in the state and storage tries; ``HexaryTrie`` judges this module in the property tests.

Spec: STORE-TRIE, STORE-COW.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeAlias

from node.primitives import rlp
from node.primitives.crypto import keccak256
from node.primitives.header import EMPTY_ROOT
from node.primitives.trie import (
    EMPTY_CHILDREN,
    EMPTY_REFERENCE,
    Branch,
    Extension,
    Leaf,
    Node,
    NodeLoader,
    encode_branch,
    encode_extension,
    encode_leaf,
    shared_length,
)
from node.primitives.types import Hash32

HEX_DIGITS: Final = "0123456789abcdef"
FULL_BRANCH_SIZE: Final = 532
"""Bytes of a branch with sixteen hashed children; no leaf of these tries is as long."""

UNSEALED: Final = b""
"""Stands in a branch being updated for a child that is not hashed yet."""

Entry: TypeAlias = tuple[str, bytes | None]
"""Key in hexadecimal digits, and its new value; None deletes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrieUpdate:
    """What an update did to a trie."""

    root: Hash32
    """Root after the update."""
    written: dict[str, tuple[Hash32, bytes]]
    """Hash and bytes of each node written, by its path."""
    replaced: dict[str, Hash32]
    """Hash of each node that stood at a path and no longer does, by its path."""

    @property
    def removed(self) -> frozenset[str]:
        """Return the paths at which a node was stored and none is any more."""
        return frozenset(self.replaced.keys() - self.written.keys())


def update_trie(
    root: Hash32, entries: Mapping[bytes, bytes | None], load: NodeLoader
) -> TrieUpdate:
    """Apply ``entries`` (32-byte keys; None deletes) to the trie with ``root``.

    Spec: STORE-COW.
    """
    update = _Update(load)
    ordered = [(key.hex(), value) for key, value in sorted(entries.items())]
    before = None if root == EMPTY_ROOT else update.node_at(b"\xa0" + root, "")
    after = update.apply(before, "", ordered)
    new_root = EMPTY_ROOT
    if after is not None:
        raw = encode_node(after)
        new_root = keccak256(raw)
        update.written[""] = (new_root, raw)
    return TrieUpdate(root=new_root, written=update.written, replaced=update.visited)


def load_value(root: Hash32, key: bytes, load: NodeLoader) -> bytes | None:
    """Return the value at ``key`` in the trie with ``root``, or None."""
    digits, depth = key.hex(), 0
    reference = b"\xa0" + root if root != EMPTY_ROOT else EMPTY_REFERENCE
    while reference != EMPTY_REFERENCE:
        match _read_reference(reference, digits[:depth], load):
            case Branch(children):
                reference = children[int(digits[depth], 16)]
                depth += 1
            case Extension(path, child) if digits.startswith(path, depth):
                reference = child
                depth += len(path)
            case Leaf(path, value) if digits[depth:] == path:
                return value
            case _:
                return None
    return None


def iterate_trie(root: Hash32, load: NodeLoader) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of the trie with ``root`` in key order."""
    for path, node in iterate_nodes(root, load):
        if isinstance(node, Leaf):
            yield bytes.fromhex(path + node.path), node.value


def iterate_nodes(root: Hash32, load: NodeLoader) -> Iterator[tuple[str, Node]]:
    """Yield path and node of the trie with ``root``, parents first, in key order."""
    waiting = [(b"\xa0" + root, "")] if root != EMPTY_ROOT else []
    while waiting:
        reference, path = waiting.pop()
        node = _read_reference(reference, path, load)
        yield path, node
        match node:
            case Branch(children):
                waiting.extend(
                    (children[index], path + HEX_DIGITS[index])
                    for index in range(15, -1, -1)
                    if children[index] != EMPTY_REFERENCE
                )
            case Extension(more, child):
                waiting.append((child, path + more))
            case Leaf():
                pass


def encode_node(node: Node) -> bytes:
    """Encode a node."""
    match node:
        case Branch(children):
            return encode_branch(children)
        case Extension(path, child):
            return encode_extension(path, child)
        case Leaf(path, value):
            return encode_leaf(path, value)


def read_node(raw: bytes) -> Node:
    """Decode a node that this module wrote, without the checks due to bytes from outside."""
    if len(raw) == FULL_BRANCH_SIZE:
        return Branch(tuple([raw[at : at + 33] for at in range(3, 531, 33)]))
    items = []
    at = 1 if raw[0] < 0xF8 else raw[0] - 0xF6
    size = len(raw)
    while at < size:
        first = raw[at]
        end = at + 33 if first == 0xA0 else at + 1 if first == 0x80 else _item_end(raw, at)
        items.append(raw[at:end])
        at = end
    if len(items) == 17:
        return Branch(tuple(items[:16]))
    digits = _payload(items[0]).hex()
    path = digits[1:] if digits[0] in "13" else digits[2:]
    if digits[0] in "01":
        return Extension(path, items[1])
    return Leaf(path, _payload(items[1]))


def _item_end(raw: bytes, at: int) -> int:
    first = raw[at]
    if first <= 0x80:
        return at + 1
    if first < 0xB8:
        return at + 1 + first - 0x80
    if first < 0xC0:
        width = first - 0xB7
        return at + 1 + width + int.from_bytes(raw[at + 1 : at + 1 + width], "big")
    return at + 1 + first - 0xC0


def _payload(item: bytes) -> bytes:
    if item[0] < 0x80:
        return item
    return item[1:] if item[0] < 0xB8 else item[1 + item[0] - 0xB7 :]


def _read_reference(reference: bytes, path: str, load: NodeLoader) -> Node:
    if len(reference) == 33 and reference[0] == 0xA0:
        return read_node(load(Hash32(reference[1:]), path))
    return read_node(reference)


class _Update:
    """One update in progress. A node returned by its methods is not yet hashed nor written."""

    __slots__ = ("_load", "visited", "written")

    def __init__(self, load: NodeLoader) -> None:
        self._load = load
        self.visited: dict[str, Hash32] = {}
        self.written: dict[str, tuple[Hash32, bytes]] = {}

    def node_at(self, reference: bytes, path: str) -> Node:
        if len(reference) == 33 and reference[0] == 0xA0:
            self.visited[path] = Hash32(reference[1:])
        return _read_reference(reference, path, self._load)

    def apply(self, node: Node | None, path: str, entries: list[Entry]) -> Node | None:
        """Return what ``entries``, all below ``path``, make of ``node``."""
        match node:
            case None:
                return self._build(path, entries)
            case Leaf():
                if all(key != path + node.path for key, _ in entries):
                    entries = sorted([*entries, (path + node.path, node.value)])
                return self._build(path, entries)
            case Extension():
                return self._apply_extension(node, path, entries)
            case Branch():
                return self._apply_branch(list(node.children), {}, path, entries)

    def _build(self, path: str, entries: list[Entry]) -> Node | None:
        """Return a new subtree at ``path`` of the entries that have a value."""
        present = [(key, value) for key, value in entries if value is not None]
        return self._build_present(len(path), present) if present else None

    def _build_present(self, depth: int, entries: list[tuple[str, bytes]]) -> Node:
        first, value = entries[0]
        if len(entries) == 1:
            return Leaf(first[depth:], value)
        shared = shared_length(first, entries[-1][0])
        children = list(EMPTY_CHILDREN)
        for digit, group in groupby(entries, key=lambda entry: entry[0][shared]):
            child = self._build_present(shared + 1, list(group))
            children[int(digit, 16)] = self._seal(child, first[:shared] + digit)
        branch = Branch(tuple(children))
        if shared == depth:
            return branch
        return Extension(first[depth:shared], self._seal(branch, first[:shared]))

    def _apply_extension(self, node: Extension, path: str, entries: list[Entry]) -> Node | None:
        end = path + node.path
        relevant = [
            (key, value) for key, value in entries if value is not None or key.startswith(end)
        ]
        if not relevant:
            return node
        shared = min(shared_length(end, relevant[0][0]), shared_length(end, relevant[-1][0]))
        if shared == len(end):
            child = self.apply(self.node_at(node.child, end), end, relevant)
            return self._prefixed(node.path, child, end)
        children = list(EMPTY_CHILDREN)
        digit, rest = int(end[shared], 16), end[shared + 1 :]
        fresh: dict[int, Node | None] = {}
        if rest:
            fresh[digit] = Extension(rest, node.child)
        else:
            children[digit] = node.child
        split = self._apply_branch(children, fresh, end[:shared], relevant)
        return self._prefixed(end[len(path) : shared], split, end[:shared])

    def _apply_branch(
        self,
        children: list[bytes],
        fresh: dict[int, Node | None],
        path: str,
        entries: list[Entry],
    ) -> Node | None:
        """Return what ``entries`` make of a branch; ``fresh`` are children not yet sealed."""
        depth = len(path)
        if len(entries) == 1:
            groups: Iterable[tuple[str, Iterable[Entry]]] = ((entries[0][0][depth], entries),)
        else:
            groups = groupby(entries, key=lambda entry: entry[0][depth])
        for digit, group in groups:
            index = int(digit, 16)
            if index in fresh:
                child = fresh[index]
            elif children[index] == EMPTY_REFERENCE:
                child = None
            else:
                child = self.node_at(children[index], path + digit)
            fresh[index] = self.apply(child, path + digit, list(group))
        for index, node in fresh.items():
            children[index] = EMPTY_REFERENCE if node is None else UNSEALED
        if children.count(EMPTY_REFERENCE) > 14:
            return self._collapse(children, fresh, path)
        for index, node in fresh.items():
            if node is not None:
                children[index] = self._seal(node, path + HEX_DIGITS[index])
        return Branch(tuple(children))

    def _collapse(
        self,
        children: list[bytes],
        fresh: dict[int, Node | None],
        path: str,
    ) -> Node | None:
        """Return what replaces a branch with at most one child."""
        index = next((at for at in range(16) if children[at] != EMPTY_REFERENCE), None)
        if index is None:
            return None
        end = path + HEX_DIGITS[index]
        node = fresh.get(index)
        if node is None:
            node = self.node_at(children[index], end)
            if isinstance(node, Branch):
                self.visited.pop(end, None)
                return Extension(HEX_DIGITS[index], children[index])
        return self._prefixed(HEX_DIGITS[index], node, end)

    def _prefixed(self, prefix: str, node: Node | None, end: str) -> Node | None:
        """Return ``node``, which stands at ``end``, as reached over ``prefix``."""
        if not prefix:
            return node
        match node:
            case None:
                return None
            case Leaf(path, value):
                return Leaf(prefix + path, value)
            case Extension(path, child):
                return Extension(prefix + path, child)
            case Branch():
                return Extension(prefix, self._seal(node, end))

    def _seal(self, node: Node, path: str) -> bytes:
        """Hash and keep a finished node; return its reference."""
        raw = encode_node(node)
        if len(raw) < 32:
            return raw
        node_hash = keccak256(raw)
        self.written[path] = (node_hash, raw)
        return b"\xa0" + node_hash


def encode_slot_value(value: int) -> bytes | None:
    """Return a slot's value as its trie holds it; None for zero, which is absence."""
    return rlp.encode(rlp.encode_uint(value)) if value else None
