"""What execution reads of a state, and what it hands back: the seam between EVM and storage.

Execution sees flat accounts and slots through ``StateView`` and returns ``StateChanges``; storage
turns changes into a new root and an overlay (``storage.state``). Neither knows how the other
works.
"""

from dataclasses import dataclass, field
from typing import Final, Protocol

from node.primitives.crypto import keccak256
from node.primitives.header import EMPTY_ROOT
from node.primitives.types import Address, Hash32

EMPTY_CODE_HASH: Final = keccak256(b"")


@dataclass(frozen=True, slots=True)
class Account:
    """An account without its storage; the storage root lives in the trie only."""

    nonce: int = 0
    """Count of transactions sent, or of contracts created."""
    balance_wei: int = 0
    """Balance."""
    code_hash: Hash32 = EMPTY_CODE_HASH
    """Keccak of its code."""

    @property
    def is_empty(self) -> bool:
        """Tell whether EIP-161 calls the account empty."""
        return not self.nonce and not self.balance_wei and self.code_hash == EMPTY_CODE_HASH


class StateView(Protocol):
    """A state at one block, or an overlay of a block not yet decided."""

    @property
    def root(self) -> Hash32:
        """Return the state root."""
        ...

    def load_account(self, address: Address) -> Account | None:
        """Return the account, or None when it does not exist."""
        ...

    def load_slot(self, address: Address, slot: int) -> int:
        """Return the value of a storage slot; 0 when unset."""
        ...

    def load_code(self, code_hash: Hash32) -> bytes:
        """Return the code with that hash.

        Raises:
            InvariantViolation: The state names code it does not hold.
        """
        ...


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account together with the root of its storage."""

    account: Account
    """What execution sees."""
    storage_root: Hash32 = EMPTY_ROOT
    """Root of its storage trie."""


class BackedView(StateView, Protocol):
    """A view with its trie behind it: what ``storage.state.build_overlay`` builds upon."""

    def load_record(self, address: Address) -> AccountRecord | None:
        """Return the account with its storage root, or None when it does not exist."""
        ...

    def load_node(self, node_hash: Hash32, owner: bytes, path: str) -> bytes:
        """Return a trie node by its hash.

        Args:
            node_hash: Hash the parent names it by.
            owner: Keccak of the address whose storage it belongs to, or ``schema.STATE_OWNER``.
            path: Digits from the root of its trie.

        Raises:
            StatePruned: This node no longer keeps the state.
            DatabaseCorrupt: The node is missing from a state that should be kept.
        """
        ...


@dataclass(slots=True)
class StateChanges:
    """Net effect of one block on a state."""

    accounts: dict[Address, Account | None] = field(default_factory=dict)
    """New value of every changed account; None deletes it with its storage."""
    slots: dict[Address, dict[int, int]] = field(default_factory=dict)
    """New value of every changed slot; 0 clears it."""
    wiped: set[Address] = field(default_factory=set)
    """Accounts whose whole storage is dropped before ``slots`` is applied."""
    codes: dict[Hash32, bytes] = field(default_factory=dict)
    """Code newly stored, by its hash."""
