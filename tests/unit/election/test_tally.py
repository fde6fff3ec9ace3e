"""The tally by four services: unattended, from a closed box to results.

TALLY-ORDER, TALLY-ROUND, TALLY-SHARE, TALLY-PUBLISH, TALLY-CLEANSE, MIX-VERIFY, DEC-SHARE,
AUDIT-ELECTION: the record that a town publishes of it is confirmed.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients.auditor.checks import Verdict
from clients.auditor.election import checks
from clients.auditor.election.audit import ElectionAudit
from clients.auditor.election.records import Folder
from services.election.board.export import export_record
from tests.support.election_day import counts_of, hold_day
from tests.support.election_world import open_world

RACE_1 = [1, 1, 2, 0]
RACE_4 = [1, 1, 1, 0, 0]


@pytest.mark.slow
async def test_four_services_count_an_election_unattended(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        day = await hold_day(world)
        await world.settle(lambda town: town.tally.advance(day.eid))

        for town in world.towns:
            state = await town.election(day.eid)
            assert {race: counts_of(each.numbers) for race, each in state.results.items()} == {
                1: RACE_1,
                4: RACE_4,
            }
            assert all(len(tally.shares) == 4 for tally in state.lists.values())
            assert all(each.is_valid for tally in state.lists.values() for each in tally.rounds)

        folder = tmp_path / "record"
        await export_record(world.towns[2].context, day.eid, folder)
    assert verdicts_of(folder) == {
        check.name: Verdict.UNDECIDED
        if check in (checks.CHAIN, *checks.ACCREDITED)
        else Verdict.MET
        for check in checks.TABLE
    }


def verdicts_of(folder: Path) -> dict[str, Verdict]:
    """Audit a published record."""
    with ThreadPoolExecutor(1) as executor:
        audit = ElectionAudit(Folder(folder), executor)
        audit.run()
    return {each.check.name: each.verdict for each in audit.sheet.outcomes()}
