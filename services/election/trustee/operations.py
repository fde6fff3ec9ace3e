"""What officials and anyone may ask of a trustee's service about the making of keys."""

from typing import Annotated

from pydantic import Field

from clients.voting.dkg import KeyPurpose
from services.election.board.operations import Hex32, parse_digest
from services.election.parts import Context
from services.election.trustee.ceremony import (
    MEMBERS_MAX,
    CannotJoin,
    Ceremony,
    CeremonyStatus,
    CeremonyWorker,
    UnknownDraft,
    join_draft,
)
from services.kit.audit import AuditEntry, record
from services.kit.auth import Access
from services.kit.documents import Document
from services.kit.operations import Call, operation
from services.kit.problems import NotFound
from services.kit.reads import reference_of, role_of

OFFICER = "election-officer"

Municipality = Annotated[int, Field(ge=1, le=255)]


class JoinRequest(Document):
    """Who makes the keys of a draft together."""

    threshold: Annotated[int, Field(ge=1, le=MEMBERS_MAX)]
    trustees: Annotated[list[Municipality], Field(min_length=1, max_length=MEMBERS_MAX)]
    """Municipalities' numbers, in the order of the manifest."""


class CeremonyView(Document):
    """Where the making of keys stands."""

    draft_id: Hex32
    threshold: int
    trustees: Annotated[list[Municipality], Field(max_length=MEMBERS_MAX)]
    is_done: bool
    waits_for: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=2_000)]
    """``STEP of MUNICIPALITY``, with ``file`` before it when only the file is missing."""
    ballot_transcript: Hex32 | None
    roll_transcript: Hex32 | None
    fault: Annotated[str, Field(max_length=500)] | None
    guilty: int | None
    """The trustee at fault, from 1."""


class TrusteeOperations:
    """The handlers."""

    def __init__(self, context: Context, worker: CeremonyWorker) -> None:
        """Hold what they need."""
        self._context = context
        self._worker = worker

    @operation(
        "PUT",
        "/drafts/{draft_id}",
        purpose="election.ceremony",
        roles=[OFFICER],
        authentication_level=2,
        request=JoinRequest,
        response=CeremonyView,
        refusals=[NotFound, CannotJoin, UnknownDraft],
    )
    async def join_ceremony(self, call: Call[JoinRequest, None]) -> CeremonyView:
        """Take part in making the keys of a draft; the rest goes on by itself."""
        draft_id = parse_digest(call.path["draft_id"])
        ceremony = Ceremony(
            draft_id=draft_id, threshold=call.body.threshold, members=tuple(call.body.trustees)
        )
        database = self._context.resources.database
        async with database.write() as tx:
            if await self._context.board.load_draft(tx, draft_id) is None:
                raise NotFound("no such draft on the ledger")
            await join_draft(tx, self._context, ceremony)
            await record(
                tx,
                AuditEntry(
                    tenant=call.tenant,
                    time=call.at,
                    actor=reference_of(call.caller),
                    role=role_of(call.caller),
                    purpose=call.purpose,
                    action="ceremony.joined",
                    subject=draft_id.hex(),
                    detail=f"{ceremony.threshold} of {len(ceremony.members)}",
                ),
            )
        return view_of(await self._worker.look(draft_id))

    @operation(
        "GET",
        "/drafts/{draft_id}",
        purpose="election.read",
        access=[Access.PUBLIC],
        response=CeremonyView,
        refusals=[NotFound],
    )
    async def show_ceremony(self, call: Call[None, None]) -> CeremonyView:
        """Tell where the making of a draft's keys stands."""
        try:
            return view_of(await self._worker.look(parse_digest(call.path["draft_id"])))
        except UnknownDraft as error:
            raise NotFound("no such draft here") from error


def view_of(status: CeremonyStatus) -> CeremonyView:
    """Write where a ceremony stands."""
    ceremony, transcripts = status.ceremony, status.transcripts
    ballots = transcripts.get(KeyPurpose.BALLOTS)
    roll = transcripts.get(KeyPurpose.ROLL)
    return CeremonyView(
        draft_id=ceremony.draft_id.hex(),
        threshold=ceremony.threshold,
        trustees=list(ceremony.members),
        is_done=status.is_done,
        waits_for=list(status.waits_for),
        ballot_transcript=None if ballots is None else ballots.hex(),
        roll_transcript=None if roll is None else roll.hex(),
        fault=ceremony.fault,
        guilty=ceremony.guilty,
    )
