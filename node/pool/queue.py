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
    """The transactions of one sender."""

    __slots__ = ("account_nonce", "entries")

    def __init__(self, account_nonce: int) -> None:
        """Start empty, for an account at ``account_nonce``."""
        self.account_nonce = account_nonce
        self.entries: dict[int, Entry] = {}

    def __len__(self) -> int:
        """Count the transactions."""
        return len(self.entries)

    def pending(self) -> Iterator[Entry]:
        """Yield the transactions that can run one after the other from the account's nonce."""
        at = self.account_nonce
        while (entry := self.entries.get(at)) is not None:
            yield entry
            at += 1

    def queued(self) -> Iterator[Entry]:
        """Yield the transactions behind a gap, by nonce."""
        reached = self.next_nonce()
        for nonce in sorted(self.entries):
            if nonce > reached:
                yield self.entries[nonce]

    def next_nonce(self) -> int:
        """Return the first nonce not taken, from the account's on."""
        at = self.account_nonce
        while at in self.entries:
            at += 1
        return at

    def last(self) -> Entry:
        """Return the transaction of the highest nonce."""
        return self.entries[max(self.entries)]

    def stale_nonces(self) -> list[int]:
        """Return the nonces below the account's, ascending."""
        return sorted(nonce for nonce in self.entries if nonce < self.account_nonce)
