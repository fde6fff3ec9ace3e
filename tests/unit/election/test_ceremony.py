"""The key ceremony between four services: to the end unattended, or ended with a name.

DKG-BULLETIN, DKG-COMMIT, DKG-SHARE, DKG-COMPLAINT, DKG-DERIVE, DKG-REHEARSAL. Numbers are those of
the protocol's list of attacks.
"""

from pathlib import Path

from clients.voting.ceremony import check_transcript
from clients.voting.dkg import KeyPurpose
from services.election.trustee.ceremony import Ceremony, CeremonyStatus, join_draft
from tests.support.election import DRAFT_ID
from tests.support.election_world import Town, World, open_world

CEREMONY = Ceremony(draft_id=DRAFT_ID, threshold=3, members=(1, 2, 3, 4))


async def begin(world: World) -> None:
    await world.draft(DRAFT_ID)
    for town in world.towns:
        await town.board.database.transact(
            lambda tx, it=town: join_draft(tx, it.context, CEREMONY)  # type: ignore[misc]
        )


async def status_of(town: Town) -> CeremonyStatus:
    return await town.ceremony.advance(DRAFT_ID)


async def test_four_services_make_both_keys_unattended(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await begin(world)
        await world.settle(status_of)

        found = [await status_of(town) for town in world.towns]
        assert all(each.is_done for each in found)
        assert len({tuple(sorted(each.transcripts.values())) for each in found}) == 1
        for purpose in KeyPurpose:
            digest = found[0].transcripts[purpose]
            transcript = check_transcript(world.towns[2].context.files.path(digest).read_bytes())
            assert transcript.purpose == purpose.value.decode()
            assert [each.municipality_id for each in transcript.trustees] == [1, 2, 3, 4]
