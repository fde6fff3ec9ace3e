"""Keccak-256 and secp256k1: the only importer of the hash and curve libraries.

libsecp256k1 through coincurve, keccak through safe-pysha3; both are compiled, and the node refuses
to start on slower stand-ins (``check_backends``). Signatures are 65 bytes r || s || v with v in
{0, 1} and low s everywhere; Ethereum's 27/28 and EIP-155 forms are translated in ``transaction``.
"""

# safe-pysha3 has no types and coincurve's are partial; what they return is given its type here.
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

import hashlib
from functools import lru_cache
from typing import Final

import coincurve
from sha3 import keccak_256

from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.types import Address, Hash32, Signature

CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order n of the secp256k1 group."""

HALF_CURVE_ORDER: Final = CURVE_ORDER // 2
"""Largest s of a canonical (low-s) signature."""


class InvalidSignature(InvalidInput):
    """A signature that does not recover, or is not canonical."""

    code = "signature.invalid"


def keccak256(data: bytes) -> Hash32:
    """Hash ``data`` with Keccak-256 (the pre-standard padding Ethereum uses)."""
    return Hash32(keccak_256(data).digest())


class PrivateKey:
    """A secp256k1 signing key. Its value never appears in ``repr``."""

    __slots__ = ("_key", "address", "public_key")

    def __init__(self, secret: bytes) -> None:
        """Check and hold ``secret`` (32 bytes, big endian, in [1, n-1]).

        Raises:
            InvalidInput: The scalar is out of range.
        """
        if len(secret) != 32 or not 0 < int.from_bytes(secret, "big") < CURVE_ORDER:
            raise InvalidInput("private key: expected 32 bytes in [1, n-1]")
        self._key = coincurve.PrivateKey(secret)
        self.public_key: bytes = self._key.public_key.format(compressed=False)
        self.address: Address = address_of_public_key(self.public_key)

    def __repr__(self) -> str:
        """Name the key by its address only."""
        return f"PrivateKey(address=0x{self.address.hex()})"

    def sign(self, message_hash: bytes) -> Signature:
        """Sign a 32-byte hash (RFC 6979 nonce, low s)."""
        return Signature(self._key.sign_recoverable(message_hash, hasher=None))

    def export_secret(self) -> bytes:
        """Return the 32-byte scalar, for keystores only."""
        return bytes(self._key.secret)


def address_of_public_key(public_key: bytes) -> Address:
    """Return the address of an uncompressed (65-byte) public key."""
    return Address(keccak_256(public_key[1:]).digest()[12:])


def check_canonical(signature: bytes) -> None:
    """Refuse a signature another form of which would also verify.

    Raises:
        InvalidSignature: Not 65 bytes, v not 0 or 1, r or s out of range, or s above n/2.
    """
    if len(signature) != 65 or signature[64] > 1:
        raise InvalidSignature("signature: expected 65 bytes with v in {0, 1}")
    s = int.from_bytes(signature[32:64], "big")
    r = int.from_bytes(signature[:32], "big")
    if not 0 < s <= HALF_CURVE_ORDER or not 0 < r < CURVE_ORDER:
        raise InvalidSignature("signature: r or s out of range, or s not in its low form")


def recover_public_key(message_hash: bytes, signature: bytes) -> bytes:
    """Recover the uncompressed public key that signed a 32-byte hash.

    Raises:
        InvalidSignature: The signature is not canonical or names no point.
    """
    check_canonical(signature)
    try:
        key = coincurve.PublicKey.from_signature_and_message(signature, message_hash, hasher=None)
    except ValueError as error:
        raise InvalidSignature("signature: recovers no public key") from error
    return key.format(compressed=False)


def recover_address(message_hash: bytes, signature: bytes) -> Address:
    """Recover the address that signed a 32-byte hash.

    Raises:
        InvalidSignature: The signature is not canonical or names no point.
    """
    return address_of_public_key(recover_public_key(message_hash, signature))


def sha256(data: bytes) -> bytes:
    """Hash ``data`` with SHA-256."""
    return hashlib.sha256(data).digest()


@lru_cache(maxsize=1)
def check_backends() -> None:
    """Refuse to start on slow or wrong hash and curve libraries.

    Raises:
        Misconfigured: A compiled back end is missing or answers wrongly.
    """
    empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    if keccak256(b"").hex() != empty:
        raise Misconfigured("keccak back end answers wrongly; reinstall safe-pysha3")
    if keccak_256.__module__ != "_pysha3":
        raise Misconfigured("keccak back end is not compiled; install safe-pysha3")
