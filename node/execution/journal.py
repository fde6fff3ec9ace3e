"""Accounts and slots of one block as the EVM sees them: a view beneath, one undo list above.

The EVM's adapter reads and writes here (it has the methods py-evm asks of an account database);
``collect_changes`` hands the block's net effect to storage. Nothing is hashed and nothing reaches
the view. A mark is a length of the undo list, so reverting a call, or a whole transaction, is
undoing down to a mark.
"""

from collections.abc import Callable
from typing import Final

from node.primitives.crypto import keccak256
from node.primitives.types import Address, Hash32
from node.storage.view import EMPTY_CODE_HASH, Account, StateChanges, StateView

EMPTY_ACCOUNT: Final = Account()


class StateJournal:
    """A block's writable state over a view of its parent's."""

    def __init__(self, view: StateView) -> None:
        """Start with nothing changed over ``view``."""
        self._view = view
        self._accounts: dict[Address, Account | None] = {}
        self._before: dict[Address, Account | None] = {}
        self._slots: dict[Address, dict[int, int]] = {}
        self._slots_before: dict[Address, dict[int, int]] = {}
        self._wiped: set[Address] = set()
        self._codes: dict[Hash32, bytes] = {}
        self._new_codes: set[Hash32] = set()
        self._undo: list[Callable[[], object]] = []
        self._originals: dict[tuple[Address, int], int] = {}
        self._touched: dict[Address, None] = {}
        self._warm_addresses: set[Address] = set()
        self._warm_slots: set[tuple[Address, int]] = set()
        self._accessed_addresses: set[Address] = set()
        self._accessed_slots: set[tuple[Address, int]] = set()

    def begin_transaction(self) -> None:
        """Make what was done so far final for this block, and every address and slot cold."""
        self._undo.clear()
        self._originals.clear()
        self._touched.clear()
        self._warm_addresses.clear()
        self._warm_slots.clear()
        self._accessed_addresses.clear()
        self._accessed_slots.clear()

    def abandon_transaction(self) -> None:
        """Undo everything since ``begin_transaction``."""
        self.discard(0)

    def clear_empty_accounts(self) -> None:
        """Delete the accounts this transaction touched and left empty (EIP-161).

        Spec: EXEC-EMPTY-ACCOUNTS.
        """
        for address in self._touched:
            account = self._accounts[address]
            if account is not None and account.is_empty:
                self.delete_account(address)

    def collect_changes(self) -> StateChanges:
        """Return the net effect of everything since the view.

        Accounts and slots that ended as they began are left out, so equal blocks give equal
        changes however they got there.
        """
        changes = StateChanges()
        for address, account in self._accounts.items():
            before = self._before[address]
            if account == before:
                continue
            changes.accounts[address] = account
            if account is not None and account.code_hash in self._new_codes:
                changes.codes[account.code_hash] = self._codes[account.code_hash]
        for address in sorted(self._wiped):
            if self._before[address] is not None and self._accounts[address] is not None:
                changes.wiped.add(address)
        for address, slots in self._slots.items():
            if self._accounts[address] is None:
                continue
            base = {} if address in self._wiped else self._slots_before.get(address, {})
            net = {slot: value for slot, value in slots.items() if value != base.get(slot, 0)}
            if net:
                changes.slots[address] = net
        return changes

    # Accounts

    def load(self, address: Address) -> Account | None:
        """Return the account as it now is, or None."""
        try:
            return self._accounts[address]
        except KeyError:
            account = self._view.load_account(address)
            self._accounts[address] = self._before[address] = account
            return account

    def store(self, address: Address, account: Account | None) -> None:
        """Set the account and count it as touched."""
        before = self.load(address)
        accounts = self._accounts
        accounts[address] = account
        self._undo.append(lambda: accounts.__setitem__(address, before))
        if address not in self._touched:
            touched = self._touched
            touched[address] = None
            self._undo.append(lambda: touched.__delitem__(address))

    def get_balance(self, address: Address) -> int:
        """Return the balance; 0 for an account that does not exist."""
        account = self.load(address)
        return account.balance_wei if account is not None else 0

    def set_balance(self, address: Address, balance: int) -> None:
        """Set the balance, creating the account if need be."""
        account = self.load(address) or EMPTY_ACCOUNT
        self.store(address, Account(account.nonce, balance, account.code_hash))

    def get_nonce(self, address: Address) -> int:
        """Return the nonce; 0 for an account that does not exist."""
        account = self.load(address)
        return account.nonce if account is not None else 0

    def set_nonce(self, address: Address, nonce: int) -> None:
        """Set the nonce, creating the account if need be."""
        account = self.load(address) or EMPTY_ACCOUNT
        self.store(address, Account(nonce, account.balance_wei, account.code_hash))

    def increment_nonce(self, address: Address) -> None:
        """Add one to the nonce."""
        self.set_nonce(address, self.get_nonce(address) + 1)

    def get_code_hash(self, address: Address) -> Hash32:
        """Return the hash of the account's code, that of no code when there is none."""
        account = self.load(address)
        return account.code_hash if account is not None else EMPTY_CODE_HASH

    def get_code(self, address: Address) -> bytes:
        """Return the account's code, empty when there is none."""
        code_hash = self.get_code_hash(address)
        if code_hash == EMPTY_CODE_HASH:
            return b""
        code = self._codes.get(code_hash)
        if code is None:
            code = self._codes[code_hash] = self._view.load_code(code_hash)
        return code

    def set_code(self, address: Address, code: bytes) -> None:
        """Set the account's code, creating the account if need be."""
        account = self.load(address) or EMPTY_ACCOUNT
        code_hash = keccak256(code)
        self._codes[code_hash] = code
        self._new_codes.add(code_hash)
        self.store(address, Account(account.nonce, account.balance_wei, code_hash))

    def delete_code(self, address: Address) -> None:
        """Leave the account without code."""
        self.set_code(address, b"")

    def account_has_code_or_nonce(self, address: Address) -> bool:
        """Tell whether a contract may not be created here."""
        account = self.load(address)
        return account is not None and bool(account.nonce or account.code_hash != EMPTY_CODE_HASH)

    def account_exists(self, address: Address) -> bool:
        """Tell whether the account exists, empty or not."""
        return self.load(address) is not None

    def account_is_empty(self, address: Address) -> bool:
        """Tell whether the account is empty or does not exist."""
        account = self.load(address)
        return account is None or account.is_empty

    def touch_account(self, address: Address) -> None:
        """Create the account if it does not exist; EIP-161 deletes it again if it stays empty."""
        account = self.load(address)
        if account is None or account.is_empty:
            self.store(address, EMPTY_ACCOUNT)

    def delete_account(self, address: Address) -> None:
        """Delete the account and its storage."""
        self.delete_storage(address)
        self.store(address, None)

    # Slots

    def get_storage(self, address: Address, slot: int, from_journal: bool = True) -> int:
        """Return a slot as it now is, or as it was when the transaction began."""
        if not from_journal:
            original = self._originals.get((address, slot))
            if original is not None:
                return original
        slots = self._slots.get(address)
        if slots is not None:
            value = slots.get(slot)
            if value is not None:
                return value
        return self._load_before(address, slot)

    def set_storage(self, address: Address, slot: int, value: int) -> None:
        """Set a slot."""
        before = self.get_storage(address, slot)
        self._originals.setdefault((address, slot), before)
        slots = self._slots.setdefault(address, {})
        slots[slot] = value
        self._undo.append(lambda: slots.__setitem__(slot, before))
        self.load(address)

    def delete_storage(self, address: Address) -> None:
        """Drop the account's whole storage."""
        slots = self._slots.get(address)
        if address in self._wiped and not slots:
            return
        if self.load(address) is None and self._before[address] is None and not slots:
            return
        was_wiped = address in self._wiped
        self._slots[address] = {}
        self._wiped.add(address)
        self._undo.append(lambda: self._restore_storage(address, slots, was_wiped))

    def _restore_storage(
        self, address: Address, slots: dict[int, int] | None, was_wiped: bool
    ) -> None:
        if slots is None:
            del self._slots[address]
        else:
            self._slots[address] = slots
        if not was_wiped:
            self._wiped.discard(address)

    def _load_before(self, address: Address, slot: int) -> int:
        if address in self._wiped:
            return 0
        slots = self._slots_before.get(address)
        if slots is None:
            slots = self._slots_before[address] = {}
        value = slots.get(slot)
        if value is None:
            value = slots[slot] = self._view.load_slot(address, slot)
        return value

    # Warm addresses and slots (EIP-2929)

    def is_address_warm(self, address: Address) -> bool:
        """Tell whether this transaction accessed the address before."""
        return address in self._warm_addresses

    def mark_address_warm(self, address: Address) -> None:
        """Note that this transaction accessed the address."""
        warm = self._warm_addresses
        if address not in warm:
            warm.add(address)
            self._accessed_addresses.add(address)
            self._undo.append(lambda: warm.discard(address))

    def is_storage_warm(self, address: Address, slot: int) -> bool:
        """Tell whether this transaction accessed the slot before."""
        return (address, slot) in self._warm_slots

    def mark_storage_warm(self, address: Address, slot: int) -> None:
        """Note that this transaction accessed the slot."""
        key = (address, slot)
        warm = self._warm_slots
        if key not in warm:
            warm.add(key)
            self._accessed_slots.add(key)
            self._undo.append(lambda: warm.discard(key))

    @property
    def accessed(self) -> dict[Address, list[int]]:
        """Return the addresses and slots this transaction accessed, reverted or not, ascending."""
        accessed: dict[Address, list[int]] = {at: [] for at in sorted(self._accessed_addresses)}
        for address, slot in sorted(self._accessed_slots):
            accessed.setdefault(address, []).append(slot)
        return accessed

    # Marks

    def record(self) -> int:
        """Return a mark to discard down to."""
        return len(self._undo)

    def discard(self, mark: int) -> None:
        """Undo everything since ``mark``, latest first."""
        undo = self._undo
        while len(undo) > mark:
            undo.pop()()

    def commit(self, mark: int) -> None:
        """Keep everything since ``mark``, as part of what encloses it."""
