"""Whether a signing certificate is an elector's: names and addresses written in two ways are one.

The register and the certificate spell the same person differently: wide and narrow forms, spaces,
numerals of blocks, hyphens. Both are brought to one form and compared whole. A character that the
certificate marks as a stand-in for one it cannot hold matches any single character; nothing else
is forgiven. Where the register's spelling is known to differ, the roll has columns for what the
certificate says.

Spec: ROLL-MATCH.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Final

from clients.identity.attributes import FourAttributes, Sex

WILDCARD: Final = "\ufffd"
"""Stands for a character that the certificate cannot hold."""

_KANJI_DIGITS: Final = {digit: number for number, digit in enumerate("〇一二三四五六七八九")}
_NUMERAL: Final = re.compile(r"([〇一二三四五六七八九十百]+)(?=丁目|番地|番|号|条|区画|[-0-9])")
_HYPHENS: Final = re.compile(r"[‐‑‒–—―−ーｰ－](?=[0-9])|(?<=[0-9])[‐‑‒–—―−ーｰ－]")
_UNITS: Final = re.compile(r"(?<=[0-9])(?:丁目|番地の|番地|番|号)(?=[0-9])")
_LAST_UNIT: Final = re.compile(r"(?<=[0-9])(?:番地|番|号)(?![0-9])")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedAttributes:
    """What of an elector must be on the certificate."""

    name: str
    """As the certificate would have it."""
    address: str
    """The same."""
    birth_date: date
    """Birth date."""
    sex: Sex | None
    """None where the register's extract has none."""

    def __repr__(self) -> str:
        """Hide all of it."""
        return "MatchedAttributes(hidden)"


def find_differences(elector: MatchedAttributes, certificate: FourAttributes) -> tuple[str, ...]:
    """Name the attributes in which a certificate is not this elector's; empty when it is.

    Spec: ROLL-MATCH.
    """
    found = []
    name = _mark(certificate.name, certificate.name_substitutes)
    if not _is_same(normalise_name(elector.name), normalise_name(name)):
        found.append("name")
    address = _mark(certificate.address, certificate.address_substitutes)
    if not _is_same(normalise_address(elector.address), normalise_address(address)):
        found.append("address")
    if certificate.birth_date != elector.birth_date:
        found.append("birth_date")
    if elector.sex is not None and certificate.sex not in (elector.sex, Sex.UNKNOWN):
        found.append("sex")
    return tuple(found)


def normalise_name(text: str) -> str:
    """Return a name without spaces, in one width and case."""
    return "".join(unicodedata.normalize("NFKC", text).split()).upper()


def normalise_address(text: str) -> str:
    """Return an address without spaces, with blocks as numbers joined by hyphens."""
    plain = "".join(unicodedata.normalize("NFKC", text).split()).upper()
    plain = _NUMERAL.sub(lambda found: str(_read_numeral(found[1])), plain)
    plain = _HYPHENS.sub("-", plain)
    plain = _UNITS.sub("-", plain)
    return _LAST_UNIT.sub("", plain)


def _read_numeral(text: str) -> int:
    """Read a numeral below one thousand in Chinese figures, positional or with tens."""
    if not set(text) & set("十百"):
        return int("".join(str(_KANJI_DIGITS[digit]) for digit in text))
    total, digit = 0, 0
    for sign in text:
        if sign in _KANJI_DIGITS:
            digit = digit * 10 + _KANJI_DIGITS[sign]
        else:
            total += (digit or 1) * (10 if sign == "十" else 100)
            digit = 0
    return total + digit


def _mark(text: str, substitutes: tuple[int, ...]) -> str:
    return "".join(WILDCARD if at in substitutes else sign for at, sign in enumerate(text))


def _is_same(known: str, shown: str) -> bool:
    return len(known) == len(shown) and all(
        b in (a, WILDCARD) for a, b in zip(known, shown, strict=True)
    )
