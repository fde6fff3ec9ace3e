"""What residents do among one another, what staff enter, and what other services ask."""

from http import HTTPStatus
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from clients.hub.requests import write_instant
from clients.identity.lifecycle import RecordEvent
from services.hub import people
from services.hub.attestations import attributes_status, load_attributes
from services.hub.bindings import Bindings
from services.hub.documents import (
    CodeAnswer,
    GrantAnswer,
    GrantRequest,
    GrantsAnswer,
    ImportOutcome,
    PersonAnswer,
    PersonQuestion,
    RecordEntry,
    RecordEventRequest,
    RecordImport,
    RecordImportAnswer,
    StaffGrantRequest,
    StatusAnswer,
)
from services.hub.grants import (
    NewGrant,
    add_grant,
    confirm_grant,
    end_grant,
    list_grants,
    load_grant,
    make_code,
    show_grant,
    take_code,
)
from services.hub.history import note_query
from services.hub.issuing import SELF, Issuer
from services.hub.keyring import fold_text
from services.hub.own import caller_of
from services.hub.people import Person
from services.hub.refusals import CodeRefused, GrantUnknown, SamePerson, UnknownPerson
from services.hub.showing import read_instant, show_status
from services.hub.standing import level_of
from services.hub.statuses import NAMES
from services.kit.audit import AuditEntry, record
from services.kit.auth import Access, Partner
from services.kit.operations import Call, operation
from services.kit.problems import InvalidRequest
from services.kit.reads import reference_of, role_of

OFFICER: Final = "identity-officer"
"""Role of staff who enter grants and events of the resident record."""


class Others:
    """The handlers and what they need."""

    def __init__(self, bindings: Bindings, issuer: Issuer) -> None:
        """Hold it."""
        self._bindings = bindings
        self._database = bindings.database
        self._envelope = bindings.envelope
        self._issuer = issuer

    @operation(
        "POST",
        "/grants/codes",
        purpose=SELF,
        response=CodeAnswer,
        refusals=[UnknownPerson],
    )
    async def make_own_code(self, call: Call[None, None]) -> CodeAnswer:
        """Make a code that names the caller for ten minutes."""

        async def work(tx: AsyncConnection) -> CodeAnswer:
            code, expires_at = await make_code(tx, await caller_of(tx, call), now=call.at)
            return CodeAnswer(code=code, expires_at=write_instant(expires_at))

        return await self._database.transact(work)

    @operation(
        "POST",
        "/grants",
        purpose=SELF,
        proofing_level=3,
        request=GrantRequest,
        response=GrantAnswer,
        status=HTTPStatus.CREATED,
        is_personal=True,
        refusals=[UnknownPerson, CodeRefused, SamePerson, InvalidRequest],
    )
    async def grant(self, call: Call[GrantRequest, None]) -> GrantAnswer:
        """Let somebody act for the caller."""

        async def work(tx: AsyncConnection) -> GrantAnswer:
            person = await caller_of(tx, call)
            identifier = await self._add(tx, call, principal=person, entered_by="principal")
            row = await load_grant(tx, tenant=call.tenant, identifier=identifier)
            await self._bindings.note(tx, person, "grant.given", now=call.at)
            call.note_read(person.name)
            return await show_grant(tx, row, person, envelope=self._envelope)

        return await self._database.transact(work)

    @operation(
        "GET",
        "/grants",
        purpose=SELF,
        response=GrantsAnswer,
        is_personal=True,
        refusals=[UnknownPerson],
    )
    async def list_own_grants(self, call: Call[None, None]) -> GrantsAnswer:
        """List grants that the caller gave or holds."""
        async with self._database.read() as tx:
            person = await caller_of(tx, call)
            grants = [
                await show_grant(tx, row, person, envelope=self._envelope)
                for row in await list_grants(tx, person)
            ]
        call.note_read(person.name)
        return GrantsAnswer(grants=grants)

    @operation(
        "DELETE",
        "/grants/{grant}",
        purpose=SELF,
        status=HTTPStatus.NO_CONTENT,
        refusals=[UnknownPerson, GrantUnknown],
    )
    async def end_own_grant(self, call: Call[None, None]) -> None:
        """End a grant that the caller gave or holds."""

        async def work(tx: AsyncConnection) -> None:
            person = await caller_of(tx, call)
            await end_grant(tx, person, call.path["grant"], now=call.at)
            await self._bindings.note(tx, person, "grant.ended", now=call.at)

        await self._database.transact(work)

    @operation(
        "POST",
        "/staff/grants",
        purpose="hub.counter",
        roles=[OFFICER],
        authentication_level=2,
        request=StaffGrantRequest,
        response=GrantAnswer,
        status=HTTPStatus.CREATED,
        is_personal=True,
        refusals=[CodeRefused, SamePerson, InvalidRequest],
    )
    async def enter_grant(self, call: Call[StaffGrantRequest, None]) -> GrantAnswer:
        """Enter a grant at the counter; another member of staff confirms it."""

        async def work(tx: AsyncConnection) -> GrantAnswer:
            principal = await take_code(
                tx, tenant=call.tenant, code=call.body.principal, now=call.at
            )
            identifier = await self._add(
                tx, call, principal=principal, entered_by=reference_of(call.caller)
            )
            row = await load_grant(tx, tenant=call.tenant, identifier=identifier)
            await self._note_staff(tx, call, principal, "grant.entered")
            return await show_grant(tx, row, None, envelope=self._envelope)

        return await self._database.transact(work)

    @operation(
        "POST",
        "/staff/grants/{grant}/confirmation",
        purpose="hub.counter",
        roles=[OFFICER],
        authentication_level=2,
        response=GrantAnswer,
        is_personal=True,
        refusals=[GrantUnknown, SamePerson],
    )
    async def confirm_entered_grant(self, call: Call[None, None]) -> GrantAnswer:
        """Confirm a grant that another member of staff entered."""

        async def work(tx: AsyncConnection) -> GrantAnswer:
            row = await confirm_grant(
                tx,
                tenant=call.tenant,
                identifier=call.path["grant"],
                by=reference_of(call.caller),
                now=call.at,
            )
            principal = await people.load_person(tx, tenant=call.tenant, reference=row.principal)
            if principal is not None:
                await self._note_staff(tx, call, principal, "grant.confirmed")
            return await show_grant(tx, row, None, envelope=self._envelope)

        return await self._database.transact(work)

    @operation(
        "POST",
        "/staff/record-events",
        purpose="hub.counter",
        roles=[OFFICER],
        authentication_level=2,
        request=RecordEventRequest,
        response=StatusAnswer,
        is_personal=True,
        refusals=[CodeRefused],
    )
    async def enter_record_event(self, call: Call[RecordEventRequest, None]) -> StatusAnswer:
        """Enter that somebody named by a code has left."""

        async def work(tx: AsyncConnection) -> StatusAnswer:
            person = await take_code(tx, tenant=call.tenant, code=call.body.code, now=call.at)
            person = await self._enter(tx, call, person, RecordEvent(call.body.event))
            return show_status(await self._reload(tx, person), call.at)

        return await self._database.transact(work)

    @operation(
        "POST",
        "/staff/record-events/import",
        purpose="hub.counter",
        roles=[OFFICER],
        authentication_level=2,
        request=RecordImport,
        response=RecordImportAnswer,
        is_personal=True,
    )
    async def import_record_events(self, call: Call[RecordImport, None]) -> RecordImportAnswer:
        """Take over deaths and removals from the resident record, by confirmed attributes."""

        async def work(tx: AsyncConnection) -> RecordImportAnswer:
            return RecordImportAnswer(
                outcomes=[await self._import(tx, call, entry) for entry in call.body.events]
            )

        return await self._database.transact(work)

    async def _import(
        self, tx: AsyncConnection, call: Call[RecordImport, None], entry: RecordEntry
    ) -> ImportOutcome:
        """Enter what the resident record tells of somebody who need not be there.

        Spec: ID-RECORD-EVENT.
        """
        place = self._bindings.keyring.find_attributes(entry.name, entry.birth_date)
        found = await people.find_by_attributes(tx, tenant=call.tenant, place=place)
        # Always by the address too: a namesake must not be stopped once the other is gone.
        found = [each for each in found if await self._lives_at(tx, each, entry.address)]
        if len(found) != 1:
            return ImportOutcome.AMBIGUOUS if found else ImportOutcome.UNKNOWN
        await self._enter(tx, call, found[0], RecordEvent(entry.event))
        return ImportOutcome.DONE

    async def _enter(
        self, tx: AsyncConnection, call: Call[Any, None], person: Person, event: RecordEvent
    ) -> Person:
        """Enter that somebody has left, stop what follows from it, note who entered it."""
        await people.save_event(tx, person, event)
        person = await self._reload(tx, person)
        await self._bindings.statuses.renew(tx, person, now=call.at, vouched={})
        await self._note_staff(tx, call, person, f"record.{event.value}")
        return person

    async def _lives_at(self, tx: AsyncConnection, person: Person, address: str) -> bool:
        held = await load_attributes(tx, person, envelope=self._envelope)
        return held is not None and fold_text(held.address) == fold_text(address)

    @operation(
        "POST",
        "/residents/status",
        purpose="hub.status",
        access=[Access.SERVICE],
        request=PersonQuestion,
        response=PersonAnswer,
        is_personal=True,
        refusals=[UnknownPerson],
    )
    async def tell_status(self, call: Call[PersonQuestion, None]) -> PersonAnswer:
        """Tell a service how somebody stands whom it names by the pseudonym of its sector."""
        assert isinstance(call.caller, Partner)
        service = call.caller.name

        async def work(tx: AsyncConnection) -> PersonAnswer:
            person, name = await self._find(tx, service, call)
            await note_query(
                tx, person, service=service, purpose=call.body.reason, what="status", now=call.at
            )
            call.note_read(call.body.sub)
            return _tell(person, name, call)

        return await self._database.transact(work)

    async def _find(
        self, tx: AsyncConnection, service: str, call: Call[PersonQuestion, None]
    ) -> tuple[Person, str]:
        """Return whom a service means, by the newest or a former name, and the newest name.

        Raises:
            UnknownPerson: Nobody is known by that name in the service's sector.

        Spec: ID-ROTATION.
        """
        for sector in {each.sector for each in self._issuer.services if each.partner == service}:
            person = await self._bindings.names.find(
                tx, tenant=call.tenant, sector=sector, pseudonym=bytes.fromhex(call.body.sub)
            )
            if person is not None:
                return person, self._bindings.keyring.name_in(sector, person.id).hex()
        raise UnknownPerson("resident: nobody by that name in this sector")

    async def _add(
        self,
        tx: AsyncConnection,
        call: Call[GrantRequest, None] | Call[StaffGrantRequest, None],
        *,
        principal: Person,
        entered_by: str,
    ) -> str:
        delegate = await take_code(tx, tenant=call.tenant, code=call.body.delegate, now=call.at)
        grant = NewGrant(
            principal=principal,
            delegate=delegate,
            scope=call.body.scope,
            place=call.body.place,
            basis=call.body.basis,
            expires_at=read_instant(call.body.expires_at),
            entered_by=entered_by,
            is_confirmed=entered_by == "principal",
        )
        return await add_grant(tx, grant, envelope=self._envelope, now=call.at)

    async def _reload(self, tx: AsyncConnection, person: Person) -> Person:
        found = await people.load_person(tx, tenant=person.tenant, reference=person.reference)
        assert found is not None
        return found

    async def _note_staff(
        self, tx: AsyncConnection, call: Call[Any, None], person: Person, action: str
    ) -> None:
        """Note what staff did, in the audit log and for the person to see."""
        call.note_read(person.name)
        actor = reference_of(call.caller)
        await note_query(tx, person, service=actor, purpose=call.purpose, what=action, now=call.at)
        await record(
            tx,
            AuditEntry(
                tenant=call.tenant,
                time=call.at,
                actor=actor,
                role=role_of(call.caller),
                purpose=call.purpose,
                action=action,
                subject=person.name,
            ),
        )


def _tell(person: Person, name: str, call: Call[PersonQuestion, None]) -> PersonAnswer:
    status = person.standing.status_at(call.at)
    attributes = attributes_status(person, call.at)
    return PersonAnswer(
        sub=name,
        status=NAMES[status],
        proofing_level=level_of(status),
        checked_at=write_instant(person.standing.as_of),
        expires_at=write_instant(person.standing.expires_at),
        attributes="none" if attributes is None else attributes.value,
    )
