"""Stores for tests: one that fails at a chosen write, chains of made-up blocks, naive judges."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from trie import HexaryTrie

from node.primitives import rlp
from node.primitives.block import Block
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.header import EMPTY_ROOT, ExtraData, Header
from node.primitives.receipt import Log, Receipt, compute_bloom, merge_blooms
from node.primitives.transaction import Transaction, sign_transaction
from node.primitives.trie import compute_ordered_root
from node.primitives.types import ZERO_ADDRESS, ZERO_HASH, Address, BlockHash, Hash32, Height
from node.storage.chain import ChainStore, open_chain
from node.storage.errors import DiskFailed
from node.storage.kv import KeyValueStore, MemoryStore
from node.storage.state import EMPTY_VIEW, StateOverlay, build_overlay
from node.storage.state_store import StateMode
from node.storage.view import EMPTY_CODE_HASH, Account, StateChanges

KEY = PrivateKey(b"\x11" * 32)
CONTRACT = Address(b"\xcc" * 20)
CONTRACT_CODE = b"\x60\x00\x60\x00\xf3"


class FailingStore:
    """A ``KeyValueStore`` whose n-th write fails, before or after the disk took it."""

    def __init__(self, inner: KeyValueStore, *, fails_at: int, is_kept: bool = False) -> None:
        self.inner = inner
        self.syncs: list[bool] = []
        self._fails_at = fails_at
        self._is_kept = is_kept

    def get(self, key: bytes) -> bytes | None:
        return self.inner.get(key)

    def write(self, batch: Mapping[bytes, bytes | None], *, sync: bool) -> None:
        self.syncs.append(sync)
        if len(self.syncs) == self._fails_at:
            if self._is_kept:
                self.inner.write(batch, sync=sync)
            raise DiskFailed("the disk refused, as the test asked")
        self.inner.write(batch, sync=sync)

    def iterate(
        self, *, start: bytes, stop: bytes, is_reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        return self.inner.iterate(start=start, stop=stop, is_reverse=is_reverse)

    def close(self) -> None:
        self.inner.close()


def address_of(number: int) -> Address:
    """Return a made-up address."""
    return Address(keccak256(b"address" + number.to_bytes(8, "big"))[:20])


def make_alloc() -> StateChanges:
    """Return the first state of made-up chains: a contract with storage, and two accounts."""
    changes = StateChanges()
    code_hash = keccak256(CONTRACT_CODE)
    changes.accounts[CONTRACT] = Account(1, 0, code_hash)
    changes.codes[code_hash] = CONTRACT_CODE
    changes.slots[CONTRACT] = {0: 7, 1: 2**255}
    changes.accounts[KEY.address] = Account(0, 10**18)
    changes.accounts[address_of(0)] = Account(0, 1)
    return changes


def make_genesis(alloc: StateChanges) -> Block:
    """Return block 0 of a made-up chain."""
    return Block(
        header=Header(
            parent_hash=BlockHash(ZERO_HASH),
            coinbase=ZERO_ADDRESS,
            state_root=build_overlay(EMPTY_VIEW, alloc).root,
            transactions_root=EMPTY_ROOT,
            receipts_root=EMPTY_ROOT,
            height=Height(0),
            gas_limit=50_000_000,
            gas_used=0,
            timestamp_s=1_700_000_000,
            extra_data=ExtraData(validators=(KEY.address,)),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A block with all it takes to commit it."""

    block: Block
    receipts: tuple[Receipt, ...]
    overlay: StateOverlay


def make_block(
    chain: ChainStore,
    changes: StateChanges,
    *,
    logs: tuple[tuple[Log, ...], ...] = (),
    salt: bytes = b"",
) -> Made:
    """Make the next block: one transaction for each group of logs, and the given changes."""
    parent = chain.head
    transactions = tuple(
        make_transaction(parent.height * 1_000 + at, salt) for at in range(len(logs))
    )
    receipts = tuple(
        Receipt(
            type=2,
            is_success=True,
            cumulative_gas_used=21_000 * (at + 1),
            bloom=compute_bloom(group),
            logs=group,
        )
        for at, group in enumerate(logs)
    )
    overlay = build_overlay(chain.head_view(), changes)
    header = Header(
        parent_hash=parent.hash,
        coinbase=KEY.address,
        state_root=overlay.root,
        transactions_root=compute_ordered_root([tx.raw for tx in transactions]),
        receipts_root=compute_ordered_root([receipt.encode() for receipt in receipts]),
        bloom=merge_blooms(receipt.bloom for receipt in receipts),
        height=Height(parent.height + 1),
        gas_limit=parent.gas_limit,
        gas_used=21_000 * len(logs),
        timestamp_s=parent.timestamp_s + 2,
        extra_data=ExtraData(validators=(KEY.address,)),
    )
    header = header.with_seals((KEY.sign(header.seal_hash),))
    return Made(
        block=Block(header=header, transactions=transactions), receipts=receipts, overlay=overlay
    )


def make_transaction(nonce: int, data: bytes = b"") -> Transaction:
    """Return a signed transaction."""
    return sign_transaction(
        KEY, chain_id=1, nonce=nonce, gas_limit=90_000, to=CONTRACT, data=data, value_wei=0
    )


def commit(
    chain: ChainStore,
    changes: StateChanges,
    *,
    logs: tuple[tuple[Log, ...], ...] = (),
    salt: bytes = b"",
) -> Made:
    """Make the next block and commit it."""
    made = make_block(chain, changes, logs=logs, salt=salt)
    chain.commit_block(made.block, made.receipts, made.overlay)
    return made


def open_made_up(
    store: KeyValueStore | None = None,
    *,
    mode: StateMode = StateMode.ARCHIVE,
    window: int = 32,
    node_cache_size: int = 1 << 20,
) -> ChainStore:
    """Open a chain that starts with ``make_alloc``."""
    alloc = make_alloc()
    return open_chain(
        MemoryStore() if store is None else store,
        genesis=make_genesis(alloc),
        alloc=alloc,
        mode=mode,
        window=window,
        node_cache_size=node_cache_size,
    )


def log_of(*topics: int, address: Address = CONTRACT, data: bytes = b"") -> Log:
    """Return a log with small numbers as topics."""
    return Log(
        address=address,
        topics=tuple(Hash32(topic.to_bytes(32, "big")) for topic in topics),
        data=data,
    )


def random_changes(chance: random.Random, model: "ModelState") -> StateChanges:
    """Return changes that touch, delete, wipe and create among a few accounts."""
    changes = StateChanges()
    for number in chance.sample(range(12), chance.randint(0, 6)):
        address = address_of(number)
        fate = chance.random()
        if fate < 0.2:
            changes.accounts[address] = None
            continue
        if fate < 0.7 or address not in model.accounts:
            code = chance.choice([b"", b"", b"\x60" + bytes((number,))])
            code_hash = keccak256(code)
            changes.codes[code_hash] = code
            changes.accounts[address] = Account(
                chance.randrange(300), chance.randrange(10**20), code_hash
            )
        if fate > 0.6:
            changes.wiped.add(address)
        if chance.random() < 0.7:
            changes.slots[address] = {
                chance.randrange(24): chance.choice([0, 0, 1, 2**256 - 1, chance.randrange(10**9)])
                for _ in range(chance.randint(1, 8))
            }
    return changes


@dataclass(slots=True)
class ModelState:
    """A state as plain dictionaries, whose root ``HexaryTrie`` computes from nothing each time."""

    accounts: dict[Address, Account] = field(default_factory=dict)
    slots: dict[Address, dict[int, int]] = field(default_factory=dict)

    def copy(self) -> "ModelState":
        return ModelState(dict(self.accounts), {at: dict(kept) for at, kept in self.slots.items()})

    def apply(self, changes: StateChanges) -> None:
        for address in changes.wiped:
            self.slots.pop(address, None)
        for address, account in changes.accounts.items():
            if account is None:
                self.accounts.pop(address, None)
                self.slots.pop(address, None)
            else:
                self.accounts[address] = account
        for address, slots in changes.slots.items():
            if address in self.accounts:
                kept = self.slots.setdefault(address, {})
                kept.update(slots)
                for slot in [slot for slot, value in kept.items() if not value]:
                    del kept[slot]

    def root(self) -> Hash32:
        trie = HexaryTrie({})
        for address, account in self.accounts.items():
            storage = HexaryTrie({})
            for slot, value in self.slots.get(address, {}).items():
                storage[keccak256(slot.to_bytes(32, "big"))] = rlp.encode(rlp.encode_uint(value))
            trie[keccak256(address)] = rlp.encode(
                [
                    rlp.encode_uint(account.nonce),
                    rlp.encode_uint(account.balance_wei),
                    storage.root_hash,
                    account.code_hash or EMPTY_CODE_HASH,
                ]
            )
        return Hash32(trie.root_hash)
