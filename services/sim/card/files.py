"""What a simulated card holds: applications, files, codes and keys, and its undecided habits.

Only data. ``answers`` says what the card does with it and ``layout`` which files a My Number Card
has. Codes and keys here belong to invented people.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, rsa

CONTACT_ATR: Final = bytes.fromhex("3be000ff8131fe4514")
"""Answer to reset of a plastic card in a contact reader."""

CONTACTLESS_ATR: Final = bytes.fromhex("3b88800100000000338181003a")
"""What a contactless reader makes up: nothing in it names the card."""

CardPrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"""Keys a card holds: RSA-2048 today, P-384 on the next generation."""


class LockedStatus(Enum):
    """How a card answers VERIFY of a locked code; sources disagree."""

    NO_TRIES = 0x63C0
    AUTHENTICATION_BLOCKED = 0x6983
    REFERENCE_DATA_UNUSABLE = 0x6984


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What sources leave open about real cards; the defaults are the strict choice."""

    locked_status: LockedStatus = LockedStatus.AUTHENTICATION_BLOCKED
    """Answer to VERIFY of a locked code."""
    is_cleared_by_selecting: bool = True
    """Selecting an application, also the same again, forgets verified codes."""
    is_cleared_by_signing: bool = False
    """A signature with the signing key uses its verified code up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A file to be read."""

    data: bytes = field(repr=False)
    """Its bytes, with any padding."""
    opened_by: frozenset[int] = frozenset()
    """Files of the codes of which any one opens it; empty for everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFile:
    """A file that checks a code."""

    code: bytes = field(repr=False)
    """The code in ASCII."""
    tries_max: int
    """Wrong codes until it locks."""
    lengths: tuple[int, int]
    """Shortest and longest code it may be changed to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """A file that signs."""

    key: CardPrivateKey = field(repr=False)
    """The private key."""
    opened_by: int
    """File of its code."""
    is_for_documents: bool
    """The signing key, as against the authentication key."""


CardFile: TypeAlias = DataFile | CodeFile | KeyFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One application of a card."""

    identifier: bytes
    """AID by which it is selected."""
    files: Mapping[int, CardFile]
    """Its files by file id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardContents:
    """Everything on a card that use does not change."""

    applications: tuple[Application, ...]
    """In no order."""
    atr: bytes = CONTACT_ATR
    """Answer to reset."""
    habits: Habits = Habits()
    """What it does where sources disagree."""

    def find(self, identifier: bytes) -> Application | None:
        """Return the application of exactly this identifier."""
        return next((one for one in self.applications if one.identifier == identifier), None)
