"""The incident log of an election: what went wrong, in officers' words, fixed on the ledger.

Every municipality keeps its own, so that one can say what another would rather not. Incident n of
a draft is a small file; its digest is posted on the bulletin under step 1,000 + n, once and for
good. Nobody takes an incident back, changes one or slips one in between. A text that turns out to
name somebody can be withheld: its file goes, its digest stays.

Spec: ELECTION-INCIDENT.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.canonical import INTEGER_MAX, encode_canonical
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput, MalformedMessage
from node.primitives.json_text import decode_json
from services.election.board.contracts import encode_call
from services.election.board.refs import incident_ref
from services.election.board.state import INCIDENT_STEP, INCIDENTS_MAX, DraftState, Post
from services.election.parts import Context
from services.election.publication.personal import find_personal
from services.election.publication.tables import INCIDENTS
from services.kit.audit import AuditEntry, record
from services.kit.intents import FAILED
from services.kit.problems import Refusal

TEXT_MAX: Final = 1_000
"""Characters of an incident."""

ATTEMPTS_MAX: Final = 5
"""Calls asked for to post one incident."""

Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=TEXT_MAX, pattern=r"^[^\x00-\x09\x0b-\x1f\x7f]+$"),
]
Severity = Literal["info", "warning", "serious"]


class IncidentState(StrEnum):
    """How far an incident has come."""

    WAITING = "waiting"
    """Its digest is on its way to the ledger."""
    FINAL = "final"
    """Its digest is on the ledger."""
    FAILED = "failed"
    """The ledger did not take it, or holds another under its number; note it again."""


class IncidentRefused(Refusal):
    """A text that seems to hold something of a person."""

    code = "election.incident_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class IncidentLogFull(Refusal):
    """The municipality has noted as many incidents of this election as there can be."""

    code = "election.incident_log_full"
    status = HTTPStatus.CONFLICT


class Incident(BaseModel):
    """What an incident's file says."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    number: Annotated[int, Field(ge=1, le=INCIDENTS_MAX)]
    """From 1, of one municipality and draft."""
    severity: Severity
    """How bad it is."""
    text: Text
    """What happened."""
    time: Annotated[int, Field(ge=0, le=INTEGER_MAX)]
    """When it was noted, in seconds."""

    def encode(self) -> bytes:
        """Return the file."""
        return encode_canonical(self.model_dump())


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedIncident:
    """An incident of any municipality, as far as it is known here."""

    municipality: int
    """Whose log it stands in."""
    number: int
    """Its number there."""
    digest: bytes
    """Of its file."""
    state: IncidentState
    """How far it has come."""
    height: int | None
    """Block that holds the digest."""
    incident: Incident | None
    """What it says; None while the file is not here, or when it is withheld."""


def decode_incident(data: bytes) -> Incident:
    """Read an incident's file.

    Raises:
        MalformedMessage: It is none.

    Spec: ELECTION-INCIDENT.
    """
    try:
        found = Incident.model_validate(decode_json(data))
    except ValidationError as error:
        raise MalformedMessage("incident: not in its form", rule="ELECTION-INCIDENT") from error
    if found.encode() != data:
        raise MalformedMessage("incident: not canonical", rule="ELECTION-INCIDENT")
    return found


class IncidentLog:
    """The incidents of every municipality, and the pen of this one."""

    def __init__(self, context: Context) -> None:
        """Hold database, files and the relay's outbox."""
        self._context = context

    async def note(
        self,
        tx: AsyncConnection,
        draft: DraftState,
        *,
        severity: Severity,
        text: str,
        reporter: tuple[str, str],
        now: datetime,
    ) -> Incident:
        """Write an incident down and ask for the post of its digest.

        Args:
            tx: The transaction in which it becomes true.
            draft: The election's draft, as the ledger has it.
            severity: How bad it is.
            text: What happened, for everyone to read.
            reporter: Reference and role of the officer; they stay in the audit log.
            now: The present.

        Raises:
            IncidentRefused: The text seems to hold something of a person.
            IncidentLogFull: No number is left.

        Spec: ELECTION-INCIDENT.
        """
        found = find_personal(text)
        if found is not None:
            raise IncidentRefused("the text names a person", rule="ELECTION-INCIDENT", found=found)
        number = await self._next_number(tx, draft)
        time_s = int(now.timestamp())
        incident = Incident(number=number, severity=severity, text=text, time=time_s)
        data = incident.encode()
        digest = sha256(data)
        context, (actor, role) = self._context, reporter
        context.files.write(digest, data)
        await context.board.note_file(
            tx, draft.draft_id, digest, size=len(data), is_restricted=False
        )
        await tx.execute(
            insert(INCIDENTS).values(
                tenant=context.tenant,
                draft=draft.draft_id,
                number=number,
                digest=digest,
                time_s=time_s,
                reported_by=actor,
                attempt=1,
            )
        )
        await self._ask(tx, draft.draft_id, number, digest, attempt=1)
        entry = AuditEntry(
            tenant=context.tenant,
            time=now,
            actor=actor,
            role=role,
            purpose="election.publish",
            action="incident.noted",
            subject=draft.draft_id.hex(),
            detail=digest.hex(),
        )
        await record(tx, entry)
        return incident

    async def _next_number(self, tx: AsyncConnection, draft: DraftState) -> int:
        """Return the number after the last one here or on the ledger, which may know more."""
        query = select(func.coalesce(func.max(INCIDENTS.c.number), 0)).where(*self._mine(draft))
        here = int((await tx.execute(query)).scalar_one())
        mine = self._context.settings.municipality.id
        posted = [number for post, number in draft.incidents if post.municipality == mine]
        number = 1 + max(here, *posted, 0)
        if number > INCIDENTS_MAX:
            raise IncidentLogFull("no number is left", rule="ELECTION-INCIDENT")
        return number

    def _mine(self, draft: DraftState) -> tuple[Any, Any]:
        return INCIDENTS.c.tenant == self._context.tenant, INCIDENTS.c.draft == draft.draft_id

    async def _ask(
        self, tx: AsyncConnection, draft_id: bytes, number: int, digest: bytes, *, attempt: int
    ) -> None:
        await self._context.call_contract(
            tx,
            _operation(draft_id, number, attempt),
            self._context.contracts.bulletin,
            encode_call("Bulletin", "post", draft_id, INCIDENT_STEP + number, digest),
            ordered_by=f"incidents:{draft_id.hex()[:32]}",
        )

    async def repeat_failed(self) -> None:
        """Ask again for posts that failed while the ledger still has nothing in their place."""
        context = self._context
        async with context.board.database.read() as tx:
            query = select(INCIDENTS).where(
                INCIDENTS.c.tenant == context.tenant, INCIDENTS.c.attempt < ATTEMPTS_MAX
            )
            rows = (await tx.execute(query)).all()
        for row in rows:
            await context.board.database.transact(
                lambda tx, it=row: self._repeat(tx, it)  # type: ignore[misc]
            )

    async def _repeat(self, tx: AsyncConnection, row: Any) -> None:
        draft_id = bytes(row.draft)
        operation = _operation(draft_id, row.number, row.attempt)
        if await self._context.call_state(tx, operation) not in FAILED:
            return
        draft = await self._context.board.load_draft(tx, draft_id)
        mine = self._context.settings.municipality.id
        if draft is None or draft.digest_of(mine, INCIDENT_STEP + row.number) is not None:
            return
        attempt = row.attempt + 1
        this = (*self._mine(draft), INCIDENTS.c.number == row.number)
        await tx.execute(update(INCIDENTS).where(*this).values(attempt=attempt))
        await self._ask(tx, draft_id, row.number, bytes(row.digest), attempt=attempt)

    async def list(self, tx: AsyncConnection, draft: DraftState) -> tuple[ListedIncident, ...]:
        """Return the incidents of all municipalities: by municipality, in their order.

        Spec: ELECTION-INCIDENT.
        """
        found = [self._posted(draft, post, number) for post, number in draft.incidents]
        known = {(each.municipality, each.number): each.digest for each in found}
        rows = (await tx.execute(select(INCIDENTS).where(*self._mine(draft)))).all()
        mine = self._context.settings.municipality.id
        for row in rows:
            digest = bytes(row.digest)
            if known.get((mine, row.number)) == digest:
                continue
            operation = _operation(draft.draft_id, row.number, row.attempt)
            state = await self._context.call_state(tx, operation)
            is_lost = state in FAILED or (mine, row.number) in known
            found.append(
                ListedIncident(
                    municipality=mine,
                    number=row.number,
                    digest=digest,
                    state=IncidentState.FAILED if is_lost else IncidentState.WAITING,
                    height=None,
                    incident=self._read(draft.draft_id, mine, row.number, digest),
                )
            )
        return tuple(sorted(found, key=lambda each: (each.municipality, each.number, each.digest)))

    def _posted(self, draft: DraftState, post: Post, number: int) -> ListedIncident:
        return ListedIncident(
            municipality=post.municipality,
            number=number,
            digest=post.digest,
            state=IncidentState.FINAL,
            height=post.height,
            incident=self._read(draft.draft_id, post.municipality, number, post.digest),
        )

    def _read(
        self, draft_id: bytes, municipality: int, number: int, digest: bytes
    ) -> Incident | None:
        """Return what the file says if it is here and of this number."""
        ref = incident_ref(draft_id, municipality, number, digest)
        try:
            found = decode_incident(self._context.files.read(ref))
        except (FileNotFoundError, InvalidInput):
            return None
        return found if found.number == number else None


def _operation(draft_id: bytes, number: int, attempt: int) -> str:
    return f"incident:{draft_id.hex()}:{number}:{attempt}"
