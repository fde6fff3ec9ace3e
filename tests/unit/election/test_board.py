"""The board: events of final blocks become elections, ballots with signatures, and their order."""

from dataclasses import replace
from pathlib import Path

from clients.voting.ballot import compute_ballot_hash, withdrawal_hash
from clients.voting.batch import encode_item
from services.election.board.contracts import encode_call
from tests.support.election import DRAFT_ID, OPENS_AT_S, Terms, Voter
from tests.support.election_world import World, open_world
from tests.support.ledger import SERVICE_KEYS
from tests.support.voting import EID

RELAYS = tuple("0x" + key.address.hex() for key in SERVICE_KEYS)
ROOT = b"\xaa" * 32
TERMS = Terms(registrars=RELAYS, relays=RELAYS)


async def announce(world: World) -> None:
    await world.draft(DRAFT_ID)
    await world.vote(world.elections, encode_call("Elections", "announce", EID, TERMS.encode()))


def item(voter: Voter, *, is_signed: bool = True) -> bytes:
    ballot = voter.make_ballot()
    signature = ballot.signature[:64] + bytes([ballot.signature[64] + 27])
    return encode_item(ballot.core.encode(), signature if is_signed else bytes(65))


async def test_an_election_is_known_by_its_announcement(tmp_path: Path) -> None:
    async with open_world(tmp_path, count=1) as world:
        (town,) = world.towns
        await announce(world)
        await world.send(2, world.bulletin, encode_call("Bulletin", "post", DRAFT_ID, 1, ROOT))

        state = await town.election(EID)
        assert state.terms.trustees == (1, 2, 3, 4)
        check = replace(TERMS, trustee_accounts=state.terms.trustee_accounts)
        assert state.terms.in_order() == check.encode()
        assert state.trustee_of(SERVICE_KEYS[2].address) == 3
        assert state.draft is not None
        assert state.draft.digest_of(2, 1) == ROOT
        assert state.draft.digest_of(1, 1) is None


async def test_ballots_keep_order_signature_and_refusals(tmp_path: Path) -> None:
    async with open_world(tmp_path, count=1) as world:
        (town,) = world.towns
        await announce(world)
        await world.go_to(OPENS_AT_S)
        voters = [Voter(f"voter {at}", style=7) for at in range(4)]
        good, bad, other, last = (item(each, is_signed=at != 1) for at, each in enumerate(voters))
        for batch in (good + bad + other, last):
            # The relay's 64 bytes behind the call.
            data = encode_call("BallotBox", "cast", EID, batch) + b"\x77" * 64
            await world.send(1, world.box, data)

        ballots = [ballot async for ballot in town.board.iterate_ballots(EID)]
        assert [ballot.number for ballot in ballots] == [0, 1, 2]
        assert [encode_item(each.core, each.signature) for each in ballots] == [good, other, last]
        assert ballots[2].height == ballots[1].height + 1
        async with town.board.database.read() as tx:
            assert await town.board.find_ballot(tx, EID, ballots[1].digest) == ballots[1]
            refused = compute_ballot_hash(bad[2:-65])
            found = await town.board.find_refusal(tx, EID, refused)
            assert found is not None
            assert found.reason == 11
            assert await town.board.find_ballot(tx, EID, refused) is None


async def test_a_withdrawn_key_is_kept_with_its_signature(tmp_path: Path) -> None:
    async with open_world(tmp_path, count=1) as world:
        (town,) = world.towns
        await announce(world)
        await world.go_to(OPENS_AT_S)
        voter = Voter("withdrawing")
        signature = voter.secret.sign(withdrawal_hash(EID, voter.key, 1))
        x, y = voter.coordinates
        r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
        call = encode_call("BallotBox", "withdraw", EID, x, y, signature[64] + 27, r, s)
        await world.send(1, world.box, call)

        async with town.board.database.read() as tx:
            (kept,) = await town.board.list_withdrawals(tx, EID)
        assert kept.key == voter.key.encode_xy()
        assert kept.signature == signature[:64] + bytes([signature[64] + 27])
        assert kept.sequence == 1
