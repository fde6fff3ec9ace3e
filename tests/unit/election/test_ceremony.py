"""The key ceremony between four services: to the end unattended, or ended with a name.

DKG-BULLETIN, DKG-COMMIT, DKG-SHARE, DKG-COMPLAINT, DKG-DERIVE, DKG-REHEARSAL. Numbers are those of
the protocol's list of attacks.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from clients.voting.ceremony import (
    ComplaintsMessage,
    ComplaintText,
    RevealMessage,
    SharesMessage,
    check_transcript,
)
from clients.voting.dkg import KeyGeneration, KeyPurpose, complain
from services.election.trustee.ceremony import (
    CannotJoin,
    Ceremony,
    CeremonyStatus,
    UnknownDraft,
    join_draft,
)
from tests.support.election import DRAFT_ID
from tests.support.election_world import Town, World, open_world
from tests.support.voting import SeededNonces

pytestmark = pytest.mark.slow

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


async def test_14_a_dealer_of_a_wrong_share_is_named_by_everyone(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await begin(world)
        cheat = world.towns[1].custodian
        honest = cheat.deal

        async def deal(run: KeyGeneration, me: int) -> SharesMessage:
            dealt = (await honest(run, me)).shares
            first, third = dealt[0], dealt[2]
            return SharesMessage(shares=[third, None, first, dealt[3]])

        cheat.deal = deal  # type: ignore[method-assign]
        await world.settle(status_of)

        for town in world.towns:
            status = await status_of(town)
            assert status.ceremony.guilty == 2
            assert "wrong share" in (status.ceremony.fault or "")
            assert not status.transcripts


async def test_15_who_complains_falsely_is_named_by_everyone(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await begin(world)
        liar = world.towns[2].custodian
        honest = liar.receive

        async def receive(
            run: KeyGeneration,
            me: int,
            reveals: Mapping[int, RevealMessage],
            shares: Mapping[int, SharesMessage],
        ) -> ComplaintsMessage:
            await honest(run, me, reveals, shares)
            text = shares[1].shares[me - 1]
            assert text is not None
            encryption = liar._draft(run, me)["encryption"]
            made = complain(
                run, 1, me, text.share(), int(encryption, 16), SeededNonces("false complaint")
            )
            return ComplaintsMessage(complaints=[ComplaintText.of(1, made)])

        liar.receive = receive  # type: ignore[method-assign]
        await world.settle(status_of)

        found = [(await status_of(town)).ceremony for town in world.towns]
        assert {each.guilty for each in found} == {3}
        assert all("complained falsely" in (each.fault or "") for each in found)


async def test_11_a_dealer_that_reveals_something_else_is_named(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await begin(world)
        cheat = world.towns[3].custodian
        honest = cheat.reveal

        async def reveal(run: KeyGeneration, me: int) -> RevealMessage:
            made = await honest(run, me)
            return made.model_copy(update={"coefficients": made.coefficients[::-1]})

        cheat.reveal = reveal  # type: ignore[method-assign]
        await world.settle(status_of)

        found = [(await status_of(town)).ceremony for town in world.towns]
        assert {each.guilty for each in found} == {4}


async def test_a_silent_trustee_is_waited_for_and_shown(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await begin(world)
        world.towns[2].is_relay_up = False
        await world.settle(status_of)

        status = await status_of(world.towns[0])
        assert status.waits_for == ("1 of 3",)
        assert status.ceremony.fault is None


async def test_only_one_among_the_trustees_joins_and_only_one_way(tmp_path: Path) -> None:
    async with open_world(tmp_path, count=1) as world:
        (town,) = world.towns
        for bad in (
            replace(CEREMONY, members=(2, 3, 4)),
            replace(CEREMONY, members=(1, 1, 2)),
            replace(CEREMONY, threshold=5),
        ):
            with pytest.raises(CannotJoin):
                await town.board.database.transact(
                    lambda tx, it=bad: join_draft(tx, town.context, it)  # type: ignore[misc]
                )
        for ceremony in (CEREMONY, CEREMONY):
            await town.board.database.transact(
                lambda tx, it=ceremony: join_draft(tx, town.context, it)  # type: ignore[misc]
            )
        with pytest.raises(CannotJoin):
            await town.board.database.transact(
                lambda tx: join_draft(tx, town.context, replace(CEREMONY, threshold=2))
            )
        with pytest.raises(UnknownDraft):
            await status_of(town)
