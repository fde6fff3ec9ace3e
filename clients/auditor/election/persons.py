"""Whether a card's certificate is an elector's, as an auditor compares the two spellings.

Written from the rule, not from the commission's code. Nothing of a person leaves this module but
the names of the attributes that differ.

Spec: ROLL-MATCH.
"""

import re
from datetime import date
from typing import Final
from unicodedata import normalize

from clients.auditor.election.restricted import ElectorLine
from clients.identity.attributes import FourAttributes, Sex

ANY_SIGN: Final = "\ufffd"
"""What the certificate's stand-ins are replaced with; matches any one character."""

_FIGURES: Final = "〇一二三四五六七八九"
_PLACES: Final = {"十": 10, "百": 100}

# In this order: figures before a unit, dashes beside a digit, units between digits, a last unit.
_FIGURES_OF_BLOCKS: Final = re.compile(
    rf"[{_FIGURES}{''.join(_PLACES)}]+(?=丁目|番地|番|号|条|区画|[-0-9])"
)
_DASH: Final = "[‐‑‒–—―−ーｰ－]"
_SIMPLER: Final = (
    (re.compile(rf"{_DASH}(?=[0-9])|(?<=[0-9]){_DASH}"), "-"),
    (re.compile(r"(?<=[0-9])(丁目|番地の|番地|番|号)(?=[0-9])"), "-"),
    (re.compile(r"(?<=[0-9])(番地|番|号)(?![0-9])"), ""),
)


def find_person_faults(elector: ElectorLine, shown: FourAttributes) -> tuple[str, ...]:
    """Name the attributes in which a certificate is not the elector's.

    Spec: ROLL-MATCH.
    """
    name = _put_stand_ins(shown.name, shown.name_substitutes)
    address = _put_stand_ins(shown.address, shown.address_substitutes)
    same = {
        "name": _is_one(
            write_plainly(elector.certificate_name or elector.name), write_plainly(name)
        ),
        "address": _is_one(
            write_blocks(elector.certificate_address or elector.address), write_blocks(address)
        ),
        "birth date": shown.birth_date == date.fromisoformat(elector.birth_date),
        "sex": elector.sex is None or shown.sex in (Sex(elector.sex), Sex.UNKNOWN),
    }
    return tuple(what for what, is_same in same.items() if not is_same)


def write_plainly(text: str) -> str:
    """Return a text in one width and case, without spaces."""
    return re.sub(r"\s", "", normalize("NFKC", text)).upper()


def write_blocks(text: str) -> str:
    """Return an address so written, with its blocks as numbers between hyphens."""
    plain = _FIGURES_OF_BLOCKS.sub(lambda found: str(_value_of(found[0])), write_plainly(text))
    for pattern, simpler in _SIMPLER:
        plain = pattern.sub(simpler, plain)
    return plain


def _value_of(figures: str) -> int:
    """Return the value of Chinese figures below one thousand, with or without place signs."""
    if not any(sign in _PLACES for sign in figures):
        return int("".join(str(_FIGURES.index(sign)) for sign in figures))
    value = pending = 0
    for sign in figures:
        if sign in _PLACES:
            value, pending = value + (pending or 1) * _PLACES[sign], 0
        else:
            pending = 10 * pending + _FIGURES.index(sign)
    return value + pending


def _put_stand_ins(text: str, places: tuple[int, ...]) -> str:
    signs = list(text)
    for place in places:
        signs[place] = ANY_SIGN
    return "".join(signs)


def _is_one(known: str, shown: str) -> bool:
    pairs = zip(known, shown, strict=False)
    return len(known) == len(shown) and all(b in (ANY_SIGN, a) for a, b in pairs)
