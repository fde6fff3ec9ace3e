"""A wallet's backup: one file of bytes, encrypted under a passphrase of its own.

Damage is told from a wrong passphrase by a checksum, which is no protection against forgery: the
authentication tag is. Restoring adds to a wallet and replaces nothing.

Spec: WALLET-BACKUP.
"""

from collections.abc import Iterable
from typing import Final

from clients.wallet.sealing import (
    NONCE_SIZE,
    SALT_SIZE,
    TAG_SIZE,
    WORK,
    Draw,
    InvalidWallet,
    Stretch,
    seal,
    unseal,
)
from clients.wallet.wallet import ENTRY_COUNT_MAX, NAME, SECRET_SIZES, KeyExists, Kind, OpenWallet
from node.primitives import rlp
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput

MAGIC: Final = b"DAICHOWB"
VERSION: Final = 1

BACKUP_SIZE_MAX: Final = 131_072
"""Longest backup read, in bytes; the most secrets of the longest kind and name fit."""

CHECKSUM_SIZE: Final = 32
_HEAD_SIZE: Final = len(MAGIC) + 2 + SALT_SIZE

Secret = tuple[Kind, str, bytes]
"""Kind, name and the secret itself."""


class DamagedBackup(InvalidWallet):
    """A backup that is no backup, of another version, or altered since it was written."""

    code = "wallet.damaged_backup"


def create_backup(opened: OpenWallet, passphrase: str, draw: Draw, *, work: int = WORK) -> bytes:
    """Return the bytes of a backup of every secret in an unlocked wallet.

    Layout: magic (8), version (1), log2 of scrypt's N (1), salt (16), nonce (12), ciphertext with
    tag, SHA-256 of everything before it (32). The first 26 bytes are authenticated.

    Raises:
        WalletLocked: The wallet is locked.
        WeakPassphrase: The passphrase is too short or too long.

    Spec: WALLET-BACKUP.
    """
    items: rlp.Item = [
        [kind.value.encode(), name.encode(), secret] for kind, name, secret in opened.secrets()
    ]
    stretch = Stretch(salt=draw(SALT_SIZE), work=work)
    head = MAGIC + bytes((VERSION, work.bit_length() - 1)) + stretch.salt
    body = head + seal(stretch.derive(passphrase), rlp.encode(items), head, draw)
    return body + sha256(body)


def restore_backup(opened: OpenWallet, backup: bytes, passphrase: str) -> int:
    """Add every secret of a backup to an unlocked wallet; return how many were new.

    Nothing is added unless all of it can be.

    Raises:
        DamagedBackup: The bytes are no backup, or were altered.
        WrongPassphrase: The passphrase is not the backup's.
        KeyExists: The wallet has another secret of the same kind and name.
        WalletLocked: The wallet is locked.

    Spec: WALLET-BACKUP.
    """
    secrets = open_backup(backup, passphrase)
    have = {(kind, name): secret for kind, name, secret in opened.secrets()}
    for kind, name, secret in secrets:
        if have.get((kind, name), secret) != secret:
            raise KeyExists(
                f"wallet: has another {kind.value} key for {name}; restore into a new wallet",
                rule="WALLET-BACKUP",
            )
    fresh = [each for each in secrets if (each[0], each[1]) not in have]
    if len(have) + len(fresh) > ENTRY_COUNT_MAX:
        raise InvalidInput(f"wallet: full, at most {ENTRY_COUNT_MAX} keys", rule="WALLET-BACKUP")
    for kind, name, secret in fresh:
        opened.put(kind, name, secret)
    return len(fresh)


def open_backup(backup: bytes, passphrase: str) -> tuple[Secret, ...]:
    """Return the secrets of a backup.

    Raises:
        DamagedBackup: The bytes are no backup, or were altered.
        WrongPassphrase: The passphrase is not the backup's.

    Spec: WALLET-BACKUP.
    """
    shortest = _HEAD_SIZE + NONCE_SIZE + TAG_SIZE + CHECKSUM_SIZE
    if not shortest <= len(backup) <= BACKUP_SIZE_MAX or not backup.startswith(MAGIC):
        raise _damaged("not a backup of a wallet")
    body, checksum = backup[:-CHECKSUM_SIZE], backup[-CHECKSUM_SIZE:]
    if sha256(body) != checksum:
        raise _damaged("damaged: its checksum does not match; use another copy")
    head, sealed = body[:_HEAD_SIZE], body[_HEAD_SIZE:]
    if head[len(MAGIC)] != VERSION:
        raise _damaged(f"of version {head[len(MAGIC)]}, this program reads {VERSION}")
    stretch = Stretch(salt=head[-SALT_SIZE:], work=1 << min(head[len(MAGIC) + 1], 63))
    return tuple(_secrets_of(unseal(stretch.derive(passphrase), sealed, head)))


def _secrets_of(plain: bytes) -> Iterable[Secret]:
    """Decode what a backup holds; sealed by us, and checked all the same."""
    items = rlp.decode_list(plain)
    if len(items) > ENTRY_COUNT_MAX:
        raise _damaged("holds too many keys")
    seen = set()
    for item in items:
        kind_bytes, name_bytes, secret = (
            rlp.as_bytes(part, what="backup") for part in rlp.as_list(item, 3, "backup entry")
        )
        kind_text = kind_bytes.decode("utf-8", "replace")
        name = name_bytes.decode("utf-8", "replace")
        if kind_text not in set(Kind) or not NAME.fullmatch(name) or (kind_text, name) in seen:
            raise _damaged("holds an entry of an unknown kind or name, or one twice")
        kind = Kind(kind_text)
        if len(secret) != SECRET_SIZES[kind]:
            raise _damaged("holds a secret of a wrong size")
        seen.add((kind_text, name))
        yield kind, name, secret


def _damaged(message: str) -> DamagedBackup:
    return DamagedBackup(f"backup: {message}", rule="WALLET-BACKUP")
