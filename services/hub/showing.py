"""Rows and records as answers, and requests as values: the boundary of the hub's operations."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from clients.hub.requests import write_instant
from clients.identity.binding import PresentedStatement
from clients.identity.lifecycle import find_warning
from node.primitives.types import Address, Signature
from services.hub import addresses, people
from services.hub.attestations import attributes_status
from services.hub.documents import (
    AttributesAnswer,
    BindingAnswer,
    Presented,
    PublicKey,
    SectorAnswer,
    StatusAnswer,
)
from services.hub.people import Person
from services.hub.standing import level_of
from services.hub.statuses import NAMES
from services.kit.envelope import Envelope
from services.kit.events import from_milliseconds
from services.kit.keys import Key, parse_key
from services.kit.problems import Fault, InvalidRequest


def read_address(text: str) -> Address:
    """Return the address a model has checked the form of."""
    return Address(bytes.fromhex(text[2:]))


def read_signature(text: str) -> Signature:
    """Return the signature a model has checked the form of."""
    return Signature(bytes.fromhex(text[2:]))


def read_presented(document: Presented) -> PresentedStatement:
    """Return a presented statement.

    Raises:
        InvalidRequest: Something is no base64.
    """
    signed = document.device_signature
    return PresentedStatement(
        text=document.text.encode(errors="replace"),
        certificate=_read_base64(document.certificate, "/statement/certificate"),
        card_signature=_read_base64(document.card_signature, "/statement/card_signature"),
        device_signature=None if signed is None else read_signature(signed),
    )


def read_key(document: PublicKey) -> Key:
    """Return the key that proofs will be made with.

    Raises:
        UnusableKey: It is no P-256 or Ed25519 key.
    """
    return parse_key(document.model_dump(exclude_none=True))


def read_instant(text: str) -> datetime:
    """Return an instant.

    Raises:
        InvalidRequest: There is no such day or hour.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        fault = Fault(pointer="/issued_at", kind="datetime")
        raise InvalidRequest("no such instant", faults=(fault,)) from error


def show_instant(value_ms: int | None) -> str | None:
    """Return a row's instant as answers have it."""
    return None if value_ms is None else write_instant(from_milliseconds(value_ms))


async def show_device(
    tx: AsyncConnection, device: Any, person: Person, *, envelope: Envelope, now: datetime
) -> BindingAnswer:
    """Show a bound device."""
    label = None
    if device.label is not None:
        context = f"devices.label:{device.binding}"
        opened = await envelope.open(tx, bytes(device.label), tenant=device.tenant, context=context)
        label = opened.decode()
    until_ms = device.grace_until_ms
    standing = person.standing
    grace = show_instant(until_ms)
    if grace is None and standing.grace_until is not None:
        grace = write_instant(standing.grace_until)
    return BindingAnswer(
        binding=device.binding,
        device=f"0x{bytes(device.address).hex()}",
        label=label,
        status=people.device_status(device, standing, now=now),
        bound_at=write_instant(from_milliseconds(device.bound_ms)),
        grace_until=grace,
        method=device.method,
    )


async def show_devices(
    tx: AsyncConnection, person: Person, *, envelope: Envelope, now: datetime
) -> list[BindingAnswer]:
    """Show a person's devices, the newest first."""
    rows = (await people.list_devices(tx, person))[:100]
    return [await show_device(tx, row, person, envelope=envelope, now=now) for row in rows]


def show_status(person: Person, now: datetime) -> StatusAnswer:
    """Show how a person stands."""
    status = person.standing.status_at(now)
    return StatusAnswer(
        status=NAMES[status],
        proofing_level=level_of(status),
        checked_at=write_instant(person.standing.as_of),
        expires_at=write_instant(person.standing.expires_at),
        certificate_ends=None if person.ends_at is None else write_instant(person.ends_at),
        warning_days=None if person.ends_at is None else find_warning(person.ends_at, now),
        attributes=show_attributes(person, now),
    )


def show_attributes(person: Person, now: datetime) -> AttributesAnswer | None:
    """Show how far a person's attributes may be relied on."""
    status = attributes_status(person, now)
    if status is None:
        return None
    assert person.attributes_source is not None
    assert person.attributes_at is not None
    assert person.attributes_expire_at is not None
    return AttributesAnswer(
        status=status.value,
        source=person.attributes_source.value,
        confirmed_at=write_instant(person.attributes_at),
        expires_at=write_instant(person.attributes_expire_at),
    )


def show_sector(row: Any) -> SectorAnswer:
    """Show a sector's address."""
    return SectorAnswer(
        sector=row.sector,
        address=f"0x{bytes(row.address).hex()}",
        state=addresses.state_of(row),
        height=row.height,
    )


def _read_base64(text: str, pointer: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        fault = Fault(pointer=pointer, kind="base64")
        raise InvalidRequest("no base64", faults=(fault,)) from error
