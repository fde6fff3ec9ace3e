"""Keys in files: Web3 keystore version 3 with scrypt, and where its password comes from.

The files open with any Ethereum tool that reads version 3. A development key says so in its file
and its name, and has a cheap work factor; a node refuses one outside a development network.
"""

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.keyfile import open_keyfile, seal_keyfile
from node.primitives.types import Address
from node.settings import PASSWORD_VARIABLE, KeySettings, check_private, read_secret

SCRYPT_WORK: Final = 1 << 18
"""Work factor of a keystore's scrypt: about half a second to open."""

SCRYPT_WORK_DEVELOPMENT: Final = 1 << 12
"""Work factor of development keys, whose password is public anyway."""

KEYSTORE_SIZE_MAX: Final = 16_384
"""Longest keystore read, in bytes."""

DEVELOPMENT_MARK: Final = "development-only"
"""Field of a development keystore, and part of its file name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeystoreInfo:
    """What a keystore says without its password."""

    path: Path
    """The file."""
    address: Address
    """Address of the key inside."""
    is_development: bool
    """Made for development networks only."""


def create_key() -> PrivateKey:
    """Draw a fresh key from the system's randomness."""
    while True:
        try:
            return PrivateKey(secrets.token_bytes(32))
        except InvalidInput:
            continue


def save_keystore(
    path: Path, key: PrivateKey, password: str, *, is_development: bool = False
) -> None:
    """Write ``key`` to a new file at ``path``, readable by its owner only.

    Raises:
        Misconfigured: The file exists, or cannot be written.
    """
    if path.exists():
        raise Misconfigured(f"{path}: exists already; choose another name")
    work = SCRYPT_WORK_DEVELOPMENT if is_development else SCRYPT_WORK
    document = seal_keyfile(
        key.export_secret(), password.encode(), work=work, draw=secrets.token_bytes
    )
    if is_development:
        document[DEVELOPMENT_MARK] = True
    save_private(path, json.dumps(document, indent=2) + "\n")


def save_private(path: Path, text: str) -> None:
    """Write a new file only its owner can read, durably.

    Raises:
        Misconfigured: The file exists, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Misconfigured(f"{path}: exists already; choose another name") from error
    except OSError as error:
        raise Misconfigured(
            f"{path}: cannot be written ({error.strerror}); choose a writable place"
        ) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def load_keystore_info(path: Path) -> KeystoreInfo:
    """Read a keystore's address without opening it.

    Raises:
        Misconfigured: The file is missing or no keystore.
    """
    document = _load(path)
    address = str(document.get("address", "")).removeprefix("0x")
    try:
        raw = bytes.fromhex(address)
    except ValueError:
        raw = b""
    if len(raw) != 20:
        raise Misconfigured(f"{path}: keystore without an address; import the key again")
    return KeystoreInfo(
        path=path, address=Address(raw), is_development=bool(document.get(DEVELOPMENT_MARK))
    )


def load_keystore(path: Path, password: str) -> PrivateKey:
    """Open the keystore at ``path``.

    Raises:
        Misconfigured: The file is missing, too open, no keystore, or the password is wrong.
    """
    check_private(path)
    document = _load(path)
    try:
        key = PrivateKey(open_keyfile(document, password.encode()))
    except InvalidInput as error:
        raise Misconfigured(f"{path}: wrong password or damaged keystore; check both") from error
    if load_keystore_info(path).address != key.address:
        raise Misconfigured(f"{path}: address and key disagree; restore the file from a backup")
    return key


def load_key(settings: KeySettings, ask: Callable[[str], str] | None = None) -> PrivateKey:
    """Open the configured keystore with the password from file, environment or ``ask``.

    Raises:
        Misconfigured: No keystore, no password, or they do not fit.
    """
    if settings.keystore is None:
        raise Misconfigured("key.keystore is not set; name the keystore file")
    return load_keystore(settings.keystore, find_password(settings, ask))


def find_password(settings: KeySettings, ask: Callable[[str], str] | None = None) -> str:
    """Return the keystore's password: from its file, the environment, or by asking.

    Raises:
        Misconfigured: None of the three yields one.
    """
    if settings.password_file is not None:
        return read_secret(settings.password_file)
    from_environment = os.environ.get(PASSWORD_VARIABLE)
    if from_environment:
        return from_environment
    if ask is not None:
        return ask(f"password of {settings.keystore}")
    raise Misconfigured(
        f"no password for {settings.keystore}; set key.password_file or {PASSWORD_VARIABLE}"
    )


def _load(path: Path) -> dict[str, object]:
    try:
        size = path.stat().st_size
        text = path.read_text(encoding="utf-8") if size <= KEYSTORE_SIZE_MAX else ""
        document = json.loads(text)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise Misconfigured(f"{path}: not a keystore (JSON expected); check the path") from error
    if not isinstance(document, dict) or document.get("version") != 3:
        raise Misconfigured(f"{path}: not a version-3 keystore; make one with: daicho key import")
    return document
