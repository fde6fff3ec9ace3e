"""CODE-ISSUE: the letter with a code is one page that holds what it must, and nothing else."""

import base64
import re
import zlib

import pytest

from services.election.commission.letter import LINE_CHARACTERS, Letter, print_letter, wrap
from services.election.service import SERVICE

CATALOGUE = SERVICE.load_catalogue()
CODE = "7G2K-0QWE-9XYZ-AB12-C"
LETTER = Letter(
    name="台帳 花子",
    address="茨城県猿島郡境町架空1丁目",
    title="模擬投票",
    code=CODE,
    closes="2026-12-01 20:00",
    address_url="https://vote.example.lg.jp",
)


def drawn(pdf: bytes) -> bytes:
    """Return the drawing instructions of a PDF's pages."""
    found = re.findall(rb"stream\r?\n(.*?)~>endstream", pdf, re.DOTALL)
    return b"".join(zlib.decompress(base64.a85decode(each)) for each in found)


def shown(text: str) -> bytes:
    """Return a text as the pages hold it: the font's two bytes for each sign, escaped."""
    raw = text.encode("utf-16-be")
    return b"".join(
        b"\\%03o" % byte if byte < 32 or byte > 126 else bytes([byte]) for byte in raw
    ).replace(b"(", b"\\(")


@pytest.mark.parametrize("text", [CODE, "台帳 花子　様", "模擬投票", "2026-12-01 20:00"])
def test_the_letter_holds_name_title_time_and_code(text: str) -> None:
    assert shown(text) in drawn(print_letter(LETTER, CATALOGUE))


def test_the_letter_is_one_page_and_the_same_twice() -> None:
    pdf = print_letter(LETTER, CATALOGUE)

    assert len(re.findall(rb"/Type /Page\b(?!s)", pdf)) == 1
    assert pdf == print_letter(LETTER, CATALOGUE)
    assert CODE.encode() not in pdf
    assert CODE not in repr(LETTER)


def test_lines_keep_their_width_and_words_whole() -> None:
    text = "コードは https://vote.example.lg.jp/elections で入力します。" * 3

    lines = wrap(text, 30)

    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    widths = [sum(0.5 if ord(sign) < 0x2000 else 1.0 for sign in line) for line in lines]
    assert max(widths) <= 30
    assert sum("https://vote.example.lg.jp/elections" in line for line in lines) == 3
    assert LINE_CHARACTERS * 10.5 < 160 / 25.4 * 72
