"""The incident log: what went wrong, when, and how bad, in the officers' words without names.

Kept apart from the restricted store, because the after-action report is written when that is gone.

Spec: ROLL-ACTS.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.election.commission.acts import Act, Actor, note_act
from services.election.commission.rolls import Roll
from services.election.commission.tables import INCIDENTS
from services.kit.events import from_milliseconds, to_milliseconds

LISTED_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What went wrong."""

    number: int
    """Its number."""
    time: datetime
    """When it was noted."""
    severity: str
    """info, warning or serious."""
    reported_by: str
    """Staff id, or the service."""
    text: str
    """What happened."""


async def note_incident(
    tx: AsyncConnection, roll: Roll, *, severity: str, text: str, actor: Actor
) -> None:
    """Add an incident."""
    query = select(func.coalesce(func.max(INCIDENTS.c.number), 0)).where(*_of(roll))
    number = int((await tx.execute(query)).scalar_one()) + 1
    await tx.execute(
        insert(INCIDENTS).values(
            tenant=roll.tenant,
            draft=roll.draft,
            number=number,
            time_ms=to_milliseconds(actor.at),
            severity=severity,
            reported_by=actor.name,
            text=text,
        )
    )
    await note_act(tx, roll, Act.INCIDENT, actor, number=number, severity=severity)


async def list_incidents(tx: AsyncConnection, roll: Roll) -> tuple[Incident, ...]:
    """Return the incidents, the oldest first."""
    query = select(INCIDENTS).where(*_of(roll)).order_by(INCIDENTS.c.number).limit(LISTED_MAX)
    return tuple(
        Incident(
            number=row.number,
            time=from_milliseconds(row.time_ms),
            severity=row.severity,
            reported_by=row.reported_by,
            text=row.text,
        )
        for row in (await tx.execute(query)).all()
    )


def _of(roll: Roll) -> tuple[Any, Any]:
    return INCIDENTS.c.tenant == roll.tenant, INCIDENTS.c.draft == roll.draft
