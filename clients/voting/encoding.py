"""Bytes and hashes of the voting protocol: fixed-width integers, scalars, tagged hashes.

Everything that is hashed is built here, so that no two uses can share a tag and no length is left
to chance. Integers are big-endian.

Spec: BALLOT-ENCODING, BALLOT-HASH.
"""

import hashlib
from functools import cache
from typing import Final

from clients.voting.group import ORDER
from node.primitives.errors import InvalidInput

TAG_PREFIX: Final = "JMEV1/"


class InvalidScalar(InvalidInput):
    """A scalar that is out of range or of the wrong length."""

    code = "voting.invalid_scalar"


class RejectedChallenge(InvalidInput):
    """A Fiat-Shamir challenge of zero; the proof it belongs to is refused."""

    code = "voting.rejected_challenge"


def encode_i1(value: int) -> bytes:
    """Encode an unsigned integer in 1 byte."""
    return value.to_bytes(1, "big")


def encode_i2(value: int) -> bytes:
    """Encode an unsigned integer in 2 bytes."""
    return value.to_bytes(2, "big")


def encode_i4(value: int) -> bytes:
    """Encode an unsigned integer in 4 bytes."""
    return value.to_bytes(4, "big")


def encode_i8(value: int) -> bytes:
    """Encode an unsigned integer in 8 bytes."""
    return value.to_bytes(8, "big")


def encode_scalar(value: int) -> bytes:
    """Encode a scalar as S32.

    Raises:
        InvalidScalar: Not in [0, n).
    """
    if not 0 <= value < ORDER:
        raise InvalidScalar("scalar: expected a value in [0, n)", rule="BALLOT-ENCODING")
    return value.to_bytes(32, "big")


def decode_scalar(data: bytes, *, is_nonzero: bool = False) -> int:
    """Decode S32.

    Args:
        data: 32 bytes.
        is_nonzero: Refuse zero, where the protocol states 1 <= x.

    Raises:
        InvalidScalar: Not 32 bytes, >= n, or zero where zero is refused.

    Spec: BALLOT-ENCODING.
    """
    value = int.from_bytes(data, "big")
    if len(data) != 32 or value >= ORDER or (is_nonzero and value == 0):
        raise InvalidScalar("scalar: expected 32 bytes below n", rule="BALLOT-ENCODING")
    return value


@cache
def _tag_state(tag: str) -> bytes:
    if not tag.startswith(TAG_PREFIX):
        raise ValueError(f"tag {tag!r} does not begin with {TAG_PREFIX}")
    return hashlib.sha256(tag.encode("ascii")).digest() * 2


def tagged_hash(tag: str, message: bytes) -> bytes:
    """Return TH(tag, message) = SHA-256(SHA-256(tag) || SHA-256(tag) || message).

    Spec: BALLOT-HASH.
    """
    return hashlib.sha256(_tag_state(tag) + message).digest()


def hash_to_scalar(tag: str, message: bytes) -> int:
    """Return HQ(tag, message), a challenge in [1, n).

    Raises:
        RejectedChallenge: The hash is 0 mod n.

    Spec: BALLOT-HASH.
    """
    value = int.from_bytes(tagged_hash(tag, message), "big") % ORDER
    if value == 0:
        raise RejectedChallenge(f"challenge {tag} is zero", rule="BALLOT-HASH")
    return value
