"""The tally by four services: unattended, from a closed box to results.

TALLY-ORDER, TALLY-ROUND, TALLY-SHARE, TALLY-PUBLISH, TALLY-CLEANSE, MIX-VERIFY, DEC-SHARE,
AUDIT-ELECTION: both auditors confirm the record that a town publishes of it, with its chain.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients.auditor.checks import Verdict
from clients.auditor.election import checks
from clients.auditor.election.audit import ElectionAudit
from clients.auditor.election.records import Folder
from node.primitives.types import Height
from node.runtime.bundle_file import BundlePlan, export_bundle
from services.election.board.export import export_record
from tests.support.election_day import counts_of, hold_day
from tests.support.election_world import open_world
from tests.support.javascript import verify_election

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
        bundle, genesis = tmp_path / "chain.bundle", tmp_path / "genesis.json"
        ledger = world.ledger
        plan = BundlePlan(profile=ledger.genesis.profile, start=Height(1), stop=ledger.head.height)
        export_bundle(ledger.chain, bundle, plan, lambda _height: None)
        genesis.write_bytes(ledger.genesis_file)
    assert verdicts_of(folder, bundle) == {
        check.name: Verdict.UNDECIDED if check in checks.ACCREDITED else Verdict.MET
        for check in checks.TABLE
    }
    code, answers = verify_election(folder, chain=(bundle, genesis))
    assert {name for name, each in answers.items() if each["verdict"] != "met"} == set()
    assert code == 0


def verdicts_of(folder: Path, bundle: Path) -> dict[str, Verdict]:
    """Audit a published record and its chain."""
    with ThreadPoolExecutor(1) as executor:
        audit = ElectionAudit(Folder(folder), executor, bundle=bundle)
        audit.run()
    return {each.check.name: each.verdict for each in audit.sheet.outcomes()}
