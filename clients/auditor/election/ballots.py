"""Checking ballots: their bytes, their proofs in one sum, their signatures.

Spec: BALLOT-CORE, BALLOT-POK, BALLOT-SIGNATURE.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from clients.auditor.election.mixes import Draw, small_sum, weights_of
from clients.auditor.election.transcripts import (
    BALLOT_POK,
    BALLOT_SIG,
    WITHDRAW,
    Bytes,
    InvalidRecord,
    int_bytes,
)
from clients.voting.group import GENERATOR, ORDER, Point, msm, vector_of
from node.primitives.crypto import keccak256, recover_address
from node.primitives.errors import InvalidInput
from node.primitives.types import Hash32, Signature

CORE_HEAD_SIZE: Final = 107
CORE_RACE_SIZE: Final = 226
RACES_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A ballot's entry for one race."""

    race: int
    """Race id."""
    a: Point
    """First component."""
    b: Point
    """Second component."""
    r: Point
    """Announcement of the proof."""
    z: int
    """Response."""
    c: int
    """Challenge, recomputed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What is remembered of a ballot while all are read: enough to decide whether it counts."""

    key: bytes
    """P64(K)."""
    style: int
    """Ballot style."""
    sequence: int
    """Its number among the key's ballots."""
    start: int
    """Where its core begins in the file of ballots."""
    size: int
    """Length of its core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedBallot:
    """A ballot as recorded, parsed."""

    eid: bytes
    """Election it says it is of."""
    style: int
    """Ballot style."""
    key: bytes
    """P64(K)."""
    sequence: int
    """Number of the key's ballots up to this one."""
    choices: tuple[Choice, ...]
    """One per race."""
    digest: bytes
    """d."""

    @property
    def races(self) -> tuple[int, ...]:
        """Return the races, in the ballot's order."""
        return tuple(choice.race for choice in self.choices)


def parse_core(data: bytes) -> AcceptedBallot:
    """Read a ballot's core.

    Raises:
        InvalidRecord: Another length, version, or a scalar out of range.
        InvalidPoint: A point off the curve.

    Spec: BALLOT-CORE, BALLOT-POK.
    """
    count, rest = divmod(len(data) - CORE_HEAD_SIZE, CORE_RACE_SIZE)
    if rest or not 0 < count <= RACES_MAX:
        raise InvalidRecord(f"ballot of {len(data)} bytes", rule="BALLOT-CORE")
    read = Bytes(data, "ballot")
    if read.number(1) != 1:
        raise InvalidRecord(f"ballot of version {data[0]}", rule="BALLOT-CORE")
    eid, style = read.take(32), read.number(2)
    key = read.take(64)
    Bytes(key, "ballot key").p64()
    sequence = read.number(8)
    # What the proofs hash of the head: everything but the version.
    head = data[1:CORE_HEAD_SIZE]
    choices = tuple(_parse_choice(head, read.take(CORE_RACE_SIZE)) for _ in range(count))
    read.end()
    return AcceptedBallot(
        eid=eid,
        style=style,
        key=key,
        sequence=sequence,
        choices=choices,
        digest=BALLOT_SIG.digest(data),
    )


def _parse_choice(head: bytes, data: bytes) -> Choice:
    read = Bytes(data, "ballot")
    race = read.number(2)
    a, b, r, z = read.p64(), read.p64(), read.p64(), read.scalar()
    if not 0 < int.from_bytes(data[2:34], "big") < ORDER or z == 0:
        raise InvalidRecord(f"race {race}: A.x or z out of range", rule="BALLOT-POK")
    return Choice(race=race, a=a, b=b, r=r, z=z, c=BALLOT_POK.scalar(head, data[:194]))


def are_proofs_right(ballots: Iterable[AcceptedBallot], draw: Draw) -> bool:
    """Tell whether every proof of every ballot holds, by one weighted sum.

    Spec: BALLOT-POK.
    """
    choices = [choice for ballot in ballots for choice in ballot.choices]
    if not choices:
        return True
    weights = weights_of(draw, len(choices))
    g = sum(w * choice.z for w, choice in zip(weights, choices, strict=True))
    scaled = [int(w * choice.c % ORDER) for w, choice in zip(weights, choices, strict=True)]
    total = small_sum([(GENERATOR, int(g % ORDER))])
    total = total - msm(vector_of(choice.a for choice in choices), scaled)
    total = total - msm(vector_of(choice.r for choice in choices), [int(w) for w in weights], 128)
    return total.is_identity


def find_wrong_proofs(ballot: AcceptedBallot) -> list[int]:
    """Return the races of a ballot whose proofs do not hold.

    Spec: BALLOT-POK.
    """
    return [
        choice.race
        for choice in ballot.choices
        if not small_sum([(GENERATOR, choice.z), (choice.r, -1), (choice.a, -choice.c)]).is_identity
    ]


def is_signed_by(key: bytes, digest: bytes, signature: bytes) -> bool:
    """Tell whether P64 ``key`` signed ``digest`` in the form that the ballot box takes.

    Args:
        key: P64 of the signer.
        digest: What is signed.
        signature: r, s and v of 27 or 28.

    Spec: BALLOT-SIGNATURE.
    """
    if len(signature) != 65 or signature[64] not in (27, 28):
        return False
    plain = Signature(signature[:64] + bytes([signature[64] - 27]))
    try:
        signer = recover_address(Hash32(digest), plain)
    except InvalidInput:
        return False
    return signer == keccak256(key)[12:]


def withdrawal_digest(eid: bytes, key: bytes, sequence: int) -> bytes:
    """Return what a ballot key signs to withdraw."""
    return WITHDRAW.digest(eid, key, int_bytes(sequence, 8))


def ciphertexts_of(core: bytes, races: set[int]) -> Iterable[tuple[int, bytes]]:
    """Yield race and P33(A) and P33(B) of a core that was parsed before."""
    for at in range(CORE_HEAD_SIZE, len(core), CORE_RACE_SIZE):
        race = int.from_bytes(core[at : at + 2], "big")
        if race in races:
            yield race, _compress(core[at + 2 : at + 66]) + _compress(core[at + 66 : at + 130])


def _compress(coordinates: bytes) -> bytes:
    """Return P33 of P64."""
    return bytes([2 + (coordinates[63] & 1)]) + coordinates[:32]
