"""States in memory: the empty state, and overlays of blocks that are not decided yet.

``build_overlay`` turns the changes of one block into a view with its own root. Nothing is written:
proposals of several rounds can stand side by side over one parent, and the one that is decided
hands its changes to ``storage.state_store``. Build on the view of the committed head; an overlay
upon an overlay works and costs one lookup more for each level.

Spec: STORE-OVERLAY, STORE-COW.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

from node.primitives.errors import InvariantViolation
from node.primitives.header import EMPTY_ROOT
from node.primitives.trie import AccountLeaf
from node.primitives.types import Address, Hash32
from node.storage.schema import STATE_OWNER, hash_address, hash_slot
from node.storage.trie_update import TrieUpdate, encode_slot_value, update_trie
from node.storage.view import (
    EMPTY_CODE_HASH,
    Account,
    AccountRecord,
    BackedView,
    StateChanges,
)


@dataclass(frozen=True, slots=True)
class EmptyView:
    """The state before genesis: no account exists."""

    root: Hash32 = EMPTY_ROOT
    """Root of the empty trie."""

    def load_account(self, _address: Address) -> Account | None:
        """Return None."""
        return None

    def load_record(self, _address: Address) -> AccountRecord | None:
        """Return None."""
        return None

    def load_slot(self, _address: Address, _slot: int) -> int:
        """Return 0."""
        return 0

    def load_code(self, code_hash: Hash32) -> bytes:
        """Return the empty code.

        Raises:
            InvariantViolation: Another code was asked for.
        """
        if code_hash != EMPTY_CODE_HASH:
            raise InvariantViolation(f"code 0x{code_hash.hex()} is not in the empty state")
        return b""

    def load_node(self, node_hash: Hash32, _owner: bytes, path: str) -> bytes:
        """Fail: the empty trie has no nodes.

        Raises:
            InvariantViolation: Always.
        """
        raise InvariantViolation(f"node 0x{node_hash.hex()} at '{path}' is not in the empty state")


EMPTY_VIEW: Final = EmptyView()


class StateOverlay:
    """The changes of one block over a parent view: a view itself, with its own root.

    What it holds is exactly what committing it writes. Treat it as read-only.
    """

    __slots__ = ("_nodes", "codes", "parent", "records", "root", "slots", "tries", "wiped")

    def __init__(
        self,
        parent: BackedView,
        *,
        records: dict[Address, AccountRecord | None],
        changes: StateChanges,
        wiped: frozenset[Address],
        tries: dict[bytes, TrieUpdate],
    ) -> None:
        """Hold the parts; ``build_overlay`` makes them."""
        self.parent: Final = parent
        self.root: Final = tries[STATE_OWNER].root
        self.records: Final = records
        self.slots: Final = {
            address: slots for address, slots in changes.slots.items() if records[address]
        }
        self.wiped: Final = wiped
        self.codes: Final = changes.codes
        self.tries: Final = tries
        self._nodes: Final = {
            node_hash: raw
            for update in tries.values()
            for node_hash, raw in update.written.values()
        }

    @property
    def nodes(self) -> dict[Hash32, bytes]:
        """Return the trie nodes it adds, by hash."""
        return self._nodes

    def load_account(self, address: Address) -> Account | None:
        """Return the account, or None when it does not exist."""
        if address in self.records:
            record = self.records[address]
            return None if record is None else record.account
        return self.parent.load_account(address)

    def load_record(self, address: Address) -> AccountRecord | None:
        """Return the account with its storage root, or None when it does not exist."""
        if address in self.records:
            return self.records[address]
        return self.parent.load_record(address)

    def load_slot(self, address: Address, slot: int) -> int:
        """Return the value of a storage slot; 0 when unset."""
        changed = self.slots.get(address)
        if changed is not None and slot in changed:
            return changed[slot]
        return 0 if address in self.wiped else self.parent.load_slot(address, slot)

    def load_code(self, code_hash: Hash32) -> bytes:
        """Return the code with that hash.

        Raises:
            InvariantViolation: The state names code it does not hold.
        """
        code = self.codes.get(code_hash)
        return self.parent.load_code(code_hash) if code is None else code

    def load_node(self, node_hash: Hash32, owner: bytes, path: str) -> bytes:
        """Return a trie node by its hash."""
        raw = self._nodes.get(node_hash)
        return self.parent.load_node(node_hash, owner, path) if raw is None else raw


def build_overlay(view: BackedView, changes: StateChanges) -> StateOverlay:
    """Apply ``changes`` to ``view`` and compute the new root; nothing else changes.

    Raises:
        InvariantViolation: A slot of an account that does not exist is set.
        StatePruned: The trie behind ``view`` is no longer kept.

    Spec: STORE-OVERLAY.
    """
    wiped = frozenset(changes.wiped | {at for at, new in changes.accounts.items() if new is None})
    touched = sorted({*changes.accounts, *changes.slots, *wiped})
    records: dict[Address, AccountRecord | None] = {}
    tries: dict[bytes, TrieUpdate] = {}
    leaves: dict[bytes, bytes | None] = {}
    for address in touched:
        owner = hash_address(address)
        record = _changed_record(view, changes, address, is_wiped=address in wiped, tries=tries)
        records[address] = record
        leaves[owner] = None if record is None else _encode_leaf(record)
    load = partial(_load_from, view, STATE_OWNER)
    tries[STATE_OWNER] = update_trie(view.root, leaves, load)
    return StateOverlay(view, records=records, changes=changes, wiped=wiped, tries=tries)


def _changed_record(
    view: BackedView,
    changes: StateChanges,
    address: Address,
    *,
    is_wiped: bool,
    tries: dict[bytes, TrieUpdate],
) -> AccountRecord | None:
    """Return the account as changed; put the update of its storage trie into ``tries``."""
    before = view.load_record(address)
    if address in changes.accounts:
        account = changes.accounts[address]
    else:
        account = None if before is None else before.account
    slots = changes.slots.get(address, {})
    if account is None:
        if any(slots.values()) and address not in changes.accounts:
            raise InvariantViolation(f"slots of 0x{address.hex()} set, but no such account")
        return None
    storage_root = EMPTY_ROOT if before is None or is_wiped else before.storage_root
    if slots:
        owner = hash_address(address)
        entries: dict[bytes, bytes | None] = {
            hash_slot(slot): encode_slot_value(value) for slot, value in slots.items()
        }
        tries[owner] = update_trie(storage_root, entries, partial(_load_from, view, owner))
        storage_root = tries[owner].root
    return AccountRecord(account, storage_root)


def _load_from(view: BackedView, owner: bytes, node_hash: Hash32, path: str) -> bytes:
    return view.load_node(node_hash, owner, path)


def _encode_leaf(record: AccountRecord) -> bytes:
    account = record.account
    return AccountLeaf(
        nonce=account.nonce,
        balance_wei=account.balance_wei,
        storage_root=record.storage_root,
        code_hash=account.code_hash,
    ).encode()
