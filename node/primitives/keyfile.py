"""Secret keys sealed with a password: Web3 secret storage, version 3.

The same files open with any Ethereum tool. What a file asks of this machine is bounded: a file that
names more work than any tool writes is refused, not tried.
"""

import hashlib
import hmac
import uuid
from collections.abc import Callable, Mapping
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.errors import InvalidInput
from node.primitives.json_text import is_object

VERSION: Final = 3
CIPHER: Final = "aes-128-ctr"
PRF: Final = "hmac-sha256"
DERIVED_BYTES: Final = 32
BLOCK_SIZE: Final = 8
"""scrypt's r, as other tools write it."""

MEMORY_MAX: Final = 1 << 30
"""Most memory that a file may ask for, in bytes; what tools write takes a quarter of it."""

LANES_MAX: Final = 16
"""Largest p of scrypt."""

ROUNDS_MAX: Final = 10_000_000
"""Most rounds of PBKDF2; tools write up to a million."""


class KeyfileRefused(InvalidInput):
    """A file that is no version-3 keystore, or another password's."""

    code = "keyfile.refused"


def seal_keyfile(
    secret: bytes, password: bytes, *, work: int, draw: Callable[[int], bytes]
) -> dict[str, object]:
    """Return a new keystore that holds ``secret``.

    Args:
        secret: The key's 32 bytes.
        password: Opens it again.
        work: scrypt's n, a power of two.
        draw: Gives that many random bytes.
    """
    salt, nonce = draw(16), draw(16)
    derived = _scrypt(password, salt, n=work, r=BLOCK_SIZE, p=1)
    ciphertext = _apply_stream(derived[:16], nonce, secret)
    return {
        "address": PrivateKey(secret).address.hex(),
        "crypto": {
            "cipher": CIPHER,
            "cipherparams": {"iv": nonce.hex()},
            "ciphertext": ciphertext.hex(),
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": DERIVED_BYTES,
                "n": work,
                "r": BLOCK_SIZE,
                "p": 1,
                "salt": salt.hex(),
            },
            "mac": keccak256(derived[16:] + ciphertext).hex(),
        },
        "id": str(uuid.UUID(bytes=draw(16), version=4)),
        "version": VERSION,
    }


def open_keyfile(document: Mapping[str, object], password: bytes) -> bytes:
    """Return the secret that a keystore holds.

    Raises:
        KeyfileRefused: It is no version-3 keystore, asks for too much work, or has another
            password.
    """
    if document.get("version") != VERSION:
        raise KeyfileRefused("keystore: expected version 3")
    crypto = _part(document, "crypto" if "crypto" in document else "Crypto")
    if crypto.get("cipher") != CIPHER:
        raise KeyfileRefused(f"keystore: expected cipher {CIPHER}")
    ciphertext = _bytes(crypto, "ciphertext")
    nonce = _bytes(_part(crypto, "cipherparams"), "iv")
    if len(nonce) != 16:
        raise KeyfileRefused("keystore: expected an iv of 16 bytes")
    derived = _derive(crypto, password)
    expected = keccak256(derived[16:] + ciphertext)
    if not hmac.compare_digest(expected, _bytes(crypto, "mac")):
        raise KeyfileRefused("keystore: another password, or damaged")
    return _apply_stream(derived[:16], nonce, ciphertext)


def _derive(crypto: Mapping[str, object], password: bytes) -> bytes:
    parameters = _part(crypto, "kdfparams")
    salt = _bytes(parameters, "salt")
    if _number(parameters, "dklen") != DERIVED_BYTES:
        raise KeyfileRefused(f"keystore: expected dklen {DERIVED_BYTES}")
    match crypto.get("kdf"):
        case "scrypt":
            n, r, p = (_number(parameters, name) for name in ("n", "r", "p"))
            return _scrypt(password, salt, n=n, r=r, p=p)
        case "pbkdf2":
            rounds = _number(parameters, "c")
            if parameters.get("prf") != PRF or rounds > ROUNDS_MAX:
                raise KeyfileRefused(f"keystore: expected {PRF}, at most {ROUNDS_MAX} rounds")
            return hashlib.pbkdf2_hmac("sha256", password, salt, rounds, DERIVED_BYTES)
        case _:
            raise KeyfileRefused("keystore: expected scrypt or pbkdf2")


def _scrypt(password: bytes, salt: bytes, *, n: int, r: int, p: int) -> bytes:
    if p > LANES_MAX or 128 * r * (n + p + 2) > MEMORY_MAX:
        raise KeyfileRefused(f"keystore: scrypt with n {n}, r {r}, p {p} is too much work")
    try:
        return hashlib.scrypt(
            password, salt=salt, n=n, r=r, p=p, dklen=DERIVED_BYTES, maxmem=MEMORY_MAX
        )
    except ValueError as error:
        raise KeyfileRefused(f"keystore: scrypt does not have n {n}, r {r}, p {p}") from error


def _apply_stream(key: bytes, nonce: bytes, data: bytes) -> bytes:
    encryptor = Cipher(AES(key), CTR(nonce)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def _part(of: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = of.get(name)
    if not is_object(found):
        raise KeyfileRefused(f"keystore: expected an object {name}")
    return found


def _number(of: Mapping[str, object], name: str) -> int:
    found = of.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise KeyfileRefused(f"keystore: expected a positive number {name}")
    return found


def _bytes(of: Mapping[str, object], name: str) -> bytes:
    found = of.get(name)
    try:
        return bytes.fromhex(found.removeprefix("0x")) if isinstance(found, str) else b""
    except ValueError as error:
        raise KeyfileRefused(f"keystore: expected hexadecimal digits in {name}") from error
