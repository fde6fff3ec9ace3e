"""Signing keys of tokens, as JWKs: read from files, named by thumbprint, two kinds only.

P-256 (``ES256``), which browsers, cards and security keys have, and Ed25519. Symmetric and RSA keys
are refused, so that no token can be made with a public key or an old padding.
"""

from pathlib import Path
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, import_key

from node.primitives.errors import InvalidInput, MalformedMessage, Misconfigured
from node.primitives.json_text import decode_json
from node.settings import check_private

ALGORITHMS: Final = ("ES256", "Ed25519")
"""Signature algorithms of every token."""

KEY_BYTES_MAX: Final = 4_096

Key = ECKey | OKPKey


class UnusableKey(InvalidInput):
    """A JWK of another kind than P-256 or Ed25519, or none at all."""

    code = "auth.key"


def parse_key(document: object) -> Key:
    """Return the key that a JWK object describes.

    Raises:
        UnusableKey: It is not a P-256 or Ed25519 key.
    """
    if not isinstance(document, dict) or document.get("kty") not in ("EC", "OKP"):
        raise UnusableKey("key: not a P-256 or Ed25519 JWK")
    if document.get("crv") not in ("P-256", "Ed25519"):
        raise UnusableKey("key: its curve is not P-256 or Ed25519")
    try:
        key = import_key(document)
        key.check_use("sig")
        algorithm_of(_expect(key))
        key.thumbprint()
        _ = key.public_key
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise UnusableKey("key: not a valid JWK") from error
    return _expect(key)


def load_public_key(path: Path) -> Key:
    """Read a public key from a file that holds one JWK.

    Raises:
        Misconfigured: The file cannot be read, or holds no such key, or holds a private one.
    """
    key = _load(path)
    if key.is_private:
        raise Misconfigured(f"{path}: holds a private key; put the public key here")
    return key


def load_private_key(path: Path) -> Key:
    """Read a private key from a file that only its owner may read.

    Raises:
        Misconfigured: The file is missing, open to others, or holds no private key.
    """
    check_private(path)
    key = _load(path)
    if not key.is_private:
        raise Misconfigured(f"{path}: holds no private key; make one: daicho service new-key")
    return key


def generate_key() -> Key:
    """Draw a new Ed25519 key for a service."""
    return OKPKey.generate_key("Ed25519")


def algorithm_of(key: Key) -> str:
    """Return the signature algorithm that goes with ``key``."""
    return "ES256" if isinstance(key, ECKey) else "Ed25519"


def public_document(key: Key) -> dict[str, Any]:
    """Return the public half as a JWK with its thumbprint for a name."""
    return {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig"}


def private_document(key: Key) -> dict[str, Any]:
    """Return the whole key as a JWK; for a file of its owner and nowhere else."""
    return {**key.as_dict(private=True), "kid": key.thumbprint(), "use": "sig"}


def _load(path: Path) -> Key:
    try:
        with path.open("rb") as file:
            data = file.read(KEY_BYTES_MAX + 1)
        if len(data) > KEY_BYTES_MAX:
            raise Misconfigured(f"{path}: larger than a key can be; check the path")
        return parse_key(decode_json(data))
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (MalformedMessage, UnusableKey) as error:
        raise Misconfigured(f"{path}: holds no P-256 or Ed25519 JWK; make one anew") from error


def _expect(key: object) -> Key:
    if not isinstance(key, ECKey | OKPKey):
        raise TypeError("not an elliptic key")
    return key
