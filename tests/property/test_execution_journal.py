"""EXEC-REFUSED, EXEC-ONCE: undoing is forgetting, and changes are the difference of two states.

The judge keeps whole copies of the state where the journal keeps an undo list.
"""

import copy

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.execution.journal import StateJournal
from node.primitives.types import Address
from node.storage.state import build_overlay
from node.storage.view import Account
from tests.support.execution import PreAccount, make_view
from tests.support.memory_view import MemoryView

ADDRESSES = [Address(bytes((n,)) * 20) for n in range(4)]
SLOTS = [0, 1, 2**255]
addresses = st.sampled_from(ADDRESSES)
slots = st.sampled_from(SLOTS)


class JournalAgainstCopies(RuleBasedStateMachine):
    """Random writes, nested marks and deletions."""

    @initialize(nonces=st.lists(st.integers(0, 2), min_size=4, max_size=4), stored=st.booleans())
    def start(self, nonces: list[int], stored: bool) -> None:
        self.naive = MemoryView()
        pre = {}
        for address, nonce in zip(ADDRESSES, nonces, strict=True):
            if nonce:
                kept = {0: 7, 1: 9} if stored else {}
                self.naive.put(address, nonce=nonce, code=b"\x00" * nonce, slots=kept)
                pre[address] = PreAccount(nonce=nonce, code=b"\x00" * nonce, slots=kept)
        self.before = make_view(pre)
        self.base = copy.deepcopy(self.naive)
        self.base.put(next(iter(make_view().records)), balance_wei=10**18)
        self.naive = copy.deepcopy(self.base)
        self.journal = StateJournal(self.before)
        self.marks: list[tuple[int, MemoryView]] = []

    @rule(address=addresses, slot=slots, value=st.integers(0, 3))
    def set_slot(self, address: Address, slot: int, value: int) -> None:
        if self.naive.load_account(address) is None:
            return
        self.journal.set_storage(address, slot, value)
        self.naive.slots.setdefault(address, {})[slot] = value
        if not value:
            del self.naive.slots[address][slot]

    @rule(address=addresses, balance=st.integers(0, 3))
    def set_balance(self, address: Address, balance: int) -> None:
        self.journal.set_balance(address, balance)
        account = self.naive.load_account(address) or Account()
        self.naive.accounts[address] = Account(account.nonce, balance, account.code_hash)

    @rule(address=addresses)
    def increment_nonce(self, address: Address) -> None:
        self.journal.increment_nonce(address)
        account = self.naive.load_account(address) or Account()
        self.naive.accounts[address] = Account(
            account.nonce + 1, account.balance_wei, account.code_hash
        )

    @rule(address=addresses, code=st.binary(min_size=1, max_size=2))
    def set_code(self, address: Address, code: bytes) -> None:
        self.journal.set_code(address, code)
        slots = self.naive.slots.get(address, {})
        account = self.naive.load_account(address) or Account()
        self.naive.put(
            address,
            nonce=account.nonce,
            balance_wei=account.balance_wei,
            code=code,
            slots=slots,
        )

    @rule(address=addresses)
    def delete(self, address: Address) -> None:
        self.journal.delete_account(address)
        self.naive.accounts.pop(address, None)
        self.naive.slots.pop(address, None)

    @rule(address=addresses)
    def wipe(self, address: Address) -> None:
        self.journal.delete_storage(address)
        self.naive.slots.pop(address, None)

    @rule()
    def mark(self) -> None:
        self.marks.append((self.journal.record(), copy.deepcopy(self.naive)))

    @rule()
    def discard(self) -> None:
        if self.marks:
            mark, self.naive = self.marks.pop()
            self.journal.discard(mark)

    @rule()
    def commit(self) -> None:
        if self.marks:
            self.journal.commit(self.marks.pop()[0])

    @rule()
    def end_transaction(self) -> None:
        self.journal.clear_empty_accounts()
        for address in list(self.naive.accounts):
            if self.naive.accounts[address].is_empty and address in self.touched():
                del self.naive.accounts[address]
                self.naive.slots.pop(address, None)
        self.journal.begin_transaction()
        self.marks.clear()

    def touched(self) -> set[Address]:
        return {at for at in ADDRESSES if self.journal.load(at) is None}

    @invariant()
    def reads_agree(self) -> None:
        for address in ADDRESSES:
            assert self.journal.load(address) == self.naive.load_account(address)
            for slot in SLOTS:
                if self.naive.load_account(address) is not None:
                    found = self.journal.get_storage(address, slot)
                    assert found == self.naive.load_slot(address, slot)

    @invariant()
    def changes_lead_to_the_naive_root(self) -> None:
        changes = self.journal.collect_changes()
        assert self.base.after(changes).root == self.naive.root
        assert build_overlay(self.before, changes).root == self.naive.root


TestJournalAgainstCopies = JournalAgainstCopies.TestCase
