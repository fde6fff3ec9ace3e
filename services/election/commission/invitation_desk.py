"""The commission's desk for invitation codes: issue, print, revoke, decide requests, the counter.

Spec: CODE-ISSUE.
"""

import asyncio
from datetime import date, datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.election.commission.acts import Act, note_act
from services.election.commission.codes import write_code
from services.election.commission.desk import LEVEL, OFFICER, PURPOSE, actor_of
from services.election.commission.desk_documents import (
    CodeOrder,
    DecisionBody,
    IssuedView,
    NumberBody,
    RequestsView,
    RequestView,
    RevokedView,
    SessionAnswer,
)
from services.election.commission.enrolment import Registrar
from services.election.commission.invitations import (
    Channel,
    CodeRequest,
    RequestMissing,
    decide_request,
    issue_code,
    list_requests,
    open_session,
    revoke_codes,
)
from services.election.commission.letter import Letter, print_letter
from services.election.commission.rolls import (
    ElectorMissing,
    Listed,
    Roll,
    RollMissing,
    RollNotReady,
    find_elector,
    find_persons,
)
from services.election.commission.vault import Vault
from services.kit.clock import JAPAN
from services.kit.envelope import Erased
from services.kit.events import Event
from services.kit.messages import Catalogue
from services.kit.operations import Call, operation
from services.kit.outbox import publish

CODE_READY: Final = "jp.daicho.election.code-ready.v1"
"""Type of the event that tells a resident's inbox that a code can be collected."""

_REFUSALS: Final = (RollMissing, RollNotReady, Erased)


class InvitationOperations:
    """The officers' handlers for codes."""

    def __init__(
        self, registrar: Registrar, catalogue: Catalogue, *, source: str, public_url: str
    ) -> None:
        """Hold what they need."""
        self._registrar = registrar
        self._catalogue = catalogue
        self._source = source
        self._public_url = public_url

    @operation(
        "POST",
        "/commission/{draft}/codes",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        request=CodeOrder,
        response=IssuedView,
        status=201,
        refusals=[ElectorMissing, *_REFUSALS],
    )
    async def issue_code(self, call: Call[CodeOrder, None]) -> IssuedView:
        """Issue an invitation code; those issued before are revoked."""
        channel = Channel(call.body.channel)

        async def work(tx: AsyncConnection) -> tuple[Roll, Listed, bytes]:
            roll, vault = await self._registrar.open_roll(tx, call)
            listed = await find_elector(tx, roll, vault.slot_of(call.body.number), vault)
            code = await issue_code(tx, roll, listed.slot, vault, channel=channel, now=call.at)
            await note_act(tx, roll, Act.CODE_ISSUED, actor_of(call), channel=channel.value)
            return roll, listed, code

        roll, listed, code = await self._registrar.database.transact(work)
        if channel is Channel.COUNTER:
            return IssuedView(code=write_code(code), letter="")
        if channel is Channel.INBOX:
            return IssuedView(code="", letter="")
        letter = self._letter(roll, listed, code)
        page = await asyncio.to_thread(print_letter, letter, self._catalogue)
        return IssuedView(code="", letter=page.hex())

    def _letter(self, roll: Roll, listed: Listed, code: bytes) -> Letter:
        closes, title = "", ""
        if roll.manifest is not None:
            closes = format_japan(roll.manifest.closes_at)
            title = roll.manifest.title
        return Letter(
            name=listed.elector.name,
            address=listed.elector.address,
            title=title,
            code=write_code(code),
            closes=closes,
            address_url=self._public_url,
        )

    @operation(
        "POST",
        "/commission/{draft}/codes/revoke",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        request=NumberBody,
        response=RevokedView,
        refusals=[ElectorMissing, *_REFUSALS],
    )
    async def revoke_code(self, call: Call[NumberBody, None]) -> RevokedView:
        """Revoke an elector's codes and end the session."""

        async def work(tx: AsyncConnection) -> int:
            roll, vault = await self._registrar.open_roll(tx, call)
            listed = await find_elector(tx, roll, vault.slot_of(call.body.number), vault)
            count = await revoke_codes(tx, roll, listed.slot)
            await note_act(tx, roll, Act.CODE_REVOKED, actor_of(call), codes=count)
            return count

        return RevokedView(revoked=await self._registrar.database.transact(work))

    @operation(
        "GET",
        "/commission/{draft}/code-requests",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        response=RequestsView,
        is_personal=True,
        refusals=_REFUSALS,
    )
    async def list_code_requests(self, call: Call[None, None]) -> RequestsView:
        """List what residents asked for, with electors of that name and birth date."""
        async with self._registrar.database.read() as tx:
            roll, vault = await self._registrar.open_roll(tx, call)
            requests = await list_requests(tx, roll, vault)
            views = [await self._request_view(tx, roll, vault, each) for each in requests]
        for each in requests:
            call.note_read(each.resident)
        return RequestsView(requests=views)

    async def _request_view(
        self, tx: AsyncConnection, roll: Roll, vault: Vault, request: CodeRequest
    ) -> RequestView:
        try:
            born = date.fromisoformat(request.birth_date)
        except ValueError:
            found: tuple[Listed, ...] = ()
        else:
            found = await find_persons(tx, roll, name=request.name, born=born, vault=vault)
        return RequestView(
            request=request.request,
            name=request.name,
            address=request.address,
            birth_date=request.birth_date,
            numbers=[listed.elector.number for listed in found],
        )

    @operation(
        "POST",
        "/commission/{draft}/code-requests/{request}",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        request=DecisionBody,
        refusals=[ElectorMissing, RequestMissing, *_REFUSALS],
    )
    async def decide_code_request(self, call: Call[DecisionBody, None]) -> None:
        """Link the resident of a request to an elector and tell the inbox, or refuse."""
        number = call.body.number

        async def work(tx: AsyncConnection) -> None:
            roll, vault = await self._registrar.open_roll(tx, call)
            slot = None
            if number is not None:
                slot = (await find_elector(tx, roll, vault.slot_of(number), vault)).slot
            request = call.path["request"]
            resident = await decide_request(tx, roll, request, slot=slot)
            kind = Act.REQUEST_REFUSED if slot is None else Act.LINKED
            await note_act(tx, roll, kind, actor_of(call))
            if slot is not None:
                await publish(tx, self._tell(roll, resident, request, call.at))

        await self._registrar.database.transact(work)

    def _tell(self, roll: Roll, resident: str, request: str, now: datetime) -> Event:
        return Event(
            id=f"code-ready:{request}",
            source=self._source,
            type=CODE_READY,
            subject=resident,
            tenant=roll.tenant,
            time=now,
            data={"draft": roll.draft.hex()},
        )

    @operation(
        "POST",
        "/commission/{draft}/counter-sessions",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        request=NumberBody,
        response=SessionAnswer,
        status=201,
        refusals=[ElectorMissing, *_REFUSALS],
    )
    async def open_counter_session(self, call: Call[NumberBody, None]) -> SessionAnswer:
        """Open a session at the counter, where there may be more enrolments than online."""

        async def work(tx: AsyncConnection) -> SessionAnswer:
            roll, vault = await self._registrar.open_roll(tx, call)
            listed = await find_elector(tx, roll, vault.slot_of(call.body.number), vault)
            opened = await open_session(
                tx, roll, listed.slot, code=None, is_counter=True, now=call.at
            )
            await note_act(tx, roll, Act.COUNTER_SESSION, actor_of(call))
            return SessionAnswer(session=opened.bearer, expires_at=opened.expires_s)

        return await self._registrar.database.transact(work)


def format_japan(time_s: int) -> str:
    """Return an instant as people in Japan read it."""
    return f"{datetime.fromtimestamp(time_s, JAPAN):%Y-%m-%d %H:%M}"
