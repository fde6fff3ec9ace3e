"""CAST-CLOSE: a box that no relay closes is closed by trustees, one after the other."""

from pathlib import Path

from services.election.trustee.tally import CLOSE_AFTER_S, CLOSE_TURN_S
from tests.support.election_day import announce, build_manifest, deal_keys
from tests.support.election_world import Town, World, open_world


async def posts_of(world: World, eid: bytes) -> list[int]:
    """Let every trustee look once; return how many calls each has asked for since the start."""

    async def look(town: Town) -> int:
        await town.tally.advance(eid)
        return await world.relay()

    return [await look(town) for town in world.towns]


async def test_trustees_close_a_box_that_the_relays_left_open_in_turns(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        transcripts = await deal_keys(world)
        manifest = build_manifest(world, transcripts, opens_at=world.now_s + 1_000)
        await announce(world, manifest)
        eid = manifest.eid

        await world.go_to(manifest.closes_at + CLOSE_AFTER_S - 1)
        assert await posts_of(world, eid) == [0, 0, 0, 0]

        world.towns[0].is_relay_up = False
        await world.go_to(manifest.closes_at + CLOSE_AFTER_S)
        assert await posts_of(world, eid) == [0, 0, 0, 0]
        assert (await world.towns[1].election(eid)).box is None

        await world.go_to(manifest.closes_at + CLOSE_AFTER_S + CLOSE_TURN_S)
        assert await posts_of(world, eid) == [0, 1, 0, 0]
        for town in world.towns:
            assert (await town.election(eid)).box is not None
