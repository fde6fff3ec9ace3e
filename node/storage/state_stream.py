"""A whole state in trie order, and the root of such a stream: for checks, copies and rewrites.

Accounts arrive by the keccak of their address, each followed by its slots by the keccak of the
slot. Memory is bounded by one path of the trie, whatever the size of the state.

Spec: STORE-STREAM.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from node.primitives import rlp
from node.primitives.errors import InvalidInput
from node.primitives.trie import AccountLeaf, TrieBuilder
from node.primitives.types import Hash32
from node.storage import schema
from node.storage.kv import KeyValueStore
from node.storage.schema import STATE_OWNER, Prefix
from node.storage.state_store import CommittedView, decode_record, record_of_leaf
from node.storage.trie_update import iterate_trie
from node.storage.view import AccountRecord


class StateMismatch(InvalidInput):
    """A stream of a state does not lead to the root it claims."""

    code = "storage.state_mismatch"


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """One account; its slots follow."""

    address_hash: bytes
    """Keccak of its address."""
    record: AccountRecord
    """The account and its storage root."""


@dataclass(frozen=True, slots=True)
class SlotEntry:
    """One slot of the account before it."""

    slot_hash: bytes
    """Keccak of the slot."""
    value: bytes
    """Its value, big endian without leading zeros, never empty."""


StateEntry: TypeAlias = AccountEntry | SlotEntry

OwnedNodeSink: TypeAlias = Callable[[bytes, str, Hash32, bytes], None]
"""Receives owner, path, hash and bytes of each finished trie node."""


class StateRoot:
    """Computes the root of a stream and checks every storage root on the way."""

    def __init__(self, sink: OwnedNodeSink | None = None) -> None:
        """Start empty; ``sink`` receives the trie nodes."""
        self._sink = sink
        self._accounts = TrieBuilder(self._sink_of(STATE_OWNER))
        self._slots = TrieBuilder()
        self._last: AccountEntry | None = None

    def add(self, entry: StateEntry) -> None:
        """Add the next entry.

        Raises:
            StateMismatch: A slot without an account, or a storage root that is not its slots'.
            InvalidInput: Entries out of order.
        """
        match entry:
            case AccountEntry(address_hash):
                self._close()
                self._last = entry
                self._slots = TrieBuilder(self._sink_of(address_hash))
            case SlotEntry(slot_hash, value):
                if self._last is None:
                    raise StateMismatch("a slot comes before any account", rule="STORE-STREAM")
                self._slots.add(slot_hash, rlp.encode(value))

    def finish(self) -> Hash32:
        """Return the state root.

        Raises:
            StateMismatch: The last account's storage root is not its slots'.
        """
        self._close()
        return self._accounts.finish()

    def _close(self) -> None:
        if self._last is None:
            return
        record = self._last.record
        found = self._slots.finish()
        if found != record.storage_root:
            raise StateMismatch(
                f"account 0x{self._last.address_hash.hex()} (hashed): its slots have root "
                f"0x{found.hex()}, its record says 0x{record.storage_root.hex()}",
                rule="STORE-STREAM",
            )
        leaf = AccountLeaf(
            nonce=record.account.nonce,
            balance_wei=record.account.balance_wei,
            storage_root=found,
            code_hash=record.account.code_hash,
        )
        self._accounts.add(self._last.address_hash, leaf.encode())
        self._last = None

    def _sink_of(self, owner: bytes) -> Callable[[str, Hash32, bytes], None] | None:
        return None if self._sink is None else partial(self._sink, owner)


def iterate_flat(store: KeyValueStore) -> Iterator[StateEntry]:
    """Return the flat entries as of the call, in trie order.

    Raises:
        StateMismatch: There are slots of an account that is missing.
    """
    start, stop = schema.range_of(Prefix.ACCOUNT)
    accounts = store.iterate(start=start, stop=stop)
    start, stop = schema.range_of(Prefix.SLOT)
    slots = store.iterate(start=start, stop=stop)
    return _merge(accounts, slots)


def _merge(
    accounts: Iterator[tuple[bytes, bytes]], slots: Iterator[tuple[bytes, bytes]]
) -> Iterator[StateEntry]:
    slot = next(slots, None)
    for key, raw in accounts:
        owner = key[1:]
        _refuse_orphan(slot, before=owner)
        yield AccountEntry(owner, decode_record(raw))
        while slot is not None and slot[0][1:33] == owner:
            yield SlotEntry(slot[0][33:], slot[1])
            slot = next(slots, None)
    _refuse_orphan(slot, before=b"\xff" * 33)


def _refuse_orphan(slot: tuple[bytes, bytes] | None, *, before: bytes) -> None:
    if slot is not None and slot[0][1:33] < before:
        raise StateMismatch(
            f"slots of account 0x{slot[0][1:33].hex()} (hashed), which does not exist",
            rule="STORE-STREAM",
        )


def iterate_view(view: CommittedView) -> Iterator[StateEntry]:
    """Yield the entries of a state from its trie, in trie order."""

    def load_from(owner: bytes, node_hash: Hash32, path: str) -> bytes:
        return view.load_node(node_hash, owner, path)

    for address_hash, raw in iterate_trie(view.root, partial(load_from, STATE_OWNER)):
        record = record_of_leaf(raw)
        yield AccountEntry(address_hash, record)
        for slot_hash, value in iterate_trie(record.storage_root, partial(load_from, address_hash)):
            yield SlotEntry(slot_hash, rlp.as_bytes(rlp.decode(value)))
