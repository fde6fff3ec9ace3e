"""The state of each delivery: leased, delivered, put off, dead, replayed.

Only the oldest open event of a subject may go out, so a subject stays in order and a failing one
holds back itself alone. A lease is being not due for a while and counts as an attempt, so a
dispatcher that dies mid-send needs no cleaning up. A stamp from the future means the clock went
back, and is void. A dead delivery holds its subject until an operator replays or discards it:
nothing is lost and nothing overtakes.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.decisions import Operator, note_decision
from services.kit.events import from_milliseconds, to_milliseconds
from services.kit.outbox import Subscriber
from services.kit.tables import OUTBOX_DELIVERIES, OUTBOX_EVENTS

LEASE_MS: Final = 60_000
"""How long a dispatcher may take over a batch before another may try."""

BATCH_MAX: Final = 32
"""Deliveries leased at once for one subscriber; all can be sent within the lease."""

ATTEMPTS_MAX: Final = 16
"""Attempts before a delivery is dead; with the waits between them, about five hours."""

BACKOFF_MS_MAX: Final = 3_600_000
"""Longest wait between two attempts."""

REASON_LENGTH_MAX: Final = 200
"""Characters kept of why a delivery failed."""

DEAD_REPLAYED: Final = "dead-letter.replayed"
DEAD_DISCARDED: Final = "dead-letter.discarded"
REPLAYED_SINCE: Final = "delivery.replayed-since"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one subscriber, under a lease."""

    tenant: str
    """Municipality."""
    subscriber: str
    """Who is to get it."""
    sequence: int
    """Its place in the outbox."""
    body: bytes
    """The event as it is sent and signed."""
    attempts: int
    """Attempts so far, this one included."""
    lease: str
    """Proof that the holder may settle it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How far a subscriber is behind."""

    tenant: str
    """Municipality."""
    subscriber: str
    """Its name."""
    cursor: int
    """Everything up to this place in the outbox is settled."""
    pending: int
    """Deliveries still to come."""
    dead: int
    """Deliveries that wait for an operator."""
    oldest: datetime | None
    """Time of the oldest unsettled event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A delivery that was given up."""

    sequence: int
    """Its place in the outbox."""
    event_id: str
    """Id of the event."""
    event_type: str
    """Type of the event."""
    attempts: int
    """How often it was tried."""
    reason: str
    """What the last attempt met."""


def compute_backoff_ms(attempts: int) -> int:
    """Return the wait after ``attempts`` failures: doubling from a second to an hour."""
    return int(min(BACKOFF_MS_MAX, 1_000 << min(attempts - 1, 20)))


async def lease_deliveries(
    tx: AsyncConnection, subscriber: Subscriber, *, now: datetime, count_max: int = BATCH_MAX
) -> tuple[Delivery, ...]:
    """Take what is due for a subscriber, at most one event of each subject, oldest first."""
    table, now_ms, lease = OUTBOX_DELIVERIES, to_milliseconds(now), secrets.token_hex(8)
    earlier = table.alias("earlier")
    is_held_back = (
        select(earlier.c.sequence)
        .where(
            earlier.c.tenant == table.c.tenant,
            earlier.c.subscriber == table.c.subscriber,
            earlier.c.source == table.c.source,
            earlier.c.subject == table.c.subject,
            earlier.c.sequence < table.c.sequence,
            earlier.c.state.in_(("pending", "dead")),
        )
        .exists()
    )
    query = (
        select(table.c.sequence, table.c.attempts, OUTBOX_EVENTS.c.body)
        .join(OUTBOX_EVENTS, OUTBOX_EVENTS.c.sequence == table.c.sequence)
        .where(
            _of(subscriber.tenant, subscriber.name),
            table.c.state == "pending",
            or_(table.c.due_ms <= now_ms, table.c.noted_ms > now_ms),
            ~is_held_back,
        )
        .order_by(table.c.sequence)
        .limit(count_max)
    )
    rows = (await tx.execute(query)).all()
    if rows:
        await tx.execute(
            update(table)
            .where(
                _of(subscriber.tenant, subscriber.name),
                table.c.sequence.in_([row.sequence for row in rows]),
            )
            .values(
                attempts=table.c.attempts + 1,
                due_ms=now_ms + LEASE_MS,
                noted_ms=now_ms,
                lease=lease,
            )
        )
    return tuple(
        Delivery(
            tenant=subscriber.tenant,
            subscriber=subscriber.name,
            sequence=row.sequence,
            body=bytes(row.body),
            attempts=row.attempts + 1,
            lease=lease,
        )
        for row in rows
    )


async def acknowledge(tx: AsyncConnection, delivery: Delivery) -> bool:
    """Note that the subscriber has it; False when the lease was lost meanwhile."""
    values = {"state": "delivered", "lease": None, "reason": None}
    return await _settle(tx, delivery, values)


async def postpone(
    tx: AsyncConnection, delivery: Delivery, *, now: datetime, reason: str, is_final: bool = False
) -> bool:
    """Note a refusal: try again later, or give up after the last attempt or when it is final."""
    now_ms = to_milliseconds(now)
    is_dead = is_final or delivery.attempts >= ATTEMPTS_MAX
    values = {
        "state": "dead" if is_dead else "pending",
        "due_ms": now_ms + compute_backoff_ms(delivery.attempts),
        "noted_ms": now_ms,
        "lease": None,
        "reason": reason[:REASON_LENGTH_MAX],
    }
    return await _settle(tx, delivery, values)


async def give_back(tx: AsyncConnection, delivery: Delivery) -> bool:
    """Undo a lease whose send never reached the subscriber; it counts as no attempt."""
    values = {"attempts": delivery.attempts - 1, "due_ms": 0, "noted_ms": 0, "lease": None}
    return await _settle(tx, delivery, values)


async def _settle(tx: AsyncConnection, delivery: Delivery, values: Mapping[str, object]) -> bool:
    table = OUTBOX_DELIVERIES
    done = await tx.execute(
        update(table)
        .where(
            _of(delivery.tenant, delivery.subscriber),
            table.c.sequence == delivery.sequence,
            table.c.lease == delivery.lease,
        )
        .values(**values)
    )
    return done.rowcount == 1


async def measure_backlog(tx: AsyncConnection, subscriber: Subscriber) -> Backlog:
    """Return how far ``subscriber`` is behind."""
    table = OUTBOX_DELIVERIES
    mine = _of(subscriber.tenant, subscriber.name)
    is_open = table.c.state.in_(("pending", "dead"))
    by_state = select(table.c.state, func.count()).where(mine, is_open).group_by(table.c.state)
    counts = {row[0]: int(row[1]) for row in await tx.execute(by_state)}
    first = (await tx.execute(select(func.min(table.c.sequence)).where(mine, is_open))).scalar()
    last = (await tx.execute(select(func.max(table.c.sequence)).where(mine))).scalar()
    oldest_ms = None
    if first is not None:
        of_first = select(OUTBOX_EVENTS.c.time_ms).where(OUTBOX_EVENTS.c.sequence == first)
        oldest_ms = (await tx.execute(of_first)).scalar_one()
    return Backlog(
        tenant=subscriber.tenant,
        subscriber=subscriber.name,
        cursor=first - 1 if first is not None else (last or 0),
        pending=counts.get("pending", 0),
        dead=counts.get("dead", 0),
        oldest=None if oldest_ms is None else from_milliseconds(oldest_ms),
    )


async def list_dead(
    tx: AsyncConnection, subscriber: Subscriber, *, after: int = 0, count_max: int = 100
) -> tuple[DeadLetter, ...]:
    """Return deliveries that were given up, oldest first, from behind place ``after`` on."""
    table, events = OUTBOX_DELIVERIES, OUTBOX_EVENTS
    query = (
        select(table.c.sequence, table.c.attempts, table.c.reason, events.c.id, events.c.type)
        .join(events, events.c.sequence == table.c.sequence)
        .where(
            _of(subscriber.tenant, subscriber.name),
            table.c.state == "dead",
            table.c.sequence > after,
        )
        .order_by(table.c.sequence)
        .limit(count_max)
    )
    return tuple(
        DeadLetter(
            sequence=row.sequence,
            event_id=row.id,
            event_type=row.type,
            attempts=row.attempts,
            reason=row.reason or "",
        )
        for row in await tx.execute(query)
    )


async def replay_dead(
    tx: AsyncConnection, subscriber: Subscriber, *, by: Operator, sequence: int | None = None
) -> int:
    """Try dead deliveries again, one or all, because an operator says so; return how many."""
    table = OUTBOX_DELIVERIES
    change = (
        update(table)
        .where(_of(subscriber.tenant, subscriber.name), table.c.state == "dead")
        .values(state="pending", attempts=0, due_ms=0, noted_ms=0, lease=None)
    )
    if sequence is not None:
        change = change.where(table.c.sequence == sequence)
    count = int((await tx.execute(change)).rowcount)
    if count:
        which = f"{count} letters" if sequence is None else f"letter {sequence}"
        about = f"{which} of {subscriber.name}"
        tenant = subscriber.tenant
        await note_decision(tx, by, tenant=tenant, action=DEAD_REPLAYED, about=about)
    return count


async def discard_dead(
    tx: AsyncConnection, subscriber: Subscriber, *, by: Operator, sequence: int
) -> int:
    """Give one dead delivery up for good, which lets its subject go on; return how many."""
    table, events = OUTBOX_DELIVERIES, OUTBOX_EVENTS
    done = await tx.execute(
        update(table)
        .where(
            _of(subscriber.tenant, subscriber.name),
            table.c.state == "dead",
            table.c.sequence == sequence,
        )
        .values(state="discarded")
    )
    if done.rowcount:
        named = select(events.c.id).where(events.c.sequence == sequence)
        event_id = (await tx.execute(named)).scalar_one()
        about = f"letter {sequence} of {subscriber.name}, event {event_id}"
        tenant = subscriber.tenant
        await note_decision(tx, by, tenant=tenant, action=DEAD_DISCARDED, about=about)
    return int(done.rowcount)


async def replay_since(
    tx: AsyncConnection, subscriber: Subscriber, *, by: Operator, since: datetime
) -> int:
    """Send again what was delivered since, for a subscriber restored from a backup.

    Older events that were on their way then are among it: a delivery may take as long as its lease.
    What the subscriber still remembers it recognises by id.
    """
    table, events, since_ms = OUTBOX_DELIVERIES, OUTBOX_EVENTS, to_milliseconds(since)
    recent = select(events.c.sequence).where(
        events.c.tenant == subscriber.tenant, events.c.time_ms >= since_ms
    )
    done = await tx.execute(
        update(table)
        .where(
            _of(subscriber.tenant, subscriber.name),
            table.c.state == "delivered",
            or_(table.c.sequence.in_(recent), table.c.noted_ms >= since_ms - LEASE_MS),
        )
        .values(state="pending", attempts=0, due_ms=0, noted_ms=0, lease=None)
    )
    about = f"{done.rowcount} deliveries to {subscriber.name} since {since.isoformat()}"
    tenant = subscriber.tenant
    await note_decision(tx, by, tenant=tenant, action=REPLAYED_SINCE, about=about)
    return int(done.rowcount)


def _of(tenant: str, subscriber: str) -> ColumnElement[bool]:
    table = OUTBOX_DELIVERIES
    return and_(table.c.tenant == tenant, table.c.subscriber == subscriber)
