"""Names for one person that nobody without a key can connect.

A resident has a random id that comes from no card. Each sector knows the person by a keyed hash of
it; the card is found again by a keyed hash of what can be read off it. The keys stay in the
identity service, each with one use.

Spec: ID-PSEUDONYM, ID-CARD-INDEX.
"""

import hashlib
import hmac
import re
from typing import Final, NewType

from clients.identity.certificate import CardCertificate
from clients.identity.path import TrustedAuthority
from node.primitives.errors import InvalidInput

ResidentId = NewType("ResidentId", bytes)
"""16 random bytes; never derived from a card or a register."""

Pseudonym = NewType("Pseudonym", bytes)
"""32 bytes: a resident in one sector, under one version of its key."""

CardIndex = NewType("CardIndex", bytes)
"""32 bytes: where a card's binding is found."""

KEY_SIZE: Final = 32
"""Bytes of every key here."""

RESIDENT_ID_SIZE: Final = 16
"""Bytes of a resident id."""

VERSION_MAX: Final = 2**32 - 1
"""Highest version of a sector's key."""

_SECTOR: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_PSEUDONYM_TAG: Final = b"daicho/identity/pseudonym/1\x00"
_INDEX_TAG: Final = b"daicho/identity/card-index/1\x00"


class SectorKey:
    """The secret of one sector, in one version. Its value never appears in ``repr``."""

    __slots__ = ("_secret", "sector", "version")

    def __init__(self, sector: str, version: int, secret: bytes) -> None:
        """Check and hold the secret.

        Raises:
            InvalidInput: A sector that is no short name in lower case, a version out of range, or
                a secret of another length.
        """
        if not _SECTOR.fullmatch(sector) or not 0 < version <= VERSION_MAX:
            raise InvalidInput("sector key: a sector like 'library', versions from 1")
        if len(secret) != KEY_SIZE:
            raise InvalidInput(f"sector key: {KEY_SIZE} bytes")
        self.sector = sector
        self.version = version
        self._secret = secret

    def __repr__(self) -> str:
        """Name the key without its value."""
        return f"SectorKey({self.sector!r}, version={self.version})"

    def compute_pseudonym(self, resident_id: ResidentId) -> Pseudonym:
        """Return the name of a resident in this sector, under this version.

        Raises:
            InvalidInput: The resident id is not 16 bytes.

        Spec: ID-PSEUDONYM.
        """
        if len(resident_id) != RESIDENT_ID_SIZE:
            raise InvalidInput(f"resident id: {RESIDENT_ID_SIZE} bytes")
        sector = self.sector.encode()
        message = _PSEUDONYM_TAG + bytes([len(sector)]) + sector + self.version.to_bytes(4, "big")
        return Pseudonym(_mac(self._secret, message + resident_id))


class CardIndexKey:
    """The secret under which cards are found again. Its value never appears in ``repr``."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        """Check and hold the secret.

        Raises:
            InvalidInput: It is of another length.
        """
        if len(secret) != KEY_SIZE:
            raise InvalidInput(f"card index key: {KEY_SIZE} bytes")
        self._secret = secret

    def __repr__(self) -> str:
        """Hide the value."""
        return "CardIndexKey(hidden)"

    def compute_index(self, certificate: CardCertificate, issuer: TrustedAuthority) -> CardIndex:
        """Return where the binding of a card is found, whose path led to ``issuer``.

        The issuer enters by its key: generations share their name and number alike.

        Spec: ID-CARD-INDEX.
        """
        serial = certificate.serial.to_bytes(20, "big")
        return CardIndex(_mac(self._secret, _INDEX_TAG + issuer.key_hash + serial))


def _mac(secret: bytes, message: bytes) -> bytes:
    return hmac.new(secret, message, hashlib.sha256).digest()
