"""The register's extract as a CSV file: read whole or refused whole, every fault with its place.

UTF-8, with or without a byte order mark, or the encoding of Japanese spreadsheets (cp932). Columns
are named in the first row, in Japanese or English, in any order. A fault names row, column and
kind, never what was written there, so that a report of faults may be shown and kept.

Spec: ROLL-IMPORT.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

from clients.identity.attributes import Sex
from services.election.commission.matching import MatchedAttributes

FILE_BYTES_MAX: Final = 96 * 1024 * 1024
ROWS_MAX: Final = 1_000_000
FAULTS_SHOWN: Final = 200
"""Faults in a report; further ones are counted."""

TEXT_LENGTH_MAX: Final = 200
DISTRICT_LENGTH_MAX: Final = 40
STYLE_MAX: Final = 65_535

COLUMNS: Final[Mapping[str, str]] = {
    "選挙人番号": "number",
    "氏名": "name",
    "住所": "address",
    "生年月日": "birth_date",
    "性別": "sex",
    "投票区": "district",
    "様式": "style",
    "証明書氏名": "certificate_name",
    "証明書住所": "certificate_address",
}
"""Japanese names of the columns."""

_OPTIONAL: Final = frozenset({"sex", "certificate_name", "certificate_address"})
_SEXES: Final = {
    "男": Sex.MALE,
    "1": Sex.MALE,
    "M": Sex.MALE,
    "女": Sex.FEMALE,
    "2": Sex.FEMALE,
    "F": Sex.FEMALE,
    "": None,
}
_NUMBER: Final = re.compile(r"[0-9A-Za-z-]{1,32}")
_DATE: Final = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?|(\d{4})(\d{2})(\d{2})")
_ERA_DATE: Final = re.compile(
    r"(明治|大正|昭和|平成|令和|[MTSHR])(元|\d{1,2})[-/.年](\d{1,2})[-/.月](\d{1,2})日?"
)
_ERAS: Final = {
    "明治": (1867, date(1868, 1, 25), date(1912, 7, 30)),
    "大正": (1911, date(1912, 7, 30), date(1926, 12, 25)),
    "昭和": (1925, date(1926, 12, 25), date(1989, 1, 7)),
    "平成": (1988, date(1989, 1, 8), date(2019, 4, 30)),
    "令和": (2018, date(2019, 5, 1), date(9999, 12, 31)),
}
"""Year before the first, first day and last day of each era."""
_ERA_LETTERS: Final = {"M": "明治", "T": "大正", "S": "昭和", "H": "平成", "R": "令和"}


class FaultKind(StrEnum):
    """What is wrong at a place of the file."""

    TOO_LARGE = "too-large"
    """The file is larger than any roll, or has more rows."""
    ENCODING = "encoding"
    """Neither UTF-8 nor cp932."""
    QUOTING = "quoting"
    """A quotation mark is not closed, or stands inside a cell."""
    COLUMN_MISSING = "column-missing"
    """The first row lacks a column."""
    COLUMN_UNKNOWN = "column-unknown"
    """The first row has a column of another name."""
    COLUMN_TWICE = "column-twice"
    """The first row has a column twice."""
    CELL_COUNT = "cell-count"
    """The row has more or fewer cells than the first."""
    EMPTY = "empty"
    """A cell that must not be is empty."""
    TOO_LONG = "too-long"
    """A cell is longer than allowed."""
    CHARACTER = "character"
    """A control character, or one that was lost in conversion."""
    NUMBER_FORM = "number-form"
    """The elector number is not 1 to 32 letters, digits and hyphens."""
    NUMBER_TWICE = "number-twice"
    """Another row has this elector number."""
    DATE_FORM = "date-form"
    """The birth date is not in a known form."""
    DATE_IMPOSSIBLE = "date-impossible"
    """There is no such day, or it is not in its era or lies in the future."""
    SEX = "sex"
    """Neither 男, 女, 1, 2, M, F nor empty."""
    STYLE = "style"
    """No style of this election."""
    NO_ROWS = "no-rows"
    """The file has no elector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """One fault of the file."""

    row: int
    """Line of the file, the first is 1."""
    column: str
    """Column, by its English name; empty when the row as a whole is meant."""
    kind: FaultKind
    """What is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Elector:
    """An elector as the register's extract has them; never printed by accident."""

    number: str
    """Elector number, unique in the roll."""
    name: str
    """As registered."""
    address: str
    """As registered."""
    birth_date: date
    """Birth date."""
    sex: Sex | None
    """None where the extract has none."""
    district: str
    """Polling district."""
    style: int
    """Ballot style."""
    certificate_name: str = ""
    """Name on the certificate where it is written differently."""
    certificate_address: str = ""
    """Address on the certificate where it is written differently."""

    def __repr__(self) -> str:
        """Hide all of it."""
        return "Elector(hidden)"

    @property
    def matched(self) -> MatchedAttributes:
        """Return what must be on the elector's certificate."""
        return MatchedAttributes(
            name=self.certificate_name or self.name,
            address=self.certificate_address or self.address,
            birth_date=self.birth_date,
            sex=self.sex,
        )


@dataclass(slots=True, kw_only=True)
class ElectorFile:
    """What was read: electors when there is no fault."""

    electors: list[Elector] = field(default_factory=list, repr=False)
    """In the order of the file."""
    faults: list[RowFault] = field(default_factory=list)
    """The first ``FAULTS_SHOWN``."""
    fault_count: int = 0
    """All of them."""

    def add_fault(self, row: int, column: str, kind: FaultKind) -> None:
        """Note a fault."""
        self.fault_count += 1
        if len(self.faults) < FAULTS_SHOWN:
            self.faults.append(RowFault(row=row, column=column, kind=kind))


def read_elector_file(data: bytes, *, styles: frozenset[int], today: date) -> ElectorFile:
    """Read an extract; with any fault nothing of it may be used.

    Args:
        data: The file.
        styles: Ballot styles of the election.
        today: Nobody is born after.

    Spec: ROLL-IMPORT.
    """
    found = ElectorFile()
    if len(data) > FILE_BYTES_MAX:
        found.add_fault(1, "", FaultKind.TOO_LARGE)
        return found
    text = _decode(data, found)
    if text is None:
        return found
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    reader = _RowReader(found, styles, today)
    try:
        columns = _read_head(next(rows, []), found)
        if columns is not None:
            for cells in rows:
                reader.take(rows.line_num, columns, cells)
            if not reader.count:
                found.add_fault(1, "", FaultKind.NO_ROWS)
    except csv.Error:
        found.add_fault(max(rows.line_num, 1), "", FaultKind.QUOTING)
    if found.fault_count:
        found.electors.clear()
    return found


def _decode(data: bytes, found: ElectorFile) -> str | None:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as first:
        try:
            return data.decode("cp932")
        except UnicodeDecodeError as second:
            at = max(first.start, second.start)
            found.add_fault(data.count(b"\n", 0, at) + 1, "", FaultKind.ENCODING)
            return None


def _read_head(cells: list[str], found: ElectorFile) -> list[str] | None:
    names = []
    for cell in cells:
        plain = unicodedata.normalize("NFKC", cell).strip()
        name = COLUMNS.get(plain, plain)
        if name not in COLUMNS.values():
            found.add_fault(1, "", FaultKind.COLUMN_UNKNOWN)
        elif name in names:
            found.add_fault(1, name, FaultKind.COLUMN_TWICE)
        names.append(name)
    for name in COLUMNS.values():
        if name not in names and name not in _OPTIONAL:
            found.add_fault(1, name, FaultKind.COLUMN_MISSING)
    return None if found.fault_count else names


class _RowReader:
    """Reads one row after the other and remembers the elector numbers."""

    def __init__(self, found: ElectorFile, styles: frozenset[int], today: date) -> None:
        self._found = found
        self._styles = styles
        self._today = today
        self._numbers: set[str] = set()
        self._row = 0
        self.count = 0

    def take(self, row: int, columns: list[str], cells: list[str]) -> None:
        if not any(cells):
            return
        self.count += 1
        if self.count > ROWS_MAX:
            self._found.add_fault(row, "", FaultKind.TOO_LARGE)
        elif len(cells) != len(columns):
            self._found.add_fault(row, "", FaultKind.CELL_COUNT)
        else:
            self._read(row, dict(zip(columns, cells, strict=True)))

    def _read(self, row: int, cells: Mapping[str, str]) -> None:
        self._row = row
        before = self._found.fault_count
        number = self._number(cells["number"])
        name = self._text("name", cells["name"], TEXT_LENGTH_MAX)
        address = self._text("address", cells["address"], TEXT_LENGTH_MAX)
        born = self._birth_date(cells["birth_date"])
        sex = self._sex(cells.get("sex", ""))
        district = self._text("district", cells["district"], DISTRICT_LENGTH_MAX)
        style = self._style(cells["style"])
        others = [
            self._text(column, cells.get(column, ""), TEXT_LENGTH_MAX, may_be_empty=True)
            for column in ("certificate_name", "certificate_address")
        ]
        if self._found.fault_count > before or born is None:
            return
        self._found.electors.append(
            Elector(
                number=number,
                name=name,
                address=address,
                birth_date=born,
                sex=sex,
                district=district,
                style=style,
                certificate_name=others[0],
                certificate_address=others[1],
            )
        )

    def _fault(self, column: str, kind: FaultKind) -> None:
        self._found.add_fault(self._row, column, kind)

    def _text(self, column: str, cell: str, length_max: int, *, may_be_empty: bool = False) -> str:
        text = cell.strip()
        if not text and not may_be_empty:
            self._fault(column, FaultKind.EMPTY)
        if len(text) > length_max:
            self._fault(column, FaultKind.TOO_LONG)
        if any(unicodedata.category(sign) in ("Cc", "Cs") or sign == "\ufffd" for sign in text):
            self._fault(column, FaultKind.CHARACTER)
        return text

    def _number(self, cell: str) -> str:
        number = unicodedata.normalize("NFKC", cell).strip()
        if not _NUMBER.fullmatch(number):
            self._fault("number", FaultKind.NUMBER_FORM if number else FaultKind.EMPTY)
        elif number in self._numbers:
            self._fault("number", FaultKind.NUMBER_TWICE)
        self._numbers.add(number)
        return number

    def _birth_date(self, cell: str) -> date | None:
        text = "".join(unicodedata.normalize("NFKC", cell).split()).upper()
        try:
            born = parse_date(text)
        except ValueError:
            self._fault("birth_date", FaultKind.DATE_IMPOSSIBLE)
            return None
        if born is None:
            self._fault("birth_date", FaultKind.DATE_FORM if text else FaultKind.EMPTY)
        elif born > self._today:
            self._fault("birth_date", FaultKind.DATE_IMPOSSIBLE)
        return born

    def _sex(self, cell: str) -> Sex | None:
        text = unicodedata.normalize("NFKC", cell).strip().upper()
        if text not in _SEXES:
            self._fault("sex", FaultKind.SEX)
        return _SEXES.get(text)

    def _style(self, cell: str) -> int:
        text = unicodedata.normalize("NFKC", cell).strip()
        style = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else -1
        if style not in self._styles:
            self._fault("style", FaultKind.STYLE if text else FaultKind.EMPTY)
        return style


def parse_date(text: str) -> date | None:
    """Return the day that a text names, None when it is in no known form.

    Raises:
        ValueError: There is no such day, or it is not in the era named.
    """
    era = _ERA_DATE.fullmatch(text)
    if era is not None:
        before, first, last = _ERAS[_ERA_LETTERS.get(era[1], era[1])]
        year = before + (1 if era[2] == "元" else int(era[2]))
        born = date(year, int(era[3]), int(era[4]))
        if not first <= born <= last:
            raise ValueError("not in its era")
        return born
    plain = _DATE.fullmatch(text)
    if plain is None:
        return None
    year, month, day = (int(part) for part in plain.groups() if part is not None)
    return date(year, month, day)


def age_on(born: date, day: date) -> int:
    """Return the age reached on a day; a birthday on 29 February is kept on 1 March."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))
