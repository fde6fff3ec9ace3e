"""A ballot: one encrypted choice and one proof per race, bound to key, sequence and election.

The core (107 + 226 R bytes) is what is hashed and signed; the contract and every auditor check it
byte for byte. Clients derive candidate points themselves, so a point of another race or election
decodes as invalid.

Spec: BALLOT-CORE, BALLOT-POK, BALLOT-SIGNATURE.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from clients.voting.ciphertexts import encrypt
from clients.voting.encoding import (
    decode_scalar,
    encode_i1,
    encode_i2,
    encode_i8,
    encode_scalar,
    hash_to_scalar,
    tagged_hash,
)
from clients.voting.group import ORDER, Point, decode_point_xy, generator_multiple, multiple
from clients.voting.hash_to_curve import hash_to_curve
from clients.voting.randomness import NonceSource, draw_scalar
from node.primitives.crypto import PrivateKey, keccak256, recover_address
from node.primitives.errors import InvalidInput
from node.primitives.types import Address, Hash32, Signature

VERSION: Final = 1
HEAD_SIZE: Final = 107
RACE_SIZE: Final = 226
RACE_COUNT_MAX: Final = 64
TRACKING_SIZE: Final = 10

CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class InvalidBallot(InvalidInput):
    """A ballot that breaks a rule; the message says which."""

    code = "ballot.invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptedChoice:
    """The ballot's entry for one race."""

    race: int
    """Race id."""
    a: Point
    """A = [r]G."""
    b: Point
    """B = C(race, choice) + [r]Y."""
    announcement: Point
    """R = [w]G of the proof."""
    response: int
    """z = w + c r."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BallotCore:
    """What is hashed into the ballot hash and signed."""

    eid: bytes
    """32 bytes: the election."""
    style: int
    """Ballot style."""
    key: Point
    """K, made on the device for this election."""
    sequence: int
    """1 for the first ballot of the key, then consecutive."""
    choices: tuple[EncryptedChoice, ...]
    """One per race of the style, in ascending order."""

    def encode(self) -> bytes:
        """Return the core's bytes.

        Spec: BALLOT-CORE.
        """
        head = encode_i1(VERSION) + self.eid + encode_i2(self.style) + self.key.encode_xy()
        return head + encode_i8(self.sequence) + b"".join(map(_encode_choice, self.choices))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """A core and its signature by the ballot key."""

    core: BallotCore
    """The signed part."""
    signature: Signature
    """65 bytes r || s || v, v in {0, 1}; the contract takes 27 more."""

    @property
    def hash(self) -> bytes:
        """Return d, the ballot hash."""
        return compute_ballot_hash(self.core.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Randomness of one encrypted choice; revealed only for a ballot that is then thrown away."""

    race: int
    """Race id."""
    candidate: int
    """The choice encrypted."""
    randomness: int
    """r."""
    nonce: int
    """w."""

    def __repr__(self) -> str:
        """Show nothing of the choice."""
        return f"Opening(race={self.race})"


def _encode_choice(choice: EncryptedChoice) -> bytes:
    points = b"".join(point.encode_xy() for point in (choice.a, choice.b, choice.announcement))
    return encode_i2(choice.race) + points + encode_scalar(choice.response)


def compute_ballot_hash(core: bytes) -> bytes:
    """Return d = TH("JMEV1/ballot-sig", core).

    Spec: BALLOT-SIGNATURE.
    """
    return tagged_hash("JMEV1/ballot-sig", core)


def encode_crockford(data: bytes) -> str:
    """Return Crockford base32 in groups of four, as people read it aloud."""
    count = -(-len(data) * 8 // 5)
    value = int.from_bytes(data, "big") << (count * 5 - len(data) * 8)
    text = "".join(CROCKFORD[value >> 5 * at & 31] for at in reversed(range(count)))
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def tracking_code(ballot_hash: bytes) -> str:
    """Return the code by which a voter finds the ballot on the board."""
    return encode_crockford(ballot_hash[:TRACKING_SIZE])


@lru_cache(maxsize=4096)
def candidate_point(eid: bytes, race: int, candidate: int) -> Point:
    """Return C(race, candidate); candidate 0 is the blank vote.

    Spec: BALLOT-H2C.
    """
    return hash_to_curve("cand", eid + encode_i2(race) + encode_i2(candidate))


def _challenge(core: BallotCore, choice: EncryptedChoice) -> int:
    """Hash everything the proof of knowledge is bound to.

    Spec: BALLOT-POK.
    """
    head = core.eid + encode_i2(core.style) + core.key.encode_xy() + encode_i8(core.sequence)
    points = b"".join(point.encode_xy() for point in (choice.a, choice.b, choice.announcement))
    return hash_to_scalar("JMEV1/ballot-pok", head + encode_i2(choice.race) + points)


def build_core(
    *,
    eid: bytes,
    style: int,
    key: Point,
    sequence: int,
    choices: Sequence[tuple[int, int]],
    election_key: Point,
    source: NonceSource,
) -> tuple[BallotCore, tuple[Opening, ...]]:
    """Encrypt and prove one choice per race.

    Args:
        eid: The election.
        style: The voter's ballot style.
        key: K of the device.
        sequence: One more than the last accepted ballot of the key.
        choices: (race, candidate) in ascending order of races.
        election_key: Y_B of the manifest.
        source: Randomness of the device.

    Returns:
        The core, and the openings that the device erases unless the ballot is checked.

    Spec: BALLOT-CORE, BALLOT-POK.
    """
    empty = BallotCore(eid=eid, style=style, key=key, sequence=sequence, choices=())
    drawn = [_encrypt_choice(empty, race, choice, election_key, source) for race, choice in choices]
    core = replace(empty, choices=tuple(choice for choice, _ in drawn))
    return core, tuple(opening for _, opening in drawn)


def _encrypt_choice(
    core: BallotCore, race: int, candidate: int, election_key: Point, source: NonceSource
) -> tuple[EncryptedChoice, Opening]:
    point = candidate_point(core.eid, race, candidate)
    while True:
        opening = Opening(
            race=race,
            candidate=candidate,
            randomness=draw_scalar(source),
            nonce=draw_scalar(source),
        )
        a, b = encrypt(point, election_key, opening.randomness)
        if not b.is_identity and 0 < int.from_bytes(a.encode_xy()[:32], "big") < ORDER:
            return _prove_choice(core, opening, a, b), opening


def _prove_choice(core: BallotCore, opening: Opening, a: Point, b: Point) -> EncryptedChoice:
    unproven = EncryptedChoice(
        race=opening.race, a=a, b=b, announcement=generator_multiple(opening.nonce), response=0
    )
    c = _challenge(core, unproven)
    return replace(unproven, response=(opening.nonce + c * opening.randomness) % ORDER)


def check_opening(core: BallotCore, openings: Sequence[Opening], election_key: Point) -> None:
    """Check on a second device that a ballot holds the choices its openings name (Benaloh).

    Raises:
        InvalidBallot: Some race's ciphertext or proof is not what the opening gives.

    Spec: BALLOT-CHECK.
    """
    if [opening.race for opening in openings] != [choice.race for choice in core.choices]:
        raise InvalidBallot("openings are for other races than the ballot", rule="BALLOT-CHECK")
    for opening, choice in zip(openings, core.choices, strict=True):
        point = candidate_point(core.eid, opening.race, opening.candidate)
        a, b = encrypt(point, election_key, opening.randomness)
        if _prove_choice(core, opening, a, b) != choice:
            raise InvalidBallot(
                f"race {opening.race}: the ballot does not hold the choice shown",
                rule="BALLOT-CHECK",
            )


def sign_core(core: BallotCore, key: PrivateKey) -> Ballot:
    """Sign a core with the ballot key; only now can it be cast.

    Spec: BALLOT-SIGNATURE.
    """
    return Ballot(core=core, signature=key.sign(compute_ballot_hash(core.encode())))


def decode_core(data: bytes) -> BallotCore:
    """Decode a core, strictly.

    Raises:
        InvalidBallot: Wrong length, version or race count.
        InvalidPoint: A point off the curve.
        InvalidScalar: A response not in [1, n).

    Spec: BALLOT-CORE.
    """
    count, rest = divmod(len(data) - HEAD_SIZE, RACE_SIZE)
    if rest or not 1 <= count <= RACE_COUNT_MAX or data[0] != VERSION:
        raise InvalidBallot(
            f"ballot of {len(data)} bytes: no whole number of races, or another version",
            rule="BALLOT-CORE",
        )
    starts = range(HEAD_SIZE, len(data), RACE_SIZE)
    return BallotCore(
        eid=data[1:33],
        style=int.from_bytes(data[33:35], "big"),
        key=decode_point_xy(data[35:99]),
        sequence=int.from_bytes(data[99:107], "big"),
        choices=tuple(_decode_choice(data[at : at + RACE_SIZE]) for at in starts),
    )


def _decode_choice(data: bytes) -> EncryptedChoice:
    a_x = int.from_bytes(data[2:34], "big")
    if not 0 < a_x < ORDER:
        raise InvalidBallot("A.x must be in [1, n)", rule="BALLOT-POK")
    return EncryptedChoice(
        race=int.from_bytes(data[:2], "big"),
        a=decode_point_xy(data[2:66]),
        b=decode_point_xy(data[66:130]),
        announcement=decode_point_xy(data[130:194]),
        response=decode_scalar(data[194:226], is_nonzero=True),
    )


def check_ballot(ballot: Ballot, *, eid: bytes, races: Sequence[int]) -> None:
    """Check everything about a ballot that needs no history.

    Raises:
        InvalidBallot: Another election, other races, a proof or signature that does not hold.

    Spec: BALLOT-POK, BALLOT-SIGNATURE.
    """
    core = ballot.core
    if core.eid != eid:
        raise InvalidBallot("ballot of another election", rule="BALLOT-CORE")
    if [choice.race for choice in core.choices] != list(races):
        raise InvalidBallot(
            f"races {[choice.race for choice in core.choices]}, style has {list(races)}",
            rule="BALLOT-CORE",
        )
    for choice in core.choices:
        challenge = _challenge(core, choice)
        if generator_multiple(choice.response) != choice.announcement + multiple(
            choice.a, challenge
        ):
            raise InvalidBallot(
                f"race {choice.race}: the proof of knowledge does not hold", rule="BALLOT-POK"
            )
    signer = recover_address(Hash32(ballot.hash), ballot.signature)
    if signer != address_of_key(core.key):
        raise InvalidBallot("signed by another key than the ballot's", rule="BALLOT-SIGNATURE")


def address_of_key(key: Point) -> Address:
    """Return the address of a ballot key: the last 20 bytes of Keccak-256 of P64."""
    return Address(keccak256(key.encode_xy())[12:])


def withdrawal_hash(eid: bytes, key: Point, sequence: int) -> bytes:
    """Return what the ballot key signs to withdraw.

    Spec: BALLOT-WITHDRAW.
    """
    return tagged_hash("JMEV1/withdraw", eid + key.encode_xy() + encode_i8(sequence))
