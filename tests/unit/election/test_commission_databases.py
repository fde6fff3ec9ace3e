"""ROLL-IMPORT, ROLL-ENROL, ROLL-CANCEL, ROLL-BATCH, ROLL-WITNESS: the same on each database.

ELECTION-INCIDENT: numbers come one after the other there too, whoever writes at once.
"""

import asyncio
from pathlib import Path

import pytest

from clients.voting.roll_files import CancelReason, decode_active_list
from services.election.commission.acts import list_acts
from services.election.commission.cancels import cancel_elector
from services.election.commission.marks import count_turnout, list_marks
from services.election.publication.incidents import IncidentLog
from tests.support.commission import DRAFT, elector, open_poll
from tests.support.databases import KINDS

ELECTORS = [elector(number, style=1 + number % 2) for number in range(4)]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_roll_from_import_to_freeze(kind: str, tmp_path: Path) -> None:
    async with open_poll(tmp_path, ELECTORS, kind=kind) as poll:
        commission = poll.commission
        kept = await commission.enrol(0)
        await commission.enrol(2)
        await poll.turn(2)
        await cancel_elector(
            commission.registrar,
            await commission.roll(),
            "A0002",
            reason=CancelReason.PAPER,
            evidence=b"\x05" * 32,
            actor=commission.actor(),
        )
        await poll.freeze()

        state = await poll.town.election(poll.eid)
        assert sum(batch.entry_count for batch in state.batches) == 2
        assert sum(batch.cancel_count for batch in state.batches) == 1
        assert (state.frozen[1].count, state.frozen[2].count) == (1, 0)
        body = poll.town.context.files.path(state.frozen[1].file_digest).read_bytes()
        assert decode_active_list(body).commitments == (kept.receipt.commitment,)
        async with commission.database.read() as tx:
            roll = await commission.roll()
            vault = await commission.registrar.vaults.open(tx, roll.tenant, DRAFT)
            marks = await list_marks(tx, roll, vault, after=b"")
            counts = await count_turnout(tx, roll)
            acts = await list_acts(tx, roll)
        assert {mark.number: mark.mark for mark in marks} == {
            "A0000": "online",
            "A0001": "none",
            "A0002": "paper",
            "A0003": "none",
        }
        assert sum(cell.electors for cell in counts.values()) == 4
        assert sum(cell.enrolled for cell in counts.values()) == 1
        assert [each.number for each in acts] == sorted(each.number for each in acts)


@pytest.mark.parametrize("kind", KINDS)
async def test_incidents_noted_at_once_have_numbers_of_their_own(kind: str, tmp_path: Path) -> None:
    async with open_poll(tmp_path, ELECTORS[:1], towns=1, kind=kind) as poll:
        context, draft = poll.town.context, await poll.town.draft(DRAFT)
        log, now = IncidentLog(context), context.resources.clock.now()

        async def note(at: int) -> None:
            await context.board.database.transact(
                lambda tx: log.note(
                    tx,
                    draft,
                    severity="info",
                    text=f"事象{at}",
                    reporter=("staff:one", "officer"),
                    now=now,
                )
            )

        await asyncio.gather(*(note(at) for at in range(4)))

        async with context.board.database.read() as tx:
            listed = await log.list(tx, draft)
        assert [each.number for each in listed] == [1, 2, 3, 4]
