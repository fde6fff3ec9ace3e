"""Forged ballots, numbered as the protocol's list of attacks: the box and the Python check agree.

BOX-FORM, BOX-PROOF, BOX-SIGNATURE. Each case changes one thing in a correct ballot of style 7,
races 1 and 4. The box says why it refuses; the pure check refuses the same bytes. What both take
is in test_ballot_box.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import boa
import pytest

from clients.voting.ballot import (
    Ballot,
    BallotCore,
    EncryptedChoice,
    check_ballot,
    compute_ballot_hash,
    decode_core,
)
from clients.voting.batch import Refusal, encode_item
from clients.voting.encoding import (
    encode_i2,
    encode_i8,
    hash_to_scalar,
)
from clients.voting.group import (
    FIELD,
    GENERATOR,
    ORDER,
    Point,
    generator_multiple,
    multiple,
)
from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput
from node.primitives.types import Signature
from tests.support.city import City
from tests.support.election import ELECTION_KEY, OPENS_AT_S, STYLES, Election, Voter, go_to
from tests.support.voting import EID

STYLE = 7
SMALL_X_Y = 0x4218F20AE6C646B363DB68605822FB14264CA8D2587FDD6FBC750D587E76A7EE
"""y of the point with x = 1."""
OTHER_EID = b"\x0e" * 32
NONCE = 987_654_321
RANDOMNESS = 192_837_465


@pytest.fixture(scope="module")
def opened() -> Iterator[Election]:
    with boa.env.anchor():
        election = Election(City())
        election.announce()
        go_to(OPENS_AT_S)
        yield election


@pytest.fixture
def election(opened: Election) -> Iterator[Election]:
    with boa.env.anchor():
        yield opened


@dataclass(frozen=True, kw_only=True)
class Forgery:
    """Bytes as an attacker sends them."""

    core: bytes
    signature: bytes


def sign(core: bytes, key: PrivateKey) -> Forgery:
    signature = key.sign(compute_ballot_hash(core))
    return Forgery(core=core, signature=signature[:64] + bytes([27 + signature[64]]))


def is_taken_by_python(forgery: Forgery, races: tuple[int, ...] = STYLES[STYLE]) -> bool:
    """Tell whether the pure check takes the bytes; it knows v as a parity."""
    signature = forgery.signature[:64] + bytes([(forgery.signature[64] - 27) % 256])
    try:
        ballot = Ballot(core=decode_core(forgery.core), signature=Signature(signature))
        check_ballot(ballot, eid=EID, races=races)
    except InvalidInput:
        return False
    return True


def refusal_of(election: Election, forgery: Forgery) -> Refusal | None:
    outcome = election.cast_bytes(encode_item(forgery.core, forgery.signature))
    return outcome.refused.get(0)


def check_refused(election: Election, forgery: Forgery, reason: Refusal) -> None:
    assert refusal_of(election, forgery) is reason
    assert not is_taken_by_python(forgery)


def honest(name: str = "victim") -> tuple[Voter, Ballot]:
    voter = Voter(name, style=STYLE)
    return voter, voter.make_ballot(sequence=1)


def put(core: bytes, at: int, value: bytes) -> bytes:
    return core[:at] + value + core[at + len(value) :]


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


RACE_AT = 107
A_AT, B_AT, R_AT, Z_AT = RACE_AT + 2, RACE_AT + 66, RACE_AT + 130, RACE_AT + 194
KEY_AT, SEQUENCE_AT, STYLE_AT = 35, 99, 33


def test_the_unchanged_ballot_is_taken_by_both(election: Election) -> None:
    voter, ballot = honest()
    forgery = sign(ballot.core.encode(), voter.secret)

    assert refusal_of(election, forgery) is None
    assert is_taken_by_python(forgery)


def find_point_x_above_order() -> tuple[int, int]:
    """Return a point whose x is at least n; there are some in [n, p)."""
    for x in range(ORDER, ORDER + 1_000):
        square = (pow(x, 3, FIELD) + 7) % FIELD
        y = pow(square, (FIELD + 1) // 4, FIELD)
        if y * y % FIELD == square:
            return x, y
    raise AssertionError("no point found")


HIGH_X, HIGH_X_Y = find_point_x_above_order()


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        pytest.param(A_AT + 32, word(5), Refusal.POINT, id="1 A off the curve"),
        pytest.param(B_AT + 32, word(5), Refusal.POINT, id="1 B off the curve"),
        pytest.param(KEY_AT + 32, word(5), Refusal.KEY, id="1 K off the curve"),
        pytest.param(A_AT, bytes(64), Refusal.POINT, id="2 A is (0, 0)"),
        pytest.param(B_AT, bytes(64), Refusal.POINT, id="2 B is (0, 0)"),
        pytest.param(KEY_AT, bytes(64), Refusal.KEY, id="2 K is (0, 0)"),
        pytest.param(R_AT, bytes(64), Refusal.PROOF, id="2 R is (0, 0)"),
        pytest.param(
            A_AT, word(1) + word(SMALL_X_Y), Refusal.PROOF, id="3 A with small x is a point"
        ),
        pytest.param(
            A_AT, word(1 + FIELD) + word(SMALL_X_Y), Refusal.POINT, id="3 A.x is p larger"
        ),
        pytest.param(
            B_AT, word(1 + FIELD) + word(SMALL_X_Y), Refusal.POINT, id="3 B.x is p larger"
        ),
        pytest.param(
            KEY_AT, word(1 + FIELD) + word(SMALL_X_Y), Refusal.KEY, id="3 K.x is p larger"
        ),
        pytest.param(
            R_AT, word(1 + FIELD) + word(SMALL_X_Y), Refusal.PROOF, id="3 R.x is p larger"
        ),
        pytest.param(Z_AT, word(ORDER), Refusal.SCALAR, id="6 z is n"),
        pytest.param(Z_AT, word(ORDER + 5), Refusal.SCALAR, id="6 z is above n"),
        pytest.param(Z_AT, word(0), Refusal.SCALAR, id="6 z is 0"),
        pytest.param(Z_AT, word(ORDER - 1), Refusal.PROOF, id="6 z is n - 1, in range"),
        pytest.param(A_AT, word(HIGH_X) + word(HIGH_X_Y), Refusal.SCALAR, id="9 A.x is n or more"),
        pytest.param(0, b"\x02", Refusal.FOREIGN, id="another version"),
        pytest.param(1, OTHER_EID, Refusal.FOREIGN, id="36 another election"),
    ],
)
def test_one_field_changed_is_refused(
    election: Election, at: int, value: bytes, reason: Refusal
) -> None:
    voter, ballot = honest()

    check_refused(election, sign(put(ballot.core.encode(), at, value), voter.secret), reason)


@pytest.mark.parametrize(
    "size_of",
    [
        pytest.param(lambda core: core[:-1], id="7 one byte shorter"),
        pytest.param(lambda core: core + b"\x00", id="7 one byte longer"),
        pytest.param(lambda core: core[:107], id="7 no race"),
        pytest.param(lambda core: core[:106], id="7 not even a head"),
        pytest.param(lambda _core: b"", id="7 empty"),
        pytest.param(lambda core: core[:107] + 65 * core[107:333], id="7 65 races"),
    ],
)
def test_7_a_core_of_another_length_is_refused(
    election: Election, size_of: Callable[[bytes], bytes]
) -> None:
    voter, ballot = honest()

    check_refused(election, sign(size_of(ballot.core.encode()), voter.secret), Refusal.LENGTH)


def with_high_s(signature: bytes) -> bytes:
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + word(s) + bytes([27 + 28 - signature[64]])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(with_high_s, id="8 high s"),
        pytest.param(lambda value: value[:64] + b"\x00", id="8 v is 0"),
        pytest.param(lambda value: value[:64] + b"\x01", id="8 v is 1"),
        pytest.param(lambda value: value[:64] + b"\x1d", id="8 v is 29"),
        pytest.param(lambda value: value[:32] + bytes(32) + value[64:], id="48 s is 0"),
        pytest.param(lambda value: bytes(32) + value[32:], id="48 r is 0"),
        pytest.param(lambda value: bytes(64) + value[64:], id="48 r and s are 0"),
        pytest.param(lambda value: value[:32] + word(ORDER) + value[64:], id="8 s is n"),
        pytest.param(lambda value: word(ORDER) + value[32:], id="8 r is n"),
    ],
)
def test_8_48_a_signature_in_no_canonical_form_is_refused(
    election: Election, change: Callable[[bytes], bytes]
) -> None:
    voter, ballot = honest()
    good = sign(ballot.core.encode(), voter.secret)

    check_refused(election, replace(good, signature=change(good.signature)), Refusal.SIGNATURE)


def test_36_a_ballot_of_another_election_proves_nothing_here(election: Election) -> None:
    voter = Voter("victim", style=STYLE)
    there = voter.make_ballot(sequence=1, eid=OTHER_EID)

    check_refused(election, sign(there.core.encode(), voter.secret), Refusal.FOREIGN)
    moved = replace(there.core, eid=EID).encode()
    check_refused(election, sign(moved, voter.secret), Refusal.PROOF)


def test_37_the_same_bytes_under_another_key_prove_nothing(election: Election) -> None:
    _, ballot = honest()
    thief = Voter("thief", style=STYLE)

    copied = replace(ballot.core, key=thief.key).encode()

    check_refused(election, sign(copied, thief.secret), Refusal.PROOF)


def test_38_a_copied_ciphertext_with_its_proof_is_refused(election: Election) -> None:
    _, ballot = honest()
    thief = Voter("thief", style=STYLE)
    own = thief.make_ballot(sequence=1).core

    copied = replace(own, choices=(own.choices[0], ballot.core.choices[1])).encode()

    check_refused(election, sign(copied, thief.secret), Refusal.PROOF)


def test_39_a_rerandomised_copy_with_the_old_proof_is_refused(election: Election) -> None:
    _, ballot = honest()
    thief = Voter("thief", style=STYLE)
    first, second = ballot.core.choices
    moved = replace(first, a=first.a + GENERATOR, b=first.b + ELECTION_KEY)

    copied = replace(ballot.core, key=thief.key, choices=(moved, second)).encode()

    check_refused(election, sign(copied, thief.secret), Refusal.PROOF)


@pytest.mark.parametrize(
    ("races", "reason"),
    [
        pytest.param([1], Refusal.STYLE, id="43 race missing"),
        pytest.param([1, 4, 9], Refusal.STYLE, id="43 race added"),
        pytest.param([1, 1], Refusal.STYLE, id="43 race duplicated"),
        pytest.param([1, 4, 4], Refusal.STYLE, id="43 last race duplicated"),
        pytest.param([4, 1], Refusal.STYLE, id="43 races reordered"),
        pytest.param([1, 9], Refusal.STYLE, id="44 race of another style"),
        pytest.param([1, 5], Refusal.STYLE, id="44 race of no style"),
    ],
)
def test_43_44_other_races_than_the_styles_are_refused(
    election: Election, races: list[int], reason: Refusal
) -> None:
    voter = Voter("victim", style=STYLE)
    ballot = voter.make_ballot(sequence=1, choices=[(race, 1) for race in races])

    check_refused(election, sign(ballot.core.encode(), voter.secret), reason)


def test_43_a_style_that_does_not_exist_is_refused(election: Election) -> None:
    voter = Voter("victim", style=STYLE)
    ballot = voter.make_ballot(sequence=1, style=77)

    assert refusal_of(election, sign(ballot.core.encode(), voter.secret)) is Refusal.STYLE


def prove_weakly(core: BallotCore, choice: EncryptedChoice, *, without: str) -> EncryptedChoice:
    """Prove with a challenge that leaves one thing out, knowing r."""
    a = generator_multiple(RANDOMNESS)
    announcement = generator_multiple(NONCE)
    parts = {
        "eid": core.eid,
        "style": encode_i2(core.style),
        "K": core.key.encode_xy(),
        "seq": encode_i8(core.sequence),
        "race": encode_i2(choice.race),
        "A": a.encode_xy(),
        "B": choice.b.encode_xy(),
        "R": announcement.encode_xy(),
    }
    hashed = b"".join(value for name, value in parts.items() if name != without)
    challenge = hash_to_scalar("JMEV1/ballot-pok", hashed)
    return replace(
        choice,
        a=a,
        announcement=announcement,
        response=(NONCE + challenge * RANDOMNESS) % ORDER,
    )


@pytest.mark.parametrize("without", ["B", "K", "seq", "eid", "style", "race", "A", "R"])
def test_45_a_proof_over_a_weaker_transcript_is_refused(election: Election, without: str) -> None:
    voter, ballot = honest()
    first, second = ballot.core.choices

    weak = replace(ballot.core, choices=(prove_weakly(ballot.core, first, without=without), second))

    check_refused(election, sign(weak.encode(), voter.secret), Refusal.PROOF)


def test_45_the_same_proof_over_the_whole_transcript_is_taken(election: Election) -> None:
    voter, ballot = honest()
    first, second = ballot.core.choices
    whole = replace(ballot.core, choices=(prove_weakly(ballot.core, first, without=""), second))
    forgery = sign(whole.encode(), voter.secret)

    assert refusal_of(election, forgery) is None
    assert is_taken_by_python(forgery)


def test_46_another_announcement_with_the_response_moved_along_is_refused(
    election: Election,
) -> None:
    voter, ballot = honest()
    first, second = ballot.core.choices
    moved = replace(
        first,
        announcement=first.announcement + GENERATOR,
        response=(first.response + 1) % ORDER,
    )

    forged = replace(ballot.core, choices=(moved, second)).encode()

    check_refused(election, sign(forged, voter.secret), Refusal.PROOF)


def test_47_a_proof_that_needs_a_zero_challenge_is_refused(election: Election) -> None:
    voter, ballot = honest()
    first, second = ballot.core.choices
    forged = replace(first, announcement=generator_multiple(NONCE), response=NONCE)

    core = replace(ballot.core, choices=(forged, second)).encode()

    check_refused(election, sign(core, voter.secret), Refusal.PROOF)


@pytest.mark.parametrize(
    "announcement",
    [
        pytest.param(bytes(64), id="zeros"),
        pytest.param(b"\xff" * 64, id="no coordinates"),
        pytest.param(GENERATOR.encode_xy(), id="a point"),
    ],
)
def test_48_a_recovery_that_gives_no_point_proves_nothing(
    election: Election, announcement: bytes
) -> None:
    """With z = c r the box recovers [z]G - [c]A = O, for which the precompile answers nothing."""
    voter, ballot = honest()
    first = replace(ballot.core.choices[0], a=generator_multiple(RANDOMNESS))
    core = replace(ballot.core, choices=(first, ballot.core.choices[1])).encode()
    core = put(core, R_AT, announcement)
    challenge = hash_to_scalar("JMEV1/ballot-pok", core[1:107] + core[RACE_AT:Z_AT])

    core = put(core, Z_AT, word(challenge * RANDOMNESS % ORDER))

    check_refused(election, sign(core, voter.secret), Refusal.PROOF)


def test_51_a_signature_by_another_key_is_refused(election: Election) -> None:
    _, ballot = honest()

    forgery = sign(ballot.core.encode(), Voter("thief").secret)

    check_refused(election, forgery, Refusal.SIGNATURE)


def test_51_a_signature_over_another_ballot_is_refused(election: Election) -> None:
    voter, ballot = honest()
    other = voter.make_ballot(sequence=1)

    forgery = replace(
        sign(ballot.core.encode(), voter.secret),
        signature=sign(other.core.encode(), voter.secret).signature,
    )

    check_refused(election, forgery, Refusal.SIGNATURE)


@pytest.mark.parametrize("parity", [0, 1])
def test_both_parities_of_a_are_proven_alike(election: Election, parity: int) -> None:
    voter, ballot = honest(f"parity {parity}")
    while point_parity(ballot.core.choices[0].a) != parity:
        ballot = voter.make_ballot(sequence=1)

    assert refusal_of(election, sign(ballot.core.encode(), voter.secret)) is None


def point_parity(point: Point) -> int:
    return point.encode_xy()[63] & 1


def test_a_proof_for_the_mirrored_a_is_refused(election: Election) -> None:
    voter, ballot = honest()
    first, second = ballot.core.choices
    mirrored = replace(first, a=multiple(first.a, ORDER - 1))

    core = replace(ballot.core, choices=(mirrored, second)).encode()

    check_refused(election, sign(core, voter.secret), Refusal.PROOF)
