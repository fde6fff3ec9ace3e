"""Who asked the hub about whom: kept for a year, shown to the person asked about.

Spec: ID-HISTORY.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.hub.requests import write_instant
from services.hub.documents import LISTED_MAX, QueryAnswer
from services.hub.people import Person
from services.hub.tables import QUERIES
from services.kit.events import from_milliseconds, to_milliseconds

KEPT: Final = timedelta(days=366)


async def note_query(
    tx: AsyncConnection, person: Person, *, service: str, purpose: str, what: str, now: datetime
) -> None:
    """Note that a service or staff asked, in the transaction that answers.

    Spec: ID-HISTORY.
    """
    await tx.execute(
        insert(QUERIES).values(
            tenant=person.tenant,
            id=secrets.token_hex(16),
            resident=person.reference,
            at_ms=to_milliseconds(now),
            service=service,
            purpose=purpose,
            what=what,
        )
    )


async def list_queries(tx: AsyncConnection, person: Person) -> list[QueryAnswer]:
    """Return who asked about a person, the newest first."""
    query = (
        select(QUERIES)
        .where(QUERIES.c.tenant == person.tenant, QUERIES.c.resident == person.reference)
        .order_by(QUERIES.c.at_ms.desc(), QUERIES.c.id)
        .limit(LISTED_MAX)
    )
    return [
        QueryAnswer(
            at=write_instant(from_milliseconds(row.at_ms)),
            service=row.service,
            purpose=row.purpose,
            what=row.what,
        )
        for row in await tx.execute(query)
    ]


async def prune_queries(tx: AsyncConnection, *, before: datetime) -> None:
    """Forget queries older than an instant."""
    await tx.execute(delete(QUERIES).where(QUERIES.c.at_ms < to_milliseconds(before)))
