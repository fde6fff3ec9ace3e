"""One sender's waiting transactions, by nonce.

Those whose nonces follow the account's without a gap are *pending*, the rest *queued*. Bounds are
the pool's business.

Spec: POOL-NONCE.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from node.primitives.transaction import Transaction
from node.primitives.types import TransactionHash


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A waiting transaction and how it came."""

    transaction: Transaction
    """The transaction."""
    source: str
    """Who brought it: a peer's or an RPC client's name."""
    arrived_s: int
    """When, in whole seconds."""
    replaced_count: int = 0
    """Transactions of this nonce it and its predecessors replaced."""
    is_open_call: bool = False
    """Taken as an open call: it must still succeed when a block is built."""
    is_vouched: bool = False
    """An open call taken on its source's word; it was not run here."""

    @property
    def hash(self) -> TransactionHash:
        """Return the transaction's hash."""
        return self.transaction.hash

    @property
    def size_bytes(self) -> int:
        """Return the transaction's bytes."""
        return len(self.transaction.raw)

    def replacing(self, old: "Entry") -> "Entry":
        """Return this entry as the successor of ``old``."""
        return replace(self, replaced_count=old.replaced_count + 1)


class SenderQueue:
    """The transactions of one sender.

    The first nonce not taken is kept with it, so that a long queue costs no more than a short one.
    """

    __slots__ = ("_account_nonce", "_entries", "_next_nonce")

    def __init__(self, account_nonce: int) -> None:
        """Start empty, for an account at ``account_nonce``."""
        self._account_nonce = account_nonce
        self._next_nonce = account_nonce
        self._entries: dict[int, Entry] = {}

    def __len__(self) -> int:
        """Count the transactions."""
        return len(self._entries)

    @property
    def account_nonce(self) -> int:
        """Return the account's nonce."""
        return self._account_nonce

    @property
    def next_nonce(self) -> int:
        """Return the first nonce not taken, from the account's on."""
        return self._next_nonce

    def get(self, nonce: int) -> Entry | None:
        """Return the transaction of a nonce, or None."""
        return self._entries.get(nonce)

    def put(self, entry: Entry) -> None:
        """Take a transaction, in the place of another of its nonce."""
        self._entries[entry.transaction.nonce] = entry
        self._advance()

    def remove(self, nonce: int) -> None:
        """Drop the transaction of a nonce."""
        del self._entries[nonce]
        if self._account_nonce <= nonce < self._next_nonce:
            self._next_nonce = nonce

    def advance_to(self, account_nonce: int) -> None:
        """Follow the account to its nonce."""
        self._account_nonce = account_nonce
        self._next_nonce = max(self._next_nonce, account_nonce)
        self._advance()

    def pending(self) -> Iterator[Entry]:
        """Yield the transactions that can run one after the other from the account's nonce."""
        for nonce in range(self._account_nonce, self._next_nonce):
            yield self._entries[nonce]

    def queued(self) -> Iterator[Entry]:
        """Yield the transactions behind a gap, by nonce."""
        for nonce in sorted(self._entries):
            if nonce > self._next_nonce:
                yield self._entries[nonce]

    def last(self) -> Entry:
        """Return the transaction of the highest nonce."""
        return self._entries[max(self._entries)]

    def stale_nonces(self) -> list[int]:
        """Return the nonces below the account's, ascending."""
        return sorted(nonce for nonce in self._entries if nonce < self._account_nonce)

    def _advance(self) -> None:
        while self._next_nonce in self._entries:
            self._next_nonce += 1
