"""What others tell a service: each event takes effect once, in the transaction of its effects.

``receive`` is the rule: one transaction, one event, no second time. ``accept`` surrounds it for the
endpoint where events arrive. It notes the attempt before the handler runs, so an event that breaks
the handler or kills the process is recognised and put in quarantine. Later events of its subject
are held behind it, in order, until an operator releases or discards it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, insert, select, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput, LedgerError, Unavailable
from services.kit.database import Database
from services.kit.decisions import Operator, note_decision
from services.kit.events import Event, decode_event, encode_event, to_milliseconds
from services.kit.outbox import EventConflict
from services.kit.tables import INBOX_EVENTS, INBOX_HORIZONS

ATTEMPTS_MAX: Final = 5
"""Attempts before an event goes into quarantine."""

HELD_MAX: Final = 1_000
"""Events held behind one in quarantine before the sender is asked to wait."""

REASON_LENGTH_MAX: Final = 200
"""Characters kept of why an event failed."""

RELEASED: Final = "quarantine.released"
DISCARDED: Final = "quarantine.discarded"

Handler = Callable[[AsyncConnection, Event], Awaitable[None]]
"""What an event does, inside the transaction that notes it as done."""


class EventTooOld(InvalidInput):
    """An event from before what the inbox remembers; it may have been handled already."""

    code = "event.too_old"


class InboxFull(Unavailable):
    """Too many events wait behind one in quarantine."""

    code = "inbox.full"


class Acceptance(StrEnum):
    """What became of an event that arrived; each may be acknowledged to its sender."""

    DONE = "done"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """An event that waits for an operator."""

    arrival: int
    """Its number in the inbox."""
    source: str
    """Who sent it."""
    id: str
    """Its id."""
    type: str
    """Its type."""
    attempts: int
    """How often it was tried."""
    held: int
    """Events that wait behind it."""
    reason: str
    """What went wrong, without its data."""


_SETTLED: Final = {
    "done": Acceptance.DUPLICATE,
    "discarded": Acceptance.DUPLICATE,
    "quarantined": Acceptance.QUARANTINED,
    "held": Acceptance.HELD,
}
"""What is answered to an event in a state that no further attempt changes."""


async def receive(tx: AsyncConnection, event: Event, handler: Handler) -> bool:
    """Run ``handler`` unless this event took effect before; return whether it ran.

    Raises:
        EventConflict: The sender used the id for something else.
        EventTooOld: It is from before what the inbox remembers.
    """
    known = await _look_up(tx, event)
    if known is not None and known.state in ("done", "discarded"):
        return False
    await handler(tx, event)
    if known is None:
        await tx.execute(insert(INBOX_EVENTS).values(state="done", **_describe(event)))
    else:
        values = {"state": "done", "body": None, "reason": None}
        await tx.execute(_change(known.arrival, **values))
    return True


async def accept(database: Database, event: Event, handler: Handler) -> Acceptance:
    """Take an event from outside: handle it, recognise it, or set it aside.

    Raises:
        Unavailable: The world stood in the way; the sender shall try again.
        EventConflict: The sender used the id for something else.
        EventTooOld: It is from before what the inbox remembers.
    """
    settled = await database.transact(lambda tx: _begin(tx, event))
    if settled is not None:
        return settled
    try:
        is_first = await database.transact(lambda tx: receive(tx, event, handler))
    except Unavailable:
        await database.transact(lambda tx: _forgive(tx, event))
        raise
    except LedgerError as error:
        reason = error.code
        await database.transact(lambda tx: _quarantine(tx, event, reason))
        return Acceptance.QUARANTINED
    return Acceptance.DONE if is_first else Acceptance.DUPLICATE


async def release(database: Database, arrival: int, handler: Handler, *, by: Operator) -> int:
    """Handle an event in quarantine after a repair, then those held behind it; return how many.

    Stops at the first that fails again: it is then the one in quarantine.

    Raises:
        InvalidInput: Nothing waits under this number, or an event is refused again.
    """
    event = await _load_waiting(database, arrival)

    async def resume(tx: AsyncConnection) -> int | None:
        await _note(tx, by, event, arrival, RELEASED)
        return await _resume(tx, event, handler)

    following = await database.transact(resume)
    return 1 + await _handle_held(database, following, handler)


async def discard(database: Database, arrival: int, handler: Handler, *, by: Operator) -> int:
    """Give an event in quarantine up for good and handle those behind it; return how many.

    Raises:
        InvalidInput: Nothing waits under this number, or one behind it is refused.
    """
    event = await _load_waiting(database, arrival)

    async def give_up(tx: AsyncConnection) -> int | None:
        await _note(tx, by, event, arrival, DISCARDED)
        await tx.execute(_change(arrival, state="discarded", body=None))
        return await _promote_next(tx, event)

    following = await database.transact(give_up)
    return await _handle_held(database, following, handler)


async def _note(tx: AsyncConnection, by: Operator, event: Event, arrival: int, action: str) -> None:
    about = f"event {arrival} from {event.source}, {event.id}"
    await note_decision(tx, by, tenant=event.tenant, action=action, about=about)


async def _handle_held(database: Database, waiting: int | None, handler: Handler) -> int:
    """Handle what was held, from the event now at the head on; return how many."""
    count = 0
    while waiting is not None:
        event = await _load_waiting(database, waiting)
        waiting = await database.transact(partial(_resume, event=event, handler=handler))
        count += 1
    return count


async def is_quarantined(tx: AsyncConnection, *, tenant: str, arrival: int) -> bool:
    """Tell whether event ``arrival`` waits for an operator of ``tenant``."""
    table = INBOX_EVENTS
    query = select(table.c.arrival).where(
        table.c.arrival == arrival, table.c.tenant == tenant, table.c.state == "quarantined"
    )
    return (await tx.execute(query)).scalar() is not None


async def list_quarantined(
    tx: AsyncConnection, *, tenant: str, after: int = 0, count_max: int = 100
) -> tuple[Quarantined, ...]:
    """Return what waits for an operator, oldest first, from behind number ``after`` on."""
    table = INBOX_EVENTS
    behind = table.alias("behind")
    held = (
        select(func.count(behind.c.arrival))
        .where(
            behind.c.tenant == table.c.tenant,
            behind.c.source == table.c.source,
            behind.c.subject == table.c.subject,
            behind.c.state == "held",
        )
        .scalar_subquery()
    )
    query = (
        select(table, held.label("held"))
        .where(table.c.tenant == tenant, table.c.state == "quarantined", table.c.arrival > after)
        .order_by(table.c.arrival)
        .limit(count_max)
    )
    return tuple(
        Quarantined(
            arrival=row.arrival,
            source=row.source,
            id=row.id,
            type=row.type,
            attempts=row.attempts,
            held=row.held,
            reason=row.reason or "",
        )
        for row in await tx.execute(query)
    )


async def prune_inbox(tx: AsyncConnection, *, tenant: str, before: datetime) -> int:
    """Forget finished events older than ``before`` and refuse such from now on; return how many.

    Never beyond the newest event seen, so that a clock that ran ahead does no harm.
    """
    table = INBOX_EVENTS
    mine = table.c.tenant == tenant
    newest = (await tx.execute(select(func.max(table.c.time_ms)).where(mine))).scalar()
    if newest is None:
        return 0
    before_ms = min(to_milliseconds(before), newest)
    horizon = max(before_ms, await _horizon(tx, tenant))
    await tx.execute(delete_rows(INBOX_HORIZONS).where(INBOX_HORIZONS.c.tenant == tenant))
    await tx.execute(insert(INBOX_HORIZONS).values(tenant=tenant, before_ms=horizon))
    is_finished = table.c.state.in_(("done", "discarded"))
    done = await tx.execute(delete_rows(table).where(mine, is_finished, table.c.time_ms < horizon))
    return int(done.rowcount)


async def _begin(tx: AsyncConnection, event: Event) -> Acceptance | None:
    """Note an attempt; return what became of the event if no attempt is to be made."""
    known = await _look_up(tx, event)
    settled = None if known is None else _SETTLED.get(known.state)
    if settled is not None:
        return settled
    if await _is_held_back(tx, event):
        await _keep(tx, event, known, state="held", reason="behind one in quarantine")
        return Acceptance.HELD
    if known is None:
        await tx.execute(
            insert(INBOX_EVENTS).values(**_describe(event) | {"attempts": 1, "state": "trying"})
        )
        return None
    if known.attempts >= ATTEMPTS_MAX:
        await _keep(tx, event, known, state="quarantined", reason="its handler never finished")
        return Acceptance.QUARANTINED
    await tx.execute(_change(known.arrival, attempts=known.attempts + 1))
    return None


async def _is_held_back(tx: AsyncConnection, event: Event) -> bool:
    table = INBOX_EVENTS
    held = _of_subject(event, "quarantined", "held")
    count = (await tx.execute(select(func.count(table.c.arrival)).where(held))).scalar_one()
    if count > HELD_MAX:
        raise InboxFull("an event in quarantine holds its subject; release or discard it")
    return bool(count)


async def _keep(tx: AsyncConnection, event: Event, known: Any, *, state: str, reason: str) -> None:
    values = {"state": state, "body": encode_event(event), "reason": reason[:REASON_LENGTH_MAX]}
    if known is None:
        await tx.execute(insert(INBOX_EVENTS).values(**_describe(event) | values))
    else:
        await tx.execute(_change(known.arrival, **values))


async def _quarantine(tx: AsyncConnection, event: Event, reason: str) -> None:
    known = await _look_up(tx, event)
    await _keep(tx, event, known, state="quarantined", reason=reason)


async def _forgive(tx: AsyncConnection, event: Event) -> None:
    """Take back an attempt that the world failed, not the event."""
    known = await _look_up(tx, event)
    if known is not None and known.state == "trying":
        await tx.execute(_change(known.arrival, attempts=max(0, known.attempts - 1)))


async def _load_waiting(database: Database, arrival: int) -> Event:
    table = INBOX_EVENTS
    query = select(table.c.body).where(table.c.arrival == arrival, table.c.state == "quarantined")
    async with database.read() as tx:
        body = (await tx.execute(query)).scalar()
    if body is None:
        raise InvalidInput(f"inbox: no event waits in quarantine under number {arrival}")
    return decode_event(bytes(body))


async def _resume(tx: AsyncConnection, event: Event, handler: Handler) -> int | None:
    await receive(tx, event, handler)
    return await _promote_next(tx, event)


async def _promote_next(tx: AsyncConnection, event: Event) -> int | None:
    """Put the next held event of the subject at the head; return its number.

    In the transaction that frees the head, so that held events never wait behind nothing.
    """
    table = INBOX_EVENTS
    query = select(func.min(table.c.arrival)).where(_of_subject(event, "held"))
    arrival = (await tx.execute(query)).scalar()
    if arrival is None:
        return None
    await tx.execute(_change(arrival, state="quarantined"))
    return int(arrival)


async def _look_up(tx: AsyncConnection, event: Event) -> Any:
    table = INBOX_EVENTS
    query = select(table.c.arrival, table.c.state, table.c.attempts, table.c.fingerprint).where(
        table.c.tenant == event.tenant,
        table.c.source == event.source,
        table.c.id == event.id,
    )
    known = (await tx.execute(query)).one_or_none()
    if known is None:
        if to_milliseconds(event.time) < await _horizon(tx, event.tenant):
            raise EventTooOld(f"event {event.id} is older than what this inbox remembers")
        return None
    if bytes(known.fingerprint) != sha256(encode_event(event)):
        raise EventConflict(f"event {event.id}: this id named another event before")
    return known


async def _horizon(tx: AsyncConnection, tenant: str) -> int:
    table = INBOX_HORIZONS
    query = select(table.c.before_ms).where(table.c.tenant == tenant)
    return int((await tx.execute(query)).scalar() or 0)


def _describe(event: Event) -> dict[str, object]:
    return {
        "tenant": event.tenant,
        "source": event.source,
        "id": event.id,
        "subject": event.subject,
        "type": event.type,
        "time_ms": to_milliseconds(event.time),
        "fingerprint": sha256(encode_event(event)),
        "attempts": 0,
    }


def _change(arrival: int, **values: object) -> Any:
    return update(INBOX_EVENTS).where(INBOX_EVENTS.c.arrival == arrival).values(**values)


def _of_subject(event: Event, *states: str) -> ColumnElement[bool]:
    table = INBOX_EVENTS
    return and_(
        table.c.tenant == event.tenant,
        table.c.source == event.source,
        table.c.subject == event.subject,
        table.c.state.in_(states),
    )
