"""Gathering what an account of an election is written from."""

from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.voting.manifest import decode_manifest
from services.election.board.refs import manifest_ref
from services.election.board.tables import FACTS, REFUSALS, WITHDRAWALS
from services.election.commission.marks import count_turnout
from services.election.commission.rolls import BANDS, Roll, RollState, find_band, find_roll
from services.election.commission.tables import ACTS
from services.election.commission.turnout import TurnoutTable, build_turnout
from services.election.parts import Context
from services.election.publication.account import ActCount, Facts
from services.election.publication.incidents import IncidentLog

HEIGHT_SHIFT: Final = 20
"""A fact's position is its height in these bits' left."""


async def gather_facts(context: Context, eid: bytes, *, is_internal: bool) -> Facts | None:
    """Gather an election's facts; None when it or its manifest is not known here.

    Args:
        context: The service.
        eid: The election.
        is_internal: Also what only the commission has: enrolment by age and district, and acts.
    """
    board = context.board
    async with board.database.read() as tx:
        state = await board.load_election(tx, eid)
        head = await board.load_head(tx)
        known = await board.find_file(tx, eid, eid)
        if state is None or head is None:
            return None
        ballot_count = await board.count_ballots(tx, eid)
        draft = state.draft
        incidents = () if draft is None else await IncidentLog(context).list(tx, draft)
        times = await _read_times(context, tx, [eid, state.terms.draft_id])
        refusals = await _count_refusals(context, tx, eid)
        withdrawals = await _count_withdrawals(context, tx, eid)
        turnout: TurnoutTable | None = None
        acts: tuple[ActCount, ...] = ()
        if is_internal and context.settings.commission is not None:
            roll = await find_roll(tx, tenant=context.tenant, draft=state.terms.draft_id)
            if roll is not None:
                turnout, acts = await _read_turnout(tx, roll), await _count_acts(tx, roll)
    if known is None or not context.files.has(eid):
        return None
    manifest = decode_manifest(context.files.read(manifest_ref(eid)))
    return Facts(
        state=state,
        manifest=manifest,
        head=head,
        chain_id=context.chain_id,
        genesis_hash=context.genesis_hash,
        contracts=context.contracts.by_name,
        times=times,
        ballot_count=ballot_count,
        refusals=refusals,
        withdrawal_count=withdrawals,
        incidents=incidents,
        turnout=turnout,
        acts=acts,
    )


async def _read_times(
    context: Context, tx: AsyncConnection, subjects: list[bytes]
) -> dict[int, int]:
    query = select(FACTS.c.position, FACTS.c.time_s).where(
        FACTS.c.tenant == context.tenant, FACTS.c.subject.in_(subjects)
    )
    return {row.position >> HEIGHT_SHIFT: row.time_s for row in await tx.execute(query)}


async def _count_refusals(context: Context, tx: AsyncConnection, eid: bytes) -> dict[int, int]:
    table = REFUSALS
    query = (
        select(table.c.reason, func.count())
        .where(table.c.tenant == context.tenant, table.c.eid == eid)
        .group_by(table.c.reason)
    )
    return {int(reason): int(count) for reason, count in (await tx.execute(query)).all()}


async def _count_withdrawals(context: Context, tx: AsyncConnection, eid: bytes) -> int:
    query = select(func.count()).where(
        WITHDRAWALS.c.tenant == context.tenant, WITHDRAWALS.c.eid == eid
    )
    return int((await tx.execute(query)).scalar_one())


async def _read_turnout(tx: AsyncConnection, roll: Roll) -> TurnoutTable | None:
    """Return the table with small cells hidden; None once the restricted store is destroyed."""
    if roll.state is RollState.DESTROYED:
        return None
    counts = await count_turnout(tx, roll)
    return build_turnout(counts, [find_band(0), *(find_band(age) for age in BANDS)])


async def _count_acts(tx: AsyncConnection, roll: Roll) -> tuple[ActCount, ...]:
    table = ACTS
    query = (
        select(
            table.c.kind,
            func.count().label("times"),
            func.min(table.c.time_ms).label("first"),
            func.max(table.c.time_ms).label("last"),
        )
        .where(table.c.tenant == roll.tenant, table.c.draft == roll.draft)
        .group_by(table.c.kind)
        .order_by(func.min(table.c.number))
    )
    return tuple(
        ActCount(
            kind=row.kind, count=row.times, first_s=row.first // 1_000, last_s=row.last // 1_000
        )
        for row in (await tx.execute(query)).all()
    )
