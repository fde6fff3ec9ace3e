"""What an honest ballot is, byte for byte.

BALLOT-CORE, BALLOT-POK, BALLOT-SIGNATURE, BALLOT-ELGAMAL, BALLOT-TRANSCRIPT, BALLOT-CHECK,
BALLOT-HASH. A voter with style 7 (races 1 and 4) casts honest ballots.
"""

import hashlib
from dataclasses import replace

import pytest

from clients.voting.ballot import (
    Ballot,
    InvalidBallot,
    build_core,
    candidate_point,
    check_ballot,
    check_opening,
    decode_core,
    encode_crockford,
    sign_core,
    tracking_code,
)
from clients.voting.encoding import (
    InvalidScalar,
    decode_scalar,
    encode_scalar,
    hash_to_scalar,
    tagged_hash,
)
from clients.voting.group import ORDER, decode_point_xy, generator_multiple, multiple
from clients.voting.randomness import draw_below, draw_permutation
from node.primitives.crypto import PrivateKey
from tests.support.voting import EID, SeededNonces

SOURCE = SeededNonces("ballot")
VOTER = PrivateKey(b"\x07" * 32)
KEY = decode_point_xy(VOTER.public_key[1:])
ELECTION_SECRET = 1234567
ELECTION_KEY = generator_multiple(ELECTION_SECRET)
CORE, OPENINGS = build_core(
    eid=EID,
    style=7,
    key=KEY,
    sequence=1,
    choices=[(1, 3), (4, 0)],
    election_key=ELECTION_KEY,
    source=SOURCE,
)
BALLOT = sign_core(CORE, VOTER)


def test_an_honest_ballot_is_accepted_and_holds_the_choices() -> None:
    check_ballot(BALLOT, eid=EID, races=(1, 4))

    for choice, candidate in zip(CORE.choices, (3, 0), strict=True):
        opened = choice.b - multiple(choice.a, ELECTION_SECRET)
        assert opened == candidate_point(EID, choice.race, candidate)


@pytest.mark.parametrize("races", [1, 2, 3])
def test_a_core_has_the_stated_size_and_survives_its_bytes(races: int) -> None:
    core, _ = build_core(
        eid=EID,
        style=1,
        key=KEY,
        sequence=9,
        choices=[(race, 1) for race in range(races)],
        election_key=ELECTION_KEY,
        source=SOURCE,
    )

    data = core.encode()

    assert len(data) == 107 + 226 * races
    assert decode_core(data) == core


def test_a_checked_ballot_shows_the_choices_it_holds() -> None:
    check_opening(CORE, OPENINGS, ELECTION_KEY)

    lie = (replace(OPENINGS[0], candidate=2), OPENINGS[1])
    with pytest.raises(InvalidBallot, match="BALLOT-CHECK"):
        check_opening(CORE, lie, ELECTION_KEY)
    with pytest.raises(InvalidBallot, match="BALLOT-CHECK"):
        check_opening(CORE, OPENINGS[:1], ELECTION_KEY)


def test_an_opening_shows_nothing_when_printed() -> None:
    assert "candidate" not in repr(OPENINGS[0])
    assert str(OPENINGS[0].randomness) not in repr(OPENINGS[0])


def test_the_blank_vote_is_a_candidate_like_any_other() -> None:
    seen = {candidate_point(EID, race, at) for race in (1, 4) for at in range(3)}

    assert len(seen) == 6


def test_the_tracking_code_is_ten_bytes_in_groups_of_four() -> None:
    assert encode_crockford(b"\xff" * 10) == "ZZZZ-ZZZZ-ZZZZ-ZZZZ"
    assert encode_crockford(bytes(10)) == "0000-0000-0000-0000"
    assert len(tracking_code(BALLOT.hash)) == 19


def test_a_tagged_hash_is_sha256_over_the_doubled_tag() -> None:
    tag = hashlib.sha256(b"JMEV1/leaf").digest()

    assert tagged_hash("JMEV1/leaf", b"x") == hashlib.sha256(tag + tag + b"x").digest()
    assert tagged_hash("JMEV1/list", b"x") != tagged_hash("JMEV1/leaf", b"x")
    assert 0 < hash_to_scalar("JMEV1/leaf", b"x") < ORDER
    with pytest.raises(ValueError, match="JMEV1"):
        tagged_hash("other", b"x")


@pytest.mark.parametrize(
    "data", [ORDER.to_bytes(32, "big"), b"\xff" * 32, b"\x01" * 31, b"\x01" * 33]
)
def test_a_scalar_out_of_range_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidScalar):
        decode_scalar(data)


def test_zero_is_a_scalar_only_where_it_may_be() -> None:
    assert decode_scalar(encode_scalar(0)) == 0
    with pytest.raises(InvalidScalar):
        decode_scalar(encode_scalar(0), is_nonzero=True)
    with pytest.raises(InvalidScalar):
        encode_scalar(ORDER)


def test_a_permutation_holds_every_row_once() -> None:
    assert sorted(draw_permutation(SOURCE, 50)) == list(range(50))
    assert {draw_below(SOURCE, 3) for _ in range(60)} == {0, 1, 2}


def test_two_ballots_of_the_same_choice_share_no_ciphertext() -> None:
    again, _ = build_core(
        eid=EID,
        style=7,
        key=KEY,
        sequence=2,
        choices=[(1, 3), (4, 0)],
        election_key=ELECTION_KEY,
        source=SOURCE,
    )

    assert again.choices[0].a != CORE.choices[0].a
    assert Ballot(core=again, signature=BALLOT.signature).hash != BALLOT.hash
