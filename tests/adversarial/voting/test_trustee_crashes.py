"""A trustee's service killed at any of its acts, before or after, does each act once all the same.

DKG-BULLETIN, TALLY-ROUND, TALLY-SHARE.
"""

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.types import Address
from services.election.parts import Context
from tests.support.election_day import DRAFT_ID, counts_of, hold_day, make_keys
from tests.support.election_world import Town, World, open_world


class Killed(BaseException):
    """The process is gone."""


def killing(monkeypatch: pytest.MonkeyPatch, world: World, *, is_after: bool) -> list[str]:
    """Kill the second town at each of its acts, once: in the transaction, or behind it."""
    honest = Context.call_contract
    killed: list[str] = []

    async def call(
        self: Context, tx: AsyncConnection, operation: str, to: Address, data: bytes, **more: object
    ) -> None:
        await honest(self, tx, operation, to, data, **more)  # type: ignore[arg-type]
        if self.settings.municipality.id == 2 and operation not in killed:
            killed.append(operation)
            if is_after:
                await tx.commit()
            raise Killed(operation)

    monkeypatch.setattr(Context, "call_contract", call)
    return killed


async def survive(world: World, town: Town, step: str, subject: bytes) -> None:
    """Do a step of a town; when it dies there, open it again from its disk."""
    try:
        await getattr(town, step).advance(subject)
    except Killed:
        await world.reopen(town)


@pytest.mark.parametrize("is_after", [False, True])
async def test_a_tally_survives_a_kill_at_every_act(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_after: bool
) -> None:
    async with open_world(tmp_path) as world:
        day = await hold_day(world)
        killed = killing(monkeypatch, world, is_after=is_after)
        for _ in range(200):
            for town in tuple(world.towns):
                await survive(world, town, "tally", day.eid)
            await world.relay()
            state = await world.towns[1].election(day.eid)
            if len(state.results) == 2 and all(len(t.shares) == 4 for t in state.lists.values()):
                break

        assert {race: counts_of(each.numbers) for race, each in state.results.items()} == {
            1: [1, 1, 2, 0],
            4: [1, 1, 1, 0, 0],
        }
        assert all(each.is_valid for tally in state.lists.values() for each in tally.rounds)
        # Two rolls and two races: start, judge thrice or more, mix, share; results of both races.
        assert len(killed) >= 4 * 3 + 2
        assert len(set(killed)) == len(killed)


async def test_a_ceremony_survives_a_kill_at_every_act(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path) as world:
        killed = killing(monkeypatch, world, is_after=False)

        async def settle(step: object, *, rounds: int = 200) -> None:
            del step
            for _ in range(rounds):
                for town in tuple(world.towns):
                    await survive(world, town, "ceremony", DRAFT_ID)
                if await world.relay() == 0 and len(killed) >= 13:
                    return
            raise AssertionError("it does not come to rest")

        monkeypatch.setattr(world, "settle", settle)
        await make_keys(world)

        assert len(killed) == 13
