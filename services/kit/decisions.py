"""What an operator decided about something that waited: in the audit log, with the deed itself.

Whatever gives an event up, tries it again or revives a job asks for the operator who wants it, so
that nothing leaves a queue by hand without an entry that says who took it out.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.audit import TEXT_LENGTH_MAX, AuditEntry, record

ROLE: Final = "operator"
PURPOSE: Final = "operation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Who decides, and when."""

    actor: str
    """Account of the person on this machine, as ``operator:tanaka``."""
    at: datetime
    """When."""


async def note_decision(
    tx: AsyncConnection, operator: Operator, *, tenant: str, action: str, about: str
) -> None:
    """Write what ``operator`` decided in the transaction that does it.

    Args:
        tx: The transaction.
        operator: Who decided.
        tenant: Municipality.
        action: What was done, as ``dead-letter.discarded``.
        about: Number and id of what it was done to, never its data.
    """
    entry = AuditEntry(
        tenant=tenant,
        time=operator.at,
        actor=operator.actor[:TEXT_LENGTH_MAX],
        role=ROLE,
        purpose=PURPOSE,
        action=action,
        subject="",
        detail=about[:TEXT_LENGTH_MAX],
    )
    await record(tx, entry)
