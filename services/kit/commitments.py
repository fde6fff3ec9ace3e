"""What may stand on the chain about a person: salted commitments (T2) and padded ciphertexts (T3).

A commitment is keccak(keccak(domain) || version || salt || payload), version as 32 bytes, so that a
contract can compute it too; without the salt it says nothing, even about a guess. A ciphertext has
one length whatever it holds, and a key of its own. Erasing is destroying salt and key, which are
kept off the chain under ``envelope``.
"""

import secrets
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node.primitives.crypto import keccak256
from node.primitives.errors import InvalidInput
from node.primitives.types import Hash32

SALT_LENGTH: Final = 32
"""Bytes of a salt."""

PAYLOAD_BYTES_MAX: Final = 160
"""Largest payload of a padded ciphertext."""

HEADER: Final = b"D3\x01\x01"
"""Mark, format 1, algorithm 1: AES-256-GCM."""

PADDED_LENGTH: Final = len(HEADER) + 12 + 2 + PAYLOAD_BYTES_MAX + 16
"""Length of every padded ciphertext: header, nonce, length, payload with padding, tag."""


class InvalidCiphertext(InvalidInput):
    """Bytes that are no padded ciphertext of ours, or not under this key and domain."""

    code = "ciphertext.invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedPayload:
    """A T3 record: what goes on the chain, and what is kept off it until it is destroyed."""

    ciphertext: bytes
    """On the chain; always ``PADDED_LENGTH`` bytes."""
    commitment: Hash32
    """On the chain; to the payload, under ``salt``."""
    key: bytes = field(repr=False)
    """Off the chain."""
    salt: bytes = field(repr=False)
    """Off the chain."""


def new_salt() -> bytes:
    """Return a salt that nobody can guess."""
    return secrets.token_bytes(SALT_LENGTH)


def commit(*, domain: str, version: int, salt: bytes, payload: bytes) -> Hash32:
    """Commit to ``payload``.

    Args:
        domain: What is committed to, as ``jp.daicho.hub.consent``; separates uses of one payload.
        version: Of the payload's format.
        salt: 32 random bytes, used once.
        payload: Canonical bytes.

    Raises:
        InvalidInput: The salt has another length, or the version is out of range.
    """
    if len(salt) != SALT_LENGTH or not 0 <= version < 2**256:
        raise InvalidInput(f"commitment: expected a salt of {SALT_LENGTH} bytes and a version")
    return keccak256(keccak256(domain.encode()) + version.to_bytes(32, "big") + salt + payload)


def is_opened_by(
    commitment: bytes, *, domain: str, version: int, salt: bytes, payload: bytes
) -> bool:
    """Tell whether salt and payload open ``commitment``."""
    expected = commit(domain=domain, version=version, salt=salt, payload=payload)
    return secrets.compare_digest(expected, commitment)


def seal_padded(payload: bytes, *, domain: str, version: int) -> SealedPayload:
    """Encrypt ``payload`` under a fresh key at the one length, and commit to it.

    Raises:
        InvalidInput: The payload is larger than ``PAYLOAD_BYTES_MAX``.
    """
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise InvalidInput(f"payload of {len(payload)} bytes; at most {PAYLOAD_BYTES_MAX}")
    key, nonce, salt = secrets.token_bytes(32), secrets.token_bytes(12), new_salt()
    padded = len(payload).to_bytes(2, "big") + payload.ljust(PAYLOAD_BYTES_MAX, b"\x00")
    body = AESGCM(key).encrypt(nonce, padded, _bind(domain, version))
    return SealedPayload(
        ciphertext=HEADER + nonce + body,
        commitment=commit(domain=domain, version=version, salt=salt, payload=payload),
        key=key,
        salt=salt,
    )


def open_padded(ciphertext: bytes, key: bytes, *, domain: str, version: int) -> bytes:
    """Return the payload of a padded ciphertext.

    Raises:
        InvalidCiphertext: It is not one, or not under this key, domain and version.
    """
    if len(ciphertext) != PADDED_LENGTH or ciphertext[:4] != HEADER or len(key) != 32:
        raise InvalidCiphertext(f"ciphertext: expected {PADDED_LENGTH} bytes of format 1")
    try:
        padded = AESGCM(key).decrypt(ciphertext[4:16], ciphertext[16:], _bind(domain, version))
    except InvalidTag as error:
        raise InvalidCiphertext("ciphertext: another key, domain or version") from error
    length = int.from_bytes(padded[:2], "big")
    if length > PAYLOAD_BYTES_MAX or any(padded[2 + length :]):
        raise InvalidCiphertext("ciphertext: padding is not zero")
    return padded[2 : 2 + length]


def _bind(domain: str, version: int) -> bytes:
    return HEADER + keccak256(domain.encode()) + version.to_bytes(32, "big")
