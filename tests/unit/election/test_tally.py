"""The tally by four services: unattended, from a closed box to results.

TALLY-ORDER, TALLY-ROUND, TALLY-SHARE, TALLY-PUBLISH, TALLY-CLEANSE, MIX-VERIFY, DEC-SHARE.
"""

from pathlib import Path

from tests.support.election_day import counts_of, hold_day
from tests.support.election_world import open_world

RACE_1 = [1, 1, 2, 0]
RACE_4 = [1, 1, 1, 0, 0]


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
