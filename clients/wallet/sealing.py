"""Secrets at rest: AES-256-GCM under a random key, that key under a passphrase by scrypt.

Passphrases are normalised, so that one typed on another keyboard or system opens the same box.
What is authenticated beside a secret is the caller's choice. Randomness arrives as an argument.

Spec: WALLET-LOCK.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from node.primitives.errors import InvalidInput

Draw = Callable[[int], bytes]
"""Returns so many fresh random bytes; `secrets.token_bytes` outside tests."""

KEY_SIZE: Final = 32
NONCE_SIZE: Final = 12
SALT_SIZE: Final = 16
TAG_SIZE: Final = 16

WORK: Final = 1 << 17
"""Work factor of scrypt: 128 MiB and about half a second."""

WORK_MIN: Final = 1 << 14
WORK_MAX: Final = 1 << 18
"""Factors accepted from a file: neither cheap to guess nor a denial of service."""

PASSPHRASE_LENGTH_MIN: Final = 10
PASSPHRASE_LENGTH_MAX: Final = 1_024


class WrongPassphrase(InvalidInput):
    """The passphrase does not open the wallet or the backup, or what it opens was altered."""

    code = "wallet.wrong_passphrase"


class WeakPassphrase(InvalidInput):
    """A passphrase too short to protect anything, or too long to be one."""

    code = "wallet.weak_passphrase"


class InvalidWallet(InvalidInput):
    """A wallet file or a backup that is malformed or damaged."""

    code = "wallet.invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """How a passphrase becomes a key."""

    salt: bytes
    """16 random bytes."""
    work: int = WORK
    """scrypt's N, a power of two."""

    def __post_init__(self) -> None:
        """Refuse parameters out of bounds, before any work is done with them.

        Raises:
            InvalidWallet: They are.

        Spec: WALLET-LOCK.
        """
        is_power = self.work > 0 and self.work & (self.work - 1) == 0
        if len(self.salt) != SALT_SIZE or not is_power or not WORK_MIN <= self.work <= WORK_MAX:
            raise InvalidWallet("wallet: scrypt parameters out of bounds", rule="WALLET-LOCK")

    def derive(self, passphrase: str) -> bytes:
        """Return the key of a passphrase.

        Raises:
            WeakPassphrase: It is too short or too long.

        Spec: WALLET-LOCK.
        """
        text = unicodedata.normalize("NFKC", passphrase)
        if not PASSPHRASE_LENGTH_MIN <= len(text) <= PASSPHRASE_LENGTH_MAX:
            raise WeakPassphrase(
                f"passphrase: give at least {PASSPHRASE_LENGTH_MIN} characters", rule="WALLET-LOCK"
            )
        scrypt = Scrypt(salt=self.salt, length=KEY_SIZE, n=self.work, r=8, p=1)
        return scrypt.derive(text.encode("utf-8"))


def seal(key: bytes, secret: bytes, context: bytes, draw: Draw) -> bytes:
    """Return a nonce and ``secret`` encrypted under ``key``, bound to ``context``."""
    nonce = draw(NONCE_SIZE)
    return nonce + AESGCM(key).encrypt(nonce, secret, context)


def unseal(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """Return what ``seal`` sealed under the same key and context.

    Raises:
        WrongPassphrase: Another key or context, or the bytes were altered.
    """
    if len(sealed) < NONCE_SIZE + TAG_SIZE:
        raise InvalidWallet("wallet: a sealed secret is cut short", rule="WALLET-LOCK")
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], context)
    except InvalidTag as error:
        raise WrongPassphrase(
            "wrong passphrase, or the file was altered", rule="WALLET-LOCK"
        ) from error
