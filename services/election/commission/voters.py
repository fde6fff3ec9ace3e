"""What voters ask of the commission: log in, enrol, see where they stand.

Every handler takes a session, which a code, a linked resident or an officer opens. What is sealed
stays sealed: no answer has a name, an address or a code that was not just made.

Spec: ROLL-ENROL, CODE-ISSUE, CODE-GUESS.
"""

import hmac

from sqlalchemy.ext.asyncio import AsyncConnection

from services.election.commission.acts import Act, note_act, system_actor
from services.election.commission.checking import EntryEvidence, EntryRefused
from services.election.commission.codes import write_code
from services.election.commission.desk_documents import (
    AcceptedBody,
    Begun,
    CodeAnswer,
    CodeWish,
    EntryBody,
    EntryView,
    SessionAnswer,
    SessionBody,
    SlotView,
    TypedCode,
    Waiting,
)
from services.election.commission.enrolment import (
    Accepted,
    EnrolmentPending,
    HandedIn,
    Registrar,
    begin_enrolment,
    complete_enrolment,
    finish_enrolment,
    list_checked_of,
    list_entries,
)
from services.election.commission.invitations import (
    Channel,
    CodeRefused,
    Guessing,
    NotLinked,
    OpenedSession,
    SessionEnded,
    ask_for_code,
    check_guesses,
    issue_code,
    load_session,
    note_guess,
    open_session,
    open_with_code,
    slot_of_resident,
)
from services.election.commission.rolls import (
    ElectorMissing,
    Roll,
    RollMissing,
    RollNotReady,
    find_elector,
    load_election,
    read_hex32,
)
from services.kit.auth import Access
from services.kit.envelope import Erased
from services.kit.operations import Call, operation
from services.kit.reads import reference_of

_ROLL_REFUSALS = (RollMissing, RollNotReady, Erased, ElectorMissing)


class VoterOperations:
    """The voters' handlers."""

    def __init__(self, registrar: Registrar, source_key: bytes) -> None:
        """Hold what they need; ``source_key`` hides callers' addresses in the count of guesses."""
        self._registrar = registrar
        self._source_key = source_key

    @operation(
        "POST",
        "/elections/{eid}/codes/open",
        purpose="election.enrol",
        access=[Access.PUBLIC],
        request=TypedCode,
        response=SessionAnswer,
        status=201,
        refusals=[CodeRefused, Guessing, *_ROLL_REFUSALS],
    )
    async def open_with_code(self, call: Call[TypedCode, None]) -> SessionAnswer:
        """Log in with an invitation code."""
        database = self._registrar.database
        source = hmac.digest(self._source_key, call.address.encode(), "sha256")

        async def attempt(tx: AsyncConnection) -> OpenedSession | None:
            roll = await self._election(tx, call.path["eid"], call.tenant)
            await check_guesses(tx, roll, source, call.at)
            vault = await self._registrar.vaults.open(tx, roll.tenant, roll.draft)
            opened = await open_with_code(tx, roll, call.body.code, vault, now=call.at)
            if opened is None and await note_guess(tx, roll, source, call.at):
                await note_act(tx, roll, Act.GUESSING, system_actor(call.at))
            return opened

        opened = await database.transact(attempt)
        if opened is None:
            raise CodeRefused("the code opens nothing", rule="CODE-ISSUE")
        return _session(opened)

    @operation(
        "POST",
        "/elections/{eid}/resident-sessions",
        purpose="election.enrol",
        access=[Access.RESIDENT],
        authentication_level=2,
        response=SessionAnswer,
        status=201,
        refusals=[NotLinked, *_ROLL_REFUSALS],
    )
    async def open_for_resident(self, call: Call[None, None]) -> SessionAnswer:
        """Log in as a resident whom an officer has linked to an elector."""

        async def attempt(tx: AsyncConnection) -> OpenedSession:
            roll = await self._election(tx, call.path["eid"], call.tenant)
            slot = await slot_of_resident(tx, roll, reference_of(call.caller))
            return await open_session(tx, roll, slot, code=None, is_counter=False, now=call.at)

        return _session(await self._registrar.database.transact(attempt))

    @operation(
        "POST",
        "/elections/{eid}/code-requests",
        purpose="election.enrol",
        access=[Access.RESIDENT],
        request=CodeWish,
        response=Waiting,
        status=202,
        refusals=_ROLL_REFUSALS,
    )
    async def request_code(self, call: Call[CodeWish, None]) -> Waiting:
        """Ask for an invitation code; an officer decides."""

        async def keep(tx: AsyncConnection) -> None:
            roll = await self._election(tx, call.path["eid"], call.tenant)
            vault = await self._registrar.vaults.open(tx, roll.tenant, roll.draft)
            await ask_for_code(
                tx,
                roll,
                vault,
                resident=reference_of(call.caller),
                body=call.body.model_dump(),
                now=call.at,
            )

        await self._registrar.database.transact(keep)
        return Waiting()

    @operation(
        "POST",
        "/elections/{eid}/codes/collect",
        purpose="election.enrol",
        access=[Access.RESIDENT],
        authentication_level=2,
        response=CodeAnswer,
        status=201,
        refusals=[NotLinked, *_ROLL_REFUSALS],
    )
    async def collect_code(self, call: Call[None, None]) -> CodeAnswer:
        """Collect an invitation code; the one collected before is revoked."""

        async def issue(tx: AsyncConnection) -> bytes:
            roll = await self._election(tx, call.path["eid"], call.tenant)
            slot = await slot_of_resident(tx, roll, reference_of(call.caller))
            vault = await self._registrar.vaults.open(tx, roll.tenant, roll.draft)
            code = await issue_code(tx, roll, slot, vault, channel=Channel.INBOX, now=call.at)
            actor = system_actor(call.at)
            await note_act(tx, roll, Act.CODE_ISSUED, actor, channel=Channel.INBOX.value)
            return code

        return CodeAnswer(code=write_code(await self._registrar.database.transact(issue)))

    @operation(
        "POST",
        "/elections/{eid}/enrolments",
        purpose="election.enrol",
        access=[Access.PUBLIC],
        request=SessionBody,
        response=Begun,
        status=201,
        refusals=[SessionEnded, EntryRefused, EnrolmentPending, *_ROLL_REFUSALS],
    )
    async def begin_enrolment(self, call: Call[SessionBody, None]) -> Begun:
        """Begin an enrolment: slot, style, version, nonce, and the proof of eligibility."""
        registrar = self._registrar
        async with registrar.database.read() as tx:
            roll = await self._election(tx, call.path["eid"], call.tenant)
            session = await load_session(tx, roll, call.body.session, call.at)
            waiting = await list_checked_of(tx, roll, session.slot)
        for enrolment in waiting:
            await complete_enrolment(registrar, roll, enrolment)
        begun = await registrar.database.transact(
            lambda tx: begin_enrolment(tx, roll, session, registrar.vaults, now=call.at)
        )
        return Begun(
            enrolment=begun.id,
            slot=begun.slot.hex(),
            style=begun.style,
            version=begun.version,
            nonce=begun.nonce.hex(),
            expires_at=begun.expires_s,
            leaf_index=begun.leaf_index,
            leaf_count=begun.leaf_count,
            leaf_proof=[each.hex() for each in begun.leaf_proof],
        )

    @operation(
        "PUT",
        "/elections/{eid}/enrolments/{enrolment}",
        purpose="election.enrol",
        access=[Access.PUBLIC],
        request=EntryBody,
        response=AcceptedBody,
        refusals=[SessionEnded, EntryRefused, *_ROLL_REFUSALS],
    )
    async def finish_enrolment(self, call: Call[EntryBody, None]) -> AcceptedBody:
        """Hand in the card-signed entry; the same again gives the same answer."""
        body = call.body
        async with self._registrar.database.read() as tx:
            roll = await self._election(tx, call.path["eid"], call.tenant)
            session = await load_session(tx, roll, body.session, call.at)
        handed = HandedIn(
            evidence=EntryEvidence(
                entry=bytes.fromhex(body.entry),
                signature=bytes.fromhex(body.signature),
                certificate=bytes.fromhex(body.certificate),
                salt=bytes.fromhex(body.salt),
            ),
            blinded_token=bytes.fromhex(body.blinded_token),
        )
        return _accepted(
            await finish_enrolment(self._registrar, roll, session, call.path["enrolment"], handed)
        )

    @operation(
        "POST",
        "/elections/{eid}/enrolments/status",
        purpose="election.enrol",
        access=[Access.PUBLIC],
        request=SessionBody,
        response=SlotView,
        refusals=[SessionEnded, *_ROLL_REFUSALS],
    )
    async def show_slot(self, call: Call[SessionBody, None]) -> SlotView:
        """Show where the session's slot stands; unsigned, so that it proves nothing to others."""
        async with self._registrar.database.read() as tx:
            roll = await self._election(tx, call.path["eid"], call.tenant)
            session = await load_session(tx, roll, call.body.session, call.at)
            vault = await self._registrar.vaults.open(tx, roll.tenant, roll.draft)
            listed = await find_elector(tx, roll, session.slot, vault)
            entries = await list_entries(tx, roll, session.slot)
        return SlotView(
            is_closed=bool(listed.closed),
            entries=[
                EntryView(
                    version=each.version,
                    state=each.state,
                    commitment=each.commitment.hex(),
                    batch=each.batch,
                    time=each.time_s,
                )
                for each in entries
            ],
        )

    async def _election(self, tx: AsyncConnection, eid: str, tenant: str) -> Roll:
        return await load_election(tx, tenant=tenant, eid=read_hex32(eid))


def _session(opened: OpenedSession) -> SessionAnswer:
    return SessionAnswer(session=opened.bearer, expires_at=opened.expires_s)


def _accepted(accepted: Accepted) -> AcceptedBody:
    return AcceptedBody(
        version=accepted.version,
        commitment=accepted.receipt.commitment.hex(),
        batch=accepted.receipt.batch,
        time=accepted.receipt.time_s,
        registrar_signature=accepted.registrar_signature.hex(),
        attestor_signature=accepted.attestor_signature.hex(),
        token_signature=accepted.token_signature.hex(),
    )
