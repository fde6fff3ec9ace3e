"""The master keys of a service: a file of its own, readable by its owner alone.

One key a line, 64 hexadecimal digits; the last line is in use, those above it only open what was
wrapped before. Making the file and keeping its copy is the operator's work.
"""

import secrets
from pathlib import Path
from typing import Final

from node.primitives.crypto import sha256
from node.primitives.errors import Misconfigured

KEYS_MAX: Final = 16
"""Keys in one file."""


class MasterKeys:
    """The keys of a master file. Their values never appear in ``repr``."""

    __slots__ = ("_keys", "active_id")

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        """Hold keys of 32 bytes, the one in use last.

        Raises:
            Misconfigured: There is none, too many, or one has another length.
        """
        if not 1 <= len(keys) <= KEYS_MAX or any(len(key) != 32 for key in keys):
            raise Misconfigured(f"master keys: expected 1 to {KEYS_MAX} keys of 32 bytes")
        self._keys = {compute_master_id(key): key for key in keys}
        self.active_id = compute_master_id(keys[-1])

    def __repr__(self) -> str:
        """Name the keys by their ids only."""
        return f"MasterKeys({', '.join(self._keys)})"

    @property
    def active(self) -> bytes:
        """Return the key in use."""
        return self._keys[self.active_id]

    def find(self, master_id: str) -> bytes | None:
        """Return a key by its id."""
        return self._keys.get(master_id)


def compute_master_id(key: bytes) -> str:
    """Return the public name of a key."""
    return sha256(b"daicho master key id 1" + key).hex()[:16]


def load_master_keys(path: Path) -> MasterKeys:
    """Read a master file.

    Raises:
        Misconfigured: It cannot be read, others may read it, or a line is no key.
    """
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="ascii").split()
    except (OSError, ValueError) as error:
        raise Misconfigured(f"master keys: {path} cannot be read; check path and owner") from error
    if mode & 0o077:
        raise Misconfigured(f"master keys: others may read {path}; run: chmod 600 {path}")
    try:
        return MasterKeys(tuple(bytes.fromhex(line) for line in lines))
    except ValueError as error:
        raise Misconfigured(
            f"master keys: a line of {path} is not 64 hexadecimal digits; restore the file"
        ) from error


def create_master_file(path: Path) -> None:
    """Write a new master file with one key.

    Raises:
        Misconfigured: The file exists, or cannot be written.
    """
    add_key(path, is_new=True)


def add_key(path: Path, *, is_new: bool = False) -> None:
    """Append a new key, which is then the one in use.

    Raises:
        Misconfigured: The file cannot be written.
    """
    try:
        if is_new:
            path.touch(mode=0o600, exist_ok=False)
        with path.open("a", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
    except OSError as error:
        raise Misconfigured(f"master keys: {path} cannot be written: {error.strerror}") from error
