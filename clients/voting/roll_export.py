"""The restricted roll as an accredited auditor receives it: encrypted to the auditor's key alone.

A file is a head, a content key sealed by HPKE (RFC 9180: X25519, HKDF-SHA-256, AES-256-GCM), and
chunks of JSON lines under AES-256-GCM. Each chunk is bound to the head, its place and whether it is
the last, so that none can be dropped, moved or cut off. What the lines hold is in
``docs/election-records.md``.

Spec: ROLL-EXPORT.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from clients.voting.encoding import encode_i1, encode_i4, encode_i8
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput

MAGIC: Final = b"DAICHO-ROLL-EXPORT-1"
INFO: Final = b"JMEV1/roll-export"
KEY_BYTES: Final = 32
SEALED_BYTES: Final = 32 + KEY_BYTES + 16
"""Encapsulated key, content key, tag."""

CHUNK_BYTES: Final = 1024 * 1024
"""Plaintext of a full chunk."""

TAG_BYTES: Final = 16

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class InvalidExport(InvalidInput):
    """A file that is no export, was altered, or is for another auditor."""

    code = "roll.invalid_export"


def seal_export(
    lines: Iterable[bytes],
    auditor: X25519PublicKey,
    eid: bytes,
    draw: Callable[[int], bytes],
) -> Iterator[bytes]:
    """Yield the pieces of an export's file.

    Args:
        lines: JSON lines, without their ends.
        auditor: Whom it is for.
        eid: The election it is of.
        draw: Returns fresh random bytes.

    Spec: ROLL-EXPORT.
    """
    key = draw(KEY_BYTES)
    head = MAGIC + eid + _SUITE.encrypt(key, auditor, INFO + eid)
    yield head
    binding = sha256(head)
    pending, place = bytearray(), 0
    for line in lines:
        pending += line + b"\n"
        while len(pending) > CHUNK_BYTES:
            yield _seal_chunk(key, binding, place, bytes(pending[:CHUNK_BYTES]), is_last=False)
            del pending[:CHUNK_BYTES]
            place += 1
    yield _seal_chunk(key, binding, place, bytes(pending), is_last=True)


def _seal_chunk(key: bytes, binding: bytes, place: int, data: bytes, *, is_last: bool) -> bytes:
    sealed = AESGCM(key).encrypt(_nonce(place), data, binding + encode_i1(is_last))
    return encode_i4(len(sealed)) + sealed


def _nonce(place: int) -> bytes:
    return bytes(4) + encode_i8(place)


def open_export(data: bytes, auditor: X25519PrivateKey, eid: bytes) -> list[bytes]:
    """Return the lines of an export.

    Raises:
        InvalidExport: It is for another auditor or election, altered, or not whole.

    Spec: ROLL-EXPORT.
    """
    start = len(MAGIC) + 32
    head, body = data[: start + SEALED_BYTES], data[start + SEALED_BYTES :]
    if head[:start] != MAGIC + eid:
        raise InvalidExport("roll export: not one of this election", rule="ROLL-EXPORT")
    try:
        key = _SUITE.decrypt(head[start:], auditor, INFO + eid)
    except (InvalidTag, ValueError) as error:
        raise InvalidExport("roll export: for another auditor", rule="ROLL-EXPORT") from error
    plain, place, binding = bytearray(), 0, sha256(head)
    while body:
        size = int.from_bytes(body[:4], "big")
        sealed, body = body[4 : 4 + size], body[4 + size :]
        is_last = not body
        try:
            opened = AESGCM(key).decrypt(_nonce(place), sealed, binding + encode_i1(is_last))
        except (InvalidTag, ValueError) as error:
            raise InvalidExport("roll export: altered or cut off", rule="ROLL-EXPORT") from error
        plain += opened
        place += 1
    if not place:
        raise InvalidExport("roll export: cut off", rule="ROLL-EXPORT")
    return bytes(plain).splitlines()
