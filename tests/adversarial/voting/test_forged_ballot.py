"""BALLOT-CORE, BALLOT-POK, BALLOT-SIGNATURE, BALLOT-ENCODING: ballots copied, moved or bent.

Cases 1-9, 36-39, 43, 45-47 and 51 as the Python checks see them; the contract's own tests repeat
them on chain. Each changes one thing in a correct ballot.
"""

from dataclasses import replace

import pytest

from clients.voting.ballot import (
    Ballot,
    BallotCore,
    EncryptedChoice,
    InvalidBallot,
    build_core,
    check_ballot,
    compute_ballot_hash,
    decode_core,
    sign_core,
)
from clients.voting.encoding import encode_i2, encode_i8, hash_to_scalar
from clients.voting.group import FIELD, GENERATOR, ORDER, decode_point_xy, generator_multiple
from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput
from node.primitives.types import Signature
from tests.support.voting import EID, SeededNonces

SOURCE = SeededNonces("forged ballot")
VICTIM, FORGER = PrivateKey(b"\x07" * 32), PrivateKey(b"\x09" * 32)
VICTIM_POINT = decode_point_xy(VICTIM.public_key[1:])
FORGER_POINT = decode_point_xy(FORGER.public_key[1:])
ELECTION_KEY = generator_multiple(99)
CORE, OPENINGS = build_core(
    eid=EID,
    style=7,
    key=VICTIM_POINT,
    sequence=1,
    choices=[(1, 3), (4, 0)],
    election_key=ELECTION_KEY,
    source=SOURCE,
)
DATA = CORE.encode()
FIRST_A, FIRST_Z = 109, 109 + 192


def with_choice(core: BallotCore, choice: EncryptedChoice) -> BallotCore:
    return replace(core, choices=(choice, *core.choices[1:]))


def refused(core: BallotCore, key: PrivateKey = VICTIM, rule: str = "BALLOT-POK") -> None:
    with pytest.raises(InvalidBallot, match=rule):
        check_ballot(sign_core(core, key), eid=EID, races=(1, 4))


@pytest.mark.parametrize(
    ("at", "value"),
    [
        pytest.param(FIRST_A + 32, GENERATOR.encode_xy()[32:], id="1 A off the curve"),
        pytest.param(FIRST_A, b"\x00" * 64, id="2 A of zeros"),
        pytest.param(FIRST_A + 64, b"\x00" * 64, id="2 B of zeros"),
        pytest.param(FIRST_A + 64, (FIELD + 1).to_bytes(32, "big"), id="3 coordinate above p"),
        pytest.param(FIRST_Z, ORDER.to_bytes(32, "big"), id="6 response of n"),
        pytest.param(FIRST_Z, b"\x00" * 32, id="6 response of zero"),
        pytest.param(FIRST_A, (ORDER + 2).to_bytes(32, "big"), id="9 A.x above n"),
        pytest.param(0, b"\x02", id="another version"),
        pytest.param(35, b"\x00" * 64, id="2 key of zeros"),
    ],
)
def test_bytes_that_encode_no_ballot_are_refused(at: int, value: bytes) -> None:
    bent = DATA[:at] + value + DATA[at + len(value) :]

    with pytest.raises(InvalidInput):
        decode_core(bent)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(DATA[:-1], id="7 a byte short"),
        pytest.param(DATA + b"\x00", id="7 a byte long"),
        pytest.param(DATA[:107], id="no race"),
        pytest.param(b"", id="nothing"),
        pytest.param(DATA + DATA[107:] * 40, id="over the bound of races"),
    ],
)
def test_a_core_of_another_length_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidBallot):
        decode_core(data)


def test_8_the_other_form_of_a_signature_is_refused() -> None:
    signature = sign_core(CORE, VICTIM).signature
    s = ORDER - int.from_bytes(signature[32:64], "big")
    high = Signature(signature[:32] + s.to_bytes(32, "big") + bytes((1 - signature[64],)))

    with pytest.raises(InvalidInput):
        check_ballot(Ballot(core=CORE, signature=high), eid=EID, races=(1, 4))


@pytest.mark.parametrize("v", [2, 26, 29])
def test_8_a_recovery_id_that_is_none_is_refused(v: int) -> None:
    signature = Signature(sign_core(CORE, VICTIM).signature[:64] + bytes((v,)))

    with pytest.raises(InvalidInput):
        check_ballot(Ballot(core=CORE, signature=signature), eid=EID, races=(1, 4))


def test_36_a_ballot_of_another_election_is_refused() -> None:
    refused(replace(CORE, eid=b"\x01" * 32), rule="BALLOT-CORE")


def test_37_the_same_contents_under_another_key_are_refused() -> None:
    refused(replace(CORE, key=FORGER_POINT), key=FORGER)


def test_38_a_ciphertext_copied_with_its_proof_is_refused() -> None:
    own, _ = build_core(
        eid=EID,
        style=7,
        key=FORGER_POINT,
        sequence=1,
        choices=[(1, 1), (4, 1)],
        election_key=ELECTION_KEY,
        source=SOURCE,
    )

    refused(with_choice(own, CORE.choices[0]), key=FORGER)


def test_39_a_copied_and_rerandomised_ciphertext_is_refused() -> None:
    choice = CORE.choices[0]
    moved = replace(choice, a=choice.a + GENERATOR, b=choice.b + ELECTION_KEY)

    refused(with_choice(CORE, moved))


def test_40_a_proof_of_another_sequence_number_is_refused() -> None:
    refused(replace(CORE, sequence=2))


@pytest.mark.parametrize(
    "races",
    [
        pytest.param((1,), id="43 missing"),
        pytest.param((1, 4, 5), id="43 added"),
        pytest.param((4, 1), id="43 reordered"),
        pytest.param((1, 1), id="43 duplicated"),
        pytest.param((1, 5), id="44 of another style"),
    ],
)
def test_races_that_are_not_the_styles_are_refused(races: tuple[int, ...]) -> None:
    with pytest.raises(InvalidBallot, match="BALLOT-CORE"):
        check_ballot(sign_core(CORE, VICTIM), eid=EID, races=races)


@pytest.mark.parametrize("omitted", ["b", "key", "sequence", "eid"])
def test_45_proofs_over_weaker_transcripts_are_refused(omitted: str) -> None:
    """The proof is computed as a client with a weak hash would, leaving one input out."""
    choice, opening = CORE.choices[0], OPENINGS[0]
    parts = {
        "eid": CORE.eid,
        "style": encode_i2(CORE.style),
        "key": CORE.key.encode_xy(),
        "sequence": encode_i8(CORE.sequence),
        "race": encode_i2(choice.race),
        "a": choice.a.encode_xy(),
        "b": choice.b.encode_xy(),
        "r": choice.announcement.encode_xy(),
    }
    honest = hash_to_scalar("JMEV1/ballot-pok", b"".join(parts.values()))
    weak = hash_to_scalar(
        "JMEV1/ballot-pok", b"".join(part for name, part in parts.items() if name != omitted)
    )

    assert (opening.nonce + honest * opening.randomness) % ORDER == choice.response
    response = (opening.nonce + weak * opening.randomness) % ORDER
    refused(with_choice(CORE, replace(choice, response=response)))


def test_46_an_announcement_moved_with_its_response_is_refused() -> None:
    choice = CORE.choices[0]
    moved = replace(
        choice,
        announcement=choice.announcement + GENERATOR,
        response=(choice.response + 1) % ORDER,
    )

    refused(with_choice(CORE, moved))


def test_51_a_signature_by_another_key_is_refused() -> None:
    refused(CORE, key=FORGER, rule="BALLOT-SIGNATURE")


def test_a_signature_over_another_hash_is_refused() -> None:
    other = VICTIM.sign(compute_ballot_hash(DATA[:-1]))

    with pytest.raises(InvalidBallot, match="BALLOT-SIGNATURE"):
        check_ballot(Ballot(core=CORE, signature=other), eid=EID, races=(1, 4))


@pytest.mark.parametrize("at", range(0, len(DATA), 7))
def test_no_byte_of_a_core_can_be_changed(at: int) -> None:
    ballot = sign_core(CORE, VICTIM)
    bent = DATA[:at] + bytes((DATA[at] ^ 1,)) + DATA[at + 1 :]

    with pytest.raises(InvalidInput):
        check_ballot(
            Ballot(core=decode_core(bent), signature=ballot.signature), eid=EID, races=(1, 4)
        )
