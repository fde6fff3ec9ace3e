"""What officers and anyone may ask of the incident log.

Spec: ELECTION-INCIDENT.
"""

from typing import Annotated, Final

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from services.election.board.operations import Count, Hex32, parse_digest
from services.election.board.state import DraftState
from services.election.parts import Context
from services.election.publication.incidents import (
    IncidentLog,
    IncidentLogFull,
    IncidentRefused,
    ListedIncident,
    Severity,
    Text,
)
from services.kit.auth import Access
from services.kit.documents import Document
from services.kit.operations import Call, operation
from services.kit.problems import NotFound
from services.kit.reads import reference_of, role_of

ROLES: Final = ("election-officer", "polling-officer")
LISTED_MAX: Final = 100_000

Word = Annotated[str, Field(max_length=20)]


class NewIncident(Document):
    """What went wrong, for everyone to read; no names."""

    severity: Severity
    text: Text


class IncidentView(Document):
    """An incident of a municipality."""

    municipality: Count
    number: Count
    state: Word
    digest: Hex32
    height: Count | None
    time: Count | None
    severity: Word | None
    text: Text | None


class IncidentsView(Document):
    """Incidents, by municipality, in their order."""

    incidents: Annotated[list[IncidentView], Field(max_length=LISTED_MAX)]


class IncidentOperations:
    """The handlers."""

    def __init__(self, context: Context, log: IncidentLog) -> None:
        """Hold what they need."""
        self._context = context
        self._log = log

    @operation(
        "POST",
        "/drafts/{draft_id}/incidents",
        purpose="election.incident",
        roles=ROLES,
        authentication_level=2,
        request=NewIncident,
        response=IncidentsView,
        status=201,
        refusals=[NotFound, IncidentRefused, IncidentLogFull],
    )
    async def note_incident(self, call: Call[NewIncident, None]) -> IncidentsView:
        """Note what went wrong in this municipality's log; it cannot be taken back."""
        draft_id = parse_digest(call.path["draft_id"])

        async def work(tx: AsyncConnection) -> IncidentsView:
            draft = await self._draft(tx, draft_id)
            await self._log.note(
                tx,
                draft,
                severity=call.body.severity,
                text=call.body.text,
                reporter=(reference_of(call.caller), role_of(call.caller)),
                now=call.at,
            )
            return await self._view(tx, draft)

        return await self._context.resources.database.transact(work)

    @operation(
        "GET",
        "/drafts/{draft_id}/incidents",
        purpose="election.read",
        access=[Access.PUBLIC],
        response=IncidentsView,
        refusals=[NotFound],
    )
    async def list_incidents(self, call: Call[None, None]) -> IncidentsView:
        """List what went wrong, in the words of every municipality."""
        async with self._context.board.database.read() as tx:
            return await self._view(tx, await self._draft(tx, parse_digest(call.path["draft_id"])))

    async def _draft(self, tx: AsyncConnection, draft_id: bytes) -> DraftState:
        draft = await self._context.board.load_draft(tx, draft_id)
        if draft is None:
            raise NotFound("no such draft on the ledger")
        return draft

    async def _view(self, tx: AsyncConnection, draft: DraftState) -> IncidentsView:
        listed = await self._log.list(tx, draft)
        return IncidentsView(incidents=[_incident_view(each) for each in listed])


def _incident_view(each: ListedIncident) -> IncidentView:
    said = each.incident
    return IncidentView(
        municipality=each.municipality,
        number=each.number,
        state=each.state.value,
        digest=each.digest.hex(),
        height=each.height,
        time=None if said is None else said.time,
        severity=None if said is None else said.severity,
        text=None if said is None else said.text,
    )
