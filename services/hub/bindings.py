"""What a card or a provider may do with proven statements: enrol, bind, replace, stop.

A statement is proven before the transaction, which then acts once: it marks the challenge used and
binds in one go.

Spec: ID-BIND, ID-REBIND.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.identity.attributes import FourAttributes, decode_attributes
from clients.identity.certificate import decode_certificate
from clients.identity.commitment import DeviceCommitment
from clients.identity.lifecycle import DeviceAction, FlagStatus
from node.primitives.canonical import encode_canonical
from node.primitives.errors import InvalidInput
from services.hub import people
from services.hub.attestations import load_attributes
from services.hub.keyring import Keyring
from services.hub.names import Names
from services.hub.people import NewDevice, Person
from services.hub.refusals import (
    BindingUnknown,
    DeviceTaken,
    NotEnrolled,
    OtherResident,
    ResidentStopped,
    TooManyDevices,
    refuse_statement,
)
from services.hub.standing import compute_standing
from services.hub.statements import Proven, Statements
from services.hub.statuses import Statuses
from services.hub.tables import SECTOR_ADDRESSES
from services.kit.audit import AuditEntry, record
from services.kit.database import Database
from services.kit.envelope import Envelope
from services.kit.events import to_milliseconds

NOTICE_PERIOD: Final = timedelta(days=7)
"""How long a device goes on that another takes the place of."""

_STOPPED: Final = (FlagStatus.SUSPENDED, FlagStatus.REMOVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A device that was bound."""

    person: Person
    """For whom."""
    binding: str
    """Id of the binding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bindings:
    """Acts on statements and on a provider's word."""

    database: Database
    """The hub's database."""
    statements: Statements
    """Asks for statements and proves them."""
    envelope: Envelope
    """Seals what is kept."""
    keyring: Keyring
    """Finds people."""
    statuses: Statuses
    """Carries standings out."""
    names: Names
    """Finds people by pseudonyms of sectors."""

    async def bind(
        self,
        proven: Proven,
        *,
        tenant: str,
        label: str | None,
        now: datetime,
        attributes: Proven | None = None,
    ) -> Bound:
        """Bind the device that a statement names; the first of a card enrols its holder.

        Raises:
            StatementRefused: The challenge was used meanwhile.
            OtherResident: The binding named is somebody else's.
            DeviceTaken: The device's address was used before.
            TooManyDevices: The resident has too many.
            ResidentStopped: The resident is suspended or removed.

        Spec: ID-BIND, ID-REBIND.
        """
        work = partial(
            self._bind, proven=proven, tenant=tenant, label=label, now=now, attributes=attributes
        )
        try:
            return await self.database.transact(work)
        except IntegrityError as error:
            raise DeviceTaken("device: bound meanwhile") from error

    async def _bind(
        self,
        tx: AsyncConnection,
        *,
        proven: Proven,
        tenant: str,
        label: str | None,
        now: datetime,
        attributes: Proven | None,
    ) -> Bound:
        await self.statements.use(tx, proven, tenant=tenant, now=now)
        statement = proven.statement
        assert statement.device is not None
        person = await people.find_by_place(tx, tenant=tenant, place=proven.place)
        if statement.binding_id is not None:
            if attributes is not None:
                await self.statements.use(tx, attributes, tenant=tenant, now=now)
            person = await self._rebind(tx, person, proven, attributes, tenant=tenant, now=now)
        elif person is None:
            if await people.is_known_place(tx, tenant=tenant, place=proven.place):
                raise OtherResident("card: another one took its place")
            person = await self._enrol(tx, proven, tenant=tenant, now=now)
        person = await self._confirm(tx, person, proven, now=now)
        device = NewDevice(
            address=statement.device,
            record_key_hash=statement.record_key_hash,
            label=label,
            evidence=_evidence_of(proven),
            method="card",
        )
        return await self._add_device(tx, person, device, now=now)

    async def _enrol(
        self, tx: AsyncConnection, proven: Proven, *, tenant: str, now: datetime
    ) -> Person:
        standing = compute_standing((), event=None, as_of=proven.good.as_of, now=now)
        person = await people.create_person(
            tx, tenant=tenant, method="card", standing=standing, keyring=self.keyring
        )
        self.names.note(person)
        await self._keep_card(tx, person, proven, now=now)
        await self.note(tx, person, "resident.enrolled", now=now)
        return person

    async def _keep_card(
        self, tx: AsyncConnection, person: Person, proven: Proven, *, now: datetime
    ) -> None:
        await people.add_card(
            tx,
            person,
            place=proven.place,
            reference=proven.reference,
            envelope=self.envelope,
            now=now,
        )

    async def _confirm(
        self, tx: AsyncConnection, person: Person, proven: Proven, *, now: datetime
    ) -> Person:
        """Renew the flag by the authority's word.

        Raises:
            ResidentStopped: The person is suspended or removed all the same.
        """
        vouched = {bytes(proven.place): proven.good.as_of}
        standing = await self.statuses.renew(tx, person, now=now, vouched=vouched)
        if standing.status in _STOPPED:
            raise ResidentStopped("resident: suspended or removed")
        found = await people.load_person(tx, tenant=person.tenant, reference=person.reference)
        assert found is not None
        return found

    async def _rebind(
        self,
        tx: AsyncConnection,
        holder: Person | None,
        proven: Proven,
        attributes: Proven | None,
        *,
        tenant: str,
        now: datetime,
    ) -> Person:
        """Return whose earlier binding is named, and put that device on notice.

        A card not known yet takes the place of the person's old one, if that is over and both show
        the same name and birth date.

        Spec: ID-REBIND.
        """
        assert proven.statement.binding_id is not None
        binding = proven.statement.binding_id.hex()
        device = await people.find_device(tx, tenant=tenant, binding=binding)
        person = None
        if device is not None:
            person = await people.load_person(tx, tenant=tenant, reference=device.resident)
        if person is None or device is None:
            raise OtherResident("binding: not this person's")
        if holder is not None and holder.id != person.id:
            raise OtherResident("binding: not this person's")
        if holder is None:
            await self._replace_card(tx, person, proven, attributes, now=now)
        until_ms = to_milliseconds(now + NOTICE_PERIOD)
        if device.revoked_ms is None and device.grace_until_ms is None:
            await people.change_device(tx, tenant=tenant, binding=binding, grace_until_ms=until_ms)
        return person

    async def _replace_card(
        self,
        tx: AsyncConnection,
        person: Person,
        proven: Proven,
        attributes: Proven | None,
        *,
        now: datetime,
    ) -> None:
        is_over = person.standing.devices is not DeviceAction.KEEP and person.event is None
        shown = None if attributes is None else _attributes_of(attributes)
        held = await load_attributes(tx, person, envelope=self.envelope)
        is_same = (
            shown is not None
            and held is not None
            and (shown.name, shown.birth_date) == (held.name, held.birth_date)
            and held.birth_date is not None
        )
        if not (is_over and is_same):
            raise OtherResident("card: cannot be told to be the same person's")
        if await people.is_known_place(tx, tenant=person.tenant, place=proven.place):
            raise OtherResident("card: somebody else's")
        await self._keep_card(tx, person, proven, now=now)
        assert attributes is not None
        await self._keep_card(tx, person, attributes, now=now)
        await self.note(tx, person, "card.replaced", now=now)

    async def _add_device(
        self, tx: AsyncConnection, person: Person, device: NewDevice, *, now: datetime
    ) -> Bound:
        """Bind a device.

        Raises:
            DeviceTaken: Its address was used before, as a device's or on the ledger.
            TooManyDevices: The person has too many.

        Spec: ID-BIND.
        """
        tenant, address = person.tenant, device.address
        on_ledger = select(SECTOR_ADDRESSES.c.sector).where(
            SECTOR_ADDRESSES.c.tenant == tenant, SECTOR_ADDRESSES.c.address == address
        )
        known = await people.find_device_by_address(tx, tenant=tenant, address=address)
        if known is not None or (await tx.execute(on_ledger)).scalar() is not None:
            raise DeviceTaken("device: its address was used before")
        living = [
            each
            for each in await people.list_devices(tx, person)
            if people.device_status(each, person.standing, now=now) != "revoked"
        ]
        if len(living) >= people.DEVICES_MAX:
            raise TooManyDevices("devices: too many", maximum=people.DEVICES_MAX)
        binding = await people.add_device(tx, person, device, envelope=self.envelope, now=now)
        await self.note(tx, person, "device.bound", now=now, detail=device.method)
        return Bound(person=person, binding=binding)

    async def bind_by_provider(
        self,
        *,
        tenant: str,
        issuer: str,
        subject: str,
        commitment: DeviceCommitment,
        evidence: bytes,
        authenticated_at: datetime,
        label: str | None,
        now: datetime,
    ) -> Bound:
        """Bind a device by the word of an OpenID provider, whose ID token the caller has verified.

        Args:
            tenant: Municipality.
            issuer: The provider.
            subject: Its name of the person for this hub.
            commitment: What the nonce committed to; opened and signed for by the device.
            evidence: The ID token, to be kept sealed.
            authenticated_at: When the provider saw the card.
            label: What the owner calls the device.
            now: The present.

        Raises:
            DeviceTaken: The device's address was used before.
            TooManyDevices: The resident has too many.
            ResidentStopped: The resident is suspended or removed.

        Spec: ID-BIND.
        """
        place = self.keyring.find_provider(issuer, subject)
        as_of = min(authenticated_at, now)

        async def work(tx: AsyncConnection) -> Bound:
            person = await people.find_by_place(tx, tenant=tenant, place=place)
            if person is None:
                standing = compute_standing((), event=None, as_of=as_of, now=now)
                person = await people.create_person(
                    tx, tenant=tenant, method="provider", standing=standing, keyring=self.keyring
                )
                self.names.note(person)
                await people.add_provider(tx, person, place=place)
                await self.note(tx, person, "resident.enrolled", now=now)
            standing = await self.statuses.renew(tx, person, now=now, vouched={}, as_of=as_of)
            if standing.status in _STOPPED:
                raise ResidentStopped("resident: suspended or removed")
            device = NewDevice(
                address=commitment.device,
                record_key_hash=commitment.record_key_hash,
                label=label,
                evidence=evidence,
                method="provider",
            )
            return await self._add_device(tx, person, device, now=now)

        try:
            return await self.database.transact(work)
        except IntegrityError as error:
            raise DeviceTaken("device: bound meanwhile") from error

    async def log_in(self, proven: Proven, *, tenant: str, now: datetime) -> Person:
        """Return who holds a card; renews the flag.

        Raises:
            NotEnrolled: Nobody is known by it.
            ResidentStopped: The person is suspended or removed.
        """

        async def work(tx: AsyncConnection) -> Person:
            await self.statements.use(tx, proven, tenant=tenant, now=now)
            person = await people.find_by_place(tx, tenant=tenant, place=proven.place)
            if person is None:
                raise NotEnrolled("card: nobody known by it")
            return await self._confirm(tx, person, proven, now=now)

        return await self.database.transact(work)

    async def revoke_by_card(self, proven: Proven, *, tenant: str, now: datetime) -> Bound:
        """Stop the device of the binding that a statement names.

        Raises:
            BindingUnknown: The holder of the card has no such binding.
        """

        async def work(tx: AsyncConnection) -> Bound:
            await self.statements.use(tx, proven, tenant=tenant, now=now)
            person = await people.find_by_place(tx, tenant=tenant, place=proven.place)
            if person is None or proven.statement.binding_id is None:
                raise BindingUnknown("binding: not this person's")
            binding = proven.statement.binding_id.hex()
            await self.revoke(tx, person, binding, now=now)
            return Bound(person=person, binding=binding)

        return await self.database.transact(work)

    async def revoke(
        self, tx: AsyncConnection, person: Person, binding: str, *, now: datetime
    ) -> None:
        """Stop a person's device for good; repeating it changes nothing.

        Raises:
            BindingUnknown: The person has no such binding.
        """
        device = await people.find_device(tx, tenant=person.tenant, binding=binding)
        if device is None or device.resident != person.reference:
            raise BindingUnknown("binding: not this person's")
        if device.revoked_ms is None:
            await people.change_device(
                tx, tenant=person.tenant, binding=binding, revoked_ms=to_milliseconds(now)
            )
            await self.note(tx, person, "device.revoked", now=now)

    async def note(
        self,
        tx: AsyncConnection,
        person: Person,
        action: str,
        *,
        now: datetime,
        detail: str = "",
    ) -> None:
        """Write an audit entry about what a person did here."""
        entry = AuditEntry(
            tenant=person.tenant,
            time=now,
            actor=f"resident:{person.name}",
            role="resident",
            purpose="hub.self",
            action=action,
            subject=person.name,
            detail=detail,
        )
        await record(tx, entry)


def _evidence_of(proven: Proven) -> bytes:
    """Return what proves later that the holder asked for a binding; without the certificate."""
    signature = proven.presented.device_signature
    return encode_canonical(
        {
            "text": proven.presented.text.decode(),
            "card_signature": proven.presented.card_signature.hex(),
            "device_signature": "" if signature is None else signature.hex(),
            "key": proven.reference.key_hash.hex(),
        }
    )


def _attributes_of(proven: Proven) -> FourAttributes:
    """Return the attributes in the certificate that signed.

    Raises:
        StatementRefused: They do not decode.
    """
    try:
        return decode_attributes(decode_certificate(proven.presented.certificate))
    except InvalidInput as error:
        raise refuse_statement(error.rule or "ID-ATTRIBUTES") from error
