"""The custodian's secrets in two sealed copies, and its log of acts that nobody can shorten.

A copy is salt(16) ‖ nonce(12) ‖ ciphertext: ChaCha20-Poly1305 under scrypt of the password. Both
are written whole or not at all, one after the other; the newer one that opens counts. Every act is
a line of the log that holds the hash of the line before, written before the act is answered. What
was decrypted is read from the log too, so an older copy of the secrets forgets nothing.
"""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from node.primitives.canonical import encode_canonical
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.json_text import decode_json

SCRYPT_N: Final = 2**15
SALT_SIZE: Final = 16
NONCE_SIZE: Final = 12
CONTEXT: Final = b"daicho custodian 1"
START: Final = bytes(32)
"""What the first line of the log stands on."""

LOG_SIZE_MAX: Final = 64 * 1024 * 1024
"""Longest log read."""


class VaultDamaged(Misconfigured):
    """No copy of the secrets opens, or the log was shortened or changed."""

    code = "custodian.damaged"


@dataclass(slots=True)
class Secrets:
    """What the custodian keeps, as one canonical document."""

    serial: int = 0
    """Counts the writes."""
    log_head: str = START.hex()
    """Hash of the log's last line when this was written."""
    drafts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By draft id: encryption key, dealings and shares."""

    def __repr__(self) -> str:
        """Show nothing of the secrets."""
        return f"Secrets(serial={self.serial})"


class Vault:
    """The two copies and the log. Open with ``open_vault``."""

    def __init__(self, paths: tuple[Path, Path], log: Path, password: str) -> None:
        """Hold where they are; ``load`` reads them."""
        self._paths = paths
        self._log = log
        self._password = password.encode()
        self.secrets = Secrets()
        self.opened: dict[str, str] = {}
        """Digest of the list decrypted, by election, kind and number."""
        self._head = START
        self._salt = secrets.token_bytes(SALT_SIZE)
        self._keys: dict[bytes, bytes] = {}

    def load(self) -> None:
        """Read log and secrets, and mend a copy that is damaged or behind.

        Raises:
            VaultDamaged: Neither copy opens, or the log is not what it was.
        """
        heads = self._read_log()
        if not any(path.exists() for path in self._paths):
            if len(heads) > 1:
                raise VaultDamaged(f"{self._paths[0]}: missing, with a log; restore a copy")
            return
        found = [each for path in self._paths if (each := self._open(path)) is not None]
        if not found:
            raise VaultDamaged(
                f"{self._paths[0]}: no copy opens; check the password, or restore a copy"
            )
        self.secrets = max(found, key=lambda each: each.serial)
        if bytes.fromhex(self.secrets.log_head) not in heads:
            raise VaultDamaged(f"{self._log}: shortened or changed; restore it")
        if len(found) < 2 or found[0].serial != found[1].serial:
            self._write()

    def act(self, name: str, about: Mapping[str, Any], *, time_s: int) -> None:
        """Note an act in the log, then write both copies of the secrets."""
        line = {"previous": self._head.hex(), "time_s": time_s, "act": name, **about}
        data = encode_canonical(line)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as file:
            file.write(data + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._head = sha256(data)
        self._note(line)
        self.secrets.log_head = self._head.hex()
        self.secrets.serial += 1
        self._write()

    def _note(self, line: Mapping[str, Any]) -> None:
        if line["act"] == "decrypt":
            self.opened[str(line["list"])] = str(line["digest"])

    def _read_log(self) -> list[bytes]:
        """Check the chain; return every head it had.

        A last line without its end was cut by a crash before its act was answered; it is dropped.
        """
        heads = [START]
        if not self._log.exists():
            return heads
        with self._log.open("rb") as file:
            data = file.read(LOG_SIZE_MAX + 1)
        if len(data) > LOG_SIZE_MAX:
            raise VaultDamaged(f"{self._log}: longer than {LOG_SIZE_MAX} bytes")
        whole, _, rest = data.rpartition(b"\n")
        if rest:
            with self._log.open("rb+") as file:
                file.truncate(len(data) - len(rest))
        for text in whole.split(b"\n") if whole else []:
            try:
                line = decode_json(text)
            except InvalidInput:
                line = None
            if not isinstance(line, dict) or line.get("previous") != heads[-1].hex():
                raise VaultDamaged(f"{self._log}: changed; restore it")
            self._note(line)
            heads.append(sha256(text))
        self._head = heads[-1]
        return heads

    def _open(self, path: Path) -> Secrets | None:
        try:
            data = path.read_bytes()
        except OSError:
            return None
        salt, rest = data[:SALT_SIZE], data[SALT_SIZE:]
        cipher = ChaCha20Poly1305(self._key(salt)) if len(salt) == SALT_SIZE else None
        if cipher is None or len(rest) <= NONCE_SIZE:
            return None
        try:
            plain = cipher.decrypt(rest[:NONCE_SIZE], rest[NONCE_SIZE:], CONTEXT)
        except InvalidTag:
            return None
        self._salt = salt
        document: Any = decode_json(plain)
        return Secrets(
            serial=document["serial"], log_head=document["log_head"], drafts=document["drafts"]
        )

    def _write(self) -> None:
        document = {
            "serial": self.secrets.serial,
            "log_head": self.secrets.log_head,
            "drafts": self.secrets.drafts,
        }
        salt, nonce = self._salt, secrets.token_bytes(NONCE_SIZE)
        sealed = ChaCha20Poly1305(self._key(salt)).encrypt(
            nonce, encode_canonical(document), CONTEXT
        )
        for path in self._paths:
            _replace(path, salt + nonce + sealed)

    def _key(self, salt: bytes) -> bytes:
        """Return the key under a salt; derived once, for each write has a nonce of its own."""
        if salt not in self._keys:
            derive = Scrypt(salt=salt, length=32, n=SCRYPT_N, r=8, p=1)
            self._keys[salt] = derive.derive(self._password)
        return self._keys[salt]


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def open_vault(paths: tuple[Path, Path], log: Path, password: str) -> Vault:
    """Open a vault, or begin one where there is none.

    Raises:
        Misconfigured: The two copies are one, or what is there does not open.
    """
    if paths[0] == paths[1]:
        raise Misconfigured(f"{paths[0]}: name two files, best on two disks")
    vault = Vault(paths, log, password)
    vault.load()
    return vault
