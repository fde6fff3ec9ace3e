"""The sealed roll: a card-signed entry that hides which ballot key belongs to which elector.

An entry encrypts the roll pointer M(K) of a device-made key under the roll key, bound to a slot,
and is committed to on chain by a salted hash. Card signatures and certificates are checked by the
commission's service and by accredited auditors; here are the bytes and the proof.

Spec: ROLL-ENTRY, ROLL-COMMITMENT, ROLL-LEAF.
"""

import hmac
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from clients.voting.ciphertexts import encrypt
from clients.voting.encoding import (
    decode_scalar,
    encode_i1,
    encode_i2,
    encode_i4,
    encode_scalar,
    hash_to_scalar,
    tagged_hash,
)
from clients.voting.group import ORDER, Point, decode_point_xy, generator_multiple, multiple
from clients.voting.hash_to_curve import hash_to_curve
from clients.voting.randomness import NonceSource, draw_scalar
from node.primitives.errors import InvalidInput

ENTRY_SIZE: Final = 327
VERSION: Final = 1
CARD_TEXT_PREFIX: Final = "JMEV1/roll-entry:"


class InvalidRollEntry(InvalidInput):
    """An enrolment entry that breaks a rule; the message says which."""

    code = "roll.invalid_entry"


@dataclass(frozen=True, slots=True, kw_only=True)
class RollEntry:
    """An elector's sealed pointer to a ballot key."""

    eid: bytes
    """32 bytes: the election."""
    slot: bytes
    """32 bytes: the elector's slot."""
    style: int
    """Ballot style."""
    version: int
    """1 for the first enrolment of the slot; a higher one supersedes."""
    nonce: bytes
    """32 bytes, fresh from the registrar."""
    a: Point
    """A = [a]G."""
    b: Point
    """B = M(K) + [a]Y_R."""
    announcement: Point
    """W = [w]G."""
    response: int
    """z = w + c a."""

    def encode(self) -> bytes:
        """Return RE, 327 bytes.

        Spec: ROLL-ENTRY.
        """
        points = b"".join(point.encode_xy() for point in (self.a, self.b, self.announcement))
        head = encode_i1(VERSION) + self.eid + self.slot + encode_i2(self.style)
        middle = encode_i4(self.version) + self.nonce
        return head + middle + points + encode_scalar(self.response)

    @property
    def digest(self) -> bytes:
        """Return D, which the card signs."""
        return tagged_hash("JMEV1/roll-entry", self.encode())

    @property
    def card_text(self) -> bytes:
        """Return the ASCII text that the card signs and the device shows."""
        return (CARD_TEXT_PREFIX + self.digest.hex()).encode("ascii")


def compute_slot(slot_key: bytes, draft_id: bytes, elector_number: bytes) -> bytes:
    """Return an elector's slot: a keyed hash that names nobody without the key.

    Spec: ROLL-LEAF.
    """
    return hmac.digest(slot_key, b"JMEV1/slot" + draft_id + elector_number, "sha256")


def compute_leaf(slot: bytes, style: int) -> bytes:
    """Return the eligible list's leaf of a slot.

    Spec: ROLL-LEAF.
    """
    return tagged_hash("JMEV1/leaf", slot + encode_i2(style))


def derive_ballot_key(seed: bytes, eid: bytes) -> int:
    """Return the ballot key k of a 16-byte device seed, in [1, n-1].

    Spec: ROLL-KEY.
    """
    derive = HKDF(algorithm=hashes.SHA256(), length=48, salt=eid, info=b"JMEV1/ballot-key")
    return int.from_bytes(derive.derive(seed), "big") % (ORDER - 1) + 1


@lru_cache(maxsize=8192)
def roll_pointer(eid: bytes, key: Point) -> Point:
    """Return M(K), the point a roll entry encrypts.

    Spec: BALLOT-H2C.
    """
    return hash_to_curve("roll", eid + key.encode_xy())


def build_entry(
    *,
    eid: bytes,
    slot: bytes,
    style: int,
    version: int,
    nonce: bytes,
    key: Point,
    roll_key: Point,
    source: NonceSource,
) -> RollEntry:
    """Seal the pointer to ``key`` and prove knowledge of the sealing randomness.

    Spec: ROLL-ENTRY.
    """
    drawn, announced = draw_scalar(source), draw_scalar(source)
    a, b = encrypt(roll_pointer(eid, key), roll_key, drawn)
    unproven = RollEntry(
        eid=eid,
        slot=slot,
        style=style,
        version=version,
        nonce=nonce,
        a=a,
        b=b,
        announcement=generator_multiple(announced),
        response=0,
    )
    return replace(unproven, response=(announced + _challenge(unproven) * drawn) % ORDER)


def _challenge(entry: RollEntry) -> int:
    points = b"".join(point.encode_xy() for point in (entry.a, entry.b, entry.announcement))
    head = entry.eid + entry.slot + encode_i2(entry.style) + encode_i4(entry.version)
    return hash_to_scalar("JMEV1/roll-pok", head + entry.nonce + points)


def decode_entry(data: bytes) -> RollEntry:
    """Decode RE, strictly.

    Raises:
        InvalidRollEntry: Not 327 bytes, or another version.
        InvalidPoint: A point off the curve.
        InvalidScalar: The response is not below n.

    Spec: ROLL-ENTRY.
    """
    if len(data) != ENTRY_SIZE or data[0] != VERSION:
        raise InvalidRollEntry(
            f"roll entry: expected {ENTRY_SIZE} bytes of version {VERSION}, found {len(data)}",
            rule="ROLL-ENTRY",
        )
    return RollEntry(
        eid=data[1:33],
        slot=data[33:65],
        style=int.from_bytes(data[65:67], "big"),
        version=int.from_bytes(data[67:71], "big"),
        nonce=data[71:103],
        a=decode_point_xy(data[103:167]),
        b=decode_point_xy(data[167:231]),
        announcement=decode_point_xy(data[231:295]),
        response=decode_scalar(data[295:]),
    )


def check_entry(entry: RollEntry) -> None:
    """Check the proof that whoever made the entry knows its randomness.

    Raises:
        InvalidRollEntry: The proof does not hold for this slot, version and nonce.

    Spec: ROLL-ENTRY.
    """
    expected = entry.announcement + multiple(entry.a, _challenge(entry))
    if generator_multiple(entry.response) != expected:
        raise InvalidRollEntry(
            "the entry's proof does not hold for its slot, version and nonce", rule="ROLL-ENTRY"
        )


def compute_commitment(digest: bytes, salt: bytes) -> bytes:
    """Return cm, the salted hash of an entry that goes on chain.

    Spec: ROLL-COMMITMENT.
    """
    return tagged_hash("JMEV1/roll-cm", digest + salt)


def vote_code_bytes(eid: bytes, key: Point) -> bytes:
    """Return the ten bytes behind the voter's vote code.

    Spec: ROLL-KEY.
    """
    return tagged_hash("JMEV1/code", eid + key.encode_xy())[:10]
