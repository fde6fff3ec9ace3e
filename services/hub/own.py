"""What a resident does with the own record: look, change, register addresses, be erased."""

from datetime import date, datetime
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from clients.identity.attributes import (
    AttributesAttestation,
    AttributesSource,
    FourAttributes,
    MalformedAttributes,
    Sex,
    attest_attributes,
    decode_attributes,
)
from clients.identity.certificate import decode_certificate
from clients.identity.statement import Purpose
from services.hub import addresses, people
from services.hub.addresses import Windows
from services.hub.attestations import load_attributes, save_attributes
from services.hub.bindings import Bindings
from services.hub.documents import (
    AttributesAnswer,
    BindingAnswer,
    DevicesAnswer,
    ErasureAnswer,
    ErasureRequest,
    ExportAnswer,
    LabelRequest,
    QueriesAnswer,
    SectorAnswer,
    SectorRequest,
    SectorsAnswer,
    StatementRequest,
    StatusAnswer,
    TextAttributes,
)
from services.hub.erasure import erase
from services.hub.grants import list_grants, show_grant
from services.hub.history import list_queries
from services.hub.issuing import SECTOR_AGE_MAX, SELF, SectorClaim, is_recent, is_signed_by
from services.hub.people import Person
from services.hub.refusals import (
    AddressTaken,
    BindingUnknown,
    OtherResident,
    RequestRefused,
    ResidentStopped,
    StatementRefused,
    UnknownPerson,
    UnknownSector,
)
from services.hub.settings import HUB
from services.hub.showing import (
    read_address,
    read_instant,
    read_presented,
    read_signature,
    show_attributes,
    show_device,
    show_devices,
    show_sector,
    show_status,
)
from services.hub.standing import level_of
from services.hub.statements import Proven
from services.kit.auth import Resident
from services.kit.operations import Call, operation
from services.kit.problems import Fault, InvalidRequest


class Own:
    """The handlers and what they need."""

    def __init__(self, bindings: Bindings, windows: Windows) -> None:
        """Hold it."""
        self._bindings = bindings
        self._database = bindings.database
        self._envelope = bindings.envelope
        self._keyring = bindings.keyring
        self._windows = windows

    @operation(
        "GET",
        "/status",
        purpose=SELF,
        response=StatusAnswer,
        is_personal=True,
        refusals=[UnknownPerson],
    )
    async def show_own_status(self, call: Call[None, None]) -> StatusAnswer:
        """Show how the caller stands."""
        async with self._database.read() as tx:
            person = await caller_of(tx, call)
        call.note_read(person.name)
        return show_status(person, call.at)

    @operation(
        "GET",
        "/devices",
        purpose=SELF,
        response=DevicesAnswer,
        is_personal=True,
        refusals=[UnknownPerson],
    )
    async def list_devices(self, call: Call[None, None]) -> DevicesAnswer:
        """List the caller's devices, the newest first."""
        async with self._database.read() as tx:
            person = await caller_of(tx, call)
            devices = await show_devices(tx, person, envelope=self._envelope, now=call.at)
        call.note_read(person.name)
        return DevicesAnswer(devices=devices)

    @operation(
        "PATCH",
        "/devices/{binding}",
        purpose=SELF,
        request=LabelRequest,
        response=BindingAnswer,
        is_personal=True,
        refusals=[UnknownPerson, BindingUnknown],
    )
    async def rename_device(self, call: Call[LabelRequest, None]) -> BindingAnswer:
        """Give a device another label."""

        async def work(tx: AsyncConnection) -> BindingAnswer:
            person = await caller_of(tx, call)
            binding = call.path["binding"]
            device = await people.find_device(tx, tenant=call.tenant, binding=binding)
            if device is None or device.resident != person.reference:
                raise BindingUnknown("binding: not this person's")
            label = await people.seal_label(
                tx, person, binding, call.body.label, envelope=self._envelope, now=call.at
            )
            await people.change_device(tx, tenant=call.tenant, binding=binding, label=label)
            return await self._show(tx, person, binding, call)

        return await self._database.transact(work)

    @operation(
        "DELETE",
        "/devices/{binding}",
        purpose=SELF,
        response=BindingAnswer,
        is_personal=True,
        refusals=[UnknownPerson, BindingUnknown],
    )
    async def remove_device(self, call: Call[None, None]) -> BindingAnswer:
        """Stop one of the caller's devices for good."""

        async def work(tx: AsyncConnection) -> BindingAnswer:
            person = await caller_of(tx, call)
            binding = call.path["binding"]
            await self._bindings.revoke(tx, person, binding, now=call.at)
            return await self._show(tx, person, binding, call)

        return await self._database.transact(work)

    @operation(
        "POST",
        "/attributes",
        purpose=SELF,
        request=StatementRequest,
        response=AttributesAnswer,
        is_personal=True,
        refusals=[
            UnknownPerson,
            StatementRefused,
            InvalidRequest,
            MalformedAttributes,
            OtherResident,
            ResidentStopped,
        ],
    )
    async def confirm_attributes(self, call: Call[StatementRequest, None]) -> AttributesAnswer:
        """Confirm name, birth date, sex and address by the card's signing key."""
        document = call.body.statement
        proven = await self._bindings.statements.prove(
            read_presented(document),
            tenant=call.tenant,
            challenge=document.challenge,
            purposes=(Purpose.CONFIRM_ATTRIBUTES,),
            now=call.at,
        )
        attestation = attest_attributes(
            decode_attributes(decode_certificate(proven.presented.certificate)),
            source=AttributesSource.SIGNING_CERTIFICATE,
            now=call.at,
            certificate_not_after=proven.reference.not_after,
        )
        work = partial(self._confirm, call=call, proven=proven, attestation=attestation)
        return await self._database.transact(work)

    async def _confirm(
        self,
        tx: AsyncConnection,
        *,
        call: Call[StatementRequest, None],
        proven: Proven,
        attestation: AttributesAttestation,
    ) -> AttributesAnswer:
        """Keep attributes, and the signing certificate by which they go stale.

        Spec: ID-ATTESTATION.
        """
        person = await caller_of(tx, call)
        await self._bindings.statements.use(tx, proven, tenant=call.tenant, now=call.at)
        holder = await people.find_by_place(tx, tenant=call.tenant, place=proven.place)
        if holder is not None and holder.id != person.id:
            raise OtherResident("signing certificate: confirms somebody else")
        if not level_of(person.standing.status_at(call.at)) > 1:
            raise ResidentStopped("resident: not verified now")
        await people.add_card(
            tx,
            person,
            place=proven.place,
            reference=proven.reference,
            envelope=self._envelope,
            now=call.at,
        )
        await self._save_attributes(tx, person, attestation, call.at)
        person = await caller_of(tx, call)
        await self._bindings.statuses.renew(tx, person, now=call.at, vouched={})
        await self._bindings.note(tx, person, "attributes.confirmed", now=call.at)
        return await self._show_attributes(tx, call)

    @operation(
        "POST",
        "/attributes/text",
        purpose=SELF,
        request=TextAttributes,
        response=AttributesAnswer,
        is_personal=True,
        refusals=[UnknownPerson, InvalidRequest],
    )
    async def note_text_attributes(self, call: Call[TextAttributes, None]) -> AttributesAnswer:
        """Note attributes read off the card's text application; they stay unverified."""
        told = call.body
        try:
            born = date.fromisoformat(told.birth_date)
        except ValueError as error:
            fault = Fault(pointer="/birth_date", kind="date")
            raise InvalidRequest("no such day", faults=(fault,)) from error
        attributes = FourAttributes(
            name=told.name, birth_date=born, sex=Sex(told.sex), address=told.address
        )
        attestation = attest_attributes(
            attributes, source=AttributesSource.TEXT_APPLICATION, now=call.at
        )

        async def work(tx: AsyncConnection) -> AttributesAnswer:
            person = await caller_of(tx, call)
            if person.attributes_source is not AttributesSource.SIGNING_CERTIFICATE:
                await self._save_attributes(tx, person, attestation, call.at)
                await self._bindings.note(tx, person, "attributes.noted", now=call.at)
            return await self._show_attributes(tx, call)

        return await self._database.transact(work)

    @operation(
        "PUT",
        "/sectors/{sector}",
        purpose=SELF,
        proofing_level=3,
        request=SectorRequest,
        response=SectorAnswer,
        is_personal=True,
        refusals=[UnknownPerson, UnknownSector, AddressTaken, RequestRefused, InvalidRequest],
    )
    async def register_sector(self, call: Call[SectorRequest, None]) -> SectorAnswer:
        """Register the caller's address in a sector, by possession of its key."""
        sector, address = call.path["sector"], read_address(call.body.address)
        if sector == HUB or sector not in self._keyring.sectors:
            raise UnknownSector("sector: unknown here")
        assert isinstance(call.caller, Resident)
        claim = SectorClaim(
            audience=self._bindings.statements.audience,
            resident=call.caller.subject,
            sector=sector,
            address=address,
            issued_at=read_instant(call.body.issued_at),
        )
        is_signed = is_signed_by(claim.encode(), read_signature(call.body.signature), address)
        if not is_signed or not is_recent(claim.issued_at, now=call.at, age_max=SECTOR_AGE_MAX):
            raise RequestRefused("sector key: did not sign, or not lately")

        async def work(tx: AsyncConnection) -> SectorAnswer:
            person = await caller_of(tx, call)
            row = await addresses.register(
                tx,
                person=person,
                sector=sector,
                address=address,
                keyring=self._keyring,
                windows=self._windows,
                now=call.at,
            )
            call.note_read(person.name)
            return show_sector(row)

        return await self._database.transact(work)

    @operation(
        "GET",
        "/sectors",
        purpose=SELF,
        response=SectorsAnswer,
        is_personal=True,
        refusals=[UnknownPerson],
    )
    async def list_sectors(self, call: Call[None, None]) -> SectorsAnswer:
        """List the caller's addresses and how far each has come."""
        async with self._database.read() as tx:
            person = await caller_of(tx, call)
            found = await self._sectors(tx, person)
        call.note_read(person.name)
        return SectorsAnswer(sectors=found)

    @operation(
        "GET",
        "/queries",
        purpose=SELF,
        response=QueriesAnswer,
        is_personal=True,
        refusals=[UnknownPerson],
    )
    async def list_own_queries(self, call: Call[None, None]) -> QueriesAnswer:
        """List who asked the hub about the caller, the newest first."""
        async with self._database.read() as tx:
            person = await caller_of(tx, call)
            found = await list_queries(tx, person)
        call.note_read(person.name)
        return QueriesAnswer(queries=found)

    @operation(
        "GET",
        "/export",
        purpose=SELF,
        response=ExportAnswer,
        is_personal=True,
        refusals=[UnknownPerson],
    )
    async def export_everything(self, call: Call[None, None]) -> ExportAnswer:
        """Hand over everything the hub holds about the caller."""
        async with self._database.read() as tx:
            person = await caller_of(tx, call)
            held = await load_attributes(tx, person, envelope=self._envelope)
            grants = [
                await show_grant(tx, row, person, envelope=self._envelope)
                for row in await list_grants(tx, person)
            ]
            answer = ExportAnswer(
                status=show_status(person, call.at),
                name=None if held is None else held.name,
                birth_date=None
                if held is None or held.birth_date is None
                else held.birth_date.isoformat(),
                sex=None if held is None else held.sex.value,
                address=None if held is None else held.address,
                devices=await show_devices(tx, person, envelope=self._envelope, now=call.at),
                sectors=await self._sectors(tx, person),
                queries=await list_queries(tx, person),
                grants=grants,
            )
        call.note_read(person.name)
        return answer

    @operation(
        "POST",
        "/erasure",
        purpose=SELF,
        request=ErasureRequest,
        response=ErasureAnswer,
        is_personal=True,
        refusals=[UnknownPerson],
    )
    async def erase_everything(self, call: Call[ErasureRequest, None]) -> ErasureAnswer:
        """Erase the caller: keys destroyed, rows deleted, addresses taken off the ledger."""

        async def work(tx: AsyncConnection) -> ErasureAnswer:
            person = await caller_of(tx, call)
            commitments = await erase(
                tx, person, envelope=self._envelope, keyring=self._keyring, now=call.at
            )
            return ErasureAnswer(commitments=[each.hex() for each in commitments])

        answer = await self._database.transact(work)
        await self._database.scrub()
        return answer

    async def _sectors(self, tx: AsyncConnection, person: Person) -> list[SectorAnswer]:
        rows = await addresses.list_own(
            tx, tenant=person.tenant, resident_id=person.id, keyring=self._keyring
        )
        return [show_sector(row) for row in rows[:100]]

    async def _show(
        self, tx: AsyncConnection, person: Person, binding: str, call: Call[Any, None]
    ) -> BindingAnswer:
        device = await people.find_device(tx, tenant=person.tenant, binding=binding)
        call.note_read(person.name)
        return await show_device(tx, device, person, envelope=self._envelope, now=call.at)

    async def _save_attributes(
        self, tx: AsyncConnection, person: Person, told: AttributesAttestation, now: datetime
    ) -> None:
        envelope, keyring = self._envelope, self._keyring
        await save_attributes(tx, person, told, envelope=envelope, keyring=keyring, now=now)

    async def _show_attributes(
        self, tx: AsyncConnection, call: Call[Any, None]
    ) -> AttributesAnswer:
        person = await caller_of(tx, call)
        call.note_read(person.name)
        shown = show_attributes(person, call.at)
        assert shown is not None
        return shown


async def caller_of(tx: AsyncConnection, call: Call[Any, None]) -> Person:
    """Return the resident who calls.

    Raises:
        UnknownPerson: Erased since the token was made.
    """
    assert isinstance(call.caller, Resident)
    person = await people.find_by_name(tx, tenant=call.tenant, name=call.caller.subject)
    if person is None:
        raise UnknownPerson("resident: not known any more")
    return person
