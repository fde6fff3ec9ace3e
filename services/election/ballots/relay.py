"""The ballot relay at work: promises, queue, batches, results, withdrawals, closing.

A promise is written in the transaction that queues the ballot, so a relay that restarts keeps its
word. What became of a ballot is read from final blocks alone. Each pass over an election looks at
the ledger and the queue and does the next thing; it can be stopped anywhere.

Spec: CAST-QUEUE, CAST-RECEIPT, CAST-BATCH, CAST-RESULT, CAST-CLOSE.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from clients.voting.ballot import Ballot, withdrawal_hash
from clients.voting.group import decode_point_xy
from clients.voting.manifest import Manifest
from clients.voting.randomness import NonceSource
from clients.voting.receipts import ballot_receipt_hash, check_receipt, sign_receipt
from node.primitives.abi import encode
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.errors import InvalidInput, Unavailable
from node.primitives.types import Address
from services.election.ballots import checking, store
from services.election.ballots.batching import (
    Pending,
    choose_batch,
    encode_cast,
    gas_of,
)
from services.election.ballots.store import BallotState, Placed, Scope, Withdrawal
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.intents import IntentState, load_intent
from services.kit.outbox import ChainIntent, intend
from services.kit.problems import NotFound, Refusal

SECTOR: Final = "election"
GAS_MAX: Final = 8_000_000
"""Most gas a relay's operation may ask for."""

WITHDRAW_GAS: Final = 200_000
CLOSE_GAS: Final = 150_000
FAILURES: Final = frozenset({IntentState.FAILED, IntentState.REPLACED})
ENDS: Final = frozenset({IntentState.FINAL, *FAILURES})
"""States in which a transaction's fate is known."""

ATTEMPTS_MAX: Final = 5
"""Transactions asked for to withdraw one key."""


class QueueFull(Unavailable):
    """As many ballots wait as may; another relay, or a later try, takes this one."""

    code = "election.queue_full"


class NoSuchElection(NotFound):
    """No such election, or this municipality is no relay of it."""

    code = "election.unknown"


class WithdrawalRefused(Refusal):
    """A withdrawal that its key did not sign for its next number."""

    code = "election.withdrawal_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayLimits:
    """What one relay allows itself."""

    queue_max: int = 20_000
    """Most ballots of one election that wait or are under way."""
    batch_interval_s: int = 120
    """Seconds between two batches: a pause in which ballots mingle."""
    margin_s: int = 30
    """Seconds before closing from which nothing is promised any more."""
    turn_s: int = 20
    """Seconds that one relay waits for another to close the box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A promise given."""

    ballot_hash: bytes
    """d."""
    deadline: int
    """Height by which the ballot stands in the box."""
    signature: bytes
    """Of the relay's receipt key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """What is known of a ballot."""

    state: BallotState
    """Where it stands."""
    placed: Placed | None = None
    """Where the box holds it."""
    reason: str | None = None
    """Why it was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """The chain's present, as our node shows it final."""

    height: int
    """Newest final height."""
    timestamp_s: int
    """Its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayIdentity:
    """Who a relay is."""

    tenant: str
    """The municipality."""
    source: str
    """The service, as in its events."""
    account: Address
    """The municipality's account in the terms."""
    key: PrivateKey
    """Signs receipts, and nothing else."""
    box: Address
    """BallotBox."""


class BallotRelay:
    """The relay role of one municipality."""

    def __init__(
        self,
        identity: RelayIdentity,
        *,
        database: Database,
        clock: Clock,
        nonces: NonceSource,
        limits: RelayLimits,
    ) -> None:
        """Hold what the role needs.

        Args:
            identity: Who the relay is.
            database: The service's.
            clock: The present.
            nonces: Randomness of a batch's order.
            limits: Bounds.
        """
        self.account = identity.account
        self.box = identity.box
        self._tenant = identity.tenant
        self._source = identity.source
        self._key = identity.key
        self._database = database
        self._clock = clock
        self._nonces = nonces
        self._limits = limits

    def relays_for(self, manifest: Manifest) -> bool:
        """Tell whether this municipality is a relay of an election."""
        return self._place_among_relays(manifest) is not None

    def _place_among_relays(self, manifest: Manifest) -> int | None:
        accounts = [relay.account for relay in manifest.relays]
        mine = "0x" + self.account.hex()
        return accounts.index(mine) if mine in accounts else None

    async def take(
        self,
        manifest: Manifest,
        present: Present,
        *,
        core: bytes,
        signature: bytes,
        token: bytes | None,
    ) -> Receipt:
        """Check a ballot, queue it and promise it; the same bytes again get the same promise.

        Raises:
            NotOpen: Outside the window.
            BallotRefused, TokenNeeded, NotNext, KeyWithdrawn: The box would refuse it.
            QueueFull: Too many wait.

        Spec: CAST-CHECK, CAST-QUEUE, CAST-RECEIPT.
        """
        ballot = checking.decode_ballot(manifest, core, signature)
        scope = Scope(tenant=self._tenant, eid=manifest.eid)
        known, standing = await self._database.transact(partial(self._look_up, scope, ballot))
        if known is not None:
            return Receipt(
                ballot_hash=ballot.hash, deadline=known.deadline, signature=known.receipt
            )
        now_s = int(self._clock.now().timestamp())
        checking.check_open(manifest, now_s=now_s, margin_s=self._limits.margin_s)
        checking.check_admission(manifest, ballot.core, standing, token)
        checking.check_proofs(manifest, ballot)
        deadline = present.height + manifest.limits.cast_blocks
        digest = ballot_receipt_hash(manifest.eid, ballot.hash, deadline)
        receipt = Receipt(
            ballot_hash=ballot.hash, deadline=deadline, signature=sign_receipt(digest, self._key)
        )
        pending = Pending(
            key=ballot.core.key.encode_xy(),
            sequence=ballot.core.sequence,
            core=core,
            signature=signature,
            deadline=deadline,
        )
        return await self._database.transact(partial(self._queue, scope, pending, receipt))

    async def _look_up(
        self, scope: Scope, ballot: Ballot, tx: AsyncConnection
    ) -> tuple[store.Queued | None, checking.KeyStanding]:
        await store.absorb(tx, scope)
        known = await store.find_queued(tx, scope, ballot.hash)
        return known, await store.load_standing(tx, scope, ballot.core.key.encode_xy())

    async def _queue(
        self, scope: Scope, ballot: Pending, receipt: Receipt, tx: AsyncConnection
    ) -> Receipt:
        """Queue a checked ballot unless another request was faster."""
        known = await store.find_queued(tx, scope, receipt.ballot_hash)
        if known is not None:
            return Receipt(
                ballot_hash=receipt.ballot_hash, deadline=known.deadline, signature=known.receipt
            )
        standing = await store.load_standing(tx, scope, ballot.key)
        if ballot.sequence != standing.next_sequence:
            raise checking.NotNext("another ballot of the key was faster", rule="BOX-SEQUENCE")
        if await store.count_open(tx, scope) >= self._limits.queue_max:
            raise QueueFull("the queue of this relay is full; use another", rule="CAST-QUEUE")
        await store.add_queued(tx, scope, receipt.ballot_hash, ballot, receipt.signature)
        return receipt

    async def take_withdrawal(self, manifest: Manifest, *, key: bytes, signature: bytes) -> None:
        """Queue the withdrawal of a key, signed by it for its next number.

        Raises:
            WithdrawalRefused: It is not signed so.
            NotOpen: Outside the window.

        Spec: BALLOT-WITHDRAW, CAST-QUEUE.
        """
        now_s = int(self._clock.now().timestamp())
        checking.check_open(manifest, now_s=now_s, margin_s=self._limits.margin_s)
        scope = Scope(tenant=self._tenant, eid=manifest.eid)
        async with self._database.read() as tx:
            standing = await store.load_standing(tx, scope, key)
        if standing.is_withdrawn:
            return
        try:
            point = decode_point_xy(key)
            digest = withdrawal_hash(manifest.eid, point, standing.recorded + 1)
            check_receipt(digest, signature, point)
        except InvalidInput as error:
            raise WithdrawalRefused(
                "not signed by the key for its next number", rule="BALLOT-WITHDRAW"
            ) from error
        asked = Withdrawal(
            key=key,
            sequence=standing.recorded + 1,
            signature=signature,
            attempts=0,
            state="pending",
        )
        await self._database.transact(lambda tx: store.add_withdrawal(tx, scope, asked))

    async def find(self, manifest: Manifest, ballot_hash: bytes) -> Whereabouts | None:
        """Return where a ballot stands, None when neither queue nor box knows it.

        Spec: CAST-RESULT.
        """
        scope = Scope(tenant=self._tenant, eid=manifest.eid)
        async with self._database.read() as tx:
            placed = await store.find_placed(tx, scope, ballot_hash)
            queued = await store.find_queued(tx, scope, ballot_hash)
        if placed is not None:
            return Whereabouts(state=BallotState.ACCEPTED, placed=placed)
        if queued is not None:
            return Whereabouts(state=queued.state, reason=queued.reason)
        return None

    async def count_pending(self, manifest: Manifest) -> int:
        """Return how many ballots wait here or are under way."""
        scope = Scope(tenant=self._tenant, eid=manifest.eid)
        async with self._database.read() as tx:
            return await store.count_open(tx, scope)

    async def advance(self, manifest: Manifest, present: Present, *, is_closed: bool) -> None:
        """Do what is due for one election: settle, batch, withdraw, close.

        Args:
            manifest: The election.
            present: The newest final block.
            is_closed: The box is closed by a final block.

        Spec: CAST-BATCH, CAST-RESULT, CAST-CLOSE.
        """
        place = self._place_among_relays(manifest)
        if place is None:
            return
        now = self._clock.now()
        now_s = int(now.timestamp())
        scope = Scope(tenant=self._tenant, eid=manifest.eid)
        await self._database.transact(partial(self._settle, scope, present))
        if is_closed:
            await self._database.transact(lambda tx: store.refuse_open(tx, scope, "closed"))
            return
        if manifest.opens_at <= now_s < manifest.closes_at:
            await self._database.transact(partial(self._post, scope, manifest, now))
            await self._database.transact(partial(self._post_withdrawals, scope, now))
        # Relays take turns, so that one transaction is enough when all are well.
        turn_s = place * self._limits.turn_s
        if present.timestamp_s >= manifest.closes_at and now_s >= manifest.closes_at + turn_s:
            await self._database.transact(partial(self._close, scope, now))

    async def _settle(self, scope: Scope, present: Present, tx: AsyncConnection) -> None:
        """Note batches whose blocks the board has read; what they did not bring in waits again.

        Spec: CAST-RESULT.
        """
        await store.absorb(tx, scope)
        for number in await store.open_batches(tx, scope):
            status = await load_intent(
                tx, tenant=self._tenant, operation_id=_batch_id(scope, number)
            )
            if status is None or status.state not in ENDS:
                continue
            if status.height is None or status.height <= present.height:
                await store.settle_batch(tx, scope, number, height=status.height)

    async def _post(
        self, scope: Scope, manifest: Manifest, now: datetime, tx: AsyncConnection
    ) -> None:
        """Ask for a batch when one is due.

        Spec: CAST-BATCH.
        """
        now_s = int(now.timestamp())
        number, sent_s = await store.last_batch(tx, scope)
        interval_s = self._limits.batch_interval_s
        is_near_end = now_s >= manifest.closes_at - interval_s - self._limits.margin_s
        if now_s < sent_s + interval_s and not is_near_end:
            return
        pending = await store.load_pending(tx, scope)
        keys = {each.key for each in pending}
        batch = choose_batch(
            pending,
            await store.load_recorded(tx, scope, keys),
            now_s=now_s,
            min_interval_s=manifest.limits.min_interval_s,
            gas_max=GAS_MAX,
            source=self._nonces,
        )
        if batch:
            await self._send_batch(tx, scope, number + 1, batch, now)

    async def _send_batch(
        self,
        tx: AsyncConnection,
        scope: Scope,
        number: int,
        batch: Sequence[Pending],
        now: datetime,
    ) -> None:
        hashes = [each.hash for each in batch]
        await store.add_batch(tx, scope, number, hashes, sent_s=int(now.timestamp()))
        await self._intend(
            tx,
            _batch_id(scope, number),
            encode_cast(scope.eid, batch),
            gas_limit=gas_of(batch),
            now=now,
        )

    async def _post_withdrawals(self, scope: Scope, now: datetime, tx: AsyncConnection) -> None:
        """Ask for the withdrawals that wait, and again for those that failed.

        Spec: BALLOT-WITHDRAW.
        """
        for sent in await store.load_withdrawals(tx, scope, state="sent"):
            name = _withdrawal_id(scope, sent)
            status = await load_intent(tx, tenant=self._tenant, operation_id=name)
            if (await store.load_standing(tx, scope, sent.key)).is_withdrawn:
                await store.put_withdrawal_state(tx, scope, sent.key, "done")
            elif status is not None and status.state in FAILURES:
                await store.put_withdrawal_state(tx, scope, sent.key, "pending")
        for asked in await store.load_withdrawals(tx, scope, state="pending"):
            standing = await store.load_standing(tx, scope, asked.key)
            if standing.recorded + 1 != asked.sequence or asked.attempts >= ATTEMPTS_MAX:
                await store.put_withdrawal_state(tx, scope, asked.key, "void")
                continue
            data = encode_withdrawal(scope.eid, asked.key, asked.signature)
            name = _withdrawal_id(scope, asked)
            await store.put_withdrawal_state(
                tx, scope, asked.key, "sent", attempts=asked.attempts + 1
            )
            await self._intend(tx, name, data, gas_limit=WITHDRAW_GAS, now=now)

    async def _close(self, scope: Scope, now: datetime, tx: AsyncConnection) -> None:
        """Ask for the closing of the box, again when it failed before.

        Spec: CAST-CLOSE, BOX-CLOSE.
        """
        for attempt in range(ATTEMPTS_MAX):
            name = f"close:{scope.eid.hex()}:{attempt}"
            status = await load_intent(tx, tenant=self._tenant, operation_id=name)
            if status is not None and status.state in FAILURES:
                continue
            if status is None:
                data = keccak256(b"close(bytes32)")[:4] + scope.eid
                await self._intend(tx, name, data, gas_limit=CLOSE_GAS, now=now)
            return

    async def _intend(
        self, tx: AsyncConnection, operation_id: str, data: bytes, *, gas_limit: int, now: datetime
    ) -> None:
        intent = ChainIntent(
            tenant=self._tenant,
            operation_id=operation_id,
            sector=SECTOR,
            to=self.box,
            data=data,
            gas_limit=gas_limit,
        )
        await intend(tx, intent, source=self._source, now=now)


def encode_withdrawal(eid: bytes, key: bytes, signature: bytes) -> bytes:
    """Return the call that withdraws a key.

    Spec: BOX-WITHDRAW.
    """
    words = (key[:32], key[32:], signature[64:], signature[:32], signature[32:64])
    numbers = [int.from_bytes(word, "big") for word in words]
    signature_text = b"withdraw(bytes32,uint256,uint256,uint256,uint256,uint256)"
    return keccak256(signature_text)[:4] + encode(["bytes32", *["uint256"] * 5], [eid, *numbers])


def _batch_id(scope: Scope, number: int) -> str:
    return f"ballots:{scope.eid.hex()}:{number}"


def _withdrawal_id(scope: Scope, asked: Withdrawal) -> str:
    key = keccak256(scope.eid + asked.key + asked.signature).hex()[:40]
    return f"withdraw:{key}:{asked.attempts if asked.state == 'pending' else asked.attempts - 1}"
