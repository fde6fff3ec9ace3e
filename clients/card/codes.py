"""The codes of a card: which there are, what they look like, and what was typed made into one.

Cards count a try for whatever they are handed, so what cannot be the code is refused here. The
message names the code as the card's own sheet does, and says so when another code was typed.

Spec: CARD-CODE.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from clients.card.apdu import CardApplication, JpkiFile, TextFile
from clients.card.errors import CodeFormat

TYPED_LENGTH_MAX: Final = 64
"""Longest input looked at, in characters."""

_DIGITS: Final = frozenset("0123456789")
_LETTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_SEPARATORS: Final = str.maketrans("", "", " -")


class CodeKind(StrEnum):
    """Which code is meant."""

    AUTHENTICATION = "authentication"
    """利用者証明用電子証明書の暗証番号."""
    SIGNING = "signing"
    """署名用電子証明書の暗証番号."""
    TEXT = "text"
    """券面事項入力補助用の暗証番号."""
    NUMBER_B = "number-b"
    """照合番号B, printed on the face of the card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRule:
    """What a code looks like and where the card checks it."""

    application: CardApplication
    """Application that knows it."""
    file: JpkiFile | TextFile
    """File that checks it."""
    lengths: tuple[int, int]
    """Shortest and longest."""
    alphabet: frozenset[str] = field(default=_DIGITS, repr=False)
    """Characters it is made of."""

    def fits(self, text: str) -> bool:
        """Return whether ``text`` can be such a code."""
        shortest, longest = self.lengths
        return shortest <= len(text) <= longest and set(text) <= self.alphabet


RULES: Final[Mapping[CodeKind, CodeRule]] = {
    CodeKind.AUTHENTICATION: CodeRule(
        application=CardApplication.JPKI, file=JpkiFile.AUTHENTICATION_PIN, lengths=(4, 4)
    ),
    CodeKind.SIGNING: CodeRule(
        application=CardApplication.JPKI,
        file=JpkiFile.SIGNING_PIN,
        lengths=(6, 16),
        alphabet=_DIGITS | _LETTERS,
    ),
    CodeKind.TEXT: CodeRule(application=CardApplication.TEXT, file=TextFile.PIN, lengths=(4, 4)),
    CodeKind.NUMBER_B: CodeRule(
        application=CardApplication.TEXT, file=TextFile.NUMBER_B, lengths=(14, 14)
    ),
}
"""Every code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A code that has the form the card expects; never printed."""

    kind: CodeKind
    """Which."""
    value: bytes = field(repr=False)
    """As the card takes it, in ASCII."""


def parse_code(kind: CodeKind, typed: str) -> Code:
    """Make what a person typed into a code: full width to half, lower case to upper.

    Raises:
        CodeFormat: It cannot be this code. ``values`` tell the kind, and ``looks_like`` the kind of
            code it could be instead.

    Spec: CARD-CODE.
    """
    if len(typed) > TYPED_LENGTH_MAX:
        raise _wrong_form(kind, "")
    text = unicodedata.normalize("NFKC", typed).strip()
    if kind is CodeKind.SIGNING:
        text = text.upper()
    if kind is CodeKind.NUMBER_B:
        text = text.translate(_SEPARATORS)
    if not RULES[kind].fits(text):
        raise _wrong_form(kind, _other_kind(kind, text.upper()))
    return Code(kind=kind, value=text.encode("ascii"))


def _other_kind(kind: CodeKind, text: str) -> str:
    """Name the code that this could be; the four-digit codes cannot be told apart."""
    others = (CodeKind.AUTHENTICATION, CodeKind.NUMBER_B, CodeKind.SIGNING)
    return next((one.value for one in others if one is not kind and RULES[one].fits(text)), "")


def _wrong_form(kind: CodeKind, looks_like: str) -> CodeFormat:
    shortest, longest = RULES[kind].lengths
    return CodeFormat(
        f"{kind} code: expected {shortest} to {longest} characters of its kind; nothing was sent",
        rule="CARD-CODE",
        kind=kind.value,
        looks_like=looks_like,
    )
