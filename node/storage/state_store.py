"""The committed state on a key-value store: flat entries for reads, trie nodes for the root.

*Archive* mode keeps nodes by hash, for ever: every state can be read and proven. *Live* mode keeps
nodes by path and overwrites them in place: the head can be read and proven, and recent states can
be read from reverse diffs. A reader may work in another thread than the one that commits; it sees
the state it asked for, or ``StatePruned``, never a mixture.

Spec: STORE-MODES, STORE-WINDOW, STORE-CACHE.
"""

from enum import StrEnum
from functools import partial
from typing import Final, NoReturn

from node.primitives import rlp
from node.primitives.crypto import keccak256
from node.primitives.errors import InvariantViolation, MalformedMessage
from node.primitives.header import EMPTY_ROOT
from node.primitives.trie import decode_account_leaf
from node.primitives.types import Address, Hash32, Height
from node.storage import schema
from node.storage.errors import DatabaseCorrupt, StatePruned
from node.storage.kv import KeyValueStore
from node.storage.node_delta import apply_delta, base_of, encode_delta
from node.storage.schema import STATE_OWNER, Prefix, hash_address, hash_slot
from node.storage.state import StateOverlay
from node.storage.trie_update import TrieUpdate, load_value
from node.storage.view import EMPTY_CODE_HASH, Account, AccountRecord

NODE_CACHE_SIZE: Final = 64 * 1024 * 1024
"""Default bound of the bytes of trie nodes kept in memory."""

CODE_CACHE_SIZE: Final = 8 * 1024 * 1024
"""Bound of the bytes of code kept in memory."""

BASE_CACHE_SIZE: Final = 24 * 1024 * 1024
"""Bound of the bytes that remember which archived nodes are stored as differences from which."""

CACHE_ENTRY_OVERHEAD: Final = 160
"""Bytes an entry of a cache costs besides its value."""

WINDOW_DEFAULT: Final = 32
"""Heights below the head whose state a live node can still read."""


class StateMode(StrEnum):
    """Which states are kept."""

    ARCHIVE = "archive"
    """Every one."""
    LIVE = "live"
    """The head, and recent ones for reading."""


class ByteCache:
    """A map bounded in bytes: when the newer half is full, the older half is dropped.

    Two dictionaries take the place of an ordered one, so that concurrent readers need no lock.
    """

    def __init__(self, size_max: int) -> None:
        """Start empty."""
        self._half = size_max // 2
        self._newer: dict[bytes, bytes] = {}
        self._older: dict[bytes, bytes] = {}
        self._size = 0

    def get(self, key: bytes) -> bytes | None:
        """Return the value at ``key`` if it is still here."""
        value = self._newer.get(key)
        if value is None:
            value = self._older.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value.

        Spec: STORE-CACHE.
        """
        self._newer[key] = value
        self._size += len(value) + CACHE_ENTRY_OVERHEAD
        if self._size > self._half:
            self._older, self._newer, self._size = self._newer, {}, 0

    @property
    def size_bytes(self) -> int:
        """Return the bytes held."""
        return sum(
            len(value) + CACHE_ENTRY_OVERHEAD
            for half in (dict(self._newer), dict(self._older))
            for value in half.values()
        )


REMEMBERED_MAX: Final = 20_000
"""Most accounts, and most slots, that one view remembers."""


class CommittedView:
    """The state after a committed block; a ``BackedView``.

    It never changes, so what was read once is remembered: at the head admission, trial runs, the
    builder and the check of a proposal read the same accounts and slots one after the other. Safe
    to read from several threads.

    Spec: STORE-CACHE.
    """

    __slots__ = ("_records", "_slots", "_state", "height", "root")

    def __init__(self, state: "StateStore", *, height: Height, root: Hash32) -> None:
        """Name the state after block ``height``."""
        self._state = state
        self._records: dict[Address, AccountRecord | None] = {}
        self._slots: dict[tuple[Address, int], int] = {}
        self.height: Final = height
        self.root: Final = root

    @property
    def remembered_count(self) -> int:
        """Return how many accounts and slots are remembered."""
        return len(self._records) + len(self._slots)

    def load_account(self, address: Address) -> Account | None:
        """Return the account, or None when it does not exist.

        Raises:
            StatePruned: The state is no longer kept.
        """
        record = self.load_record(address)
        return None if record is None else record.account

    def load_record(self, address: Address) -> AccountRecord | None:
        """Return the account with its storage root, or None when it does not exist.

        Raises:
            StatePruned: The state is no longer kept.
        """
        try:
            return self._records[address]
        except KeyError:
            record = self._state.read_record(self, address)
        if len(self._records) < REMEMBERED_MAX:
            self._records[address] = record
        return record

    def load_slot(self, address: Address, slot: int) -> int:
        """Return the value of a storage slot; 0 when unset.

        Raises:
            StatePruned: The state is no longer kept.
        """
        value = self._slots.get((address, slot))
        if value is None:
            value = self._state.read_slot(self, address, slot)
            if len(self._slots) < REMEMBERED_MAX:
                self._slots[address, slot] = value
        return value

    def load_code(self, code_hash: Hash32) -> bytes:
        """Return the code with that hash.

        Raises:
            InvariantViolation: The state names code it does not hold.
        """
        return self._state.read_code(code_hash)

    def load_node(self, node_hash: Hash32, owner: bytes, path: str) -> bytes:
        """Return a trie node by its hash.

        Raises:
            StatePruned: The trie of this height is no longer kept.
            DatabaseCorrupt: A node is missing or altered.
        """
        return self._state.read_node(self, node_hash, owner, path)


class StateStore:
    """The committed state of one chain."""

    def __init__(
        self,
        store: KeyValueStore,
        *,
        mode: StateMode,
        head: Height,
        node_cache_size: int = NODE_CACHE_SIZE,
        window: int = WINDOW_DEFAULT,
    ) -> None:
        """Serve the state in ``store``, whose flat entries are those after block ``head``."""
        self._store = store
        self.mode: Final = mode
        self._head = head
        self._window: Final = window if mode is StateMode.LIVE else 0
        self._diffs: dict[int, dict[bytes, bytes | None]] = {}
        self._nodes = ByteCache(node_cache_size)
        self._codes = ByteCache(CODE_CACHE_SIZE)
        self._bases = ByteCache(BASE_CACHE_SIZE if mode is StateMode.ARCHIVE else 0)

    @property
    def head(self) -> Height:
        """Return the height whose flat entries are stored, or about to be."""
        return self._head

    # Reading

    def read_record(self, view: CommittedView, address: Address) -> AccountRecord | None:
        """Return an account as ``view`` has it."""
        owner = hash_address(address)
        if self.mode is StateMode.ARCHIVE and view.height != self._head:
            return self._record_from_trie(view, owner)
        is_current, raw = self._read_flat(view.height, schema.account_key(owner))
        if not is_current:
            return self._record_from_trie(view, owner)
        return None if raw is None else decode_record(raw)

    def read_slot(self, view: CommittedView, address: Address, slot: int) -> int:
        """Return a slot as ``view`` has it."""
        owner = hash_address(address)
        slot_hash = hash_slot(slot)
        if self.mode is StateMode.ARCHIVE and view.height != self._head:
            return self._slot_from_trie(view, owner, slot_hash)
        is_current, raw = self._read_flat(view.height, schema.slot_key(owner, slot_hash))
        if not is_current:
            return self._slot_from_trie(view, owner, slot_hash)
        return int.from_bytes(raw or b"", "big")

    def read_code(self, code_hash: Hash32) -> bytes:
        """Return the code with that hash.

        Raises:
            InvariantViolation: It is not stored.
        """
        if code_hash == EMPTY_CODE_HASH:
            return b""
        code = self._codes.get(code_hash)
        if code is None:
            code = self._store.get(schema.code_key(code_hash))
            if code is None:
                raise InvariantViolation(f"code 0x{code_hash.hex()} is not stored")
            self._codes.put(code_hash, code)
        return code

    def read_node(self, view: CommittedView, node_hash: Hash32, owner: bytes, path: str) -> bytes:
        """Return a trie node of ``view``, checked against its hash when it comes from disk."""
        if self.mode is StateMode.LIVE and view.height != self._head:
            self._refuse_node(view, node_hash, owner, path)
        raw = self._nodes.get(node_hash)
        if raw is not None:
            return raw
        if self.mode is StateMode.ARCHIVE:
            raw = self._load_archived(node_hash)
        else:
            raw = self._store.get(schema.node_path_key(owner, path))
        if raw is None or keccak256(raw) != node_hash:
            self._refuse_node(view, node_hash, owner, path)
        self._nodes.put(node_hash, raw)
        return raw

    def _load_archived(self, node_hash: Hash32) -> bytes | None:
        record = self._store.get(schema.node_hash_key(node_hash))
        base_hash = base_of(record or b"")
        if record is None or base_hash is None:
            self._bases.put(node_hash, node_hash)
            return record
        base = self._nodes.get(base_hash) or self._store.get(schema.node_hash_key(base_hash))
        if base is None:
            return None
        self._bases.put(node_hash, base_hash)
        return apply_delta(record, base)

    def _refuse_node(
        self, view: CommittedView, node_hash: Hash32, owner: bytes, path: str
    ) -> NoReturn:
        if self.mode is StateMode.LIVE and view.height != self._head:
            raise StatePruned(
                f"the trie at height {view.height} is no longer kept (head {self._head}); "
                "ask an archive node"
            )
        trie = "state" if owner == STATE_OWNER else f"storage 0x{owner.hex()}"
        raise DatabaseCorrupt(
            f"trie node 0x{node_hash.hex()} of the {trie} at '{path}', height {view.height}, is "
            "missing or altered; run `daicho db check` or restore a snapshot"
        )

    def _read_flat(self, height: Height, key: bytes) -> tuple[bool, bytes | None]:
        """Return whether a flat entry as of ``height`` can be told, and the entry.

        The head moves before its batch is written, so a value read while the head stood still
        is of that head.
        """
        while True:
            head = self._head
            if height == head:
                raw = self._store.get(key)
            elif self.mode is StateMode.ARCHIVE:
                return False, None
            else:
                raw = self._read_window(height, head, key)
            if self._head == head:
                return True, raw

    def _read_window(self, height: Height, head: Height, key: bytes) -> bytes | None:
        if not head - self._window <= height < head:
            raise StatePruned(
                f"state at height {height} is no longer kept: this node reads "
                f"{max(0, head - self._window)} to {head}; ask an archive node"
            )
        for at in range(height + 1, head + 1):
            diff = self._load_diff(at)
            if key in diff:
                return diff[key]
        return self._store.get(key)

    def _load_diff(self, at: int) -> dict[bytes, bytes | None]:
        diff = self._diffs.get(at)
        if diff is None:
            raw = self._store.get(schema.reverse_diff_key(at))
            if raw is None:
                raise StatePruned(f"state below height {at} is no longer kept; ask an archive node")
            diff = self._diffs[at] = decode_diff(raw)
        return diff

    def _record_from_trie(self, view: CommittedView, owner: bytes) -> AccountRecord | None:
        raw = load_value(view.root, owner, partial(_load_from, view, STATE_OWNER))
        return None if raw is None else record_of_leaf(raw)

    def _slot_from_trie(self, view: CommittedView, owner: bytes, slot_hash: bytes) -> int:
        record = self._record_from_trie(view, owner)
        if record is None:
            return 0
        raw = load_value(record.storage_root, slot_hash, partial(_load_from, view, owner))
        return 0 if raw is None else rlp.as_uint(rlp.decode(raw))

    # Committing

    def stage(self, overlay: StateOverlay, height: Height) -> dict[bytes, bytes | None]:
        """Return the entries that committing ``overlay`` as block ``height`` writes."""
        batch: dict[bytes, bytes | None] = {}
        self._stage_flat(overlay, batch)
        if self._window:
            diff = {key: self._store.get(key) for key in batch}
            self._diffs[height] = diff
            self._diffs.pop(height - self._window, None)
            batch[schema.reverse_diff_key(height)] = encode_diff(diff)
            if height >= self._window:
                batch[schema.reverse_diff_key(height - self._window)] = None
        for code_hash, code in overlay.codes.items():
            batch[schema.code_key(code_hash)] = code
        self._stage_nodes(overlay, batch)
        return batch

    def _stage_flat(self, overlay: StateOverlay, batch: dict[bytes, bytes | None]) -> None:
        for address in sorted(overlay.wiped):
            start, stop = schema.range_of_owner(Prefix.SLOT, hash_address(address))
            batch.update((key, None) for key, _ in self._store.iterate(start=start, stop=stop))
        for address, record in overlay.records.items():
            key = schema.account_key(hash_address(address))
            batch[key] = None if record is None else encode_record(record)
        for address, slots in overlay.slots.items():
            owner = hash_address(address)
            for slot, value in slots.items():
                key = schema.slot_key(owner, hash_slot(slot))
                batch[key] = rlp.encode_uint(value) if value else None

    def _stage_nodes(self, overlay: StateOverlay, batch: dict[bytes, bytes | None]) -> None:
        if self.mode is StateMode.ARCHIVE:
            for update in overlay.tries.values():
                self._stage_archived(update, batch)
            return
        for address in sorted(overlay.wiped):
            start, stop = schema.range_of_owner(Prefix.NODE_BY_PATH, hash_address(address))
            batch.update((key, None) for key, _ in self._store.iterate(start=start, stop=stop))
        for owner, update in overlay.tries.items():
            for path in update.removed:
                batch[schema.node_path_key(owner, path)] = None
            for path, (_, raw) in update.written.items():
                batch[schema.node_path_key(owner, path)] = raw

    def _stage_archived(self, update: TrieUpdate, batch: dict[bytes, bytes | None]) -> None:
        """Add the nodes of an update, as differences from stored ones where that is shorter.

        A record once stored whole is never replaced by a difference, so bases stay whole.

        Spec: STORE-DELTA.
        """
        for path, (node_hash, raw) in update.written.items():
            key = schema.node_hash_key(node_hash)
            delta = self._delta_of(update.replaced.get(path), raw)
            if delta is None:
                batch[key] = raw
            elif key not in batch and self._store.get(key) is None:
                batch[key] = delta

    def _delta_of(self, replaced: Hash32 | None, raw: bytes) -> bytes | None:
        base_hash = None if replaced is None else self._bases.get(replaced)
        base = None if base_hash is None else self._nodes.get(base_hash)
        if base_hash is None or base is None:
            return None
        return encode_delta(Hash32(base_hash), base, raw)

    def advance(self, height: Height) -> None:
        """Make ``height`` the head, ahead of its batch; go back to the old one if that fails."""
        self._head = height

    def adopt(self, overlay: StateOverlay, batch: dict[bytes, bytes | None]) -> None:
        """Keep the nodes of a committed overlay, and how its batch stored them, in memory."""
        for node_hash, raw in overlay.nodes.items():
            self._nodes.put(node_hash, raw)
            if self.mode is StateMode.ARCHIVE:
                record = batch.get(schema.node_hash_key(node_hash))
                if record is not None:
                    self._bases.put(node_hash, base_of(record) or node_hash)


def encode_record(record: AccountRecord) -> bytes:
    """Encode a flat account; wallets without code and storage leave both out."""
    account = record.account
    numbers = [rlp.encode_uint(account.nonce), rlp.encode_uint(account.balance_wei)]
    if record.storage_root == EMPTY_ROOT and account.code_hash == EMPTY_CODE_HASH:
        return rlp.encode(numbers)
    return rlp.encode([*numbers, record.storage_root, account.code_hash])


def decode_record(raw: bytes) -> AccountRecord:
    """Decode a flat account.

    Raises:
        MalformedMessage: It is none.
    """
    items = rlp.decode_list(raw)
    if len(items) not in (2, 4):
        raise MalformedMessage(f"account: expected 2 or 4 items, found {len(items)}")
    nonce, balance = rlp.as_uint(items[0]), rlp.as_uint(items[1])
    if len(items) == 2:
        return AccountRecord(Account(nonce, balance))
    code_hash = Hash32(rlp.as_bytes(items[3], 32))
    return AccountRecord(Account(nonce, balance, code_hash), Hash32(rlp.as_bytes(items[2], 32)))


def record_of_leaf(raw: bytes) -> AccountRecord:
    """Return the account in a leaf of the state trie."""
    leaf = decode_account_leaf(raw)
    return AccountRecord(Account(leaf.nonce, leaf.balance_wei, leaf.code_hash), leaf.storage_root)


def encode_diff(diff: dict[bytes, bytes | None]) -> bytes:
    """Encode a reverse diff: each key with its value before the block, or alone."""
    return rlp.encode([[key] if value is None else [key, value] for key, value in diff.items()])


def decode_diff(raw: bytes) -> dict[bytes, bytes | None]:
    """Decode a reverse diff."""
    diff: dict[bytes, bytes | None] = {}
    for item in rlp.decode_list(raw):
        parts = [rlp.as_bytes(part) for part in rlp.as_list(item)]
        diff[parts[0]] = parts[1] if len(parts) == 2 else None
    return diff


def _load_from(view: CommittedView, owner: bytes, node_hash: Hash32, path: str) -> bytes:
    return view.load_node(node_hash, owner, path)
