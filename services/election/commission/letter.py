"""The letter that brings an invitation code, as a page to print, fold and post.

Japanese characters come from the reader's own fonts by name, so no font file is shipped. The page
exists in memory and in the answer to the officer; it is stored nowhere.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.kit.messages import Catalogue, Language

FONT: Final = "HeiseiKakuGo-W5"
LINE_CHARACTERS: Final = 42
"""Full-width characters of a line."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Letter:
    """What a letter says."""

    name: str
    """Elector."""
    address: str
    """Where it goes."""
    title: str
    """Title of the election."""
    code: str
    """The code, grouped."""
    closes: str
    """Until when one can vote online, in Japan's time."""
    address_url: str
    """Where to log in."""


def print_letter(letter: Letter, catalogue: Catalogue) -> bytes:
    """Return the letter as a PDF of one page, in Japanese with an English part."""
    # Slow to load, and printed are few letters: those of electors who cannot log in.
    from reportlab.lib.pagesizes import A4  # noqa: PLC0415
    from reportlab.lib.units import mm  # noqa: PLC0415
    from reportlab.pdfbase import pdfmetrics  # noqa: PLC0415
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont  # noqa: PLC0415
    from reportlab.pdfgen.canvas import Canvas  # noqa: PLC0415

    pdfmetrics.registerFont(UnicodeCIDFont(FONT))
    output = io.BytesIO()
    page = Canvas(output, pagesize=A4, invariant=1)
    page.setTitle(catalogue.text("election.letter.title", Language.JAPANESE))
    top = A4[1] - 30 * mm
    _write(page, [letter.address, "", letter.name + "　様"], 25 * mm, top, size=12)
    _write(page, [letter.title], 25 * mm, top - 50 * mm, size=15)
    place = top - 66 * mm
    for language in (Language.JAPANESE, Language.ENGLISH):
        text = catalogue.text(
            "election.letter.body", language, closes=letter.closes, url=letter.address_url
        )
        place = _write(page, wrap(text, LINE_CHARACTERS), 25 * mm, place, size=10.5)
        place -= 6 * mm
    page.rect(25 * mm, place - 14 * mm, 160 * mm, 18 * mm)
    _write(page, [letter.code], 32 * mm, place - 7 * mm, size=20)
    page.showPage()
    page.save()
    return output.getvalue()


def _write(page: Any, lines: Sequence[str], left: float, top: float, *, size: float) -> float:
    """Write lines and return where the next one would go."""
    page.setFont(FONT, size)
    for line in lines:
        page.drawString(left, top, line)
        top -= size * 1.6
    return top


def wrap(text: str, width: int) -> list[str]:
    """Break a text into lines of at most ``width`` full-width characters; words stay whole.

    Japanese may break anywhere, other scripts at spaces.
    """
    lines = []
    for paragraph in text.split("\n"):
        line, used = "", 0.0
        for word in _words(paragraph):
            size = sum(0.5 if ord(sign) < 0x2000 else 1.0 for sign in word)
            if used + size > width and line:
                lines.append(line.rstrip())
                line, used = "", 0.0
            if line or word != " ":
                line, used = line + word, used + size
        lines.append(line)
    return lines


def _words(text: str) -> list[str]:
    words: list[str] = []
    for sign in text:
        is_whole = ord(sign) >= 0x2000 or sign == " "
        if words and not is_whole and ord(words[-1][-1]) < 0x2000:
            words[-1] += sign
        else:
            words.append(sign)
    return words
