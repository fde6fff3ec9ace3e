"""The commission's token key: signs blinded admission tokens, one for each accepted enrolment.

A file of its own, used for nothing else, its owner's alone.

Spec: TOKEN-BLIND.
"""

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from clients.voting.blind_signature import sign_blinded
from node.primitives.errors import Misconfigured
from node.settings import check_private

MODULUS_BITS: Final = 2_048


class TokenKey:
    """The key. Its value never appears in ``repr``."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        """Hold it.

        Raises:
            Misconfigured: Not RSA-2048 with exponent 65537.
        """
        if key.key_size != MODULUS_BITS or key.public_key().public_numbers().e != 65_537:
            raise Misconfigured("token key: expected RSA of 2048 bits with exponent 65537")
        self._key = key

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "TokenKey(...)"

    @property
    def modulus(self) -> int:
        """Return the modulus that manifests name."""
        return self._key.public_key().public_numbers().n

    def sign(self, blinded: bytes) -> bytes:
        """Sign a blinded token.

        Raises:
            InvalidToken: It is not below the modulus, or of another length.

        Spec: TOKEN-BLIND.
        """
        return sign_blinded(self._key, blinded)


def load_token_key(path: Path) -> TokenKey:
    """Read the key file.

    Raises:
        Misconfigured: It cannot be read, others may read it, or it holds another kind of key.
    """
    check_private(path)
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise Misconfigured(f"{path}: no private key in PEM; restore the file") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Misconfigured(f"{path}: expected an RSA key; restore the file")
    return TokenKey(key)


def create_token_key(path: Path) -> TokenKey:
    """Make a new key and its file.

    Raises:
        Misconfigured: The file exists, or cannot be written.
    """
    key = rsa.generate_private_key(public_exponent=65_537, key_size=MODULUS_BITS)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(pem)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be written ({error.strerror})") from error
    return TokenKey(key)
