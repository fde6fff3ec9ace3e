"""Signatures of a card's keys: what the card is asked to sign, and whether it did.

The card pads whatever it is handed, for either key. So the client builds the DigestInfo from the
text its user sees, and a service never supplies a digest.

Spec: ID-SIGNATURE.
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from clients.identity.certificate import CardKey
from clients.identity.report import Check
from node.primitives.crypto import sha256

SIGNATURE_SIZE_MAX: Final = 512
"""Longest signature looked at, in bytes: RSA-4096."""

RSA_BITS_MIN: Final = 2048
"""Shortest RSA modulus accepted."""

RSA_BITS_MAX: Final = 4096
"""Longest RSA modulus accepted, so that a check stays cheap."""

DIGEST_INFO_PREFIX: Final = bytes.fromhex("3031300d060960864801650304020105000420")
"""DigestInfo of SHA-256 up to the digest. The NULL parameters belong to it."""


def build_digest_info(message: bytes) -> bytes:
    """Return the 51 bytes an RSA card signs for ``message``."""
    return DIGEST_INFO_PREFIX + sha256(message)


def is_accepted_key(key: CardKey) -> bool:
    """Return whether a key is of a kind and strength that cards have.

    RSA of 2048 to 4096 bits with exponent 65537, or P-384.

    Spec: ID-KEY.
    """
    if isinstance(key, rsa.RSAPublicKey):
        is_sized = RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX
        return is_sized and key.public_numbers().e == 65537
    return isinstance(key.curve, ec.SECP384R1)


def is_card_signature(key: CardKey, message: bytes, signature: bytes) -> bool:
    """Return whether ``signature`` is the card's over ``message``.

    RSA: PKCS#1 v1.5 over SHA-256; P-384: ECDSA in DER over SHA-384.

    Spec: ID-SIGNATURE.
    """
    if len(signature) > SIGNATURE_SIZE_MAX or not is_accepted_key(key):
        return False
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        else:
            key.verify(signature, message, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        return False
    return True


def check_signature(key: CardKey, message: bytes, signature: bytes) -> Check:
    """Return the check that the card signed ``message``.

    Spec: ID-SIGNATURE.
    """
    signed = is_card_signature(key, message, signature)
    return Check(
        rule="ID-SIGNATURE",
        passed=signed,
        expected="the certificate's key signed the text",
        found="it did" if signed else "it did not",
    )
