"""How long what lies in a card's file is, and the tagged texts of its four attributes.

Files are padded, so the length comes from the data's own header. Bytes from a card are bytes from
outside: they raise ``CardMalformed`` and nothing else.

Spec: CARD-READ, CARD-TEXT.
"""

from datetime import date
from typing import Final

from clients.card.errors import CardMalformed
from clients.identity.attributes import TEXT_LENGTH_MAX, FourAttributes, Sex

HEADER_SIZE_MAX: Final = 6
"""Bytes after which a length is known: a tag of two, and a length of up to four."""

_SEQUENCE: Final = 0x30
_ATTRIBUTES: Final = 0xFF20
_NAME, _ADDRESS, _BIRTH_DATE, _SEX = 0xDF22, 0xDF23, 0xDF24, 0xDF25
_SEXES: Final = {"1": Sex.MALE, "2": Sex.FEMALE, "9": Sex.UNKNOWN}


def certificate_size(start: bytes) -> int:
    """Return the size of the DER sequence that starts so; zero for a file that holds none.

    Raises:
        CardMalformed: A length in a form DER does not have here.

    Spec: CARD-READ.
    """
    if not start or start[0] != _SEQUENCE:
        return 0
    header, size = _length(start, 1)
    return header + size


def text_size(start: bytes) -> int:
    """Return the size of the attributes that start so.

    Raises:
        CardMalformed: Something else starts here.

    Spec: CARD-TEXT.
    """
    if int.from_bytes(start[:2], "big") != _ATTRIBUTES:
        raise _malformed("no attributes")
    header, size = _length(start, 2)
    return header + size


def decode_text(data: bytes) -> FourAttributes:
    """Decode the file of the four attributes; sex is coded unlike in the certificate.

    Raises:
        CardMalformed: It does not decode, or holds longer texts than a resident record.

    Spec: CARD-TEXT.
    """
    size = text_size(data)
    header = size - _length(data, 2)[1]
    if size > len(data):
        raise _malformed("attributes are cut short")
    values = _split(data[header:size])
    try:
        texts = {tag: values[tag].decode() for tag in (_NAME, _ADDRESS, _BIRTH_DATE, _SEX)}
    except (KeyError, UnicodeDecodeError) as error:
        raise _malformed("an attribute is missing or not UTF-8") from error
    if not all(0 < len(texts[tag]) <= TEXT_LENGTH_MAX for tag in (_NAME, _ADDRESS)):
        raise _malformed(f"name and address have 1 to {TEXT_LENGTH_MAX} characters")
    if texts[_SEX] not in _SEXES:
        raise _malformed("sex is 1, 2 or 9")
    return FourAttributes(
        name=texts[_NAME],
        address=texts[_ADDRESS],
        birth_date=_decode_birth_date(texts[_BIRTH_DATE]),
        sex=_SEXES[texts[_SEX]],
    )


def _split(data: bytes) -> dict[int, bytes]:
    """Split two-byte tags, lengths and values; the bytes given bound their number."""
    values: dict[int, bytes] = {}
    offset = 0
    while offset < len(data):
        tag = int.from_bytes(data[offset : offset + 2], "big")
        start, size = _length(data, offset + 2)
        if start + size > len(data) or tag in values:
            raise _malformed("an attribute is cut short or given twice")
        values[tag] = data[start : start + size]
        offset = start + size
    return values


def _length(data: bytes, offset: int) -> tuple[int, int]:
    """Return where the value starts and its length."""
    first = data[offset] if offset < len(data) else 0x80
    if first < 0x80:
        return offset + 1, first
    width = first - 0x80
    encoded = data[offset + 1 : offset + 1 + width]
    if not 1 <= width <= 2 or len(encoded) != width:
        raise _malformed("a length is missing or too long")
    return offset + 1 + width, int.from_bytes(encoded, "big")


def _decode_birth_date(text: str) -> date | None:
    if len(text) != 8 or not (text.isascii() and text.isdigit()):
        raise _malformed("birth date is eight digits")
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:])
    if 0 in (year, month, day):
        return None
    try:
        return date(year, month, day)
    except ValueError as error:
        raise _malformed("birth date is no day") from error


def _malformed(what: str) -> CardMalformed:
    return CardMalformed(f"card file: {what}", rule="CARD-TEXT")
