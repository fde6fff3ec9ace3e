"""The Merkle Patricia Trie: node forms, roots of sorted entries, proofs and their verification.

Paths are strings of hexadecimal digits, one digit per level, because slicing and comparing them is
native code. A *reference* is how a node appears inside its parent: the RLP of its hash, or the node
itself when that is shorter than 32 bytes. Keeping a stored trie up to date is ``storage``'s work;
this module is what light clients and auditors need. No key here may be a prefix of another, which
holds for hashed keys and for indexes.

Spec: STORE-TRIE, STORE-PROOF.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from node.primitives import rlp
from node.primitives.crypto import keccak256
from node.primitives.errors import InvalidInput, MalformedMessage
from node.primitives.header import EMPTY_ROOT
from node.primitives.types import Address, Hash32

PROOF_NODES_MAX: Final = 65
"""Most nodes of a proof: one for each digit of a 32-byte key, and the leaf."""

PROOF_SIZE_MAX: Final = 8 * 1024 * 1024
"""Most bytes of a proof; a receipt's leaf is bounded by the block that holds it."""

EMPTY_REFERENCE: Final = b"\x80"
"""Reference to nothing: the RLP of an empty string."""

EMPTY_CHILDREN: Final = (EMPTY_REFERENCE,) * 16

NodeLoader: TypeAlias = Callable[[Hash32, str], bytes]
"""Returns the bytes of the node with a hash; the path it stands at is passed along."""

NodeSink: TypeAlias = Callable[[str, Hash32, bytes], None]
"""Receives path, hash and bytes of each node finished that a parent names by its hash."""


class InvalidProof(MalformedMessage):
    """A trie proof that proves nothing: malformed, incomplete, or of another root."""

    code = "proof.invalid"


@dataclass(frozen=True, slots=True)
class Branch:
    """Sixteen references, one for each next digit."""

    children: tuple[bytes, ...]
    """References in digit order; ``EMPTY_REFERENCE`` where there is none."""


@dataclass(frozen=True, slots=True)
class Extension:
    """Digits shared by everything below."""

    path: str
    """At least one digit."""
    child: bytes
    """Reference to a branch."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """The remaining digits of a key, and its value."""

    path: str
    """Possibly empty."""
    value: bytes
    """Never empty."""


Node: TypeAlias = Branch | Extension | Leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLeaf:
    """An account as the state trie holds it."""

    nonce: int
    """Count of transactions sent, or of contracts created."""
    balance_wei: int
    """Balance."""
    storage_root: Hash32
    """Root of its storage trie."""
    code_hash: Hash32
    """Keccak of its code."""

    def encode(self) -> bytes:
        """Return the value of the leaf: an RLP list of four."""
        uint = rlp.encode_uint
        return rlp.encode(
            [uint(self.nonce), uint(self.balance_wei), self.storage_root, self.code_hash]
        )


def decode_account_leaf(value: bytes) -> AccountLeaf:
    """Decode the value of a leaf of the state trie.

    Raises:
        MalformedMessage: It is no account.
    """
    nonce, balance, storage_root, code_hash = rlp.as_list(rlp.decode(value), 4, "account")
    return AccountLeaf(
        nonce=rlp.as_uint(nonce, 8, "account.nonce"),
        balance_wei=rlp.as_uint(balance, 32, "account.balance"),
        storage_root=Hash32(rlp.as_bytes(storage_root, 32, "account.storageRoot")),
        code_hash=Hash32(rlp.as_bytes(code_hash, 32, "account.codeHash")),
    )


# Node forms


def encode_branch(children: Sequence[bytes]) -> bytes:
    """Encode a branch from its sixteen references."""
    body = b"".join(children)
    if len(body) > 254:
        return b"\xf9" + (len(body) + 1).to_bytes(2, "big") + body + EMPTY_REFERENCE
    return rlp.wrap_list(body + EMPTY_REFERENCE)


def encode_extension(path: str, child: bytes) -> bytes:
    """Encode an extension; ``child`` is a reference and enters as it is."""
    return rlp.wrap_list(rlp.encode(_pack_path(path, is_leaf=False)) + child)


def encode_leaf(path: str, value: bytes) -> bytes:
    """Encode a leaf."""
    return rlp.wrap_list(rlp.encode(_pack_path(path, is_leaf=True)) + rlp.encode(value))


def decode_node(data: bytes) -> Node:
    """Decode a node and refuse every form that a trie does not contain.

    Raises:
        InvalidProof: Not a branch, extension or leaf in canonical form.

    Spec: STORE-PROOF.
    """
    try:
        items = rlp.decode_list(data)
    except MalformedMessage as error:
        raise InvalidProof(f"trie node: {error.message}") from error
    if len(items) == 17:
        return _branch_of(items)
    if len(items) != 2:
        raise InvalidProof(f"trie node: expected 2 or 17 items, found {len(items)}")
    path, is_leaf = _unpack_path(items[0])
    if not is_leaf:
        child = _reference_of(items[1])
        if not path or child == EMPTY_REFERENCE:
            raise InvalidProof("trie node: an extension needs a path and a child")
        return Extension(path, child)
    if not isinstance(items[1], bytes) or not items[1]:
        raise InvalidProof("trie node: a leaf needs a value of at least one byte")
    return Leaf(path, items[1])


def _branch_of(items: list[rlp.Decoded]) -> Branch:
    if items[16] != b"":
        raise InvalidProof("trie node: no key ends in a branch")
    children = tuple(_reference_of(item) for item in items[:16])
    if sum(child != EMPTY_REFERENCE for child in children) < 2:
        raise InvalidProof("trie node: a branch needs two children")
    return Branch(children)


def _reference_of(item: rlp.Decoded) -> bytes:
    reference = rlp.encode(item)
    if isinstance(item, list):
        if len(reference) >= 32:
            raise InvalidProof("trie node: a child of 32 bytes or more must be named by its hash")
    elif len(item) not in (0, 32):
        raise InvalidProof(f"trie node: a reference of {len(item)} bytes")
    return reference


def _pack_path(path: str, *, is_leaf: bool) -> bytes:
    if len(path) % 2:
        return bytes.fromhex(("3" if is_leaf else "1") + path)
    return bytes.fromhex(("20" if is_leaf else "00") + path)


def _unpack_path(item: rlp.Decoded) -> tuple[str, bool]:
    digits = item.hex() if isinstance(item, bytes) else ""
    match digits[:1]:
        case "1" | "3":
            return digits[1:], digits[0] == "3"
        case "0" | "2" if digits[1] == "0":
            return digits[2:], digits[0] == "2"
        case _:
            raise InvalidProof("trie node: malformed path")


def shared_length(one: str, other: str) -> int:
    """Return how many leading digits two paths share."""
    length = min(len(one), len(other))
    for at in range(length):
        if one[at] != other[at]:
            return at
    return length


# Roots of sorted entries


class TrieBuilder:
    """Computes the root of entries that arrive in key order, in memory bounded by one path.

    Nodes are handed to the sink as soon as nothing more can fall below them.
    """

    def __init__(self, sink: NodeSink | None = None) -> None:
        """Start empty; ``sink`` receives the finished nodes."""
        self._sink = sink
        self._open: list[tuple[int, list[bytes]]] = []
        self._key = ""
        self._value = b""

    def add(self, key: bytes, value: bytes) -> None:
        """Add an entry.

        Raises:
            InvalidInput: The key is not above the last one, extends it, or the value is empty.
        """
        digits = key.hex()
        is_longer = bool(self._value) and digits.startswith(self._key)
        if not value or is_longer or digits <= self._key:
            raise InvalidInput("trie builder: keys must ascend, no key a prefix, no value empty")
        if self._value:
            self._close(shared_length(self._key, digits))
        self._key, self._value = digits, value

    def finish(self) -> Hash32:
        """Return the root of all entries."""
        if not self._value:
            return EMPTY_ROOT
        raw = self._close(-1)
        root = keccak256(raw)
        if self._sink is not None:
            self._sink("", root, raw)
        return root

    def _close(self, shared: int) -> bytes:
        """Finish what lies below the first ``shared`` digits of the last key."""
        above = self._parent(shared)
        raw = encode_leaf(self._key[above + 1 :], self._value)
        start = above + 1
        while True:
            if above >= 0:
                self._attach(above, self._reference(start, raw))
            if not self._open or self._open[-1][0] <= shared:
                return raw
            depth, children = self._open.pop()
            raw, start = encode_branch(children), depth
            above = self._parent(shared)
            if depth > above + 1:
                reference = self._reference(depth, raw)
                start = above + 1
                raw = encode_extension(self._key[start:depth], reference)

    def _parent(self, shared: int) -> int:
        return max(shared, self._open[-1][0] if self._open else -1)

    def _attach(self, depth: int, reference: bytes) -> None:
        if not self._open or self._open[-1][0] < depth:
            self._open.append((depth, list(EMPTY_CHILDREN)))
        self._open[-1][1][int(self._key[depth], 16)] = reference

    def _reference(self, depth: int, raw: bytes) -> bytes:
        if len(raw) < 32:
            return raw
        node_hash = keccak256(raw)
        if self._sink is not None:
            self._sink(self._key[:depth], node_hash, raw)
        return b"\xa0" + node_hash


def compute_ordered_root(items: Sequence[bytes]) -> Hash32:
    """Compute the root of a trie of items by index: transactions, receipts, withdrawals.

    Spec: STORE-TRIE.
    """
    builder = TrieBuilder()
    for key, value in _ordered_entries(items):
        builder.add(key, value)
    return builder.finish()


def build_ordered_proof(items: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Build the proof that ``items[index]`` stands at ``index`` under their ordered root."""
    nodes: dict[Hash32, bytes] = {}

    def keep(_path: str, node_hash: Hash32, raw: bytes) -> None:
        nodes[node_hash] = raw

    builder = TrieBuilder(keep)
    for key, value in _ordered_entries(items):
        builder.add(key, value)
    root = builder.finish()
    return build_proof(root, ordered_key(index), lambda node_hash, _path: nodes[node_hash])


def ordered_key(index: int) -> bytes:
    """Return the key of item ``index`` in an ordered trie."""
    return rlp.encode(rlp.encode_uint(index))


def _ordered_entries(items: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return sorted((ordered_key(index), item) for index, item in enumerate(items))


# Proofs


def build_proof(root: Hash32, key: bytes, load_node: NodeLoader) -> tuple[bytes, ...]:
    """Collect the nodes from ``root`` towards ``key``, for its presence or its absence.

    Nodes shorter than 32 bytes are part of their parent and not listed (EIP-1186).
    """
    proof: list[bytes] = []
    digits, depth = key.hex(), 0
    reference = b"\xa0" + root if root != EMPTY_ROOT else EMPTY_REFERENCE
    while reference != EMPTY_REFERENCE:
        if len(reference) == 33 and reference[0] == 0xA0:
            raw = load_node(Hash32(reference[1:]), digits[:depth])
            proof.append(raw)
        else:
            raw = reference
        match decode_node(raw):
            case Branch(children) if depth < len(digits):
                reference = children[int(digits[depth], 16)]
                depth += 1
            case Extension(path, child) if digits.startswith(path, depth):
                reference = child
                depth += len(path)
            case _:
                break
    return tuple(proof)


def verify_proof(root: Hash32, key: bytes, proof: Sequence[bytes]) -> bytes | None:
    """Return the value that ``proof`` shows at ``key`` under ``root``; None when it shows absence.

    Args:
        root: Root of the trie, from a sealed header or a proven account.
        key: The key in the trie: hashed for state and storage, ``ordered_key`` for receipts.
        proof: Nodes from the root downwards, exactly those that are needed.

    Raises:
        InvalidProof: It shows neither: a node is missing, superfluous, altered or malformed.

    Spec: STORE-PROOF.
    """
    _check_proof_size(proof)
    digits, depth, used = key.hex(), 0, 0
    reference = b"\xa0" + root if root != EMPTY_ROOT else EMPTY_REFERENCE
    value: bytes | None = None
    while reference != EMPTY_REFERENCE:
        if len(reference) == 33 and reference[0] == 0xA0:
            raw = _next_node(proof, used, reference[1:])
            used += 1
        else:
            raw = reference
        node = decode_node(raw)
        reference = EMPTY_REFERENCE
        match node:
            case Branch(children):
                if depth >= len(digits):
                    raise InvalidProof("trie proof: deeper than the key")
                reference = children[int(digits[depth], 16)]
                depth += 1
            case Extension(path, child):
                if digits.startswith(path, depth):
                    reference = child
                    depth += len(path)
            case Leaf(path, found):
                if digits[depth:] == path:
                    value = found
    if used != len(proof):
        raise InvalidProof(f"trie proof: {len(proof) - used} nodes more than needed")
    return value


def _check_proof_size(proof: Sequence[bytes]) -> None:
    if len(proof) > PROOF_NODES_MAX:
        raise InvalidProof(f"trie proof: {len(proof)} nodes, at most {PROOF_NODES_MAX}")
    if sum(len(node) for node in proof) > PROOF_SIZE_MAX:
        raise InvalidProof(f"trie proof: over {PROOF_SIZE_MAX} bytes")


def _next_node(proof: Sequence[bytes], used: int, node_hash: bytes) -> bytes:
    if used >= len(proof):
        raise InvalidProof(f"trie proof: node 0x{node_hash.hex()} is missing")
    if keccak256(proof[used]) != node_hash:
        raise InvalidProof(f"trie proof: node {used} does not hash to 0x{node_hash.hex()}")
    return proof[used]


def verify_account_proof(
    state_root: Hash32, address: Address, proof: Sequence[bytes]
) -> AccountLeaf | None:
    """Return the account that ``proof`` shows under a state root; None when it shows absence.

    Raises:
        InvalidProof: It shows neither.
        MalformedMessage: The leaf is no account.

    Spec: STORE-PROOF.
    """
    value = verify_proof(state_root, keccak256(address), proof)
    return None if value is None else decode_account_leaf(value)


def verify_slot_proof(storage_root: Hash32, slot: int, proof: Sequence[bytes]) -> int:
    """Return the value that ``proof`` shows in a storage slot; 0 when it shows absence.

    Raises:
        InvalidProof: It shows neither.
        MalformedMessage: The leaf is no slot's value.

    Spec: STORE-PROOF.
    """
    value = verify_proof(storage_root, keccak256(slot.to_bytes(32, "big")), proof)
    return 0 if value is None else rlp.as_uint(rlp.decode(value), 32, "slot")
