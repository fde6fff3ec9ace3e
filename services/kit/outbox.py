"""What a service tells others, written in the transaction that makes it true.

``publish`` stores an event and one delivery for each subscriber: if the transaction commits, every
subscriber hears of it at least once; if not, none does. Events of one source and subject reach a
subscriber in the order of their commits, so on PostgreSQL publishers of one subject take turns.
Sending is ``dispatcher``'s, the state of each delivery ``deliveries``', how far a chain
transaction has come ``intents``'.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.canonical import encode_canonical
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.types import Address
from services.kit.events import Event, encode_event, to_milliseconds
from services.kit.tables import (
    CHAIN_INTENTS,
    OUTBOX_DELIVERIES,
    OUTBOX_EVENTS,
    OUTBOX_SUBSCRIBERS,
)

SUBSCRIBERS_MAX: Final = 64
"""Subscribers of one tenant."""

BACKFILL_MAX: Final = 10_000
"""Past events given to a subscriber in one transaction."""


class EventConflict(InvalidInput):
    """An event id that already names another event."""

    code = "event.conflict"


CALLDATA_BYTES_MAX: Final = 24_576
"""Largest call that an intent may carry."""

INTENDED: Final = "jp.daicho.chain.intended.v1"
"""Type of the event that asks the relay for a transaction."""

_OPERATION: Final = re.compile(r"[A-Za-z0-9._:-]{1,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainIntent:
    """A transaction that a service asks its municipality's relay to make, exactly once."""

    tenant: str
    """Municipality whose relay signs."""
    operation_id: str
    """What the service did, unique in the tenant; repeating it asks for nothing new."""
    sector: str
    """Service sector, for quotas and for the key that signs."""
    to: Address
    """Contract called."""
    data: bytes
    """Calldata."""
    gas_limit: int
    """Gas the call may use."""
    ordered_by: str | None = None
    """Intents with the same word are sent in order; None leaves the order to the relay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """Who is told about which events, and where."""

    tenant: str
    """Municipality whose events it hears."""
    name: str
    """Its name, unique in the tenant."""
    types: tuple[str, ...]
    """Prefixes of the event types it hears; ``("",)`` is every type."""
    endpoint: str
    """Where events go: an address that the dispatcher's transport understands."""
    is_paused: bool = False
    """Deliveries are kept but not sent."""

    def wants(self, event_type: str) -> bool:
        """Tell whether it hears events of this type."""
        return event_type.startswith(self.types)


async def subscribe(tx: AsyncConnection, subscriber: Subscriber) -> None:
    """Add a subscriber or change it; it hears what is published from now on.

    Raises:
        Misconfigured: A type contains a space, or the tenant has ``SUBSCRIBERS_MAX`` others.
    """
    if not subscriber.types or any(" " in kind for kind in subscriber.types):
        raise Misconfigured(f"subscriber {subscriber.name}: types are prefixes without spaces")
    table = OUTBOX_SUBSCRIBERS
    values = {
        "types": " ".join(kind or "*" for kind in subscriber.types),
        "endpoint": subscriber.endpoint,
        "is_paused": subscriber.is_paused,
    }
    of_tenant = table.c.tenant == subscriber.tenant
    changed = await tx.execute(
        update(table).where(of_tenant, table.c.name == subscriber.name).values(**values)
    )
    if changed.rowcount:
        return
    count = (await tx.execute(select(func.count()).where(of_tenant))).scalar_one()
    if count >= SUBSCRIBERS_MAX:
        raise Misconfigured(f"tenant {subscriber.tenant} has {count} subscribers; remove one")
    await tx.execute(insert(table).values(tenant=subscriber.tenant, name=subscriber.name, **values))


async def unsubscribe(tx: AsyncConnection, *, tenant: str, name: str) -> None:
    """Remove a subscriber and what still waits for it."""
    for table, column in (
        (OUTBOX_DELIVERIES, OUTBOX_DELIVERIES.c.subscriber),
        (OUTBOX_SUBSCRIBERS, OUTBOX_SUBSCRIBERS.c.name),
    ):
        await tx.execute(delete(table).where(table.c.tenant == tenant, column == name))


async def list_subscribers(
    tx: AsyncConnection, *, tenant: str | None = None
) -> tuple[Subscriber, ...]:
    """Return the subscribers of a tenant, or of all, by name."""
    table = OUTBOX_SUBSCRIBERS
    query = select(table).order_by(table.c.tenant, table.c.name)
    if tenant is not None:
        query = query.where(table.c.tenant == tenant)
    return tuple(
        Subscriber(
            tenant=row.tenant,
            name=row.name,
            types=tuple("" if kind == "*" else kind for kind in row.types.split(" ")),
            endpoint=row.endpoint,
            is_paused=row.is_paused,
        )
        for row in await tx.execute(query)
    )


async def publish(tx: AsyncConnection, event: Event) -> int:
    """Store ``event`` for every subscriber that wants it; return its place in the outbox.

    Publishing the same event again changes nothing, so a repeated operation may repeat its events
    under the ids it used before.

    Raises:
        InvalidInput: The event cannot be encoded.
        EventConflict: The id was used for something else.
    """
    body = encode_event(event)
    await _take_turn(tx, event)
    table = OUTBOX_EVENTS
    known = (
        await tx.execute(
            select(table.c.sequence, table.c.body).where(
                table.c.tenant == event.tenant,
                table.c.source == event.source,
                table.c.id == event.id,
            )
        )
    ).one_or_none()
    if known is not None:
        if bytes(known.body) != body:
            raise EventConflict(f"event {event.id}: this id names another event already")
        return int(known.sequence)
    stored = insert(table).values(
        tenant=event.tenant,
        source=event.source,
        id=event.id,
        type=event.type,
        subject=event.subject,
        time_ms=to_milliseconds(event.time),
        body=body,
    )
    sequence = int((await tx.execute(stored.returning(table.c.sequence))).scalar_one())
    rows = [
        _delivery(event.tenant, subscriber.name, sequence, event.source, event.subject)
        for subscriber in await list_subscribers(tx, tenant=event.tenant)
        if subscriber.wants(event.type)
    ]
    if rows:
        await tx.execute(insert(OUTBOX_DELIVERIES), rows)
    return sequence


async def intend(tx: AsyncConnection, intent: ChainIntent, *, source: str, now: datetime) -> None:
    """Ask the relay for a chain transaction if this transaction commits.

    Args:
        tx: The transaction that makes the call true.
        intent: What to call.
        source: This service, as in its events.
        now: The present.

    Raises:
        InvalidInput: The call is malformed or too large.
        EventConflict: The operation asked for another call before.
    """
    _check_intent(intent)
    data: dict[str, object] = {
        "operation_id": intent.operation_id,
        "sector": intent.sector,
        "to": "0x" + intent.to.hex(),
        "data": "0x" + intent.data.hex(),
        "gas_limit": intent.gas_limit,
    }
    fingerprint = sha256(encode_canonical(data))
    table = CHAIN_INTENTS
    query = select(table.c.fingerprint).where(
        table.c.tenant == intent.tenant, table.c.operation_id == intent.operation_id
    )
    known = (await tx.execute(query)).scalar()
    if known is not None:
        if bytes(known) != fingerprint:
            raise EventConflict(f"operation {intent.operation_id} asked for another call before")
        return
    await tx.execute(
        insert(table).values(
            tenant=intent.tenant,
            operation_id=intent.operation_id,
            fingerprint=fingerprint,
            sector=intent.sector,
            state="intended",
            changed_ms=to_milliseconds(now),
        )
    )
    event = Event(
        id=f"intent:{intent.operation_id}",
        source=source,
        type=INTENDED,
        subject=intent.ordered_by or intent.operation_id,
        tenant=intent.tenant,
        time=now,
        data=data,
    )
    await publish(tx, event)


def _check_intent(intent: ChainIntent) -> None:
    if not _OPERATION.fullmatch(intent.operation_id):
        raise InvalidInput("operation id: 1 to 100 letters, digits and . _ : -")
    if len(intent.to) != 20 or len(intent.data) > CALLDATA_BYTES_MAX or intent.gas_limit <= 0:
        raise InvalidInput(
            f"intent {intent.operation_id}: address, gas or calldata out of bounds "
            f"(calldata at most {CALLDATA_BYTES_MAX} bytes)"
        )


async def backfill(tx: AsyncConnection, subscriber: Subscriber, *, since: datetime) -> int:
    """Give a subscriber the kept events from ``since`` on that it never had; return how many.

    Repeat until it returns 0.
    """
    events, deliveries = OUTBOX_EVENTS, OUTBOX_DELIVERIES
    has_it = select(deliveries.c.sequence).where(
        deliveries.c.tenant == subscriber.tenant,
        deliveries.c.subscriber == subscriber.name,
        deliveries.c.sequence == events.c.sequence,
    )
    query = (
        select(events.c.sequence, events.c.source, events.c.subject, events.c.type)
        .where(
            events.c.tenant == subscriber.tenant,
            events.c.time_ms >= to_milliseconds(since),
            ~has_it.exists(),
        )
        .order_by(events.c.sequence)
    )
    wanted = [row for row in await tx.execute(query) if subscriber.wants(row.type)][:BACKFILL_MAX]
    rows = [
        _delivery(subscriber.tenant, subscriber.name, row.sequence, row.source, row.subject)
        for row in wanted
    ]
    if rows:
        await tx.execute(insert(deliveries), rows)
    return len(rows)


async def prune_outbox(tx: AsyncConnection, *, before: datetime) -> int:
    """Forget events older than ``before`` that nobody waits for; return how many."""
    events, deliveries = OUTBOX_EVENTS, OUTBOX_DELIVERIES
    waiting = select(deliveries.c.sequence).where(
        deliveries.c.sequence == events.c.sequence, deliveries.c.state.in_(("pending", "dead"))
    )
    query = select(events.c.sequence).where(
        events.c.time_ms < to_milliseconds(before), ~waiting.exists()
    )
    sequences: Sequence[int] = (await tx.execute(query.limit(BACKFILL_MAX))).scalars().all()
    for at in range(0, len(sequences), 500):
        some = sequences[at : at + 500]
        await tx.execute(delete(deliveries).where(deliveries.c.sequence.in_(some)))
        await tx.execute(delete(events).where(events.c.sequence.in_(some)))
    return len(sequences)


def _delivery(
    tenant: str, subscriber: str, sequence: int, source: str, subject: str
) -> dict[str, object]:
    return {
        "tenant": tenant,
        "subscriber": subscriber,
        "sequence": sequence,
        "source": source,
        "subject": subject,
        "state": "pending",
        "attempts": 0,
        "due_ms": 0,
        "noted_ms": 0,
    }


async def _take_turn(tx: AsyncConnection, event: Event) -> None:
    """Let one publisher of a subject commit before the next numbers its event (PostgreSQL).

    Numbers are given before commits. Without turns a later number could be delivered first.
    """
    if tx.dialect.name == "postgresql":
        key = f"{event.tenant} {event.source} {event.subject}"
        await tx.execute(
            text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key}
        )
