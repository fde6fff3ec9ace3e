"""Services of trustees against those who cheat, crash and lie: the tally goes on, with a name.

Numbers are those of the protocol's list of attacks. TALLY-ROUND, TALLY-SHARE, MIX-VERIFY,
DEC-SHARE.
"""

from pathlib import Path

from clients.voting.ciphertexts import ListKind
from node.primitives.crypto import sha256
from services.election.board.contracts import encode_call
from services.election.board.files import FileRef
from services.election.board.refs import batch_ref, last_list_ref, list_ref, proof_ref
from services.election.trustee import work
from tests.support.election_day import MIX_TIME_S, Day, counts_of, hold_day
from tests.support.election_world import Town, World, open_world

RESULTS = {1: [1, 1, 2, 0], 4: [1, 1, 1, 0, 0]}
R, B = ListKind.ROLL, ListKind.BALLOTS


async def settle(world: World, day: Day, *, without: int = 0, waits: int = 12) -> None:
    """Let everyone but ``without`` work; while nothing moves, let a mixer's time pass."""

    async def step(town: Town) -> None:
        if town.number != without:
            await town.tally.advance(day.eid)

    for _ in range(waits):
        await world.settle(step)
        if len((await world.towns[0].election(day.eid)).results) == len(RESULTS):
            return
        await world.go_to(world.now_s + MIX_TIME_S)
    raise AssertionError("no results")


async def check_results(world: World, day: Day) -> None:
    state = await world.towns[0].election(day.eid)
    assert {race: counts_of(each.numbers) for race, each in state.results.items()} == RESULTS


async def post_bent_mix(world: World, day: Day, number: int) -> None:
    """Let a town post, at its turn for style 7's roll, its mix with two rows swapped after it."""
    town = world.towns[number - 1]
    state = await town.election(day.eid)
    tally = state.lists[R, 7]
    at = (day.eid, R, 7)
    source = town.context.files.path(last_list_ref(state, tally).digest)
    name = work.ListName(eid=day.eid, kind=R, number=7, key=day.manifest.roll_point().encode())
    output, proof = work.mix(name, tally.next_round, source)
    output = output[66:132] + output[:66] + output[132:]
    draft = list_ref(*at, round_=tally.next_round, digest=b"", row_count=tally.row_count)
    digest = draft.digester(output)
    listed = list_ref(*at, round_=tally.next_round, digest=digest, row_count=tally.row_count)
    await town.library.keep(listed, output)
    proven = proof_ref(
        *at, round_=tally.next_round, digest=sha256(proof), row_count=tally.row_count
    )
    await town.library.keep(proven, proof)
    call = encode_call("TallyBoard", "post_mix", day.eid, R.value[0], 7, digest, sha256(proof))
    made = await world.send(number, world.tally, call)
    assert made.result.receipts[0].is_success


async def test_63_a_cheating_mixer_is_found_out_and_left_out(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        day = await hold_day(world)

        async def others(town: Town) -> None:
            if town.number != 2:
                await town.tally.advance(day.eid)

        await world.settle(others)
        await world.towns[1].library.read(
            list_ref(
                day.eid,
                R,
                7,
                round_=0,
                digest=(await world.towns[0].election(day.eid)).lists[R, 7].start,
                row_count=3,
            )
        )
        await post_bent_mix(world, day, 2)
        await settle(world, day)

        await check_results(world, day)
        tally = (await world.towns[0].election(day.eid)).lists[R, 7]
        assert [(each.mixer, each.is_valid) for each in tally.rounds] == [
            (2, False),
            (1, True),
            (4, True),
            (3, True),
        ]


async def test_a_trustee_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        day = await hold_day(world)
        await settle(world, day, without=4)

        await check_results(world, day)
        state = await world.towns[0].election(day.eid)
        for tally in state.lists.values():
            assert [each.output is None for each in tally.rounds] == [False, False, True, False]
            assert sorted(each.trustee for each in tally.shares) == [1, 2, 3]


async def test_75_a_mixer_whose_files_nobody_gets_is_left_out(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        day = await hold_day(world)
        asked: list[FileRef] = []

        def lie(ref: FileRef) -> bytes:
            asked.append(ref)
            return b"\x02" + bytes(32)

        world.lies[2] = lie
        await settle(world, day)

        assert asked
        await check_results(world, day)
        state = await world.towns[0].election(day.eid)
        for tally in state.lists.values():
            assert [each.is_valid for each in tally.rounds] == [False, True, True, True]


async def test_a_peer_that_lies_about_files_is_passed_over(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        day = await hold_day(world)
        town = world.towns[3]
        state = await town.election(day.eid)
        ref = batch_ref(state, 0)
        expected = await world.towns[0].library.read(ref)
        assert await world.towns[1].library.read(ref) == expected
        world.lies[1] = lambda ref: b"x" * ref.size_max

        assert await town.library.read(ref, first=1) == expected
        assert town.context.files.read(ref) == expected


async def test_77_a_wrong_share_is_left_out_of_the_combination(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        day = await hold_day(world)
        town = world.towns[0]
        honest = town.custodian.decrypt

        async def cheat(
            eid: bytes, kind: ListKind, number: int, rows: bytes
        ) -> tuple[bytes, bytes]:
            shares, proof = await honest(eid, kind, number, rows)
            return shares[33:66] + shares[:33] + shares[66:], proof

        town.custodian.decrypt = cheat  # type: ignore[method-assign]
        await settle(world, day)

        await check_results(world, day)
        state = await world.towns[1].election(day.eid)
        (share,) = [each for each in state.lists[B, 1].shares if each.trustee == 1]
        found = await world.towns[1].tally._parts.acts.load_finding(
            day.eid, "share B 1 1", share.shares
        )
        assert found == "the proof does not hold"
