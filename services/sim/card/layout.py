"""Which files a My Number Card has, and how an invented resident's card is laid out.

The text application holds an Individual Number, so that a client that asks for one is seen doing
it. It is twelve zeros, which no person has. What is ours and not known of real cards: the child's
file of certificates present, and everything of the P-384 card.
"""

from dataclasses import dataclass, field
from typing import Final

from services.sim.card.answers import CardState, locked
from services.sim.card.files import (
    CONTACT_ATR,
    Application,
    CardContents,
    CardFile,
    CardPrivateKey,
    CodeFile,
    DataFile,
    Habits,
    KeyFile,
)

JPKI: Final = bytes.fromhex("d392f000260100000001")
TEXT: Final = bytes.fromhex("d3921000310001010408")

SIGNING_CERTIFICATE: Final = 0x0001
SIGNING_AUTHORITY: Final = 0x0002
TOKEN_INFO: Final = 0x0006
CERTIFICATES_PRESENT: Final = 0x0008
AUTHENTICATION_CERTIFICATE: Final = 0x000A
AUTHENTICATION_AUTHORITY: Final = 0x000B
AUTHENTICATION_KEY: Final = 0x0017
AUTHENTICATION_CODE: Final = 0x0018
SIGNING_KEY: Final = 0x001A
SIGNING_CODE: Final = 0x001B

INDIVIDUAL_NUMBER: Final = 0x0001
ATTRIBUTES: Final = 0x0002
TEXT_CODE: Final = 0x0011
NUMBER_A: Final = 0x0014
NUMBER_B: Final = 0x0015

_NO_NUMBER: Final = b"0" * 12
_CERTIFICATE_PADDING: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A key with its certificate and the authority's."""

    key: CardPrivateKey = field(repr=False)
    """The private key."""
    certificate: bytes = field(repr=False)
    """Its certificate in DER."""
    authority: bytes = field(repr=False)
    """The authority's certificate in DER."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardText:
    """What the text application says; sex is 1, 2 or 9."""

    name: str
    """As printed."""
    address: str
    """As printed."""
    birth_date: str
    """YYYYMMDD."""
    sex: str = "2"
    """Coded as on the card, unlike the certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """The codes of a simulated card; the defaults are for tests."""

    authentication: str = field(default="1234", repr=False)
    """Four digits."""
    signing: str = field(default="ABC123", repr=False)
    """Six to sixteen upper-case letters and digits."""
    text: str = field(default="4321", repr=False)
    """Four digits."""
    number_b: str = field(default="90021720301234", repr=False)
    """照合番号B: fourteen digits on the face of the card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardOrder:
    """What a card is to be."""

    authentication: IssuedKey
    """Key for log-in."""
    signing: IssuedKey | None
    """Key for applications; children under fifteen have none."""
    text: CardText
    """The four attributes."""
    codes: Codes = Codes()
    """Its codes."""
    label: str = "JPKIAPICCTOKEN2"
    """Token label: a plastic card, or JPKIAPGPSETOKEN or JPKIAPIOSTOKEN for phones."""
    atr: bytes = CONTACT_ATR
    """Answer to reset."""
    habits: Habits = Habits()
    """Where sources disagree."""


def lay_out(order: CardOrder) -> CardContents:
    """Return the files of the card ordered."""
    return CardContents(
        applications=(
            Application(identifier=JPKI, files=_jpki_files(order)),
            Application(identifier=TEXT, files=_text_files(order)),
        ),
        atr=order.atr,
        habits=order.habits,
    )


def first_state(order: CardOrder) -> CardState:
    """Return the state as issued: nothing tried, but without a signing key its code is locked."""
    if order.signing is None:
        return locked(lay_out(order), frozenset({SIGNING_CODE}), JPKI)
    return CardState()


def encode_text(text: CardText) -> bytes:
    """Encode the file of the four attributes, padded as on the card."""
    values = (text.name, text.address, text.birth_date, text.sex)
    body, offsets = b"", []
    for tag, value in zip((0xDF22, 0xDF23, 0xDF24, 0xDF25), values, strict=True):
        offsets.append(len(body))
        body += _tlv(tag, value.encode())
    table = b"".join(offset.to_bytes(2, "big") for offset in offsets)
    return _tlv(0xFF20, _tlv(0xDF21, table) + body) + b"\xff" * 32


def _jpki_files(order: CardOrder) -> dict[int, CardFile]:
    is_phone = order.label != "JPKIAPICCTOKEN2"
    files: dict[int, CardFile] = {
        TOKEN_INFO: DataFile(data=order.label.ljust(32).encode() + bytes(128)),
        CERTIFICATES_PRESENT: DataFile(
            data=b"\x8f\x8f\x00" if order.signing is not None else b"\x8f\x00\x00"
        ),
        AUTHENTICATION_CERTIFICATE: DataFile(
            data=_padded(order.authentication.certificate),
            opened_by=frozenset({AUTHENTICATION_CODE}) if is_phone else frozenset(),
        ),
        AUTHENTICATION_AUTHORITY: DataFile(data=_padded(order.authentication.authority)),
        AUTHENTICATION_KEY: KeyFile(
            key=order.authentication.key, opened_by=AUTHENTICATION_CODE, is_for_documents=False
        ),
        AUTHENTICATION_CODE: CodeFile(
            code=order.codes.authentication.encode(), tries_max=3, lengths=(4, 4)
        ),
        SIGNING_CODE: CodeFile(code=order.codes.signing.encode(), tries_max=5, lengths=(6, 16)),
        SIGNING_CERTIFICATE: DataFile(
            data=_padded(b"" if order.signing is None else order.signing.certificate),
            opened_by=frozenset({SIGNING_CODE}),
        ),
    }
    if order.signing is not None:
        files[SIGNING_AUTHORITY] = DataFile(data=_padded(order.signing.authority))
        files[SIGNING_KEY] = KeyFile(
            key=order.signing.key, opened_by=SIGNING_CODE, is_for_documents=True
        )
    return files


def _text_files(order: CardOrder) -> dict[int, CardFile]:
    return {
        INDIVIDUAL_NUMBER: DataFile(
            data=b"\x10\x0c" + _NO_NUMBER, opened_by=frozenset({TEXT_CODE, NUMBER_A})
        ),
        ATTRIBUTES: DataFile(
            data=encode_text(order.text), opened_by=frozenset({TEXT_CODE, NUMBER_A, NUMBER_B})
        ),
        TEXT_CODE: CodeFile(code=order.codes.text.encode(), tries_max=3, lengths=(4, 4)),
        NUMBER_A: CodeFile(code=_NO_NUMBER, tries_max=10, lengths=(12, 12)),
        NUMBER_B: CodeFile(code=order.codes.number_b.encode(), tries_max=10, lengths=(14, 14)),
    }


def _padded(der: bytes) -> bytes:
    return der + b"\xff" * _CERTIFICATE_PADDING


def _tlv(tag: int, value: bytes) -> bytes:
    size = len(value)
    if size < 0x80:
        length = bytes([size])
    elif size < 0x100:
        length = bytes([0x81, size])
    else:
        length = b"\x82" + size.to_bytes(2, "big")
    return tag.to_bytes(2, "big") + length + value
