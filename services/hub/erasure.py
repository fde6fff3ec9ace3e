"""Erasing a person: keys destroyed, rows deleted, addresses let go; tombstones for the auditor.

A tombstone is a commitment in the audit log, whose roots the ledger holds. It shows that a key that
once existed is gone, and not whose it was; ``daicho service hub audit verify`` checks them.

Spec: ID-ERASURE.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import delete, or_
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.types import Hash32
from services.hub import addresses
from services.hub.keyring import Keyring
from services.hub.people import Person
from services.hub.settings import HUB
from services.hub.tables import CARDS, CODES, DEVICES, GRANTS, QUERIES, RESIDENTS
from services.kit.audit import AuditEntry, record
from services.kit.envelope import Envelope

ERASED: Final = "resident.erased"
"""Audit action; its entry names nobody."""


async def erase(
    tx: AsyncConnection, person: Person, *, envelope: Envelope, keyring: Keyring, now: datetime
) -> tuple[Hash32, ...]:
    """Erase a person; return the commitments of the keys destroyed.

    Follow it with ``Database.scrub``.

    Spec: ID-ERASURE.
    """
    tenant, reference = person.tenant, person.reference
    for sector in sorted(keyring.sectors):
        if sector == HUB:
            continue
        await addresses.retire(
            tx,
            tenant=tenant,
            sector=sector,
            pseudonym=keyring.name_in(sector, person.id),
            now=now,
            is_erased=True,
        )
    commitments = await envelope.shred(tx, tenant=tenant, person=reference, now=now)
    for table in (CARDS, DEVICES, QUERIES, CODES):
        await tx.execute(
            delete(table).where(table.c.tenant == tenant, table.c.resident == reference)
        )
    await tx.execute(
        delete(GRANTS).where(
            GRANTS.c.tenant == tenant,
            or_(GRANTS.c.principal == reference, GRANTS.c.delegate == reference),
        )
    )
    await tx.execute(
        delete(RESIDENTS).where(RESIDENTS.c.tenant == tenant, RESIDENTS.c.id == reference)
    )
    await record(
        tx,
        AuditEntry(
            tenant=tenant,
            time=now,
            actor=f"service:{HUB}",
            role="service",
            purpose="hub.self",
            action=ERASED,
            subject="",
            detail=f"keys {len(commitments)}",
            after=commitments[0] if commitments else None,
        ),
    )
    return commitments
