"""A state in a dictionary, its root computed from scratch: the naive judge of overlays."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from node.primitives import rlp
from node.primitives.crypto import keccak256
from node.primitives.trie import AccountLeaf, TrieBuilder
from node.primitives.types import Address, Hash32
from node.storage.view import EMPTY_CODE_HASH, Account, StateChanges


@dataclass(slots=True)
class MemoryView:
    """A ``StateView`` over plain dictionaries."""

    accounts: dict[Address, Account] = field(default_factory=dict)
    """By address."""
    slots: dict[Address, dict[int, int]] = field(default_factory=dict)
    """Non-zero slots by address."""
    codes: dict[Hash32, bytes] = field(default_factory=dict)
    """By hash."""

    @property
    def root(self) -> Hash32:
        """Compute the state root."""
        leaves = {
            keccak256(address): AccountLeaf(
                nonce=account.nonce,
                balance_wei=account.balance_wei,
                storage_root=compute_storage_root(self.slots.get(address, {})),
                code_hash=account.code_hash,
            ).encode()
            for address, account in self.accounts.items()
        }
        return compute_root(leaves)

    def load_account(self, address: Address) -> Account | None:
        """Return the account, or None."""
        return self.accounts.get(address)

    def load_slot(self, address: Address, slot: int) -> int:
        """Return the slot, or 0."""
        return self.slots.get(address, {}).get(slot, 0)

    def load_code(self, code_hash: Hash32) -> bytes:
        """Return the code."""
        return b"" if code_hash == EMPTY_CODE_HASH else self.codes[code_hash]

    def put(
        self,
        address: Address,
        *,
        nonce: int = 0,
        balance_wei: int = 0,
        code: bytes = b"",
        slots: Mapping[int, int] | None = None,
    ) -> None:
        """Set an account whole."""
        code_hash = keccak256(code)
        self.codes[code_hash] = code
        self.accounts[address] = Account(nonce, balance_wei, code_hash)
        self.slots[address] = {slot: value for slot, value in (slots or {}).items() if value}

    def after(self, changes: StateChanges) -> "MemoryView":
        """Return the state with ``changes`` applied, as ``storage.view`` describes them."""
        new = MemoryView(
            dict(self.accounts),
            {at: dict(slots) for at, slots in self.slots.items()},
            {**self.codes, **changes.codes},
        )
        for address in changes.wiped:
            new.slots.pop(address, None)
        for address, account in changes.accounts.items():
            if account is None:
                del new.accounts[address]
                new.slots.pop(address, None)
            else:
                new.accounts[address] = account
        for address, slots in changes.slots.items():
            kept = {**new.slots.get(address, {}), **slots}
            new.slots[address] = {slot: value for slot, value in kept.items() if value}
        return new


def compute_storage_root(slots: Mapping[int, int]) -> Hash32:
    """Compute the root of an account's storage."""
    return compute_root(
        {
            keccak256(slot.to_bytes(32, "big")): rlp.encode(rlp.encode_uint(value))
            for slot, value in slots.items()
            if value
        }
    )


def compute_root(leaves: Mapping[bytes, bytes]) -> Hash32:
    """Compute the root of hashed keys and their values."""
    builder = TrieBuilder()
    for key in sorted(leaves):
        builder.add(key, leaves[key])
    return builder.finish()
