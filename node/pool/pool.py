"""The transactions that wait for a block: bounded, fair between senders, and without price.

A mutable structure with no clock and no I/O: ``now_s`` is passed in, the head is handed in as a
``HeadContext``. Room is shared by count, not by fee: when the pool is full, whoever has most gives
way to whoever has fewer. Selection goes round robin over sources, and inside a source over its
senders; who was served moves to the back.

What stays true: every entry is in exactly one queue and one index; the counts and the bytes equal
what is held and never exceed their bounds; of one sender and nonce there is at most one.

Spec: POOL-BOUNDS, POOL-FAIR, POOL-REPLACE, POOL-EVICT, POOL-EXPIRE, POOL-HEAD.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass

from node.execution.profile import ExecutionProfile
from node.pool.admission import (
    HeadContext,
    check_at_head,
    check_by_itself,
    check_open_call,
    check_signature,
    decode_submission,
)
from node.pool.limits import PoolLimits
from node.pool.queue import Entry, SenderQueue
from node.pool.refusals import (
    AlreadyKnown,
    DroppedByOperator,
    Evicted,
    Expired,
    NonceTooLow,
    Paused,
    PoolFull,
    Refused,
    Replaced,
    ReplacedTooOften,
    SenderFull,
    SourceFull,
)
from node.pool.rotation import Rotation
from node.pool.vouching import Vouching
from node.primitives.transaction import Transaction
from node.primitives.types import Address, Hash32, TransactionHash


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What taking a transaction changed."""

    transaction: Transaction
    """The transaction taken."""
    is_pending: bool
    """It can run next to those before it; False behind a gap."""
    replaced: TransactionHash | None = None
    """The transaction whose place it took."""
    evicted: tuple[TransactionHash, ...] = ()
    """Transactions that made room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """A transaction that left the pool without a block."""

    hash: TransactionHash
    """Which."""
    reason: Refused
    """Why."""
    at_s: int
    """When."""


class Pool:
    """Waiting transactions of all senders."""

    def __init__(self, limits: PoolLimits) -> None:
        """Start empty within ``limits``."""
        self.limits = limits
        self.is_paused = False
        self.size_bytes = 0
        self.vouching = Vouching()
        self._queues: dict[Address, SenderQueue] = {}
        self._entries: dict[TransactionHash, Entry] = {}
        self._source_counts: dict[str, int] = {}
        self._rotation = Rotation()
        self._drops: OrderedDict[TransactionHash, Drop] = OrderedDict()

    def __len__(self) -> int:
        """Count the waiting transactions."""
        return len(self._entries)

    def __contains__(self, transaction_hash: Hash32) -> bool:
        """Tell whether the transaction waits here."""
        return transaction_hash in self._entries

    def submit(
        self,
        raw: bytes,
        context: HeadContext,
        *,
        source: str,
        now_s: int,
        is_vouched: bool = False,
    ) -> Added:
        """Decode, check and take a transaction.

        Args:
            raw: Its bytes.
            context: The head.
            source: Who brought it.
            now_s: The time.
            is_vouched: The source ran it; its word is taken for an open call while it is good.

        Raises:
            InvalidInput: It is malformed, or refused; the class and code say why.

        Spec: POOL-ADMISSION.
        """
        transaction = self.prepare(raw, context.profile)
        return self.admit(transaction, context, source=source, now_s=now_s, is_vouched=is_vouched)

    def prepare(self, raw: bytes, profile: ExecutionProfile) -> Transaction:
        """Decode a transaction and apply what needs neither the head nor exclusive use of the pool.

        Raises:
            InvalidInput: It is malformed, refused, or here already.

        Spec: POOL-ADMISSION.
        """
        transaction = decode_submission(raw, self.limits)
        self._check_news(transaction)
        check_by_itself(transaction, profile)
        return transaction

    def admit(
        self,
        transaction: Transaction,
        context: HeadContext,
        *,
        source: str,
        now_s: int,
        is_vouched: bool = False,
    ) -> Added:
        """Judge a prepared transaction by the head and take it.

        Raises:
            Refused: A rule it breaks, or no room.

        Spec: POOL-ADMISSION, POOL-OPEN-CALL.
        """
        self._check_news(transaction)
        admission, account = check_at_head(transaction, context, self.limits)
        self.check_room(transaction, source=source)
        is_believed = is_vouched and self.vouching.is_trusted(source, now_s=now_s)
        if not is_believed:
            check_open_call(transaction, admission, context)
        entry = Entry(
            transaction=transaction,
            source=source,
            arrived_s=now_s,
            is_open_call=admission.must_succeed,
            is_vouched=admission.must_succeed and is_believed,
        )
        return self._take(entry, account_nonce=account.nonce, now_s=now_s)

    def insert(self, entry: Entry, *, account_nonce: int, now_s: int) -> Added:
        """Take a transaction that was checked, making room if it must.

        Raises:
            Refused: No room for it, its nonce was used, or it was replaced too often.

        Spec: POOL-REPLACE, POOL-EVICT.
        """
        transaction = entry.transaction
        self._check_news(transaction)
        if transaction.nonce < account_nonce:
            raise NonceTooLow(
                f"nonce too low: next nonce {account_nonce}, tx nonce {transaction.nonce}"
            )
        self.check_room(transaction, source=entry.source)
        return self._take(entry, account_nonce=account_nonce, now_s=now_s)

    def _take(self, entry: Entry, *, account_nonce: int, now_s: int) -> Added:
        """Take a transaction for which there is room."""
        transaction = entry.transaction
        old = self._holder(transaction)
        evicted = tuple(self._make_room(entry, old, now_s))
        queue = self._queues.get(transaction.sender)
        if queue is None:
            queue = self._queues[transaction.sender] = SenderQueue(account_nonce)
        if account_nonce > queue.account_nonce:
            queue.advance_to(account_nonce)
        if old is None:
            self._index(entry)
            self._rotation.grew(transaction.sender, entry.source)
        else:
            entry = entry.replacing(old)
            self._forget(old)
            self._index(entry)
            reason = Replaced(f"replaced by 0x{entry.hash.hex()}")
            self._remember(Drop(hash=old.hash, reason=reason, at_s=now_s))
        queue.put(entry)
        return Added(
            transaction=transaction,
            is_pending=transaction.nonce < queue.next_nonce,
            replaced=old.hash if old else None,
            evicted=evicted,
        )

    def check_room(self, transaction: Transaction, *, source: str) -> None:
        """Refuse a transaction for which there is no place.

        Raises:
            Refused: The sender, the source or the pool is full, or the nonce's place was taken
                too often.

        Spec: POOL-BOUNDS, POOL-REPLACE, POOL-EVICT.
        """
        limits = self.limits
        old = self._holder(transaction)
        if old is not None:
            self._check_replaceable(old)
            freed = old.size_bytes
        else:
            freed = 0
            queue = self._queues.get(transaction.sender)
            if queue is not None and len(queue) >= limits.per_sender_max:
                raise SenderFull(f"sender limit: {len(queue)} transactions of this sender wait")
        if (old is None or old.source != source) and (
            self._source_counts.get(source, 0) >= limits.per_source_max
        ):
            raise SourceFull(f"source limit: {limits.per_source_max} of this source wait")
        is_over_count = old is None and len(self._entries) >= limits.count_max
        is_over_size = self.size_bytes - freed + len(transaction.raw) > limits.size_max_bytes
        if (is_over_count or is_over_size) and self._victim(transaction.sender) is None:
            raise PoolFull(f"txpool is full: {len(self._entries)} transactions wait")

    def candidates(self, count_max: int) -> tuple[Transaction, ...]:
        """Return transactions for a block, in the order they should be tried.

        Round robin over sources and, inside a source, over its senders; a sender's own follow
        their nonces. If one does not fit or fails, the later ones of its sender must be skipped.

        Spec: POOL-FAIR.
        """
        chosen: list[Transaction] = []
        lanes = {
            source: deque(self._queues[sender].pending() for sender in senders)
            for source, senders in self._rotation.lanes()
        }
        while lanes and len(chosen) < count_max:
            for source in list(lanes):
                entry = _next_of_lane(lanes[source])
                if entry is None:
                    del lanes[source]
                elif len(chosen) < count_max:
                    chosen.append(entry.transaction)
        return tuple(chosen)

    def upon_jump(self, account_nonce: Callable[[Address], int], *, now_s: int) -> None:
        """Follow a head whose blocks were not seen one by one (sync, restore).

        Spec: POOL-HEAD.
        """
        for sender in list(self._queues):
            self._drop_stale(sender, account_nonce(sender), frozenset(), now_s)
        self.expire(now_s)

    def upon_head(
        self,
        included: Iterable[Transaction],
        account_nonce: Callable[[Address], int],
        *,
        now_s: int,
    ) -> tuple[TransactionHash, ...]:
        """Follow a new head: drop what it holds or made stale, and what expired.

        Args:
            included: The new block's transactions.
            account_nonce: An account's nonce at the new head.
            now_s: The time.

        Returns:
            Hashes dropped without having been included.

        Spec: POOL-HEAD, POOL-EXPIRE.
        """
        mined = {transaction.hash: transaction.sender for transaction in included}
        dropped: list[TransactionHash] = []
        for sender in dict.fromkeys(mined.values()):
            if sender in self._queues:
                nonce = account_nonce(sender)
                dropped += self._drop_stale(sender, nonce, mined.keys(), now_s)
                self._rotation.served(sender)
        return (*dropped, *self.expire(now_s))

    def expire(self, now_s: int) -> tuple[TransactionHash, ...]:
        """Drop what waited longer than the pool keeps.

        Spec: POOL-EXPIRE.
        """
        limit = now_s - self.limits.age_max_s
        expired = [entry for entry in self._entries.values() if entry.arrived_s < limit]
        for entry in expired:
            reason = Expired(f"expired: waited over {self.limits.age_max_s} s")
            self._remove(entry, Drop(hash=entry.hash, reason=reason, at_s=now_s))
        return tuple(entry.hash for entry in expired)

    def drop(self, transaction_hash: Hash32, reason: Refused, *, now_s: int) -> bool:
        """Drop one transaction for a reason; tell whether it was here."""
        entry = self._entries.get(TransactionHash(transaction_hash))
        if entry is None:
            return False
        self._remove(entry, Drop(hash=entry.hash, reason=reason, at_s=now_s))
        return True

    def clear(self, *, now_s: int) -> int:
        """Drop everything, at an operator's word; return how many."""
        entries = list(self._entries.values())
        for entry in entries:
            self.drop(entry.hash, DroppedByOperator("dropped by the operator"), now_s=now_s)
        return len(entries)

    def find(self, transaction_hash: Hash32) -> Entry | None:
        """Return a waiting transaction."""
        return self._entries.get(TransactionHash(transaction_hash))

    def find_drop(self, transaction_hash: Hash32) -> Drop | None:
        """Return why a transaction left without a block, while that is remembered.

        Spec: POOL-REASONS.
        """
        return self._drops.get(TransactionHash(transaction_hash))

    def remember_refusal(
        self, transaction_hash: TransactionHash, reason: Refused, *, now_s: int
    ) -> None:
        """Remember why a transaction was not taken, for whoever asks later."""
        self._remember(Drop(hash=transaction_hash, reason=reason, at_s=now_s))

    def next_nonce(self, sender: Address) -> int | None:
        """Return the nonce after the sender's pending transactions, or None when none wait."""
        queue = self._queues.get(sender)
        return None if queue is None else queue.next_nonce

    def senders(self) -> tuple[Address, ...]:
        """Return the senders that have transactions here, ascending."""
        return tuple(sorted(self._queues))

    def pending_of(self, sender: Address) -> tuple[Entry, ...]:
        """Return a sender's transactions that can run, by nonce."""
        queue = self._queues.get(sender)
        return () if queue is None else tuple(queue.pending())

    def queued_of(self, sender: Address) -> tuple[Entry, ...]:
        """Return a sender's transactions behind a gap, by nonce."""
        queue = self._queues.get(sender)
        return () if queue is None else tuple(queue.queued())

    def pending_count(self) -> int:
        """Count the transactions that can run."""
        return sum(queue.next_nonce - queue.account_nonce for queue in self._queues.values())

    def source_counts(self) -> tuple[tuple[str, int], ...]:
        """Return how many transactions wait of each source, by name."""
        return tuple(sorted(self._source_counts.items()))

    def entries(self) -> Iterator[Entry]:
        """Yield everything, in the order it came."""
        yield from self._entries.values()

    def _drop_stale(
        self, sender: Address, nonce: int, mined: Set[TransactionHash], now_s: int
    ) -> list[TransactionHash]:
        """Set a sender's nonce and drop what is below it; return what was not mined."""
        queue = self._queues[sender]
        queue.advance_to(nonce)
        dropped = []
        for stale in queue.stale_nonces():
            entry = queue.get(stale)
            assert entry is not None
            if entry.hash in mined:
                self._remove(entry, None)
                continue
            reason = NonceTooLow(f"nonce too low: another transaction used nonce {stale}")
            self._remove(entry, Drop(hash=entry.hash, reason=reason, at_s=now_s))
            dropped.append(entry.hash)
        return dropped

    def _check_news(self, transaction: Transaction) -> None:
        if self.is_paused:
            raise Paused("paused: the operator stopped intake")
        if transaction.hash in self._entries:
            raise AlreadyKnown("already known")

    def _check_replaceable(self, old: Entry) -> None:
        if old.replaced_count >= self.limits.replacement_max:
            raise ReplacedTooOften(
                f"replacement limit: nonce {old.transaction.nonce} was replaced"
                f" {old.replaced_count} times"
            )

    def _holder(self, transaction: Transaction) -> Entry | None:
        """Return the entry that holds the transaction's place."""
        queue = self._queues.get(check_signature(transaction))
        return None if queue is None else queue.get(transaction.nonce)

    def _victim(self, newcomer: Address) -> Entry | None:
        """Return who gives way to ``newcomer``: the last of whoever has most, if that is fair."""
        queue = self._queues.get(newcomer)
        mine = 0 if queue is None else len(queue)
        count, sender = self._rotation.largest()
        if sender is None or count <= mine + 1:
            return None
        return self._queues[sender].last()

    def _make_room(self, entry: Entry, old: Entry | None, now_s: int) -> Iterator[TransactionHash]:
        """Evict until ``entry`` fits in the place of ``old``, or where there was none."""
        limits = self.limits
        freed_count = 0 if old is None else 1
        freed_bytes = 0 if old is None else old.size_bytes
        while (
            len(self._entries) - freed_count >= limits.count_max
            or self.size_bytes - freed_bytes + entry.size_bytes > limits.size_max_bytes
        ):
            victim = self._victim(entry.transaction.sender)
            if victim is None:
                raise PoolFull(f"txpool is full: {len(self._entries)} transactions wait")
            reason = Evicted("evicted: made room for a sender with fewer transactions")
            self._remove(victim, Drop(hash=victim.hash, reason=reason, at_s=now_s))
            yield victim.hash

    def _remove(self, entry: Entry, drop: Drop | None) -> None:
        sender = entry.transaction.sender
        queue = self._queues[sender]
        queue.remove(entry.transaction.nonce)
        if not queue:
            del self._queues[sender]
        self._forget(entry)
        self._rotation.shrank(sender)
        if drop is not None:
            self._remember(drop)

    def _index(self, entry: Entry) -> None:
        self._entries[entry.hash] = entry
        self.size_bytes += entry.size_bytes
        self._source_counts[entry.source] = self._source_counts.get(entry.source, 0) + 1

    def _forget(self, entry: Entry) -> None:
        del self._entries[entry.hash]
        self.size_bytes -= entry.size_bytes
        left = self._source_counts[entry.source] - 1
        if left:
            self._source_counts[entry.source] = left
        else:
            del self._source_counts[entry.source]

    def _remember(self, drop: Drop) -> None:
        self._drops[drop.hash] = drop
        self._drops.move_to_end(drop.hash)
        while len(self._drops) > self.limits.refusal_history_max:
            self._drops.popitem(last=False)


def _next_of_lane(lane: deque[Iterator[Entry]]) -> Entry | None:
    """Take the next entry of a lane, moving its sender to the lane's end."""
    while lane:
        sender = lane.popleft()
        entry = next(sender, None)
        if entry is not None:
            lane.append(sender)
            return entry
    return None
