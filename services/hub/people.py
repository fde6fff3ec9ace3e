"""People, their certificates and devices: rows in, records out.

Whose row it is says a random id of 16 bytes. What could lead to a card or shows a habit of a person
is sealed under a key of that person, so erasing is destroying the key.

Spec: ID-HUB-STORE.
"""

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.identity.attributes import AttributesSource
from clients.identity.lifecycle import AttributeAction, DeviceAction, FlagStatus, RecordEvent
from clients.identity.pseudonym import RESIDENT_ID_SIZE, CardIndex, ResidentId
from clients.identity.reference import CertificateReference, decode_reference, encode_reference
from clients.identity.revocation import RevocationReason
from node.primitives.types import Address
from services.hub.keyring import Keyring
from services.hub.settings import HUB
from services.hub.standing import CertificateFacts, Standing
from services.hub.tables import CARDS, DEVICES, RESIDENTS
from services.kit.envelope import Envelope, Owner
from services.kit.events import from_milliseconds, to_milliseconds

CARD_PURPOSE: Final = "hub.card"
DEVICE_PURPOSE: Final = "hub.device"
ATTRIBUTES_PURPOSE: Final = "hub.attributes"
GRANT_PURPOSE: Final = "hub.grant"

DEVICES_MAX: Final = 10
"""Devices of one person that are not revoked."""

NAMESAKES_MAX: Final = 20
"""People of equal name and date of birth that are told apart by their addresses."""

REFERENCES_READ: Final = 1_000
"""Ids read at a time by who goes through everybody at once."""

PROVIDER: Final = "provider"
"""Kind of a row of ``cards`` that stands for an OpenID provider's subject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A resident as the hub knows one."""

    tenant: str
    """Municipality."""
    id: ResidentId
    """Random."""
    name: str
    """The hub's own pseudonym, in hexadecimal; the ``sub`` of its tokens for itself."""
    method: str
    """How the person was identified: ``card`` or ``provider``."""
    standing: Standing
    """As last computed."""
    ends_at: datetime | None
    """End of the current authentication certificate."""
    event: RecordEvent | None
    """What the resident record told."""
    attributes_source: AttributesSource | None
    """Where the attributes came from; None when there are none."""
    attributes_at: datetime | None
    """When they were confirmed."""
    attributes_expire_at: datetime | None
    """Until when they are relied on."""
    attributes_stale_at: datetime | None
    """Since when something speaks against them."""

    @property
    def reference(self) -> str:
        """Return how rows and keys name the person."""
        return self.id.hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A certificate of a person."""

    place: bytes
    """Its keyed index."""
    reference: CertificateReference
    """What is kept of it."""
    reason: RevocationReason | None
    """Why it is revoked."""
    revoked_at: datetime | None
    """Since when."""

    def facts(self, *, vouched_at: datetime | None = None) -> CertificateFacts:
        """Return what a standing is computed from."""
        return CertificateFacts(
            kind=self.reference.kind,
            not_after=self.reference.not_after,
            reason=self.reason,
            revoked_at=self.revoked_at,
            vouched_at=vouched_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDevice:
    """A device about to be bound."""

    address: Address
    """Of its key."""
    record_key_hash: bytes | None
    """Hash of its public record key."""
    label: str | None
    """What its owner calls it."""
    evidence: bytes
    """What it was bound by: the signed statement, or the provider's word."""
    method: str
    """``card`` or ``provider``."""


async def load_person(tx: AsyncConnection, *, tenant: str, reference: str) -> Person | None:
    """Return a person by id, None when there is none."""
    table = RESIDENTS
    query = select(table).where(table.c.tenant == tenant, table.c.id == reference)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _person_of(row)


async def find_by_name(tx: AsyncConnection, *, tenant: str, name: str) -> Person | None:
    """Return a person by the hub's own pseudonym."""
    table = RESIDENTS
    query = select(table).where(table.c.tenant == tenant, table.c.name == name)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _person_of(row)


async def find_by_place(tx: AsyncConnection, *, tenant: str, place: bytes) -> Person | None:
    """Return the person whose current certificate or provider's subject is found at ``place``."""
    query = select(CARDS.c.resident).where(
        CARDS.c.tenant == tenant, CARDS.c.place == place, CARDS.c.is_current
    )
    reference = (await tx.execute(query)).scalar()
    return None if reference is None else await load_person(tx, tenant=tenant, reference=reference)


async def find_by_attributes(tx: AsyncConnection, *, tenant: str, place: bytes) -> list[Person]:
    """Return who confirmed attributes that are found at ``place``, at most a few."""
    query = (
        select(RESIDENTS)
        .where(RESIDENTS.c.tenant == tenant, RESIDENTS.c.attributes_place == place)
        .order_by(RESIDENTS.c.id)
        .limit(NAMESAKES_MAX)
    )
    return [_person_of(row) for row in await tx.execute(query)]


async def list_references(
    tx: AsyncConnection, *, tenant: str, after: str, count: int
) -> Sequence[str]:
    """Return the ids of people in order, for work that goes through everybody."""
    query = (
        select(RESIDENTS.c.id)
        .where(RESIDENTS.c.tenant == tenant, RESIDENTS.c.id > after)
        .order_by(RESIDENTS.c.id)
        .limit(count)
    )
    return (await tx.execute(query)).scalars().all()


async def iterate_references(tx: AsyncConnection, *, tenant: str) -> AsyncIterator[str]:
    """Yield the id of everybody, read page by page."""
    after = ""
    while page := await list_references(tx, tenant=tenant, after=after, count=REFERENCES_READ):
        for reference in page:
            yield reference
        after = page[-1]


async def create_person(
    tx: AsyncConnection, *, tenant: str, method: str, standing: Standing, keyring: Keyring
) -> Person:
    """Enrol somebody under a new random id."""
    resident_id = ResidentId(secrets.token_bytes(RESIDENT_ID_SIZE))
    name = keyring.name_in(HUB, resident_id).hex()
    await tx.execute(
        insert(RESIDENTS).values(
            tenant=tenant, id=resident_id.hex(), name=name, method=method, **_columns(standing)
        )
    )
    found = await load_person(tx, tenant=tenant, reference=resident_id.hex())
    assert found is not None
    return found


async def save_standing(
    tx: AsyncConnection, person: Person, standing: Standing, *, ends_at: datetime | None
) -> None:
    """Note how a person stands."""
    values = {
        **_columns(standing),
        "ends_ms": None if ends_at is None else to_milliseconds(ends_at),
    }
    await tx.execute(_update(person).values(**values))


async def save_event(tx: AsyncConnection, person: Person, event: RecordEvent) -> None:
    """Note what the resident record told."""
    await tx.execute(_update(person).values(event=event.value))


async def add_card(
    tx: AsyncConnection,
    person: Person,
    *,
    place: CardIndex,
    reference: CertificateReference,
    envelope: Envelope,
    now: datetime,
) -> None:
    """Keep a certificate as the person's current one of its kind, in place of an older one."""
    await tx.execute(
        update(CARDS)
        .where(
            CARDS.c.tenant == person.tenant,
            CARDS.c.resident == person.reference,
            CARDS.c.kind == reference.kind.value,
        )
        .values(is_current=False)
    )
    await tx.execute(
        delete(CARDS).where(
            CARDS.c.tenant == person.tenant,
            CARDS.c.place == place,
            CARDS.c.resident == person.reference,
        )
    )
    sealed = await envelope.seal(
        tx,
        Owner(tenant=person.tenant, person=person.reference, purpose=CARD_PURPOSE),
        encode_reference(reference),
        context=_card_context(place),
        now=now,
    )
    await tx.execute(
        insert(CARDS).values(
            tenant=person.tenant,
            place=place,
            resident=person.reference,
            kind=reference.kind.value,
            reference=sealed,
            is_current=True,
        )
    )


async def is_known_place(tx: AsyncConnection, *, tenant: str, place: bytes) -> bool:
    """Tell whether a certificate was ever somebody's here."""
    query = select(CARDS.c.resident).where(CARDS.c.tenant == tenant, CARDS.c.place == place)
    return (await tx.execute(query)).scalar() is not None


async def add_provider(tx: AsyncConnection, person: Person, *, place: bytes) -> None:
    """Keep where a person is found whom an OpenID provider knows."""
    await tx.execute(
        insert(CARDS).values(
            tenant=person.tenant,
            place=place,
            resident=person.reference,
            kind=PROVIDER,
            reference=None,
            is_current=True,
        )
    )


async def load_cards(tx: AsyncConnection, person: Person, *, envelope: Envelope) -> list[Card]:
    """Return a person's current certificates."""
    query = select(CARDS).where(
        CARDS.c.tenant == person.tenant,
        CARDS.c.resident == person.reference,
        CARDS.c.is_current,
        CARDS.c.reference.is_not(None),
    )
    cards = []
    for row in (await tx.execute(query.order_by(CARDS.c.place))).all():
        place = bytes(row.place)
        data = await envelope.open(
            tx, bytes(row.reference), tenant=person.tenant, context=_card_context(place)
        )
        cards.append(
            Card(
                place=place,
                reference=decode_reference(data),
                reason=None if row.reason is None else RevocationReason(row.reason),
                revoked_at=_instant(row.revoked_ms),
            )
        )
    return cards


async def save_revocation(
    tx: AsyncConnection, person: Person, card: Card, *, reason: RevocationReason, at: datetime
) -> None:
    """Note that a certificate is revoked."""
    await tx.execute(
        update(CARDS)
        .where(CARDS.c.tenant == person.tenant, CARDS.c.place == card.place)
        .values(reason=int(reason), revoked_ms=to_milliseconds(at))
    )


async def add_device(
    tx: AsyncConnection, person: Person, device: NewDevice, *, envelope: Envelope, now: datetime
) -> str:
    """Bind a device; return the binding's id."""
    binding = secrets.token_hex(16)
    owner = Owner(tenant=person.tenant, person=person.reference, purpose=DEVICE_PURPOSE)
    label = None
    if device.label is not None:
        label = await seal_label(tx, person, binding, device.label, envelope=envelope, now=now)
    evidence = await envelope.seal(
        tx, owner, device.evidence, context=f"devices.evidence:{binding}", now=now
    )
    await tx.execute(
        insert(DEVICES).values(
            tenant=person.tenant,
            binding=binding,
            resident=person.reference,
            address=device.address,
            record_key_hash=device.record_key_hash,
            label=label,
            evidence=evidence,
            method=device.method,
            bound_ms=to_milliseconds(now),
        )
    )
    return binding


async def seal_label(
    tx: AsyncConnection,
    person: Person,
    binding: str,
    label: str,
    *,
    envelope: Envelope,
    now: datetime,
) -> bytes:
    """Return a device's label, sealed for its owner."""
    owner = Owner(tenant=person.tenant, person=person.reference, purpose=DEVICE_PURPOSE)
    return await envelope.seal(
        tx, owner, label.encode(), context=f"devices.label:{binding}", now=now
    )


async def list_devices(tx: AsyncConnection, person: Person) -> Sequence[Any]:
    """Return a person's devices, the newest first."""
    query = (
        select(DEVICES)
        .where(DEVICES.c.tenant == person.tenant, DEVICES.c.resident == person.reference)
        .order_by(DEVICES.c.bound_ms.desc(), DEVICES.c.binding)
    )
    return (await tx.execute(query)).all()


async def find_device(tx: AsyncConnection, *, tenant: str, binding: str) -> Any | None:
    """Return a device by its binding, None when there is none."""
    query = select(DEVICES).where(DEVICES.c.tenant == tenant, DEVICES.c.binding == binding)
    return (await tx.execute(query)).one_or_none()


async def find_device_by_address(
    tx: AsyncConnection, *, tenant: str, address: Address
) -> Any | None:
    """Return a device by its key's address, None when there is none."""
    query = select(DEVICES).where(DEVICES.c.tenant == tenant, DEVICES.c.address == address)
    return (await tx.execute(query)).one_or_none()


async def change_device(tx: AsyncConnection, *, tenant: str, binding: str, **values: Any) -> None:
    """Change columns of a device."""
    await tx.execute(
        update(DEVICES)
        .where(DEVICES.c.tenant == tenant, DEVICES.c.binding == binding)
        .values(**values)
    )


def device_status(device: Any, standing: Standing, *, now: datetime) -> str:
    """Return what a device may do now, of its own and by its owner's standing.

    Spec: ID-STANDING.
    """
    now_ms = to_milliseconds(now)
    is_over = device.grace_until_ms is not None and now_ms >= device.grace_until_ms
    if device.revoked_ms is not None or is_over:
        return "revoked"
    match standing.devices:
        case DeviceAction.REVOKE:
            return "revoked"
        case DeviceAction.SUSPEND:
            return "suspended"
        case DeviceAction.CARD_ONLY:
            return "card-only"
        case DeviceAction.GRACE:
            return "grace"
        case _:
            return "active" if device.grace_until_ms is None else "grace"


def _person_of(row: Any) -> Person:
    return Person(
        tenant=row.tenant,
        id=ResidentId(bytes.fromhex(row.id)),
        name=row.name,
        method=row.method,
        standing=Standing(
            status=FlagStatus(row.status),
            devices=DeviceAction(row.devices),
            attributes=AttributeAction(row.attribute_action),
            as_of=from_milliseconds(row.as_of_ms),
            expires_at=from_milliseconds(row.expires_ms),
            grace_until=_instant(row.grace_until_ms),
        ),
        ends_at=_instant(row.ends_ms),
        event=None if row.event is None else RecordEvent(row.event),
        attributes_source=None
        if row.attributes_source is None
        else AttributesSource(row.attributes_source),
        attributes_at=_instant(row.attributes_ms),
        attributes_expire_at=_instant(row.attributes_expire_ms),
        attributes_stale_at=_instant(row.attributes_stale_ms),
    )


def _columns(standing: Standing) -> dict[str, Any]:
    grace = standing.grace_until
    return {
        "status": int(standing.status),
        "devices": int(standing.devices),
        "attribute_action": int(standing.attributes),
        "as_of_ms": to_milliseconds(standing.as_of),
        "expires_ms": to_milliseconds(standing.expires_at),
        "grace_until_ms": None if grace is None else to_milliseconds(grace),
    }


def _update(person: Person) -> Any:
    return update(RESIDENTS).where(
        RESIDENTS.c.tenant == person.tenant, RESIDENTS.c.id == person.reference
    )


def _card_context(place: bytes) -> str:
    return f"cards.reference:{place.hex()}"


def _instant(value: int | None) -> datetime | None:
    return None if value is None else from_milliseconds(value)


def read_reference(reference: str) -> ResidentId:
    """Return the id that a row's reference writes."""
    return ResidentId(bytes.fromhex(reference))
