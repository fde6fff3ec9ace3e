"""The decided chain: headers, bodies, receipts, indexes, state, and one atomic commit per block.

A block is committed with everything that follows from it in one synced batch, so that a machine
that stops at any moment starts again at a whole block. Blocks never change once committed. Whether
a block may be committed is decided before, by consensus and execution; here only what would break
the store itself is checked.

Spec: STORE-COMMIT, STORE-OPEN.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from node.primitives import rlp
from node.primitives.block import Block
from node.primitives.errors import InvariantViolation, LedgerError
from node.primitives.header import EMPTY_ROOT, Header, decode_header
from node.primitives.receipt import Log, Receipt, compute_bloom
from node.primitives.transaction import Transaction, decode_transaction
from node.primitives.trie import build_proof
from node.primitives.types import Address, BlockHash, Hash32, Height, TransactionHash
from node.storage import schema
from node.storage.errors import DatabaseCorrupt, DatabaseMismatch, NotStored, QueryTooLarge
from node.storage.kv import KeyValueStore
from node.storage.logs import LogFilter, find_log_heights, stage_logs
from node.storage.schema import STATE_OWNER, Meta, hash_address, hash_slot, meta_key
from node.storage.state import EMPTY_VIEW, StateOverlay, build_overlay
from node.storage.state_store import (
    NODE_CACHE_SIZE,
    WINDOW_DEFAULT,
    CommittedView,
    StateMode,
    StateStore,
)
from node.storage.view import Account, StateChanges

HEADER_CACHE_COUNT: Final = 1_024
"""Decoded headers kept in memory."""

LOG_BLOCKS_MAX: Final = 200_000
"""Widest range of heights of one log search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLog:
    """A log and where it stands on chain."""

    log: Log
    """The log."""
    height: Height
    """Height of its block."""
    block_hash: BlockHash
    """Hash (b) of its block."""
    transaction_hash: TransactionHash
    """Transaction that emitted it."""
    transaction_index: int
    """Place of the transaction in the block."""
    log_index: int
    """Place of the log in the block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotProof:
    """A slot's value and its proof."""

    slot: int
    """Which slot."""
    value: int
    """Its value; 0 when unset."""
    nodes: tuple[bytes, ...]
    """Trie nodes from the storage root downwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountProof:
    """An account, some of its slots, and their proofs (EIP-1186)."""

    account: Account | None
    """The account; None when it does not exist."""
    storage_root: Hash32
    """Root of its storage."""
    nodes: tuple[bytes, ...]
    """Trie nodes from the state root downwards."""
    slots: tuple[SlotProof, ...]
    """In the order asked."""


class ChainStore:
    """One chain on one key-value store; ``open_chain`` makes it.

    One thread commits; any thread may read.
    """

    def __init__(self, store: KeyValueStore, *, state: StateStore, head: Header) -> None:
        """Hold the parts."""
        self._store = store
        self._state = state
        self._head = head
        self._head_view: CommittedView | None = None
        self._base = schema.decode_height(store.get(meta_key(Meta.BASE)) or b"")
        self._restored_at = schema.decode_height(store.get(meta_key(Meta.RESTORED)) or b"")
        self._headers: OrderedDict[int, Header] = OrderedDict()

    # Reading blocks

    @property
    def head(self) -> Header:
        """Return the header of the last block committed."""
        return self._head

    @property
    def base(self) -> Height:
        """Return the lowest height whose header is stored; above 0 after a restored snapshot."""
        return self._base

    @property
    def restored_at(self) -> Height:
        """Return the height of the snapshot the chain was restored from; 0 when it was not.

        At and below it there are headers and no bodies.
        """
        return self._restored_at

    @property
    def mode(self) -> StateMode:
        """Return which states are kept."""
        return self._state.mode

    @property
    def store(self) -> KeyValueStore:
        """Return the key-value store underneath, for ``db`` commands and snapshots."""
        return self._store

    def is_at_rest(self, head: Header) -> bool:
        """Tell whether ``head`` is still the head and no commit has begun since."""
        return self._head is head and self._state.head == head.height

    def load_header(self, height: Height) -> Header:
        """Return the header at ``height``.

        Raises:
            NotStored: There is none.
        """
        header = self._headers.get(height)
        if header is None:
            header = decode_header(self._load(schema.header_key, "header", height))
            self._headers[height] = header
            if len(self._headers) > HEADER_CACHE_COUNT:
                self._headers.popitem(last=False)
        return header

    def load_header_by_hash(self, block_hash: BlockHash) -> Header:
        """Return the header with that hash.

        Raises:
            NotStored: There is none.
        """
        return self.load_header(self._height_of(block_hash))

    def load_transactions(self, height: Height) -> tuple[Transaction, ...]:
        """Return the transactions of the block at ``height``.

        Raises:
            NotStored: There is no such block here.
        """
        raw = self._load(schema.body_key, "body", height)
        return tuple(decode_transaction(rlp.as_bytes(item)) for item in rlp.decode_list(raw))

    def load_block(self, height: Height) -> Block:
        """Return the block at ``height``, with the seals this node collected.

        Raises:
            NotStored: There is none.
        """
        transactions = self.load_transactions(height)
        return Block(header=self.load_header(height), transactions=transactions)

    def load_block_by_hash(self, block_hash: BlockHash) -> Block:
        """Return the block with that hash.

        Raises:
            NotStored: There is none.
        """
        return self.load_block(self._height_of(block_hash))

    def load_receipts(self, height: Height) -> tuple[Receipt, ...]:
        """Return the receipts of the block at ``height``.

        Raises:
            NotStored: There is no such block here.
        """
        raw = self._load(schema.receipts_key, "receipts", height)
        return tuple(_receipt_of(item) for item in rlp.decode_list(raw))

    def load_hash(self, height: Height) -> BlockHash | None:
        """Return the hash of the block at ``height``, or None when it is not stored."""
        if not self._base <= height <= self._head.height:
            return None
        return self.load_header(height).hash

    def find_height(self, block_hash: BlockHash) -> Height | None:
        """Return the height of the block with that hash, or None."""
        raw = self._store.get(schema.block_hash_key(block_hash))
        return None if raw is None else schema.decode_height(raw)

    def find_transaction(self, transaction_hash: TransactionHash) -> tuple[Height, int] | None:
        """Return height and index of a transaction, or None when it is not on chain."""
        raw = self._store.get(schema.transaction_key(transaction_hash))
        return None if raw is None else (schema.decode_height(raw[:8]), _index_of(raw[8:]))

    def iterate_blocks(self, start: Height, stop: Height) -> Iterator[Block]:
        """Yield the blocks of [start, stop] in order.

        Raises:
            NotStored: One is not here.
        """
        for height in range(start, stop + 1):
            yield self.load_block(Height(height))

    def _height_of(self, block_hash: BlockHash) -> Height:
        height = self.find_height(block_hash)
        if height is None:
            raise NotStored(f"block 0x{block_hash.hex()} is not stored")
        return height

    def _load(self, key_of: Callable[[int], bytes], what: str, height: int) -> bytes:
        raw = self._store.get(key_of(height)) if 0 <= height <= self._head.height else None
        if raw is None:
            raise NotStored(
                f"{what} at height {height} is not stored (base {self._base}, "
                f"head {self._head.height})"
            )
        return raw

    # Searching logs

    def find_logs(
        self, wanted: LogFilter, *, start: Height, stop: Height, count_max: int
    ) -> list[StoredLog]:
        """Return the wanted logs of blocks [start, stop] in chain order.

        Raises:
            QueryTooLarge: The range is wider than ``LOG_BLOCKS_MAX``, or over ``count_max`` logs
                match; ``values["height"]`` tells how far the search came.

        Spec: STORE-LOGS.
        """
        stop = min(stop, self._head.height)
        if stop - start >= LOG_BLOCKS_MAX:
            raise QueryTooLarge(f"logs of {stop - start + 1} blocks, at most {LOG_BLOCKS_MAX}")
        found: list[StoredLog] = []
        for height in find_log_heights(self._store, wanted, start=start, stop=stop):
            found.extend(self._logs_at(height, wanted))
            if len(found) > count_max:
                raise QueryTooLarge(
                    f"more than {count_max} logs up to height {height}; ask for fewer blocks",
                    height=height,
                )
        return found

    def _logs_at(self, height: Height, wanted: LogFilter) -> Iterator[StoredLog]:
        log_index = 0
        hashes: tuple[TransactionHash, ...] = ()
        for index, receipt in enumerate(self.load_receipts(height)):
            for log in receipt.logs:
                if wanted.is_match(log):
                    hashes = hashes or tuple(tx.hash for tx in self.load_transactions(height))
                    yield StoredLog(
                        log=log,
                        height=height,
                        block_hash=self.load_header(height).hash,
                        transaction_hash=hashes[index],
                        transaction_index=index,
                        log_index=log_index,
                    )
                log_index += 1

    # Reading state

    def view_at(self, height: Height) -> CommittedView:
        """Return the state after the block at ``height``.

        A live node reads recent heights only; reading an older one raises ``StatePruned``.

        Raises:
            NotStored: There is no such block here.
        """
        head, view = self._head, self._head_view
        if height != head.height:
            root = self.load_header(height).state_root
            return CommittedView(self._state, height=height, root=root)
        if view is None or (view.height, view.root) != (height, head.state_root):
            view = CommittedView(self._state, height=height, root=head.state_root)
            self._head_view = view
        return view

    def head_view(self) -> CommittedView:
        """Return the state after the last block."""
        return self.view_at(self._head.height)

    def build_account_proof(
        self, height: Height, address: Address, slots: Sequence[int] = ()
    ) -> AccountProof:
        """Build the proofs of an account and of some of its slots (EIP-1186).

        Raises:
            NotStored: There is no such block here.
            StatePruned: The trie at ``height`` is no longer kept.
        """
        view = self.view_at(height)
        owner = hash_address(address)
        record = view.load_record(address)
        root = EMPTY_ROOT if record is None else record.storage_root
        load_state = partial(_load_node, view, STATE_OWNER)
        load_storage = partial(_load_node, view, owner)
        return AccountProof(
            account=None if record is None else record.account,
            storage_root=root,
            nodes=build_proof(view.root, owner, load_state),
            slots=tuple(
                SlotProof(
                    slot=slot,
                    value=view.load_slot(address, slot),
                    nodes=build_proof(root, hash_slot(slot), load_storage),
                )
                for slot in slots
            ),
        )

    # Committing

    def commit_block(
        self, block: Block, receipts: Sequence[Receipt], overlay: StateOverlay
    ) -> None:
        """Make ``block`` the head: one atomic batch, on disk on return.

        Args:
            block: The decided block with the seals collected.
            receipts: Its receipts, in order.
            overlay: The state it leads to, built on the view of the head.

        Raises:
            InvariantViolation: The block does not follow the head, or the parts disagree.
            Unavailable: The disk refused; the head is what it was.

        Spec: STORE-COMMIT.
        """
        _check_parts(block, receipts, overlay, parent=self._head)
        batch = self._state.stage(overlay, block.height)
        stage_block(block, receipts, batch)
        self._state.advance(block.height)
        try:
            self._store.write(batch, sync=True)
        except LedgerError:
            self._state.advance(self._head.height)
            raise
        self._state.adopt(overlay, batch)
        self._head = block.header

    def close(self) -> None:
        """Release the store."""
        self._store.close()


def open_chain(
    store: KeyValueStore,
    *,
    genesis: Block,
    alloc: StateChanges,
    mode: StateMode,
    node_cache_size: int = NODE_CACHE_SIZE,
    window: int = WINDOW_DEFAULT,
) -> ChainStore:
    """Open the chain in ``store``; an empty store begins with ``genesis``.

    Args:
        store: Where the chain is kept.
        genesis: Block 0.
        alloc: The accounts it begins with.
        mode: Which states are kept; fixed when the store is first opened.
        node_cache_size: Bound of the trie nodes in memory, in bytes.
        window: Heights below the head a live node can still read.

    Raises:
        DatabaseMismatch: The store is of another chain, schema or mode, or half rewritten.
        InvariantViolation: ``alloc`` does not lead to the state root of ``genesis``.

    Spec: STORE-OPEN.
    """
    if store.get(meta_key(Meta.SCHEMA)) is None and not _is_begun(store):
        _begin(store, genesis, alloc, mode)
    _check_identity(store, genesis, mode)
    head = load_head(store)
    state = StateStore(
        store, mode=mode, head=head.height, node_cache_size=node_cache_size, window=window
    )
    return ChainStore(store, state=state, head=head)


def load_mode(store: KeyValueStore) -> StateMode:
    """Return which states the database keeps.

    Raises:
        DatabaseMismatch: It holds no chain.
    """
    raw = store.get(meta_key(Meta.MODE))
    if raw is None:
        raise DatabaseMismatch("the database holds no chain; start the node once, or restore one")
    return StateMode(raw.decode())


def open_stored(store: KeyValueStore) -> ChainStore:
    """Open the chain in ``store`` as it is, for commands that have no genesis file at hand.

    Raises:
        DatabaseMismatch: There is no chain, it is of another schema, or half rewritten.

    Spec: STORE-OPEN.
    """
    mode = load_mode(store)
    _check_schema(store)
    head = load_head(store)
    return ChainStore(store, state=StateStore(store, mode=mode, head=head.height), head=head)


def stage_block(
    block: Block, receipts: Sequence[Receipt], batch: dict[bytes, bytes | None]
) -> None:
    """Add header, body, receipts, indexes and head pointer of ``block`` to ``batch``."""
    height = block.height
    stage_header(block.header, batch)
    batch[schema.body_key(height)] = rlp.encode([tx.raw for tx in block.transactions])
    batch[schema.receipts_key(height)] = rlp.encode([_receipt_items(one) for one in receipts])
    for index, transaction in enumerate(block.transactions):
        place = schema.encode_height(height) + index.to_bytes(4, "big")
        batch[schema.transaction_key(transaction.hash)] = place
    stage_logs(receipts, height, batch)
    batch[meta_key(Meta.HEAD)] = schema.encode_height(height) + block.hash


def stage_header(header: Header, batch: dict[bytes, bytes | None]) -> None:
    """Add a header and its index entry to ``batch``."""
    batch[schema.header_key(header.height)] = header.encode()
    batch[schema.block_hash_key(header.hash)] = schema.encode_height(header.height)


def stage_identity(
    genesis_hash: BlockHash, mode: StateMode, base: Height, batch: dict[bytes, bytes | None]
) -> None:
    """Add the records that say what the database is to ``batch``."""
    batch[meta_key(Meta.SCHEMA)] = schema.SCHEMA_VERSION.to_bytes(4, "big")
    batch[meta_key(Meta.MODE)] = mode.value.encode()
    batch[meta_key(Meta.GENESIS)] = genesis_hash
    batch[meta_key(Meta.BASE)] = schema.encode_height(base)


def _begin(store: KeyValueStore, genesis: Block, alloc: StateChanges, mode: StateMode) -> None:
    overlay = build_overlay(EMPTY_VIEW, alloc)
    if overlay.root != genesis.header.state_root:
        raise InvariantViolation(
            f"genesis: the allocation leads to state root 0x{overlay.root.hex()}, the header says "
            f"0x{genesis.header.state_root.hex()}"
        )
    state = StateStore(store, mode=mode, head=genesis.height, window=0)
    batch = state.stage(overlay, genesis.height)
    stage_block(genesis, (), batch)
    stage_identity(genesis.hash, mode, genesis.height, batch)
    store.write(batch, sync=True)


def _is_begun(store: KeyValueStore) -> bool:
    """Tell whether the store holds part of a chain although it has no schema record."""
    return store.get(meta_key(Meta.TASK)) is not None or store.get(meta_key(Meta.HEAD)) is not None


def _check_identity(store: KeyValueStore, genesis: Block, mode: StateMode) -> None:
    _check_schema(store)
    stored = store.get(meta_key(Meta.GENESIS))
    if stored != genesis.hash:
        raise DatabaseMismatch(
            f"the database is of the chain with genesis 0x{(stored or b'').hex()}, the genesis "
            f"file is 0x{genesis.hash.hex()}; name the right genesis file or another directory"
        )
    kept = load_mode(store)
    if kept is not mode:
        remedy = (
            "run `daicho db prune` once"
            if mode is StateMode.LIVE
            else "an archive node must replay the chain into an empty directory"
        )
        raise DatabaseMismatch(f"the database is in {kept} mode, settings say {mode}; {remedy}")


def _check_schema(store: KeyValueStore) -> None:
    task = store.get(meta_key(Meta.TASK))
    if task is not None:
        name = task.split(b"\x00", 1)[0].decode()
        raise DatabaseMismatch(f"`{name}` did not finish; run it again to completion")
    raw = store.get(meta_key(Meta.SCHEMA))
    version = int.from_bytes(raw or b"", "big")
    if version != schema.SCHEMA_VERSION:
        raise DatabaseMismatch(
            f"the database has schema {version}, this program reads {schema.SCHEMA_VERSION}; use "
            "the matching program, or restore a snapshot into an empty directory"
        )


def load_head(store: KeyValueStore) -> Header:
    """Return the header the head pointer names.

    Raises:
        DatabaseCorrupt: It leads nowhere, or to another header.
    """
    raw = store.get(meta_key(Meta.HEAD)) or b""
    header = store.get(schema.header_key(schema.decode_height(raw[:8])))
    if len(raw) != 40 or header is None:
        raise DatabaseCorrupt("the head pointer leads nowhere; restore a snapshot")
    head = decode_header(header)
    if head.hash != raw[8:]:
        raise DatabaseCorrupt(
            f"the header at height {head.height} is not the one the head pointer names; restore a "
            "snapshot"
        )
    return head


def _check_parts(
    block: Block, receipts: Sequence[Receipt], overlay: StateOverlay, *, parent: Header
) -> None:
    if block.height != parent.height + 1 or block.header.parent_hash != parent.hash:
        raise InvariantViolation(
            f"block {block.height} 0x{block.hash.hex()} does not follow the head {parent.height} "
            f"0x{parent.hash.hex()}",
            rule="STORE-COMMIT",
        )
    if overlay.root != block.header.state_root or overlay.parent.root != parent.state_root:
        raise InvariantViolation(
            f"the overlay leads from 0x{overlay.parent.root.hex()} to 0x{overlay.root.hex()}, the "
            f"headers say 0x{parent.state_root.hex()} to 0x{block.header.state_root.hex()}",
            rule="STORE-COMMIT",
        )
    if len(receipts) != len(block.transactions):
        raise InvariantViolation(
            f"block {block.height}: {len(receipts)} receipts for {len(block.transactions)} "
            "transactions",
            rule="STORE-COMMIT",
        )


def _receipt_items(receipt: Receipt) -> rlp.Item:
    """Return a receipt without its bloom, which follows from its logs."""
    logs: list[rlp.Item] = [[log.address, log.topics, log.data] for log in receipt.logs]
    return [
        rlp.encode_uint(receipt.type),
        b"\x01" if receipt.is_success else b"",
        rlp.encode_uint(receipt.cumulative_gas_used),
        logs,
    ]


def _receipt_of(item: rlp.Decoded) -> Receipt:
    kind, status, gas, log_items = rlp.as_list(item, 4, "receipt")
    logs = tuple(_log_of(log) for log in rlp.as_list(log_items))
    return Receipt(
        type=rlp.as_uint(kind),
        is_success=status == b"\x01",
        cumulative_gas_used=rlp.as_uint(gas),
        bloom=compute_bloom(logs),
        logs=logs,
    )


def _log_of(item: rlp.Decoded) -> Log:
    address, topics, data = rlp.as_list(item, 3, "log")
    return Log(
        address=Address(rlp.as_bytes(address, 20)),
        topics=tuple(Hash32(rlp.as_bytes(topic, 32)) for topic in rlp.as_list(topics)),
        data=rlp.as_bytes(data),
    )


def _index_of(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _load_node(view: CommittedView, owner: bytes, node_hash: Hash32, path: str) -> bytes:
    return view.load_node(node_hash, owner, path)
