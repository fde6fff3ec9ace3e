"""Builds, checks and makes final the blocks of a running node, each executed once.

One thread does all three, so that a block is never built on a state that is about to change, and
the event loop stays free. What executing a block gave is kept by hash (b) until its height is
decided; the decided one is then written in one batch.

Spec: EXEC-ONCE, STORE-BATCH.
"""

import asyncio
import gc
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from node.consensus.effects import BuildBlock, ValidateBlock
from node.execution.executor import ExecutionResult, execute_block
from node.execution.permissions import PermissionRule
from node.execution.profile import ExecutionProfile
from node.execution.proposal import BlockDraft, Skipped, build_block
from node.log import Log
from node.primitives.block import Block
from node.primitives.errors import InvalidBlock, InvariantViolation
from node.primitives.header import Header
from node.primitives.transaction import Transaction
from node.primitives.types import BlockHash, Height
from node.runtime.clock import Clock
from node.runtime.metrics import Metrics
from node.storage.chain import ChainStore

LOG = Log("execution")

RESULTS_MAX: Final = 32
"""Executed blocks kept that are not decided; rounds beyond push the oldest out."""

FULL_COLLECTION_EVERY: Final = 64
"""Every so many garbage collections look at all generations."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Where a proposer finds transactions, and returns those that cannot run."""

    candidates: Callable[[], tuple[Transaction, ...]]
    """Transactions in the order to try."""
    drop_skipped: Callable[[tuple[Skipped, ...]], None]
    """Told of those left out, with the reason."""
    lend_senders: Callable[[tuple[Transaction, ...]], None]
    """Gives a block's transactions the senders recovered when they came to wait."""


class Blocks:
    """The execution thread and what it keeps."""

    def __init__(
        self,
        chain: ChainStore,
        *,
        profile: ExecutionProfile,
        build_time_ms: int,
        waiting: Waiting,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """Hold the parts.

        Args:
            chain: The committed chain.
            profile: The network's numbers for execution.
            build_time_ms: Longest time spent on filling a block.
            waiting: The pool.
            clock: Measures that time.
            metrics: Told of durations.
        """
        self._chain = chain
        self._profile = profile
        self._build_time_ms = build_time_ms
        self._waiting = waiting
        self._clock = clock
        self._metrics = metrics
        self._rule = PermissionRule()
        self._collections = 0
        self._results: OrderedDict[BlockHash, ExecutionResult] = OrderedDict()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="execution")

    async def build(self, asked: BuildBlock) -> Block | None:
        """Build what ``asked`` describes, or None when it would be empty and must not be."""
        return await self._on_thread(lambda: self._build(asked))

    async def validate(self, asked: ValidateBlock) -> bool:
        """Tell whether every execution rule holds; keep the result."""
        return await self._on_thread(lambda: self._validate(asked.parent, asked.block))

    async def commit(self, block: Block) -> None:
        """Write a decided block, executing it first when this node has not yet.

        Raises:
            InvalidBlock: It breaks a rule.
            InvariantViolation: It does not continue this node's chain.
            Unavailable: The disk refused; nothing changed.
        """
        await self._on_thread(lambda: self._commit(block))

    def load_hash(self, at: Height) -> BlockHash | None:
        """Return hash (b) of the block that is final at a height, or None when it is not here."""
        return self._chain.load_hash(at)

    async def collect_garbage(self) -> None:
        """Collect garbage between blocks, on the thread that makes it."""
        await self._on_thread(self._collect)

    def close(self) -> None:
        """Finish the work at hand and end the thread."""
        self._thread.shutdown(cancel_futures=True)

    async def _on_thread(self, work: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _build(self, asked: BuildBlock) -> Block | None:
        if asked.parent.hash != self._chain.head.hash:
            return None
        candidates = self._waiting.candidates()
        if not candidates and not asked.may_be_empty:
            return None
        started_ms = self._clock.monotonic_ms()
        built = build_block(
            parent=asked.parent,
            draft=BlockDraft(
                timestamp_s=asked.timestamp_s,
                coinbase=asked.coinbase,
                extra_data=asked.extra_data,
            ),
            candidates=candidates,
            view=self._chain.head_view(),
            profile=self._profile,
            rule=self._rule,
            ancestor_hash=self.load_hash,
            is_time_up=lambda: self._clock.monotonic_ms() - started_ms > self._build_time_ms,
        )
        self._measure(started_ms, built.result.gas_used)
        self._waiting.drop_skipped(built.skipped)
        if not built.block.transactions and not asked.may_be_empty:
            return None
        self._keep(built.block.hash, built.result)
        return built.block

    def _validate(self, parent: Header, block: Block) -> bool:
        if block.hash in self._results:
            return True
        if parent.hash != self._chain.head.hash:
            return False
        try:
            self._execute(parent, block)
        except InvalidBlock as error:
            LOG.warning(
                "a proposed block is invalid",
                height=block.height,
                proposer=block.header.coinbase,
                reason=str(error),
            )
            return False
        return True

    def _execute(self, parent: Header, block: Block) -> ExecutionResult:
        started_ms = self._clock.monotonic_ms()
        self._waiting.lend_senders(block.transactions)
        result = execute_block(
            parent=parent,
            block=block,
            view=self._chain.head_view(),
            profile=self._profile,
            rule=self._rule,
            ancestor_hash=self.load_hash,
        )
        self._measure(started_ms, result.gas_used)
        self._keep(block.hash, result)
        return result

    def _commit(self, block: Block) -> None:
        head = self._chain.head
        if block.header.parent_hash != head.hash:
            raise InvariantViolation(
                f"block 0x{block.hash.hex()} at height {block.height} does not continue the head "
                f"0x{head.hash.hex()} at height {head.height}"
            )
        result = self._results.get(block.hash) or self._execute(head, block)
        started_ms = self._clock.monotonic_ms()
        self._chain.commit_block(block, result.receipts, result.overlay)
        self._metrics.commit_write.observe((self._clock.monotonic_ms() - started_ms) / 1_000)
        self._results.clear()

    def _keep(self, block_hash: BlockHash, result: ExecutionResult) -> None:
        self._results[block_hash] = result
        while len(self._results) > RESULTS_MAX:
            self._results.popitem(last=False)

    def _measure(self, started_ms: int, gas_used: int) -> None:
        seconds = max(1, self._clock.monotonic_ms() - started_ms) / 1_000
        self._metrics.execution.observe(seconds)
        if gas_used:
            self._metrics.gas_rate.set(gas_used / seconds)

    def _collect(self) -> None:
        """Collect the young generations; now and then all, and set aside what lives on.

        What is set aside (trie nodes, caches) is never looked at again, so that a full collection
        stays as short as a young one however large the state in memory grows.
        """
        started_ms = self._clock.monotonic_ms()
        self._collections += 1
        if self._collections % FULL_COLLECTION_EVERY == 0:
            gc.collect()
            gc.freeze()
        else:
            gc.collect(1)
        self._metrics.gc_pause.observe((self._clock.monotonic_ms() - started_ms) / 1_000)
