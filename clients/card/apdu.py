"""Command APDUs a client sends, and the gate that keeps the Individual Number out of reach.

Files are named, not numbered: what has no name here cannot be selected. The gate stands behind
that and looks at the bytes on their way out, whoever made them.

Spec: CARD-NUMBER.
"""

from enum import Enum, IntEnum
from typing import Final

from clients.card.errors import ForbiddenFile

OK: Final = 0x9000
"""Status of a command that was carried out."""


class CardApplication(Enum):
    """Applications this client uses, by their identifier."""

    JPKI = bytes.fromhex("d392f000260100000001")
    """Public certification: two keys, two certificates, two PINs."""
    TEXT = bytes.fromhex("d3921000310001010408")
    """Input support: the four attributes."""


class JpkiFile(IntEnum):
    """Files of the application for public certification."""

    SIGNING_CERTIFICATE = 0x0001
    TOKEN_INFO = 0x0006
    AUTHENTICATION_CERTIFICATE = 0x000A
    AUTHENTICATION_KEY = 0x0017
    AUTHENTICATION_PIN = 0x0018
    SIGNING_KEY = 0x001A
    SIGNING_PIN = 0x001B


class TextFile(IntEnum):
    """Files of the text application; what else it has is not ours to read."""

    ATTRIBUTES = 0x0002
    PIN = 0x0011
    NUMBER_B = 0x0015


_SELECT_APPLICATION: Final = bytes.fromhex("00a4040c0a")
_SELECT_FILE: Final = bytes.fromhex("00a4020c02")
_READ: Final = bytes.fromhex("00b0")
_SHORT_FILE_ID: Final = 0x80
_VERIFY: Final = bytes.fromhex("00200080")
_SIGN: Final = bytes.fromhex("802a0080")
_ALLOWED: Final[dict[bytes, frozenset[int]]] = {
    CardApplication.JPKI.value: frozenset(JpkiFile),
    CardApplication.TEXT.value: frozenset(TextFile),
}


def select_application(application: CardApplication) -> bytes:
    """Return the command that selects an application."""
    return _SELECT_APPLICATION + application.value


def select_file(file: JpkiFile | TextFile) -> bytes:
    """Return the command that selects a file."""
    return _SELECT_FILE + file.to_bytes(2, "big")


def read_binary(offset: int) -> bytes:
    """Return the command that reads up to 256 bytes from ``offset``."""
    return _READ + offset.to_bytes(2, "big") + b"\x00"


def ask_tries_left() -> bytes:
    """Return the VERIFY without a code, which costs no try."""
    return _VERIFY


def verify(code: bytes) -> bytes:
    """Return the VERIFY of a code."""
    return _VERIFY + bytes([len(code)]) + code


def compute_signature(payload: bytes) -> bytes:
    """Return the command that has the selected key pad and sign ``payload``."""
    return _SIGN + bytes([len(payload)]) + payload + b"\x00"


class Gate:
    """Lets pass what may reach a card.

    Commands that could select or address a file in another way than by ``select_file`` are stopped
    too, so that the list of names is the whole list. File names count within the application the
    card said it has selected; a card that refuses a selection may still be in the one before.
    """

    def __init__(self) -> None:
        self._application: bytes | None = None

    def check(self, command: bytes) -> None:
        """Look at a command before it leaves.

        Raises:
            ForbiddenFile: It is not one of this module's, or selects what has no name here.

        Spec: CARD-NUMBER.
        """
        header, data = command[:5], command[5:]
        if header == _SELECT_APPLICATION and data in _ALLOWED:
            self._application = None
            return
        if header == _SELECT_FILE and int.from_bytes(data, "big") in self._names(data):
            return
        is_read = len(command) == 5 and command[:2] == _READ and not command[2] & _SHORT_FILE_ID
        if not is_read and command[:4] not in (_VERIFY, _SIGN):
            raise ForbiddenFile(
                f"card gate: the command {command[:4].hex()} is none this client may send",
                rule="CARD-NUMBER",
            )

    def note(self, command: bytes, status: int) -> None:
        """Learn from the answer which application is selected."""
        if command[:5] == _SELECT_APPLICATION and status == OK:
            self._application = command[5:]

    def _names(self, data: bytes) -> frozenset[int]:
        is_file_id = len(data) == 2 and self._application is not None
        return _ALLOWED[self._application or b""] if is_file_id else frozenset()
