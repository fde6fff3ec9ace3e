"""Waiting transactions of a running node: the pool behind one lock, and the head it is judged by.

Clients submit from the RPC server's thread, peers from the network's, the proposer reads from the
execution thread. Admission is the pool's; here are the lock, the head's context, and the news that
there is, or is no longer, something to put into a block.

Spec: POOL-HEAD, POOL-RESTART.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from node.execution.executor import make_context
from node.execution.permissions import PermissionRule
from node.execution.profile import ExecutionProfile
from node.execution.proposal import Skipped
from node.execution.transition import BlockTransition
from node.log import Log
from node.pool.admission import HeadContext
from node.pool.pool import Added, Pool
from node.pool.refusals import AlreadyKnown, Refused
from node.pool.snapshot import decode_entries, encode_entries
from node.primitives.block import TRANSACTION_COUNT_MAX
from node.primitives.errors import InvalidInput
from node.primitives.header import Header
from node.primitives.transaction import Transaction
from node.primitives.types import ZERO_ADDRESS, Address, Hash32, Height, TransactionHash
from node.runtime.clock import Clock
from node.runtime.metrics import Metrics
from node.storage.view import StateView

LOG = Log("pool")

CANDIDATE_COUNT_MAX: Final = TRANSACTION_COUNT_MAX
"""Most transactions tried for one block."""


class CannotRun(Refused):
    """A transaction that failed when a block was built, and would fail again."""

    code = "pool.cannot_run"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolHead:
    """The head by which transactions are judged."""

    header: Header
    """It."""
    view: StateView
    """The state after it."""


class Intake:
    """The pool of a running node. Every method may be called from any thread."""

    def __init__(
        self,
        pool: Pool,
        *,
        profile: ExecutionProfile,
        clock: Clock,
        metrics: Metrics,
        announce: Callable[[Transaction, str], None],
        upon_content: Callable[[bool], None],
    ) -> None:
        """Hold the parts; ``upon_head`` must be called once before anything else.

        Args:
            pool: The structure.
            profile: The network's numbers.
            clock: Wall clock.
            metrics: Where refusals are counted.
            announce: Told of each transaction taken, and of who brought it.
            upon_content: Told when there is something to include, and when there no longer is.
        """
        self.pool = pool
        self.lock = threading.RLock()
        self.has_content = False
        self._profile = profile
        self._clock = clock
        self._metrics = metrics
        self._announce = announce
        self._upon_content = upon_content
        self._rule = PermissionRule()
        self._context: HeadContext | None = None

    def submit(self, raw: bytes, source: str, *, is_vouched: bool = False) -> TransactionHash:
        """Check a transaction by the head, take it, and pass it on.

        Args:
            raw: Its bytes.
            source: Who brought it.
            is_vouched: A peer brought it, which ran it if it is an open call.

        Raises:
            InvalidInput: It is malformed or refused; class and code say why.

        Spec: POOL-ADMISSION, POOL-OPEN-CALL.
        """
        try:
            transaction = self.pool.prepare(raw, self._profile)
            with self.lock:
                added = self._admit(transaction, source, is_vouched=is_vouched)
        except InvalidInput as error:
            self._metrics.pool_refusals.labels(error.code).inc()
            raise
        self._announce(added.transaction, source)
        return added.transaction.hash

    def _admit(self, transaction: Transaction, source: str, *, is_vouched: bool) -> Added:
        """Take a prepared transaction; the lock is held."""
        assert self._context is not None
        now_s = self._now_s()
        added = self.pool.admit(
            transaction, self._context, source=source, now_s=now_s, is_vouched=is_vouched
        )
        if added.is_pending:
            self._set_content(True)
        return added

    def submit_batch(self, raws: Iterable[bytes], source: str) -> int:
        """Take what is good of a peer's transactions; return how many were malformed."""
        malformed = 0
        for raw in raws:
            try:
                self.submit(raw, source, is_vouched=True)
            except AlreadyKnown:
                continue
            except Refused as error:
                LOG.debug("transaction refused", code=error.code, source=source)
            except InvalidInput:
                malformed += 1
        return malformed

    def candidates(self) -> tuple[Transaction, ...]:
        """Return transactions for a block, in the order to try."""
        with self.lock:
            return self.pool.candidates(CANDIDATE_COUNT_MAX)

    def upon_head(self, head: PoolHead, included: Sequence[Transaction]) -> None:
        """Judge by a new head, and drop what it holds or makes stale.

        Spec: POOL-HEAD.
        """
        with self.lock:
            self._context = self._build_context(head)
            self.pool.upon_head(included, self._account_nonce, now_s=self._now_s())
            self._look_for_content()

    def upon_jump(self, head: PoolHead) -> None:
        """Judge by a head whose blocks were not seen one by one.

        Spec: POOL-HEAD.
        """
        with self.lock:
            self._context = self._build_context(head)
            self.pool.upon_jump(self._account_nonce, now_s=self._now_s())
            self._look_for_content()

    def drop_skipped(self, skipped: Iterable[Skipped]) -> None:
        """Drop what cannot run in any later block either; remember whose word was wrong.

        Spec: POOL-OPEN-CALL.
        """
        with self.lock:
            for each in skipped:
                if not each.is_waiting:
                    self._note_failure(each)
                    reason = CannotRun(f"cannot run: {each.reason.message}", rule=each.reason.rule)
                    self.pool.drop(each.hash, reason, now_s=self._now_s())
            self._look_for_content()

    def _note_failure(self, skipped: Skipped) -> None:
        entry = self.pool.find(skipped.hash)
        is_failed_call = skipped.reason.rule == "EXEC-OPEN-CALL"
        if entry is not None and entry.is_vouched and is_failed_call:
            self.pool.vouching.note_failure(entry.source, now_s=self._now_s())

    def load_raw(self, hashes: Iterable[TransactionHash]) -> list[bytes]:
        """Return the bytes of those that wait here; without the lock, as ``holds``."""
        found = (self.pool.find(each) for each in hashes)
        return [entry.transaction.raw for entry in found if entry is not None]

    def holds(self, transaction_hash: Hash32) -> bool:
        """Tell whether a transaction waits here.

        Asked for every hash that peers announce, on the node's own thread: it looks into one
        dictionary, which needs no lock, and must not wait for a call that is being run.
        """
        return transaction_hash in self.pool

    def lend_senders(self, transactions: Iterable[Transaction]) -> None:
        """Give a block's transactions the senders already recovered for those that wait here.

        Without the lock, as ``holds``.
        """
        for transaction in transactions:
            entry = self.pool.find(transaction.hash)
            if entry is not None:
                transaction.adopt_sender(entry.transaction)

    def encode(self) -> bytes:
        """Return the waiting transactions as bytes, for a restart.

        Spec: POOL-RESTART.
        """
        with self.lock:
            return encode_entries(self.pool.entries())

    def restore(self, data: bytes) -> int:
        """Submit again what waited before the restart; return how many were taken.

        Raises:
            MalformedMessage: The bytes are of another form.

        Spec: POOL-RESTART.
        """
        taken = 0
        for stored in decode_entries(data):
            try:
                self.submit(stored.raw, stored.source)
            except InvalidInput:
                continue
            taken += 1
        return taken

    def _build_context(self, head: PoolHead) -> HeadContext:
        return HeadContext(
            view=head.view,
            profile=self._profile,
            timestamp_s=head.header.timestamp_s,
            rule=self._rule,
            simulate=make_simulation(head, self._profile),
        )

    def _account_nonce(self, address: Address) -> int:
        assert self._context is not None
        return self._context.account(address).nonce

    def _look_for_content(self) -> None:
        pending = self.pool.pending_count()
        self._metrics.pool_transactions.labels("pending").set(pending)
        self._metrics.pool_transactions.labels("queued").set(len(self.pool) - pending)
        self._set_content(pending > 0)

    def _set_content(self, has_content: bool) -> None:
        if has_content != self.has_content:
            self.has_content = has_content
            self._upon_content(has_content)

    def _now_s(self) -> int:
        return self._clock.now_ms() // 1_000


def make_simulation(head: PoolHead, profile: ExecutionProfile) -> Callable[[Transaction], bool]:
    """Return what tells whether an open call would succeed in a block on ``head``.

    Spec: POOL-OPEN-CALL.
    """
    context = make_context(
        profile,
        height=Height(head.header.height + 1),
        timestamp_s=head.header.timestamp_s + 1,
        coinbase=ZERO_ADDRESS,
        ancestor_hash=lambda _: None,
    ).remember_ancestors()

    def simulate(transaction: Transaction) -> bool:
        transition = BlockTransition(
            view=head.view, context=context, refused_precompiles=profile.refused_precompiles
        )
        try:
            transition.apply(transaction, must_succeed=True)
        except InvalidInput:
            return False
        return True

    return simulate
