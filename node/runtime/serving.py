"""What a running node serves to its peers: blocks, headers, snapshots, waiting transactions.

Reads go to a thread of their own, so that a peer that catches up costs the consensus path nothing.

Spec: SYNC-SERVE.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from node.p2p.source import ChainStatus
from node.primitives.types import Height, TransactionHash
from node.runtime.intake import Intake
from node.runtime.snapshots import Snapshots
from node.storage.chain import ChainStore

Answer = TypeVar("Answer")


class Serving:
    """The node's ``LedgerSource``."""

    def __init__(self, chain: ChainStore, intake: Intake, snapshots: Snapshots) -> None:
        """Hold the parts."""
        self._chain = chain
        self._snapshots = snapshots
        self._intake = intake
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="serving")

    def chain_status(self) -> ChainStatus:
        """Return where our chain stands."""
        head = self._chain.head
        return ChainStatus(height=head.height, block_hash=head.hash, oldest_height=self._chain.base)

    async def load_blocks(self, start: Height, count: int) -> Sequence[bytes]:
        """Return encoded blocks with seals from ``start`` on; none when we lack the first."""
        return await self._on_thread(lambda: self._blocks(start, count))

    async def load_headers(self, start: Height, count: int) -> Sequence[bytes]:
        """Return encoded headers with seals from ``start`` on; none when we lack the first."""
        return await self._on_thread(lambda: self._headers(start, count))

    async def load_manifest(self, height: Height) -> bytes:
        """Return the manifest of our snapshot at ``height``; empty when there is none."""
        return await self._on_thread(lambda: self._snapshots.load_manifest(height))

    async def load_chunk(self, height: Height, index: int) -> bytes:
        """Return one chunk of our snapshot at ``height``; empty when there is none."""
        return await self._on_thread(lambda: self._snapshots.load_chunk(height, index))

    def load_transactions(self, hashes: Sequence[TransactionHash]) -> Sequence[bytes]:
        """Return those of the transactions that wait in our pool."""
        return self._intake.load_raw(hashes)

    def is_wanted(self, transaction_hash: TransactionHash) -> bool:
        """Tell whether we neither hold nor have executed a transaction."""
        if self._intake.holds(transaction_hash):
            return False
        return self._chain.find_transaction(transaction_hash) is None

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)

    def _blocks(self, start: Height, count: int) -> list[bytes]:
        return [self._chain.load_block(at).encode() for at in self._heights(start, count)]

    def _headers(self, start: Height, count: int) -> list[bytes]:
        return [self._chain.load_header(at).encode() for at in self._heights(start, count)]

    def _heights(self, start: Height, count: int) -> list[Height]:
        if start <= max(self._chain.base, self._chain.restored_at):
            return []
        stop = min(start + count, self._chain.head.height + 1)
        return [Height(at) for at in range(start, stop)]

    async def _on_thread(self, work: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
