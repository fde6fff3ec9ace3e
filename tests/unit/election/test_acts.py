"""A trustee's acts that the ledger refuses: tried again, given up loudly, and resumed."""

from pathlib import Path

import pytest
from sqlalchemy import select

from node.primitives.types import Address
from services.election.board.contracts import encode_call
from services.election.trustee.acts import ATTEMPTS_MAX, Act, ActGivenUp, Acts
from services.kit.decisions import Operator
from services.kit.tables import AUDIT_ENTRIES
from tests.support.election_world import Town, World, open_world

DRAFT = b"\x07" * 32
OTHER = b"\x08" * 32
DIGEST = b"\x01" * 32
STEP = "post 1"


def operator(world: World) -> Operator:
    return Operator(actor="operator:tanaka", at=world.clock.now())


async def give_up(world: World, town: Town, acts: Acts) -> None:
    """Ask for a post to a draft that the ledger does not have yet, until it is given up."""
    data = encode_call("Bulletin", "post", DRAFT, 1, DIGEST)
    contract = Address(town.context.contracts.bulletin)
    await acts.do(Act(subject=DRAFT, name=STEP, contract=contract, data=data))
    assert "is tried" in await acts.check()
    for _ in range(2 * ATTEMPTS_MAX):
        await world.relay()
        assert not await acts.is_due(DRAFT, STEP)


async def test_an_act_refused_time_after_time_raises_the_alarm(tmp_path: Path) -> None:
    async with open_world(tmp_path, count=1) as world:
        town = world.towns[0]
        acts = Acts(town.context)
        await give_up(world, town, acts)

        assert len(town.sent) == ATTEMPTS_MAX
        with pytest.raises(ActGivenUp, match=f"'{STEP}' of 0707.* after {ATTEMPTS_MAX} tries"):
            await acts.check()


async def test_an_operator_resumes_what_was_given_up_and_it_is_written_down(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path, count=1) as world:
        town = world.towns[0]
        acts, database = Acts(town.context), town.board.database
        await give_up(world, town, acts)
        await world.draft(DRAFT)

        assert not await database.transact(lambda tx: acts.resume(tx, OTHER, operator(world)))
        resumed = await database.transact(lambda tx: acts.resume(tx, DRAFT, operator(world)))
        assert [each.name for each in resumed] == [STEP]
        await world.relay()

        assert "is tried" in await acts.check()
        assert (await town.draft(DRAFT)).digest_of(1, 1) == DIGEST
        async with database.read() as tx:
            rows = (await tx.execute(select(AUDIT_ENTRIES))).all()
    noted = [(row.actor, row.action) for row in rows]
    assert noted == [("operator:tanaka", "act.resumed")]
