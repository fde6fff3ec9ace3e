"""A person's standing carried out: stored, told to linked services, wanted on the ledger.

Every change of a flag passes here: enrolment, the sweep, an event of the resident record.

Spec: ID-STANDING, ID-LIFECYCLE.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.identity.certificate import CertificateKind
from clients.identity.lifecycle import AttributeAction
from services.hub import addresses, people
from services.hub.keyring import Keyring
from services.hub.people import Person
from services.hub.settings import HUB
from services.hub.standing import Standing, compute_standing, level_of
from services.hub.tables import RESIDENTS
from services.kit.audit import AuditEntry, record
from services.kit.envelope import Envelope
from services.kit.events import Event, to_milliseconds
from services.kit.outbox import publish

STATUS_CHANGED: Final = "jp.daicho.hub.{sector}.status-changed.v1"
"""Type of the event that tells a sector's services of a change."""

NAMES: Final = (
    "verified",
    "attributes-unconfirmed",
    "grace",
    "downgraded",
    "suspended",
    "removed",
    "expired",
)
"""How statuses read outside, in the order of ``FlagStatus``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statuses:
    """Computes and carries out standings."""

    envelope: Envelope
    """Opens what is kept of certificates."""
    keyring: Keyring
    """Names people in sectors."""
    source: str
    """The hub, as in its events."""
    told_sectors: Sequence[str] = ()
    """Sectors whose services hear of changes."""

    async def renew(
        self,
        tx: AsyncConnection,
        person: Person,
        *,
        now: datetime,
        vouched: Mapping[bytes, datetime],
        as_of: datetime | None = None,
    ) -> Standing:
        """Compute a person's standing anew and carry it out.

        Args:
            tx: The transaction.
            person: Whose.
            now: The present.
            vouched: When an authority last spoke of a certificate, by its place.
            as_of: Word of a provider; for people without a card.

        Spec: ID-STANDING.
        """
        cards = await people.load_cards(tx, person, envelope=self.envelope)
        facts = [card.facts(vouched_at=vouched.get(card.place)) for card in cards]
        before = person.standing
        standing = compute_standing(
            facts, event=person.event, as_of=max(before.as_of, as_of or before.as_of), now=now
        )
        ends = [
            card.reference.not_after
            for card in cards
            if card.reference.kind is CertificateKind.AUTHENTICATION
        ]
        await people.save_standing(tx, person, standing, ends_at=min(ends, default=None))
        await self._settle_attributes(tx, person, standing, now=now)
        await addresses.spread(
            tx,
            tenant=person.tenant,
            resident_id=person.id,
            standing=standing,
            keyring=self.keyring,
            now=now,
        )
        if standing.status is not before.status or standing.devices is not before.devices:
            await self._tell(tx, person, standing, now=now)
        return standing

    async def _settle_attributes(
        self, tx: AsyncConnection, person: Person, standing: Standing, *, now: datetime
    ) -> None:
        if person.attributes_source is None:
            return
        values: dict[str, Any] = {}
        if standing.attributes is AttributeAction.DELETE:
            await self.envelope.shred(
                tx,
                tenant=person.tenant,
                person=person.reference,
                purposes=[people.ATTRIBUTES_PURPOSE],
                now=now,
            )
            values = dict.fromkeys(
                (
                    "attributes",
                    "attributes_source",
                    "attributes_ms",
                    "attributes_expire_ms",
                    "attributes_stale_ms",
                    "attributes_place",
                )
            )
        elif standing.attributes is AttributeAction.STALE and person.attributes_stale_at is None:
            values = {"attributes_stale_ms": to_milliseconds(now)}
        if values:
            table = RESIDENTS
            await tx.execute(
                update(table)
                .where(table.c.tenant == person.tenant, table.c.id == person.reference)
                .values(**values)
            )

    async def _tell(
        self, tx: AsyncConnection, person: Person, standing: Standing, *, now: datetime
    ) -> None:
        """Tell of a change: linked services, each by its own name of the person; the audit log."""
        for sector in self.told_sectors:
            name = self.keyring.name_in(sector, person.id).hex()
            event = Event(
                id=f"status:{name}:{to_milliseconds(now)}",
                source=self.source,
                type=STATUS_CHANGED.format(sector=sector),
                subject=f"resident:{name}",
                tenant=person.tenant,
                time=now,
                data={
                    "sub": name,
                    "status": NAMES[standing.status],
                    "proofing_level": level_of(standing.status),
                },
            )
            await publish(tx, event)
        entry = AuditEntry(
            tenant=person.tenant,
            time=now,
            actor=f"service:{HUB}",
            role="service",
            purpose="hub.status",
            action="status.changed",
            subject=person.name,
            detail=NAMES[standing.status],
        )
        await record(tx, entry)
