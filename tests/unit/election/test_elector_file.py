"""ROLL-IMPORT: an extract is read whole or refused whole, with the place of every fault."""

from datetime import date

import pytest

from clients.identity.attributes import Sex
from services.election.commission.elector_file import (
    FAULTS_SHOWN,
    FaultKind,
    RowFault,
    age_on,
    read_elector_file,
)

HEAD = "選挙人番号,氏名,住所,生年月日,性別,投票区,様式"
ROW = "A1,台帳　花子,境町架空1-2-3,平成2年2月17日,女,第一,1"
TODAY = date(2026, 4, 1)


def read(text: str | bytes, *, encoding: str = "utf-8"):  # type: ignore[no-untyped-def]
    data = text if isinstance(text, bytes) else text.encode(encoding)
    return read_elector_file(data, styles=frozenset({1, 2}), today=TODAY)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_the_encodings_of_spreadsheets_are_read_alike(encoding: str) -> None:
    found = read(f"{HEAD}\r\n{ROW}\r\n", encoding=encoding)

    assert found.fault_count == 0
    (elector,) = found.electors
    assert (elector.number, elector.name, elector.birth_date, elector.sex, elector.style) == (
        "A1",
        "台帳　花子",
        date(1990, 2, 17),
        Sex.FEMALE,
        1,
    )


def test_english_names_and_any_order_of_columns_will_do() -> None:
    found = read('style,district,birth_date,address,name,number\n2,D1,19900217,"a, b",N,7\n')

    assert found.electors[0].address == "a, b"
    assert found.electors[0].sex is None


@pytest.mark.parametrize(
    ("text", "birth"),
    [
        ("1990-02-17", date(1990, 2, 17)),
        ("１９９０／２／１７", date(1990, 2, 17)),
        ("19900217", date(1990, 2, 17)),
        ("S55.1.2", date(1980, 1, 2)),
        ("令和元年5月1日", date(2019, 5, 1)),
        ("昭和64年1月7日", date(1989, 1, 7)),
    ],
)
def test_birth_dates_are_read_in_every_usual_form(text: str, birth: date) -> None:
    found = read(f"{HEAD}\n{ROW.replace('平成2年2月17日', text)}\n")

    assert found.electors[0].birth_date == birth


@pytest.mark.parametrize(
    ("changed", "column", "kind"),
    [
        (("A1", ""), "number", FaultKind.EMPTY),
        (("A1", "A/1"), "number", FaultKind.NUMBER_FORM),
        (("台帳　花子", ""), "name", FaultKind.EMPTY),
        (("台帳　花子", "あ" * 201), "name", FaultKind.TOO_LONG),
        (("台帳　花子", "花\ufffd子"), "name", FaultKind.CHARACTER),
        (("平成2年2月17日", "昨日"), "birth_date", FaultKind.DATE_FORM),
        (("平成2年2月17日", "平成2年2月30日"), "birth_date", FaultKind.DATE_IMPOSSIBLE),
        (("平成2年2月17日", "平成40年1月1日"), "birth_date", FaultKind.DATE_IMPOSSIBLE),
        (("平成2年2月17日", "2026-04-02"), "birth_date", FaultKind.DATE_IMPOSSIBLE),
        (("女", "X"), "sex", FaultKind.SEX),
        ((",1", ",9"), "style", FaultKind.STYLE),
        (("第一,", "第一,余分,"), "", FaultKind.CELL_COUNT),
    ],
)
def test_a_fault_names_row_column_and_kind(
    changed: tuple[str, str], column: str, kind: FaultKind
) -> None:
    bad = ROW.replace("A1", "A2") if changed[0] != "A1" else ROW
    head, _, tail = bad.rpartition(changed[0])
    found = read(f"{HEAD}\n{ROW.replace('A1', 'A9')}\n{head}{changed[1]}{tail}\n")

    assert found.faults == [RowFault(row=3, column=column, kind=kind)]
    assert found.electors == []


def test_a_number_used_twice_is_found_and_nothing_is_taken() -> None:
    found = read(f"{HEAD}\n{ROW}\n{ROW}\n")

    assert found.faults == [RowFault(row=3, column="number", kind=FaultKind.NUMBER_TWICE)]
    assert found.electors == []


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xfe\x00\x81\xff", FaultKind.ENCODING),
        (f"{HEAD}\n".encode(), FaultKind.NO_ROWS),
        (b"", FaultKind.COLUMN_MISSING),
        (f"{HEAD},氏名\n{ROW},x\n".encode(), FaultKind.COLUMN_TWICE),
        (f"{HEAD},電話\n{ROW},x\n".encode(), FaultKind.COLUMN_UNKNOWN),
        (f'{HEAD}\n"A1,x\n'.encode(), FaultKind.QUOTING),
    ],
)
def test_a_file_of_another_form_is_refused(data: bytes, kind: FaultKind) -> None:
    found = read(data)

    assert kind in {fault.kind for fault in found.faults}
    assert found.electors == []


def test_no_more_faults_are_shown_than_a_person_reads_but_all_are_counted() -> None:
    rows = "\n".join(ROW.replace("A1", f"A{at}").replace("女", "X") for at in range(500))

    found = read(f"{HEAD}\n{rows}\n")

    assert (len(found.faults), found.fault_count) == (FAULTS_SHOWN, 500)


def test_a_birthday_in_february_of_a_leap_year_is_reached_in_march() -> None:
    born = date(2008, 2, 29)

    assert [age_on(born, date(2026, 2, 28)), age_on(born, date(2026, 3, 1))] == [17, 18]
