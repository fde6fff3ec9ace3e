"""The audit log as an auditor gets it: lines of JSON, each entry as it is hashed, then the roots.

Entries hold references and commitments, never values, and so does what is written here.

Spec: AUDIT-DISCLOSURE.
"""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.canonical import encode_canonical
from services.kit.audit import hashed_fields, read_linked
from services.kit.tables import AUDIT_ENTRIES, AUDIT_ROOTS

SUBJECT = "audit"
"""What the roots of an audit log are about (RELAY-ROOTS)."""


async def disclose_log(tx: AsyncConnection, *, tenant: str, source: str) -> list[str]:
    """Return the lines of a municipality's audit log, up to the last entry under a root.

    Args:
        tx: A transaction.
        tenant: The municipality.
        source: The service's name in events, which names the stream of its roots.

    Spec: AUDIT-DISCLOSURE.
    """
    head = {"kind": "audit-log", "tenant": tenant, "service": source, "subject": SUBJECT}
    roots = [
        {"root": "0x" + bytes(row.root).hex(), "first": row.first, "last": row.last}
        for row in await tx.execute(
            select(AUDIT_ROOTS).where(AUDIT_ROOTS.c.tenant == tenant).order_by(AUDIT_ROOTS.c.first)
        )
    ]
    last = max((root["last"] for root in roots), default=0)
    table = AUDIT_ENTRIES
    query = (
        select(table)
        .where(table.c.tenant == tenant, table.c.sequence.between(1, last))
        .order_by(table.c.sequence)
    )
    entries = [hashed_fields(read_linked(row)) for row in await tx.execute(query)]
    named = [
        ("disclosure", head),
        *(("entry", entry) for entry in entries),
        *(("root", root) for root in roots),
    ]
    return [encode_canonical({name: value}).decode() for name, value in named]
