"""``LedgerBackend`` over the chain store: what a running node, and a test's small chain, serve.

Reads only; the one thing that changes anything, ``submit``, is handed in, as are the questions
only a running node can answer. Safe to call from several threads: committed blocks and states do
not change, and the pool comes with its lock.

Spec: RPC-BACKEND.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from node.execution import calls, tracing
from node.execution.calls import CallOutcome, CallRequest, Patience
from node.execution.evm import BlockContext
from node.execution.executor import build_context
from node.execution.profile import ExecutionProfile
from node.execution.tracing import Trace, TraceOptions
from node.pool.pool import Pool
from node.primitives.types import Address, BlockHash, Hash32, Height, TransactionHash
from node.rpc.backend import StateUnavailable, SyncProgress
from node.rpc.records import (
    BlockRecord,
    HeaderRecord,
    ReceiptRecord,
    block_record,
    header_record,
    receipt_record,
)
from node.storage.chain import AccountProof, ChainStore
from node.storage.errors import NotStored, StatePruned
from node.storage.logs import LogFilter, find_log_heights
from node.storage.view import Account

CALL_STEPS_MAX: Final = 5_000_000
"""Most EVM steps of a call or a traced transaction."""

CALL_TIME_MAX_S: Final = 10.0
"""Longest a call or a traced transaction runs."""


class Submit(Protocol):
    """Takes a transaction into the pool and passes it on."""

    def __call__(self, raw: bytes, source: str) -> TransactionHash:
        """Return the hash, or raise InvalidInput with the reason."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerParts:
    """What a ``NodeLedger`` is made of."""

    chain: ChainStore
    """The committed chain."""
    profile: ExecutionProfile
    """The network's numbers."""
    pool: Pool
    """Waiting transactions."""
    pool_lock: AbstractContextManager[object]
    """Held while the pool is read; reentrant."""
    submit: Submit
    """Takes a transaction."""
    monotonic_s: Callable[[], float]
    """Measures how long a call runs."""
    sync_progress: Callable[[], SyncProgress | None] = lambda: None
    """How far the node has caught up; None when it has."""
    peer_count: Callable[[], int] = lambda: 0
    """Connected peers."""


class NodeLedger:
    """The chain, its states and the pool of one node."""

    def __init__(self, parts: LedgerParts) -> None:
        """Hold the parts."""
        self._parts = parts
        self._chain = parts.chain
        self._heads = threading.local()

    @property
    def chain_id(self) -> int:
        """Return the EIP-155 chain id."""
        return self._parts.profile.chain_id

    @property
    def block_gas_limit(self) -> int:
        """Return the most gas one transaction may use here."""
        profile = self._parts.profile
        return min(profile.block_gas_limit, profile.transaction_gas_cap)

    @property
    def next_base_fee_wei(self) -> int:
        """Return 0: there are no fees."""
        return 0

    @contextmanager
    def open_pool(self) -> Iterator[Pool]:
        """Yield the pool under its lock."""
        with self._parts.pool_lock:
            yield self._parts.pool

    def head(self) -> HeaderRecord:
        """Return the latest header."""
        header = self._chain.head
        known: HeaderRecord | None = getattr(self._heads, "record", None)
        if known is None or known.height != header.height:
            known = self._heads.record = header_record(header)
        return known

    def load_header(self, at: Height) -> HeaderRecord | None:
        """Return the header at a height, or None when it is not here."""
        return header_record(self._chain.load_header(at)) if self._has(at) else None

    def load_block(self, at: Height) -> BlockRecord | None:
        """Return the block at a height, or None when it is not here."""
        try:
            return block_record(self._chain.load_block(at)) if self._has(at) else None
        except NotStored as error:
            raise StateUnavailable(f"block {at} is not kept by this node") from error

    def load_receipts(self, at: Height) -> tuple[ReceiptRecord, ...]:
        """Return the receipts of a block."""
        return tuple(receipt_record(receipt) for receipt in self._chain.load_receipts(at))

    def find_block(self, block_hash: Hash32) -> Height | None:
        """Return the height of a block, or None."""
        height = self._chain.find_height(BlockHash(block_hash))
        return height if height is not None and self._has(height) else None

    def find_transaction(self, transaction_hash: Hash32) -> tuple[Height, int] | None:
        """Return height and index of a transaction on chain, or None.

        A block that is being committed has its indexes a moment before it is the head; until then
        it is not there for anyone.
        """
        place = self._chain.find_transaction(TransactionHash(transaction_hash))
        return place if place is not None and self._has(place[0]) else None

    def find_log_heights(
        self,
        *,
        start: Height,
        stop: Height,
        addresses: Set[bytes],
        topics: Sequence[Set[Hash32]],
    ) -> Iterable[Height]:
        """Return the heights that may hold wanted logs, by the log index."""
        wanted = LogFilter(
            addresses=tuple(Address(address) for address in sorted(addresses)),
            topics=tuple(tuple(sorted(choice)) for choice in topics),
        )
        return find_log_heights(self._chain.store, wanted, start=start, stop=stop)

    def load_account(self, at: Height, address: Address) -> Account:
        """Return an account; empty when it does not exist.

        Raises:
            StateUnavailable: The state is not kept.
        """
        with _kept(at):
            return self._chain.view_at(at).load_account(address) or Account()

    def load_code(self, at: Height, address: Address) -> bytes:
        """Return an account's code.

        Raises:
            StateUnavailable: The state is not kept.
        """
        with _kept(at):
            view = self._chain.view_at(at)
            account = view.load_account(address)
            return b"" if account is None else view.load_code(account.code_hash)

    def load_slot(self, at: Height, address: Address, slot: int) -> int:
        """Return a slot's value.

        Raises:
            StateUnavailable: The state is not kept.
        """
        with _kept(at):
            return self._chain.view_at(at).load_slot(address, slot)

    def prove_account(self, at: Height, address: Address, slots: Sequence[int]) -> AccountProof:
        """Prove an account and some of its slots.

        Raises:
            StateUnavailable: The trie at that height is not kept.
        """
        with _kept(at):
            return self._chain.build_account_proof(at, address, slots)

    def run_call(self, request: CallRequest, at: Height) -> CallOutcome:
        """Run a message on the state after a block.

        Raises:
            CallRefused: It could not begin.
            CallTooLong: It ran past the steps or time it may take.
            StateUnavailable: The state is not kept.
        """
        with _kept(at):
            view = self._chain.view_at(at)
            return calls.run_call(view, self._context(at), request, patience=self._patience())

    def estimate_gas(self, request: CallRequest, at: Height) -> int:
        """Return gas with which a message succeeds.

        Raises:
            CallFailed: It fails even with all the gas it may have.
            CallRefused: It could not begin.
            CallTooLong: It ran past the steps or time it may take.
            StateUnavailable: The state is not kept.
        """
        with _kept(at):
            view = self._chain.view_at(at)
            return calls.estimate_gas(view, self._context(at), request, patience=self._patience())

    def build_access_list(self, request: CallRequest, at: Height) -> CallOutcome:
        """Run a message with the access list it needs.

        Raises:
            CallRefused: It could not begin.
            CallTooLong: It ran past the steps or time it may take.
            StateUnavailable: The state is not kept.
        """
        with _kept(at):
            view = self._chain.view_at(at)
            context = self._context(at)
            return calls.build_access_list(view, context, request, patience=self._patience())

    def trace_call(self, request: CallRequest, at: Height, options: TraceOptions) -> Trace:
        """Run a message and tell each step.

        Raises:
            CallRefused: It could not begin.
            CallTooLong: It ran past the steps or time it may take.
            StateUnavailable: The state is not kept.
        """
        with _kept(at):
            view = self._chain.view_at(at)
            context = self._context(at)
            return tracing.trace_call(view, context, request, options, patience=self._patience())

    def trace_block(
        self, at: Height, options: TraceOptions, *, index: int | None = None
    ) -> tuple[Trace, ...]:
        """Run a block's transactions again and tell each step, or of the one at ``index``.

        Raises:
            CallTooLong: It ran past the steps or time it may take.
            StateUnavailable: The parent's state is not kept.
        """
        with _kept(at):
            return tracing.trace_transactions(
                self._chain.view_at(Height(at - 1)),
                self._context(at),
                self._chain.load_transactions(at),
                options,
                index=index,
                patience=self._patience(),
            )

    def submit(self, raw: bytes, *, source: str) -> TransactionHash:
        """Admit a transaction to the pool and pass it on to peers.

        Raises:
            InvalidInput: It is malformed, or refused; the error's code says why.
        """
        return self._parts.submit(raw, source)

    def sync_progress(self) -> SyncProgress | None:
        """Return how far the node has caught up, or None when it has."""
        return self._parts.sync_progress()

    def peer_count(self) -> int:
        """Return how many peers are connected."""
        return self._parts.peer_count()

    def _has(self, at: Height) -> bool:
        return self._chain.base <= at <= self._chain.head.height

    def _context(self, at: Height) -> BlockContext:
        header = self._chain.load_header(at)
        return build_context(header, self._parts.profile, self._ancestor_hash)

    def _ancestor_hash(self, at: Height) -> Hash32 | None:
        return self._chain.load_header(at).hash if self._has(at) else None

    def _patience(self) -> Patience:
        clock = self._parts.monotonic_s
        until_s = clock() + CALL_TIME_MAX_S
        return Patience(step_count_max=CALL_STEPS_MAX, is_time_up=lambda: clock() > until_s)


@contextmanager
def _kept(at: Height) -> Iterator[None]:
    """Translate the store's refusal of a state it no longer keeps.

    Raises:
        StateUnavailable: The state is not kept.
    """
    try:
        yield
    except (StatePruned, NotStored) as error:
        raise StateUnavailable(
            f"the state at block {at} is not kept by this node; ask an archive node"
        ) from error
