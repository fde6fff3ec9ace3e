"""The secrets by which the hub knows people: one for the card index, one for each sector.

A file of its own, apart from the database: whoever has the database without it can connect neither
a card nor two sectors with one person. Losing it loses everybody's names, so it is backed up like
the master keys, and apart from them.

Spec: ID-PSEUDONYM, ID-CARD-INDEX.
"""

import hashlib
import hmac
import json
import os
import secrets
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from clients.identity.pseudonym import KEY_SIZE, CardIndexKey, Pseudonym, ResidentId, SectorKey
from node.primitives.errors import InvalidInput, MalformedMessage, Misconfigured
from node.primitives.json_text import decode_json
from node.settings import check_private

FILE_BYTES_MAX: Final = 256 * 1024
_PROVIDER_TAG: Final = b"daicho/identity/provider-index/1\x00"


_ATTRIBUTES_TAG: Final = b"daicho/identity/attributes-index/1\x00"


def fold_text(text: str) -> str:
    """Return a name or address without what two registers write differently: spaces and widths."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """The secrets; none of them appears in ``repr``."""

    card_index: CardIndexKey
    """Where a card's binding is found."""
    provider_index: bytes = field(repr=False)
    """Where somebody known by an OpenID provider is found."""
    sectors: Mapping[str, SectorKey]
    """The newest key of each sector."""
    former: Mapping[str, tuple[SectorKey, ...]] = field(default_factory=dict)
    """Keys of sectors that were followed by a newer one, the oldest first."""

    def name_in(self, sector: str, resident_id: ResidentId) -> Pseudonym:
        """Return a resident's name in a sector.

        Raises:
            Misconfigured: The keyring has no key for that sector.
        """
        key = self.sectors.get(sector)
        if key is None:
            raise Misconfigured(
                f"keyring: no key for sector {sector}; run: daicho service hub keyring add"
            )
        return key.compute_pseudonym(resident_id)

    def former_names_in(self, sector: str, resident_id: ResidentId) -> tuple[Pseudonym, ...]:
        """Return the names a resident had in a sector under keys that were followed by others."""
        return tuple(key.compute_pseudonym(resident_id) for key in self.former.get(sector, ()))

    def find_attributes(self, name: str, birth_date: str) -> bytes:
        """Return where people are found who confirmed a name and a date of birth.

        Spec: ID-RECORD-EVENT.
        """
        message = fold_text(name).encode() + b"\x00" + birth_date.encode()
        key = hmac.new(self.provider_index, _ATTRIBUTES_TAG, hashlib.sha256).digest()
        return hmac.new(key, message, hashlib.sha256).digest()

    def find_provider(self, issuer: str, subject: str) -> bytes:
        """Return where somebody is found whom an OpenID provider calls ``subject``."""
        message = b"".join(
            len(part).to_bytes(2, "big") + part for part in (issuer.encode(), subject.encode())
        )
        return hmac.new(self.provider_index, _PROVIDER_TAG + message, hashlib.sha256).digest()


def load_keyring(path: Path) -> Keyring:
    """Read a keyring.

    Raises:
        Misconfigured: The file is missing, open to others, or no keyring.
    """
    record = _read(path)
    try:
        keys = {
            sector: tuple(
                SectorKey(sector, version, bytes.fromhex(secret))
                for version, secret in enumerate(versions, start=1)
            )
            for sector, versions in record["sectors"].items()
        }
        provider_index = bytes.fromhex(record["provider_index"])
        if len(provider_index) != KEY_SIZE:
            raise InvalidInput(f"provider index key: {KEY_SIZE} bytes")
        return Keyring(
            card_index=CardIndexKey(bytes.fromhex(record["card_index"])),
            provider_index=provider_index,
            sectors={sector: versions[-1] for sector, versions in keys.items()},
            former={sector: versions[:-1] for sector, versions in keys.items()},
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, InvalidInput) as error:
        raise Misconfigured(f"{path}: no keyring; restore it from its backup") from error


def create_keyring(path: Path, sectors: Iterable[str]) -> None:
    """Write a new keyring with a key for each sector.

    Raises:
        Misconfigured: The file exists, or cannot be written.
    """
    record = {
        "card_index": secrets.token_hex(KEY_SIZE),
        "provider_index": secrets.token_hex(KEY_SIZE),
        "sectors": {sector: [secrets.token_hex(KEY_SIZE)] for sector in sorted(set(sectors))},
    }
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError as error:
        raise Misconfigured(f"{path}: exists already; name another file") from error
    except OSError as error:
        raise Misconfigured(f"{path}: {error.strerror}; check the path") from error
    _write(path, record)


def add_sector(path: Path, sector: str) -> None:
    """Add a key for a sector that has none.

    Raises:
        Misconfigured: The sector has one, or the file is wrong.
    """
    load_keyring(path)
    record = _read(path)
    if sector in record["sectors"]:
        raise Misconfigured(f"{path}: sector {sector} has a key; to follow it by another, rotate")
    SectorKey(sector, 1, bytes(KEY_SIZE))
    record["sectors"][sector] = [secrets.token_hex(KEY_SIZE)]
    _write(path, record)


def rotate_sector(path: Path, sector: str, *, is_own: bool) -> int:
    """Follow a sector's key by another; return the version. The former ones are kept.

    Args:
        path: The keyring.
        sector: Whose key.
        is_own: It is the hub's own, under which its records name people.

    Raises:
        Misconfigured: The sector has no key, or it is the hub's own.

    Spec: ID-ROTATION.
    """
    load_keyring(path)
    record = _read(path)
    if is_own:
        raise Misconfigured(f"{path}: sector {sector} is the hub's own; its names stay")
    if sector not in record["sectors"]:
        raise Misconfigured(f"{path}: no key for sector {sector}; add one first")
    versions = [*record["sectors"][sector], secrets.token_hex(KEY_SIZE)]
    SectorKey(sector, len(versions), bytes(KEY_SIZE))
    record["sectors"][sector] = versions
    _write(path, record)
    return len(versions)


def _read(path: Path) -> dict[str, Any]:
    check_private(path)
    data = path.read_bytes()[: FILE_BYTES_MAX + 1]
    try:
        record = decode_json(data) if len(data) <= FILE_BYTES_MAX else None
    except MalformedMessage as error:
        raise Misconfigured(f"{path}: no keyring; restore it from its backup") from error
    if not isinstance(record, dict):
        raise Misconfigured(f"{path}: no keyring; restore it from its backup")
    return record


def _write(path: Path, record: Mapping[str, object]) -> None:
    """Write whole or not at all."""
    fresh = path.with_suffix(f"{path.suffix}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(json.dumps(record, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be written: {error.strerror}") from error
