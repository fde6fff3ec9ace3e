"""Checking roll entries: their bytes, their proof, their commitment.

Spec: ROLL-ENTRY, ROLL-COMMITMENT, ROLL-LEAF.
"""

from dataclasses import dataclass
from typing import Final

from clients.auditor.election.mixes import small_sum
from clients.auditor.election.transcripts import (
    LEAF,
    ROLL_CM,
    ROLL_ENTRY,
    ROLL_POK,
    Bytes,
    InvalidRecord,
    int_bytes,
)
from clients.voting.group import GENERATOR, Point

ENTRY_SIZE: Final = 327


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedEntry:
    """An elector's sealed pointer, parsed."""

    eid: bytes
    """Election."""
    slot: bytes
    """32 bytes."""
    style: int
    """Ballot style."""
    version: int
    """1 for the first enrolment."""
    nonce: bytes
    """Of the registrar."""
    a: Point
    """First component."""
    b: Point
    """Second component."""
    w: Point
    """Announcement."""
    z: int
    """Response."""
    c: int
    """Challenge, recomputed."""
    digest: bytes
    """D, which the card signs."""

    def is_proven(self) -> bool:
        """Tell whether [z]G = W + [c]A.

        Spec: ROLL-ENTRY.
        """
        return small_sum([(GENERATOR, self.z), (self.w, -1), (self.a, -self.c)]).is_identity

    @property
    def row(self) -> bytes:
        """Return the entry's row of the roll list."""
        return self.a.encode() + self.b.encode()

    @property
    def card_text(self) -> bytes:
        """Return what the card signs."""
        return b"JMEV1/roll-entry:" + self.digest.hex().encode("ascii")


def parse_entry(data: bytes) -> SealedEntry:
    """Read an entry.

    Raises:
        InvalidRecord: Another length or version, or a scalar above n.
        InvalidPoint: A point off the curve.

    Spec: ROLL-ENTRY.
    """
    read = Bytes(data, "roll entry")
    if read.number(1) != 1:
        raise InvalidRecord(f"roll entry of version {data[0]}", rule="ROLL-ENTRY")
    eid, slot, style, version, nonce = (
        read.take(32),
        read.take(32),
        read.number(2),
        read.number(4),
        read.take(32),
    )
    a, b, w, z = read.p64(), read.p64(), read.p64(), read.scalar()
    read.end()
    return SealedEntry(
        eid=eid,
        slot=slot,
        style=style,
        version=version,
        nonce=nonce,
        a=a,
        b=b,
        w=w,
        z=z,
        c=ROLL_POK.scalar(data[1 : ENTRY_SIZE - 32]),
        digest=ROLL_ENTRY.digest(data),
    )


def commitment_of(digest: bytes, salt: bytes) -> bytes:
    """Return cm.

    Spec: ROLL-COMMITMENT.
    """
    return ROLL_CM.digest(digest, salt)


def leaf_of(slot: bytes, style: int) -> bytes:
    """Return the eligible list's leaf of a slot.

    Spec: ROLL-LEAF.
    """
    return LEAF.digest(slot, int_bytes(style, 2))
