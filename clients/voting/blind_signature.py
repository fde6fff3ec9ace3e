"""RSA blind signatures (RFC 9474): the admission token that keeps spam off the relays.

A commission signs a token without seeing it; a relay checks it without learning who it was issued
to. Its failure costs spam, never votes. The variant in use is RSABSSA-SHA384-PSSZERO-Deterministic
with a 2048-bit key that is used for nothing else; the others are here because the published vectors
cover them.

Spec: TOKEN-BLIND, TOKEN-VERIFY.
"""

# gmpy2 ships no types.
# pyright: reportAttributeAccessIssue=false

import hashlib
from dataclasses import dataclass
from typing import Final

import gmpy2
from cryptography.exceptions import InvalidSignature as LibraryInvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from gmpy2 import mpz

from clients.voting.encoding import tagged_hash
from clients.voting.group import Point
from clients.voting.randomness import NonceSource, draw_below
from node.primitives.errors import InvalidInput

HASH_SIZE: Final = 48
PREFIX_SIZE: Final = 32


class InvalidToken(InvalidInput):
    """A token, blinded message or signature that does not hold; the message says which."""

    code = "voting.invalid_token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One of RFC 9474's four variants; all use SHA-384."""

    salt_size: int
    """Bytes of PSS salt: 48 (PSS) or 0 (PSSZERO)."""
    is_randomized: bool
    """Prefix the message with 32 random bytes."""


ADMISSION: Final = Variant(salt_size=0, is_randomized=False)
"""RSABSSA-SHA384-PSSZERO-Deterministic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindedToken:
    """What the voter's device keeps (``inverse``) and sends (``message``)."""

    message: bytes
    """The blinded message, as long as the modulus."""
    inverse: int
    """Unblinds the signature."""

    def __repr__(self) -> str:
        """Show nothing of the blinding."""
        return "BlindedToken(...)"


def token_message(eid: bytes, key: Point) -> bytes:
    """Return the message of a ballot key's admission token.

    Spec: TOKEN-BLIND.
    """
    return tagged_hash("JMEV1/token", eid + key.encode_xy())


def prepare(message: bytes, variant: Variant, source: NonceSource) -> bytes:
    """Return the message that is signed (RFC 9474, section 4.1)."""
    return source.draw(PREFIX_SIZE) + message if variant.is_randomized else message


def blind(
    key: rsa.RSAPublicKey, prepared: bytes, variant: Variant, source: NonceSource
) -> BlindedToken:
    """Hide a message from its signer (RFC 9474, section 4.2).

    Raises:
        InvalidToken: The encoded message shares a factor with the modulus.

    Spec: TOKEN-BLIND.
    """
    numbers = key.public_numbers()
    n = mpz(numbers.n)
    salt = source.draw(variant.salt_size) if variant.salt_size else b""
    encoded = int.from_bytes(_encode_pss(prepared, key.key_size - 1, salt), "big")
    if gmpy2.gcd(encoded, n) != 1:
        raise InvalidToken("message shares a factor with the modulus", rule="TOKEN-BLIND")
    while True:
        drawn = draw_below(source, int(n) - 1) + 1
        if gmpy2.gcd(drawn, n) == 1:
            break
    inverse = gmpy2.invert(drawn, n)
    blinded = encoded * gmpy2.powmod(drawn, numbers.e, n) % n
    return BlindedToken(message=_to_bytes(blinded, key.key_size), inverse=int(inverse))


def sign_blinded(key: rsa.RSAPrivateKey, blinded: bytes) -> bytes:
    """Sign a blinded message (RFC 9474, section 4.3), checking the result against faults.

    Raises:
        InvalidToken: Not as long as the modulus, not below it, or the signature does not check.

    Spec: TOKEN-BLIND.
    """
    private = key.private_numbers()
    public = private.public_numbers
    message = mpz(int.from_bytes(blinded, "big"))
    if len(blinded) * 8 != key.key_size or message >= public.n:
        raise InvalidToken("blinded message is not below the modulus", rule="TOKEN-BLIND")
    # powmod_sec is constant-time; CRT halves the exponents.
    at_p = gmpy2.powmod_sec(message, private.dmp1, private.p)
    at_q = gmpy2.powmod_sec(message, private.dmq1, private.q)
    signature = at_q + (at_p - at_q) * private.iqmp % private.p * private.q
    if gmpy2.powmod(signature, public.e, public.n) != message:
        raise InvalidToken("signing failed: the result does not check", rule="TOKEN-BLIND")
    return _to_bytes(signature, key.key_size)


def finalize(
    key: rsa.RSAPublicKey, prepared: bytes, blinded: BlindedToken, signed: bytes, variant: Variant
) -> bytes:
    """Unblind a signature and check it (RFC 9474, section 4.4).

    Raises:
        InvalidToken: Wrong length, or the signer did not sign what was sent.

    Spec: TOKEN-BLIND.
    """
    if len(signed) * 8 != key.key_size:
        raise InvalidToken(f"blind signature of {len(signed)} bytes", rule="TOKEN-BLIND")
    signature = int.from_bytes(signed, "big") * mpz(blinded.inverse) % key.public_numbers().n
    token = _to_bytes(signature, key.key_size)
    check_token(key, prepared, token, variant)
    return token


def check_token(
    key: rsa.RSAPublicKey, prepared: bytes, token: bytes, variant: Variant = ADMISSION
) -> None:
    """Check a token as any holder of the public key can.

    Raises:
        InvalidToken: Not a signature over the message by the key.

    Spec: TOKEN-VERIFY.
    """
    scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=variant.salt_size)
    try:
        key.verify(token, prepared, scheme, hashes.SHA384())
    except LibraryInvalidSignature:
        raise InvalidToken("token: not signed by the commission", rule="TOKEN-VERIFY") from None


def _encode_pss(message: bytes, bits: int, salt: bytes) -> bytes:
    """Return EMSA-PSS-ENCODE of RFC 8017, section 9.1.1, with SHA-384 and MGF1-SHA-384."""
    size = -(-bits // 8)
    digest = hashlib.sha384(b"\x00" * 8 + hashlib.sha384(message).digest() + salt).digest()
    padded = b"\x00" * (size - len(salt) - HASH_SIZE - 2) + b"\x01" + salt
    mask = _mask(digest, size - HASH_SIZE - 1)
    masked = bytearray(a ^ b for a, b in zip(padded, mask, strict=True))
    masked[0] &= 0xFF >> (8 * size - bits)
    return bytes(masked) + digest + b"\xbc"


def _mask(seed: bytes, size: int) -> bytes:
    blocks = (
        hashlib.sha384(seed + counter.to_bytes(4, "big")).digest()
        for counter in range(-(-size // HASH_SIZE))
    )
    return b"".join(blocks)[:size]


def _to_bytes(value: mpz, bits: int) -> bytes:
    return int(value).to_bytes(bits // 8, "big")
