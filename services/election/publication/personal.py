"""What looks like a person in a text that is to be published. Pure.

Nothing here recognises every name. It stops what slips in by habit: an honorific behind a name, a
telephone or card number, an address, a birth date, a code. What it refuses an officer writes anew.

Spec: ELECTION-INCIDENT.
"""

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class PersonalKind(StrEnum):
    """What a text seems to hold."""

    NAME = "name"
    """A word with an honorific."""
    NUMBER = "number"
    """Seven digits or more in a row: a telephone, postal or card number."""
    MAIL = "mail"
    """A mail address."""
    ADDRESS = "address"
    """A street address."""
    BIRTH = "birth"
    """A birth date."""
    CODE = "code"
    """An invitation or tracking code."""


_DATES: Final = re.compile(
    r"\d{4}[-/年]\d{1,2}[-/月]\d{1,2}日?|\d{1,2}月\d{1,2}日|\d{1,2}:\d{2}(?::\d{2})?"
)
_DIGESTS: Final = re.compile(r"(?:0x)?(?=[0-9a-f]*[a-f])[0-9a-f]{16,}")

_PATTERNS: Final[Mapping[PersonalKind, re.Pattern[str]]] = {
    PersonalKind.MAIL: re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"),
    PersonalKind.CODE: re.compile(r"\b[0-9A-Za-z]{4}(?:-[0-9A-Za-z]{4}){3}\b"),
    PersonalKind.BIRTH: re.compile(r"生年月日|生まれ|\bborn\b|\bbirth", re.IGNORECASE),
    PersonalKind.ADDRESS: re.compile(r"丁目|番地|\d番\d"),
    PersonalKind.NAME: re.compile(
        r"(?<=[一-鿿々ァ-ヶー])(?<![同仕一異模多有皆各])様(?![式子々相態])"
        r"|(?<=[一-鿿々ァ-ヶー])(?<!皆)さん"
        r"|(?<=[一-鿿々ァ-ヶー])(?<![摂華])氏(?![名神族姓])"
        r"|\b(?:Mr|Mrs|Ms|Dr)\b\.?\s+[A-Z]"
    ),
    PersonalKind.NUMBER: re.compile(r"\d(?:[\s‐-―−ー()-]{0,2}\d){6,}"),
}


def find_personal(text: str) -> PersonalKind | None:
    """Return what in a text looks like a person, None when nothing does.

    Dates, times of day and digests are no numbers of persons.

    Spec: ELECTION-INCIDENT.
    """
    plain = _DIGESTS.sub(" # ", _DATES.sub(" # ", unicodedata.normalize("NFKC", text)))
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.search(plain)), None)
