"""What the network needs of the node around it: a clock, and what it serves to peers.

Spec: WIRE-GOSSIP, SYNC-SERVE.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from node.primitives.types import BlockHash, Height, TransactionHash


class PeerClock(Protocol):
    """Wall and monotonic time; ``runtime.clock`` has the real one."""

    def now_ms(self) -> int:
        """Return milliseconds since the epoch."""
        ...

    def monotonic_ms(self) -> int:
        """Return milliseconds of a clock that never goes back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainStatus:
    """Our chain, as peers are told."""

    height: Height
    """Height of the head."""
    block_hash: BlockHash
    """Hash (b) of the head."""
    oldest_height: Height = Height(0)
    """Lowest height whose block we hold."""
    snapshot_height: Height = Height(0)
    """Height of our newest snapshot; 0 for none."""


class LedgerSource(Protocol):
    """What peers may ask of us. Ranges are bounded before they arrive here."""

    def chain_status(self) -> ChainStatus:
        """Return where our chain stands."""
        ...

    async def load_blocks(self, start: Height, count: int) -> Sequence[bytes]:
        """Return encoded blocks with seals from ``start`` on; none when we lack the first."""
        ...

    async def load_headers(self, start: Height, count: int) -> Sequence[bytes]:
        """Return encoded headers with seals from ``start`` on; none when we lack the first."""
        ...

    async def load_manifest(self, height: Height) -> bytes:
        """Return the manifest of our snapshot at ``height``; empty when there is none."""
        ...

    async def load_chunk(self, height: Height, index: int) -> bytes:
        """Return one chunk of our snapshot at ``height``; empty when there is none."""
        ...

    def load_transactions(self, hashes: Sequence[TransactionHash]) -> Sequence[bytes]:
        """Return those of the transactions that wait in our pool."""
        ...

    def is_wanted(self, transaction_hash: TransactionHash) -> bool:
        """Tell whether we neither hold nor have executed a transaction."""
        ...
