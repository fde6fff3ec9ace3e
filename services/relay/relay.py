"""The running relay: reads final blocks, stores what the machine decides, then sends.

Each pass does four things in this order: settle what final blocks hold, open the lane once the
present is read, give waiting operations their nonces, send what is due. Every change is one
database transaction and comes before what it announces; a process that dies anywhere leaves a
database from which the next one goes on.

Spec: RELAY-FENCE, RELAY-FINAL.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from clients.core.proofs import ProvenReceipt
from clients.core.transport import Node
from node.log import Log
from node.primitives.errors import Unavailable
from node.primitives.transaction import Transaction
from node.primitives.types import TransactionHash
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.events import to_milliseconds
from services.kit.follower import FinalBlock, Follower
from services.kit.intents import IntentState
from services.relay import store
from services.relay.choice import choose
from services.relay.intake import Intake
from services.relay.machine import (
    WINDOW,
    Answered,
    Candidate,
    Effect,
    Event,
    GiveUp,
    Landed,
    Lane,
    Loss,
    Note,
    Offered,
    Opened,
    Send,
    Settle,
    Sign,
    Ticked,
    Withdrawn,
    settled_to,
    step,
)
from services.relay.operations import Word, read_tail
from services.relay.sending import hand_over
from services.relay.signer import Signer, SignerRefused, draft_of

POLL_S: Final = 1.0
"""Pause between passes."""

START_MARGIN_S: Final = 10
"""How much later than the start a block must claim to be, since clocks differ."""

_log = Log("relay")


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayParts:
    """What a relay is built from."""

    database: Database
    """Its database."""
    nodes: Sequence[Node]
    """Nodes that take transactions; asked in turn."""
    signer: Signer
    """Its key."""
    intake: Intake
    """Knows the services."""
    clock: Clock
    """The present."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayStatus:
    """Where the relay stands, for operators."""

    height: int
    """Last final block read."""
    next_nonce: int
    """Lowest nonce that no final block holds."""
    is_open: bool
    """New operations are signed."""
    is_stale: bool
    """Nodes show no block young enough to be the present."""
    signed: int
    """Nonces signed and not settled."""
    operations: Mapping[IntentState, int]
    """Operations in each state."""
    trouble: str
    """Why the last pass did not finish, empty when it did."""


class Relay:
    """Signs for one municipality. Open with ``open_relay``."""

    def __init__(self, parts: RelayParts, follower: Follower, lane: Lane, *, started_s: int):
        """Stand where the database stands."""
        self._parts = parts
        self._follower = follower
        self._lane = lane
        self._started_s = started_s
        self._trouble = ""

    async def run(self) -> None:
        """Pass after pass until cancelled; the world being down is waited out."""
        while True:
            try:
                await self.run_once()
            except Unavailable as error:
                if self._trouble != error.code:
                    _log.warning("waiting", code=error.code, why=error.message)
                self._trouble = error.code
            else:
                self._trouble = ""
            await self._parts.clock.sleep(POLL_S)

    async def run_once(self) -> None:
        """Do one pass.

        Raises:
            Unavailable: No node or no database answers; nothing is lost, the next pass goes on.
            ForeignSigner: Another process signs with this key.
        """
        await self._read_chain()
        await self._open()
        await self._bind_waiting()
        await self._send_due()

    async def status(self) -> RelayStatus:
        """Return where the relay stands."""
        async with self._parts.database.read() as tx:
            counts = await store.count_states(tx, tenant=self._tenant)
        return RelayStatus(
            height=self._follower.at.height,
            next_nonce=self._lane.next_nonce,
            is_open=self._lane.is_open,
            is_stale=self._follower.stale is not None,
            signed=len(self._lane.slots),
            operations=counts,
            trouble=self._trouble,
        )

    @property
    def _tenant(self) -> str:
        return self._parts.intake.tenant

    async def _read_chain(self) -> None:
        """Settle what final blocks hold.

        Spec: RELAY-FINAL.
        """
        while await self._follower.follow_once(self._apply_block):
            async with self._parts.database.read() as tx:
                next_nonce = await store.load_next_nonce(tx, tenant=self._tenant)
            self._lane = settled_to(self._lane, next_nonce)
            if self._follower.lag <= 0:
                break

    async def _apply_block(self, tx: AsyncConnection, block: FinalBlock) -> None:
        """Settle the nonces a block holds, in the transaction that moves the cursor."""
        account = self._parts.signer.account
        own = [outcome for outcome in block.outcomes if outcome.transaction.sender == account]
        if not own:
            return
        lane = settled_to(self._lane, await store.load_next_nonce(tx, tenant=self._tenant))
        for outcome in own:
            transition = step(lane, _landed(block, outcome))
            lane = transition.lane
            await self._store(tx, transition.effects, outcome.transaction.hash, {})
        await store.save_next_nonce(tx, tenant=self._tenant, next_nonce=lane.next_nonce)

    async def _open(self) -> None:
        """Fence the window once a block made after the start is read.

        Spec: RELAY-FENCE.
        """
        is_present = self._follower.at.timestamp_s >= self._started_s + START_MARGIN_S
        if self._lane.fence_end is None and self._follower.lag <= 0 and is_present:
            await self._feed([Opened()])

    async def _bind_waiting(self) -> None:
        """Give waiting operations their nonces, and voids to those no longer wanted.

        Spec: RELAY-WINDOW, RELAY-REPLACE, RELAY-FAIR.
        """
        if not self._lane.is_open:
            return
        async with self._parts.database.read() as tx:
            waiting = await store.list_waiting(tx, tenant=self._tenant)
            voids = await store.list_voids(tx, tenant=self._tenant)
            given_up = await store.list_withdrawn_under_way(tx, tenant=self._tenant)
            in_flight = await store.count_under_way(tx, tenant=self._tenant)
        room = WINDOW - len(self._lane.slots)
        words = choose(waiting, in_flight=in_flight, room=room)
        events: list[Event] = [Withdrawn(word=word) for word in given_up]
        if words or voids:
            events.append(Offered(words=words, voids=voids[:room]))
        await self._feed(events)

    async def _send_due(self) -> None:
        """Send what is due, and note what nodes say."""
        ticked = step(self._lane, Ticked(now_ms=self._now_ms))
        self._lane = ticked.lane
        sends = [effect for effect in ticked.effects if isinstance(effect, Send)]
        answers = await asyncio.gather(*(self._send(send) for send in sends))
        await self._feed([answer for answer in answers if answer is not None])

    async def _send(self, send: Send) -> Answered | None:
        nodes = self._parts.nodes
        async with self._parts.database.read() as tx:
            raw = await store.load_raw(tx, tenant=self._tenant, nonce=send.nonce, word=send.word)
        if raw is None:
            return None
        answer, reason = await hand_over(nodes[send.attempt % len(nodes)], raw)
        return Answered(
            nonce=send.nonce,
            word=send.word,
            answer=answer,
            reason=reason,
            node_count=len(nodes),
            now_ms=self._now_ms,
        )

    async def _feed(self, events: Iterable[Event]) -> None:
        """Take steps and store their effects in one transaction; only then are they ours."""
        lane, effects = self._lane, list[Effect]()
        for event in events:
            transition = step(lane, event)
            lane = transition.lane
            effects += transition.effects
        signs = [effect for effect in effects if isinstance(effect, Sign)]
        signed = {sign: await self._sign(sign) for sign in signs}
        if any(transaction is None for transaction in signed.values()):
            return
        if effects:
            await self._parts.database.transact(lambda tx: self._store(tx, effects, None, signed))
        self._lane = lane

    async def _store(
        self,
        tx: AsyncConnection,
        effects: Iterable[Effect],
        settled_hash: TransactionHash | None,
        signed: Mapping[Sign, Transaction | None],
    ) -> None:
        for effect in effects:
            match effect:
                case Sign():
                    await self._keep(tx, effect, signed[effect])
                case Note():
                    await self._note(tx, effect)
                case GiveUp():
                    await store.save_fate(
                        tx, tenant=self._tenant, nonce=effect.nonce, candidate=effect.candidate
                    )
                case Settle():
                    assert settled_hash is not None
                    await self._settle(tx, effect, settled_hash)
                case Send():
                    pass

    async def _sign(self, sign: Sign) -> Transaction | None:
        """Have a transaction signed, outside any database transaction since a signer may be slow.

        Returns:
            The transaction; None when the signer never signs this operation, which is given up.

        Raises:
            SignerRefused: The signer refuses even what calls nothing.
            Unavailable: No signer answers; nothing has changed.

        Spec: RELAY-SIGNER.
        """
        operation = None
        if not sign.candidate.is_filler:
            async with self._parts.database.read() as tx:
                known = await store.find_operation(
                    tx, tenant=self._tenant, word=sign.candidate.word
                )
            assert known is not None
            operation = known.operation
        signer = self._parts.signer
        try:
            return await signer.sign(
                draft_of(signer.account, sign.nonce, sign.candidate, operation)
            )
        except SignerRefused as error:
            if operation is None:
                raise
            word = operation.word
            _log.error("operation given up", operation=operation.operation_id, why=error.message)
            await self._parts.database.transact(
                lambda tx: store.change_operation(
                    tx, tenant=self._tenant, word=word, is_withdrawn=True, reason=SignerRefused.code
                )
            )
            return None

    async def _keep(self, tx: AsyncConnection, sign: Sign, transaction: Transaction | None) -> None:
        """Store a signed transaction; it is sent only after this has committed.

        Spec: RELAY-ONE-NONCE.
        """
        assert transaction is not None
        await store.add_candidate(
            tx,
            tenant=self._tenant,
            nonce=sign.nonce,
            candidate=sign.candidate,
            raw=transaction.raw,
        )
        if not sign.candidate.is_filler:
            await store.change_operation(
                tx,
                tenant=self._tenant,
                word=sign.candidate.word,
                transaction_hash=transaction.hash,
            )

    async def _note(self, tx: AsyncConnection, note: Note) -> None:
        await store.change_operation(
            tx, tenant=self._tenant, word=note.word, state=note.stage.value
        )
        known = await store.find_operation(tx, tenant=self._tenant, word=note.word)
        if known is not None:
            await self._parts.intake.report_known(tx, known)

    async def _settle(
        self, tx: AsyncConnection, settle: Settle, transaction_hash: TransactionHash
    ) -> None:
        """End the operation that a block holds, and queue again what lost the nonce.

        Spec: RELAY-FINAL, RELAY-ONE-NONCE.
        """
        landed = settle.landed
        await store.add_settled(
            tx, tenant=self._tenant, landed=landed, transaction_hash=transaction_hash
        )
        losers = {loser.word: loser for loser in settle.losers}
        known = None
        if landed.word is not None:
            known = await store.find_operation(tx, tenant=self._tenant, word=landed.word)
        if known is not None:
            loser = losers.pop(known.operation.word, None)
            await self._parts.intake.settle(
                tx,
                known.operation,
                store.Outcome(
                    transaction_hash=transaction_hash,
                    height=landed.height,
                    is_success=landed.is_success,
                ),
                is_void=known.operation.word != landed.word,
                reason=known.reason if loser is None else loser.reason,
                is_failure=_is_failure(known, loser),
            )
        for word in losers:
            await self._queue_again(tx, word)

    async def _queue_again(self, tx: AsyncConnection, word: Word) -> None:
        known = await store.find_operation(tx, tenant=self._tenant, word=word)
        if known is None or await self._parts.intake.recall(tx, known.operation):
            return
        await store.change_operation(
            tx,
            tenant=self._tenant,
            word=known.operation.word,
            state=IntentState.INTENDED.value,
            transaction_hash=None,
        )

    @property
    def _now_ms(self) -> int:
        return to_milliseconds(self._parts.clock.now())


async def open_relay(parts: RelayParts, follower: Follower) -> Relay:
    """Stand where the database stands; the lane is opened by the first passes.

    Raises:
        WrongAccount: The database belongs to another key.
        DatabaseUnavailable: It does not answer.
    """
    account, tenant = parts.signer.account, parts.intake.tenant
    lane = await parts.database.transact(
        lambda tx: store.open_lane(tx, tenant=tenant, account=account)
    )
    started_s = int(parts.clock.now().timestamp())
    return Relay(parts, follower, lane, started_s=started_s)


def _is_failure(known: store.Known, loser: Candidate | None) -> bool:
    """Tell whether an operation that was given up has failed, or was no longer wanted."""
    if loser is None:
        return known.reason == SignerRefused.code
    return loser.loss is Loss.FAILED


def _landed(block: FinalBlock, outcome: ProvenReceipt) -> Landed:
    return Landed(
        nonce=outcome.transaction.nonce,
        word=read_tail(outcome.transaction.data),
        is_success=outcome.receipt.is_success,
        height=block.header.height,
    )
