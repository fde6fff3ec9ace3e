"""What anyone may ask of the board: elections, where they stand, and their files."""

from typing import Annotated, Final

from aiohttp import web
from pydantic import Field

from node.primitives.canonical import INTEGER_MAX
from services.election.board.progress import Step
from services.election.board.state import ElectionState, TallyList
from services.election.board.store import Head
from services.election.parts import Context
from services.kit.auth import Access, Partner
from services.kit.documents import Document
from services.kit.operations import Call, operation
from services.kit.problems import NotFound
from services.kit.tokens import IncomingRequest, identify

ELECTIONS_MAX: Final = 1_000
FILES_PURPOSE: Final = "election.files"
"""Purpose for which a partner may have restricted files."""

Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=INTEGER_MAX)]


class ElectionLine(Document):
    """An election in the list."""

    eid: Hex32
    is_mock: bool
    opens_at: Count
    closes_at: Count
    freezes_at: Count
    is_abandoned: bool


class Elections(Document):
    """The elections of this ledger, the newest first."""

    elections: Annotated[list[ElectionLine], Field(max_length=ELECTIONS_MAX)]


class RoundView(Document):
    """A mixer's turn."""

    round: Count
    mixer: Count
    is_posted: bool
    is_valid: bool | None


class ListView(Document):
    """A list on its way."""

    kind: Annotated[str, Field(pattern=r"^[BR]$")]
    number: Count
    row_count: Count
    digest: Hex32
    rounds: Annotated[list[RoundView], Field(max_length=64)]
    shares: Annotated[list[Count], Field(max_length=64)]
    is_final: bool
    waits_for: Annotated[list[Count], Field(max_length=64)]
    """Trustees whose turn it is."""


class ResultView(Document):
    """A race's result."""

    race: Count
    result: Hex32
    counts: Annotated[list[Count], Field(max_length=1_002)]
    """Blank, every candidate, invalid."""


class WorkView(Document):
    """What this service is working on."""

    what: Annotated[str, Field(max_length=100)]
    done: Count
    total: Count


class ElectionView(ElectionLine):
    """Where an election stands at the last final block this service read."""

    draft_id: Hex32
    height: Count
    block_time: Count
    phase: Annotated[str, Field(max_length=20)]
    """``announced``, ``open``, ``closing``, ``closed``, ``tally``, ``done`` or ``abandoned``."""
    threshold: Count
    trustees: Annotated[list[Count], Field(max_length=64)]
    batch_count: Count
    entry_count: Count
    frozen_styles: Annotated[list[Count], Field(max_length=1_000)]
    styles: Annotated[list[Count], Field(max_length=1_000)]
    ballot_count: Count
    box_value: Hex32 | None
    lists: Annotated[list[ListView], Field(max_length=2_000)]
    results: Annotated[list[ResultView], Field(max_length=1_000)]
    work: WorkView | None


class BoardOperations:
    """The public handlers."""

    def __init__(self, context: Context) -> None:
        """Hold what they need."""
        self._context = context

    @operation(
        "GET", "/elections", purpose="election.read", access=[Access.PUBLIC], response=Elections
    )
    async def list_elections(self, call: Call[None, None]) -> Elections:
        """List the elections of this ledger."""
        del call
        board = self._context.board
        async with board.database.read() as tx:
            ids = (await board.list_elections(tx))[::-1][:ELECTIONS_MAX]
            states = [await board.load_election(tx, eid) for eid in ids]
        return Elections(elections=[_line(state) for state in states if state is not None])

    @operation(
        "GET",
        "/elections/{eid}",
        purpose="election.read",
        access=[Access.PUBLIC],
        response=ElectionView,
        refusals=[NotFound],
    )
    async def show_election(self, call: Call[None, None]) -> ElectionView:
        """Tell where an election stands."""
        board, eid = self._context.board, parse_digest(call.path["eid"])
        async with board.database.read() as tx:
            state = await board.load_election(tx, eid)
            head = await board.load_head(tx)
            count = await board.count_ballots(tx, eid)
        if state is None or head is None:
            raise NotFound("no such election")
        return describe(state, head, ballot_count=count, step=self._context.progress.of(eid))


def describe(
    state: ElectionState, head: Head, *, ballot_count: int, step: Step | None
) -> ElectionView:
    """Write where an election stands."""
    return ElectionView(
        **_line(state).model_dump(),
        draft_id=state.terms.draft_id.hex(),
        height=head.height,
        block_time=head.time_s,
        phase=phase_of(state, head),
        threshold=state.terms.threshold,
        trustees=list(state.terms.trustees),
        batch_count=len(state.batches),
        entry_count=sum(batch.entry_count for batch in state.batches),
        frozen_styles=sorted(state.frozen),
        styles=list(state.terms.styles),
        ballot_count=ballot_count,
        box_value=None if state.box is None else state.box.value.hex(),
        lists=[_list_view(state, each) for each in state.lists.values()],
        results=[
            ResultView(
                race=each.race,
                result=each.result.hex(),
                counts=[
                    int.from_bytes(each.numbers[at : at + 8], "big")
                    for at in range(0, len(each.numbers), 8)
                ],
            )
            for each in state.results.values()
        ],
        work=None if step is None else WorkView(what=step.what, done=step.done, total=step.total),
    )


def phase_of(state: ElectionState, head: Head) -> str:
    """Return the word for where an election stands."""
    if state.abandoned is not None:
        return "abandoned"
    if head.time_s < state.terms.opens_at:
        return "announced"
    if head.time_s < state.terms.closes_at:
        return "open"
    if state.box is None:
        return "closing"
    if not state.is_frozen:
        return "closed"
    return "done" if len(state.results) == len(state.terms.races) else "tally"


def _list_view(state: ElectionState, tally: TallyList) -> ListView:
    terms = state.terms
    is_final = tally.is_final(terms)
    posted = [share.trustee for share in tally.shares]
    waits_for: list[int] = []
    if tally.pending is None and tally.next_round <= len(terms.mixers):
        waits_for = [terms.mixers[tally.next_round - 1]]
    elif is_final and len(posted) < terms.threshold:
        waits_for = [at for at in range(1, len(terms.trustees) + 1) if at not in posted]
    return ListView(
        kind=tally.kind.value.decode(),
        number=tally.number,
        row_count=tally.row_count,
        digest=tally.digest.hex(),
        rounds=[
            RoundView(
                round=each.number,
                mixer=each.mixer,
                is_posted=each.output is not None,
                is_valid=each.is_valid,
            )
            for each in tally.rounds
        ],
        shares=posted,
        is_final=is_final,
        waits_for=waits_for,
    )


def _line(state: ElectionState) -> ElectionLine:
    terms = state.terms
    return ElectionLine(
        eid=state.eid.hex(),
        is_mock=terms.is_mock,
        opens_at=terms.opens_at,
        closes_at=terms.closes_at,
        freezes_at=terms.freezes_at,
        is_abandoned=state.abandoned is not None,
    )


def parse_digest(text: str) -> bytes:
    """Read 32 bytes of an address; what is none is not found.

    Raises:
        NotFound: It is none.
    """
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32 or text != found.hex():
        raise NotFound("no such thing")
    return found


def file_page(context: Context) -> web.RouteDef:
    """Return the page that gives files: public ones to anyone, restricted ones to partners."""

    async def send(request: web.Request) -> web.StreamResponse:
        subject = parse_digest(request.match_info["eid"])
        digest = parse_digest(request.match_info["digest"])
        board = context.board
        async with board.database.read() as tx:
            known = await board.find_file(tx, subject, digest)
        if known is None or not context.files.has(digest):
            raise NotFound("no such file")
        if known.is_restricted and not await _may_have(context, request):
            raise NotFound("no such file")
        return web.FileResponse(
            context.files.path(digest),
            headers={
                "Content-Type": "application/octet-stream",
                "Cache-Control": "private, no-store"
                if known.is_restricted
                else "public, max-age=31536000, immutable",
            },
        )

    return web.get("/elections/{eid}/files/{digest}", send)


async def _may_have(context: Context, request: web.Request) -> bool:
    incoming = IncomingRequest(
        method=request.method,
        path=request.path,
        authorization=request.headers.get("Authorization"),
        proof=request.headers.get("DPoP"),
    )
    now = context.resources.clock.now()
    caller = await identify(incoming, context.resources.trust, now)
    return isinstance(caller, Partner) and FILES_PURPOSE in caller.purposes
