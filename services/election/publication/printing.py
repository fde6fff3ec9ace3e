"""The account of an election as a PDF to print, sign and keep.

Japanese characters come from the reader's own fonts by name, so no font file is shipped; an archive
that must hold them gives a TrueType file, which is embedded. The PDF library is loaded when needed.

Spec: ELECTION-ACCOUNT.
"""

import io
from html import escape
from pathlib import Path
from typing import Any, Final

from services.election.publication.account import Account, Fact, Section, Sheet, Words

GOTHIC: Final = "HeiseiKakuGo-W5"
DIGITS: Final = "Courier"
NAVY: Final = "#1c3f60"
PALE: Final = "#eef3f8"
RULE: Final = "#9db2c6"
RED: Final = "#a01c1c"
MARGIN_MM: Final = 18
FRAME_PADDING: Final = 6
"""Points that the library keeps free on both sides."""


def print_account(account: Account, words: Words, *, font: Path | None = None) -> bytes:
    """Return the account as a PDF.

    Args:
        account: The account.
        words: Texts around it.
        font: TrueType file to embed, instead of the reader's own Japanese font.
    """
    page_count = _build(io.BytesIO(), account, words, font, of=0)
    output = io.BytesIO()
    _build(output, account, words, font, of=page_count)
    return output.getvalue()


def _build(
    output: io.BytesIO, account: Account, words: Words, font: Path | None, *, of: int
) -> int:
    """Write the document, whose pages name their number ``of``; return how many there are."""
    from reportlab.lib.pagesizes import A4  # noqa: PLC0415
    from reportlab.lib.units import mm  # noqa: PLC0415
    from reportlab.platypus import SimpleDocTemplate  # noqa: PLC0415

    document = SimpleDocTemplate(
        output,
        pagesize=A4,
        leftMargin=MARGIN_MM * mm,
        rightMargin=MARGIN_MM * mm,
        topMargin=22 * mm,
        bottomMargin=20 * mm,
        title=f"{account.title} {words('report')}",
        author="Daicho",
        invariant=1,
    )
    printer = _Printer(
        account, words, name=_register(font), width=document.width - 2 * FRAME_PADDING
    )

    def write_margins(page: Any, _document: Any) -> None:
        printer.write_margins(page, of)

    document.build(printer.story(), onFirstPage=write_margins, onLaterPages=write_margins)
    return int(document.page)


def _register(font: Path | None) -> str:
    from reportlab.pdfbase import pdfmetrics  # noqa: PLC0415
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont  # noqa: PLC0415
    from reportlab.pdfbase.ttfonts import TTFont  # noqa: PLC0415

    if font is None:
        pdfmetrics.registerFont(UnicodeCIDFont(GOTHIC))
        return GOTHIC
    name = f"Embedded-{font.stem}"
    pdfmetrics.registerFont(TTFont(name, str(font)))
    return name


class _Printer:
    """Lays an account out."""

    def __init__(self, account: Account, words: Words, *, name: str, width: float) -> None:
        from reportlab.lib.styles import ParagraphStyle  # noqa: PLC0415

        self._account = account
        self._words = words
        self._name = name
        self._width = width
        base = ParagraphStyle("base", fontName=name, fontSize=9, leading=13, wordWrap="CJK")
        self._text = base
        self._small = ParagraphStyle("small", base, fontSize=7.5, leading=10.5)
        self._number = ParagraphStyle("number", base, fontSize=8, leading=11, alignment=2)
        self._cell = ParagraphStyle("cell", base, fontSize=8, leading=11)
        self._head = ParagraphStyle("head", base, fontSize=7.5, leading=10, textColor=NAVY)
        self._head_number = ParagraphStyle("head-number", self._head, alignment=2)
        self._digest = ParagraphStyle("digest", base, fontName=DIGITS, fontSize=6.2, leading=7.6)
        self._key = ParagraphStyle("key", self._digest, fontSize=7.2, leading=9)
        self._title = ParagraphStyle("title", base, fontSize=22, leading=30, textColor=NAVY)
        self._kind = ParagraphStyle("kind", base, fontSize=11, leading=16, textColor="#444444")
        self._chapter = ParagraphStyle(
            "chapter", base, fontSize=13, leading=18, textColor=NAVY, spaceBefore=12, spaceAfter=4
        )
        self._part = ParagraphStyle(
            "part", base, fontSize=9.5, leading=14, spaceBefore=6, spaceAfter=2, textColor=NAVY
        )
        self._banner = ParagraphStyle(
            "banner",
            base,
            fontSize=10.5,
            leading=15,
            textColor=RED,
            borderColor=RED,
            borderWidth=1,
            borderPadding=6,
            spaceBefore=8,
            spaceAfter=10,
        )

    def story(self) -> list[Any]:
        """Return the document's parts in order."""
        from reportlab.platypus import HRFlowable, Spacer  # noqa: PLC0415

        account, words = self._account, self._words
        parts: list[Any] = [
            self._line(words("report"), self._kind),
            self._line(account.title, self._title),
            HRFlowable(width="100%", thickness=2, color=NAVY, spaceBefore=2, spaceAfter=6),
            self._line(account.as_of, self._text),
            Spacer(1, 4),
        ]
        if account.banner:
            parts.append(self._line(account.banner, self._banner))
        for at, section in enumerate(account.sections, 1):
            parts += self._section(at, section)
        return [*parts, self._signatures()] if account.signatories else parts

    def _line(self, text: str, style: Any) -> Any:
        from reportlab.platypus import Paragraph  # noqa: PLC0415

        return Paragraph(escape(text).replace("\n", "<br/>"), style)

    def _section(self, at: int, section: Section) -> list[Any]:
        from reportlab.platypus import CondPageBreak, Spacer  # noqa: PLC0415

        parts: list[Any] = [
            CondPageBreak(80),
            self._line(f"{at}　{section.title}", self._chapter),
        ]
        parts += [self._line(note, self._small) for note in section.notes]
        if section.anchor == "results":
            parts += [each for sheet in section.sheets for each in self._sheet(sheet)]
            parts += [Spacer(1, 4), self._facts(section.facts)] if section.facts else []
            return parts
        if section.facts:
            parts.append(self._facts(section.facts))
        parts += [each for sheet in section.sheets for each in self._sheet(sheet)]
        return parts

    def _facts(self, facts: tuple[Fact, ...]) -> Any:
        from reportlab.platypus import Table, TableStyle  # noqa: PLC0415

        rows = [
            [
                self._line(fact.name, self._head),
                self._line(fact.value, self._key if fact.is_digest else self._cell),
            ]
            for fact in facts
        ]
        table = Table(rows, colWidths=[0.3 * self._width, 0.7 * self._width])
        table.setStyle(
            TableStyle(
                [
                    ("LINEBELOW", (0, 0), (-1, -1), 0.25, RULE),
                    ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                    ("TOPPADDING", (0, 0), (-1, -1), 2),
                    ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
                    ("LEFTPADDING", (0, 0), (0, -1), 2),
                ]
            )
        )
        return table

    def _signatures(self) -> Any:
        """Return a place to sign for each municipality, kept on one page."""
        from reportlab.platypus import KeepTogether, Spacer, Table, TableStyle  # noqa: PLC0415

        names = self._account.signatories
        rows = [[self._line(name, self._cell), ""] for name in names]
        table = Table(rows, colWidths=[0.3 * self._width, 0.7 * self._width], rowHeights=30)
        table.setStyle(
            TableStyle(
                [("LINEBELOW", (1, 0), (1, -1), 0.6, NAVY), ("VALIGN", (0, 0), (-1, -1), "BOTTOM")]
            )
        )
        heading = self._line(self._words("signatures"), self._chapter)
        text = self._line(self._words("signatures_text"), self._text)
        return KeepTogether([heading, text, Spacer(1, 2), table])

    def _sheet(self, sheet: Sheet) -> list[Any]:
        from reportlab.platypus import CondPageBreak, Spacer, Table, TableStyle  # noqa: PLC0415

        parts: list[Any] = [CondPageBreak(60)]
        if sheet.title:
            parts.append(self._line(sheet.title, self._part))
        head = [
            self._line(name, self._head_number if at in sheet.numbers else self._head)
            for at, name in enumerate(sheet.head)
        ]
        rows = [head, *([self._cell_of(sheet, at, cell) for at, cell in enumerate(row)]
                        for row in sheet.rows)]  # fmt: skip
        widths = self._widths(sheet)
        if sheet.shares:
            rows[0].append("")
            for row, share in zip(rows[1:], sheet.shares, strict=True):
                row.append(_bar(share, 0.34 * self._width))
            widths = [*(0.64 * width for width in widths), 0.36 * self._width]
        table = Table(rows, colWidths=widths, repeatRows=1)
        table.setStyle(
            TableStyle(
                [
                    ("BACKGROUND", (0, 0), (-1, 0), PALE),
                    ("LINEABOVE", (0, 0), (-1, 0), 0.8, NAVY),
                    ("LINEBELOW", (0, 0), (-1, -1), 0.25, RULE),
                    ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                    ("TOPPADDING", (0, 0), (-1, -1), 2),
                    ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
                    ("LEFTPADDING", (0, 0), (-1, -1), 3),
                    ("RIGHTPADDING", (0, 0), (-1, -1), 3),
                ]
            )
        )
        return [*parts, table, Spacer(1, 5)]

    def _cell_of(self, sheet: Sheet, column: int, text: str) -> Any:
        if column in sheet.digests:
            return self._line(text, self._digest)
        return self._line(text, self._number if column in sheet.numbers else self._cell)

    def _widths(self, sheet: Sheet) -> list[float]:
        """Share the width out by the longest text of each column, within bounds."""
        needs = []
        for at, name in enumerate(sheet.head):
            if at in sheet.digests:
                needs.append(18.0)
                continue
            texts = [name, *(row[at] for row in sheet.rows)]
            longest = max(sum(1.0 if ord(sign) > 0xFF else 0.62 for sign in each) for each in texts)
            needs.append(min(max(longest + 2.4, 4.0), 26.0))
        return [self._width * need / sum(needs) for need in needs]

    def write_margins(self, page: Any, of: int) -> None:
        """Write head and foot of a page."""
        from reportlab.lib.units import mm  # noqa: PLC0415

        account, words = self._account, self._words
        left = MARGIN_MM * mm + FRAME_PADDING
        right = left + self._width
        page.setFont(self._name, 7.5)
        page.setFillColor("#555555")
        page.drawString(left, 284 * mm, f"{account.title}　{words('report')}")
        page.drawRightString(right, 284 * mm, account.kind)
        page.setStrokeColor(RULE)
        page.line(left, 282 * mm, right, 282 * mm)
        page.line(left, 15 * mm, right, 15 * mm)
        page.drawString(left, 11 * mm, account.as_of)
        page.drawRightString(right, 11 * mm, words("page", at=page.getPageNumber(), of=of))


def _bar(share: float, width: float) -> Any:
    """Return a bar of a share of the width."""
    from reportlab.graphics.shapes import Drawing, Rect  # noqa: PLC0415

    drawing = Drawing(width, 8)
    if share > 0:
        drawing.add(Rect(0, 0, max(share * width, 0.6), 8, fillColor=_color(NAVY), strokeWidth=0))
    return drawing


def _color(text: str) -> Any:
    from reportlab.lib.colors import HexColor  # noqa: PLC0415

    return HexColor(text)
