"""Records sealed for one resident: HPKE with a KEM that holds while either of its halves does.

Who eavesdrops today and owns a quantum computer later still faces ML-KEM-768; if that falls to
mathematics, X25519 stands. Sector and record id are bound in, so that a record moved elsewhere does
not open.

Spec: WALLET-RECORD.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from node.primitives import rlp
from node.primitives.errors import InvalidInput

LATTICE_SEED_SIZE: Final = 64
LATTICE_PUBLIC_SIZE: Final = 1_184
CURVE_SIZE: Final = 32

RECORD_SECRET_SIZE: Final = LATTICE_SEED_SIZE + CURVE_SIZE
"""Bytes of a secret record key: ML-KEM seed, then X25519 scalar."""

RECORD_PUBLIC_SIZE: Final = LATTICE_PUBLIC_SIZE + CURVE_SIZE
"""Bytes of a public record key, in the same order."""

RECORD_SIZE_MAX: Final = 1024 * 1024
"""Longest record sealed or opened, in bytes."""

SEALING_SIZE: Final = 1_120 + 16
"""What sealing adds: the two encapsulations and a tag."""

DOMAIN: Final = b"daicho record v1"

_SUITE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class InvalidRecord(InvalidInput):
    """A sealed record, or a record key, that is malformed, altered or of somebody else."""

    code = "wallet.invalid_record"


def record_public_key(secret: bytes) -> bytes:
    """Return the public half of a secret record key."""
    lattice, curve = _halves(secret)
    return lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()


def seal_record(public_key: bytes, record: bytes, *, sector: str, record_id: bytes) -> bytes:
    """Seal ``record`` for the owner of ``public_key``.

    Args:
        public_key: 1,216 bytes.
        record: At most a mebibyte.
        sector: Sector it belongs to.
        record_id: What names it, at most 64 bytes.

    Raises:
        InvalidRecord: The key is malformed, or the record too long.

    Spec: WALLET-RECORD.
    """
    if len(public_key) != RECORD_PUBLIC_SIZE or len(record) > RECORD_SIZE_MAX:
        raise InvalidRecord("record: public key or record of a wrong size", rule="WALLET-RECORD")
    try:
        key = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public_key[:LATTICE_PUBLIC_SIZE]),
            X25519PublicKey.from_public_bytes(public_key[LATTICE_PUBLIC_SIZE:]),
        )
        return _SUITE.encrypt(record, key, _info(sector, record_id))
    except ValueError as error:
        raise InvalidRecord("record: malformed public key", rule="WALLET-RECORD") from error


def open_record(secret: bytes, sealed: bytes, *, sector: str, record_id: bytes) -> bytes:
    """Open a record that was sealed for the owner of ``secret``.

    Raises:
        InvalidRecord: It was altered, or sealed for another key, sector or record.

    Spec: WALLET-RECORD.
    """
    if not SEALING_SIZE <= len(sealed) <= SEALING_SIZE + RECORD_SIZE_MAX:
        raise InvalidRecord("record: sealed bytes of a wrong size", rule="WALLET-RECORD")
    key = MLKEM768X25519PrivateKey(*_halves(secret))
    try:
        return _SUITE.decrypt(sealed, key, _info(sector, record_id))
    except (InvalidTag, ValueError) as error:
        raise InvalidRecord(
            "record: altered, or sealed for another key, sector or record", rule="WALLET-RECORD"
        ) from error


def _halves(secret: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    if len(secret) != RECORD_SECRET_SIZE:
        raise InvalidRecord("record: secret key of a wrong size", rule="WALLET-RECORD")
    return (
        MLKEM768PrivateKey.from_seed_bytes(secret[:LATTICE_SEED_SIZE]),
        X25519PrivateKey.from_private_bytes(secret[LATTICE_SEED_SIZE:]),
    )


def _info(sector: str, record_id: bytes) -> bytes:
    if not 1 <= len(record_id) <= 64:
        raise InvalidRecord("record: id of 1 to 64 bytes", rule="WALLET-RECORD")
    return rlp.encode([DOMAIN, sector.encode("utf-8"), record_id])
