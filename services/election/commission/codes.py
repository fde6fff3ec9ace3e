"""Invitation codes: eighty random bits that a person can copy from a letter.

Sixteen characters of Crockford's base 32 and one that catches every single wrong character and
every pair that changed places. Capitals and small letters, O and 0, I, L and 1 are read alike. Only
a keyed hash of a code is ever stored; the code itself exists in the letter, on the counter's screen
or in the resident's app.

Spec: CODE-FORM.
"""

import hmac
import secrets
import unicodedata
from collections.abc import Callable
from typing import Final

from clients.voting.ballot import CROCKFORD
from node.primitives.errors import InvalidInput

CODE_BYTES: Final = 10
CHARACTERS: Final = 16
TYPED_LENGTH_MAX: Final = 64
"""Longest text looked at."""

_READ: Final = {sign: value for value, sign in enumerate(CROCKFORD)} | {"O": 0, "I": 1, "L": 1}
_IGNORED: Final = frozenset(" -‐‑‒–—―−ー_")


class MalformedCode(InvalidInput):
    """A text that is no invitation code, most likely mistyped."""

    code = "election.code_malformed"


def draw_code(draw: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
    """Return a new code's ten bytes."""
    return draw(CODE_BYTES)


def write_code(code: bytes) -> str:
    """Return a code as people see it: four groups of four, and the check character.

    Spec: CODE-FORM.
    """
    number = int.from_bytes(code, "big")
    values = [number >> 5 * at & 31 for at in reversed(range(CHARACTERS))]
    text = "".join(CROCKFORD[value] for value in (*values, _compute_check(values)))
    return "-".join(text[at : at + 4] for at in range(0, CHARACTERS + 1, 4))


def read_code(typed: str) -> bytes:
    """Return the ten bytes of a code as typed.

    Raises:
        MalformedCode: Wrong length, a foreign character, or the check character is another.

    Spec: CODE-FORM.
    """
    plain = unicodedata.normalize("NFKC", typed[:TYPED_LENGTH_MAX]).upper()
    signs = [sign for sign in plain if sign not in _IGNORED]
    if len(signs) != CHARACTERS + 1 or any(sign not in _READ for sign in signs):
        raise MalformedCode("code: expected 17 characters of the code's alphabet")
    *values, check = (_READ[sign] for sign in signs)
    if _compute_check(values) != check:
        raise MalformedCode("code: a character is wrong or two have changed places")
    number = sum(value << 5 * at for at, value in enumerate(reversed(values)))
    return number.to_bytes(CODE_BYTES, "big")


def _compute_check(values: list[int]) -> int:
    """Return the sum of the characters times distinct powers of a generator of GF(32).

    Powers differ in all places, so one wrong character, or two exchanged, change the sum.
    """
    check, weight = 0, 1
    for value in values:
        weight = _double(weight)
        check ^= _multiply(value, weight)
    return check


def _double(value: int) -> int:
    """Multiply by x modulo x^5 + x^2 + 1, which is primitive."""
    value <<= 1
    return value ^ 0b100101 if value & 32 else value


def _multiply(a: int, b: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        a, b = _double(a), b >> 1
    return product


def hash_code(key: bytes, draft_id: bytes, code: bytes) -> bytes:
    """Return the keyed hash under which a code is stored.

    Spec: CODE-FORM.
    """
    return hmac.digest(key, b"JMEV1/invitation" + draft_id + code, "sha256")
