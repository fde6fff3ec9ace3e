"""The four attributes of a person: sealed, dated, with their source, never indexed or published.

Spec: ID-ATTESTATION, ID-HUB-STORE.
"""

from datetime import date, datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.identity.attributes import (
    AttributesAttestation,
    AttributesSource,
    AttributesStatus,
    FourAttributes,
    Sex,
)
from node.primitives.canonical import encode_canonical
from node.primitives.errors import InvariantViolation
from node.primitives.json_text import decode_json
from services.hub.keyring import Keyring
from services.hub.people import ATTRIBUTES_PURPOSE, Person
from services.hub.tables import RESIDENTS
from services.kit.envelope import Envelope, Owner
from services.kit.events import to_milliseconds


class AttributesDamaged(InvariantViolation):
    """Sealed attributes that this program did not write."""

    code = "hub.attributes_damaged"


async def save_attributes(
    tx: AsyncConnection,
    person: Person,
    attestation: AttributesAttestation,
    *,
    envelope: Envelope,
    keyring: Keyring,
    now: datetime,
) -> None:
    """Keep a confirmation of a person's attributes, in place of an earlier one.

    By name and date of birth a person is found only whose signing certificate said them.

    Spec: ID-RECORD-EVENT.
    """
    born, place = attestation.attributes.birth_date, None
    if attestation.source is AttributesSource.SIGNING_CERTIFICATE and born is not None:
        place = keyring.find_attributes(attestation.attributes.name, born.isoformat())
    owner = Owner(tenant=person.tenant, person=person.reference, purpose=ATTRIBUTES_PURPOSE)
    sealed = await envelope.seal(
        tx, owner, _encode(attestation.attributes), context=_context(person), now=now
    )
    stale = attestation.stale_since
    await tx.execute(
        update(RESIDENTS)
        .where(RESIDENTS.c.tenant == person.tenant, RESIDENTS.c.id == person.reference)
        .values(
            attributes=sealed,
            attributes_source=attestation.source.value,
            attributes_ms=to_milliseconds(attestation.confirmed_at),
            attributes_expire_ms=to_milliseconds(attestation.expires_at),
            attributes_stale_ms=None if stale is None else to_milliseconds(stale),
            attributes_place=place,
        )
    )


async def load_attributes(
    tx: AsyncConnection, person: Person, *, envelope: Envelope
) -> FourAttributes | None:
    """Return a person's attributes, None when none are kept."""
    query = select(RESIDENTS.c.attributes).where(
        RESIDENTS.c.tenant == person.tenant, RESIDENTS.c.id == person.reference
    )
    sealed = (await tx.execute(query)).scalar()
    if sealed is None:
        return None
    data = await envelope.open(tx, bytes(sealed), tenant=person.tenant, context=_context(person))
    return _decode(data)


def attributes_status(person: Person, now: datetime) -> AttributesStatus | None:
    """Return how far a person's attributes may be relied on, None when there are none.

    Spec: ID-ATTESTATION.
    """
    if (
        person.attributes_source is None
        or person.attributes_at is None
        or person.attributes_expire_at is None
    ):
        return None
    nobody = FourAttributes(name="", birth_date=None, sex=Sex.UNKNOWN, address="")
    return AttributesAttestation(
        attributes=nobody,
        source=person.attributes_source,
        confirmed_at=person.attributes_at,
        expires_at=person.attributes_expire_at,
        stale_since=person.attributes_stale_at,
    ).status_at(now)


def _encode(attributes: FourAttributes) -> bytes:
    born = attributes.birth_date
    return encode_canonical(
        {
            "name": attributes.name,
            "birth_date": "" if born is None else born.isoformat(),
            "sex": attributes.sex.value,
            "address": attributes.address,
            "name_substitutes": list(attributes.name_substitutes),
            "address_substitutes": list(attributes.address_substitutes),
        }
    )


def _decode(data: bytes) -> FourAttributes:
    fields = decode_json(data)
    if not isinstance(fields, dict):
        raise AttributesDamaged("attributes: no object")
    return FourAttributes(
        name=fields["name"],
        birth_date=date.fromisoformat(fields["birth_date"]) if fields["birth_date"] else None,
        sex=Sex(fields["sex"]),
        address=fields["address"],
        name_substitutes=tuple(fields["name_substitutes"]),
        address_substitutes=tuple(fields["address_substitutes"]),
    )


def _context(person: Person) -> str:
    return f"residents.attributes:{person.reference}"
