"""The auditor's key, from a version-3 keystore as `daicho key new` writes it."""

from pathlib import Path
from typing import Final

from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.json_text import decode_json, is_object
from node.primitives.keyfile import open_keyfile
from node.settings import check_private, read_secret

KEYSTORE_SIZE_MAX: Final = 16_384
"""Longest keystore read, in bytes."""


def load_auditor_key(keystore: Path, password_file: Path) -> PrivateKey:
    """Open a keystore with the password in a file; both readable by their owner only.

    Raises:
        Misconfigured: A file is missing or open to others, or they do not fit.
    """
    check_private(keystore)
    password = read_secret(password_file)
    try:
        data = keystore.read_bytes()
        document = decode_json(data) if len(data) <= KEYSTORE_SIZE_MAX else None
        if not is_object(document):
            raise InvalidInput("keystore: expected an object")
        return PrivateKey(open_keyfile(document, password.encode()))
    except OSError as error:
        raise Misconfigured(
            f"{keystore}: cannot be read ({error.strerror}); check the path"
        ) from error
    except InvalidInput as error:
        raise Misconfigured(
            f"{keystore}: wrong password or no version-3 keystore; check both"
        ) from error
