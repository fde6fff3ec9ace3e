"""AUDIT-REPORT, AUDIT-REPORT-SIGNED, AUDIT-EXIT: what a report says, who signed it, how it ends."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from clients.auditor.checks import (
    FINDINGS_MAX,
    Chart,
    Check,
    Conclusion,
    Report,
    Verdict,
    Worksheet,
)
from clients.auditor.html import BARS_MAX, gather, render_html
from clients.auditor.report import (
    InvalidReport,
    decode_report,
    encode_report,
    outcome_of,
    outcome_record,
)
from node.cli.main import main
from tests.support.ledger import key_of

AUDITOR = key_of("auditor")
FIRST = Check(name="test.first", rule="AUDIT-REPORT", question="Is it so?")
SECOND = Check(name="test.second", rule="AUDIT-EXIT", question="And this?", is_required=False)
TABLE = {check.name: check for check in (FIRST, SECOND)}


def sheet() -> Worksheet:
    return Worksheet((FIRST, SECOND))


def report_of(worksheet: Worksheet, **changes: object) -> Report:
    made = Report(
        kind="test",
        tool="daicho",
        made_at_s=1_790_000_000,
        subject={"block": "0x11"},
        inputs={"bundle": "ab" * 32},
        outcomes=worksheet.outcomes(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_every_check_of_the_table_is_answered_in_its_order() -> None:
    worksheet = sheet()
    worksheet.compare(SECOND, "block 1", expected=1, found=1)

    outcomes = report_of(worksheet).outcomes

    assert [each.check for each in outcomes] == [FIRST, SECOND]
    assert [each.count for each in outcomes] == [0, 1]


def test_a_failure_is_told_with_place_values_and_blame_and_the_rest_goes_on() -> None:
    worksheet = sheet()
    worksheet.compare(FIRST, "block 7", expected=b"\x01", found=b"\x02", blame=["境町"])
    worksheet.compare(FIRST, "block 8", expected=1, found=1)

    first = worksheet.outcomes()[0]

    assert (first.count, first.failed_count, first.verdict) == (2, 1, Verdict.FAILED)
    finding = first.findings[0]
    assert (finding.subject, finding.expected, finding.found) == ("block 7", "0x01", "0x02")
    assert finding.blame == ("境町",)


def test_findings_are_bounded_and_counted() -> None:
    worksheet = sheet()
    for at in range(FINDINGS_MAX + 5):
        worksheet.compare(FIRST, f"block {at}", expected=0, found="x" * 10_000)

    first = worksheet.outcomes()[0]

    assert (first.failed_count, len(first.findings)) == (FINDINGS_MAX + 5, FINDINGS_MAX)
    assert len(first.findings[0].found) < 1_000


@pytest.mark.parametrize(
    ("failing", "open_check", "conclusion"),
    [
        pytest.param(None, None, Conclusion.CONFIRMED, id="all met"),
        pytest.param(SECOND, None, Conclusion.REFUTED, id="one failed"),
        pytest.param(None, FIRST, Conclusion.INCOMPLETE, id="a required one is open"),
        pytest.param(None, SECOND, Conclusion.CONFIRMED, id="an optional one is open"),
        pytest.param(SECOND, FIRST, Conclusion.REFUTED, id="failure weighs more than an open one"),
    ],
)
def test_conclusion(
    failing: Check | None, open_check: Check | None, conclusion: Conclusion
) -> None:
    worksheet = sheet()
    if failing is not None:
        worksheet.compare(failing, "x", expected=1, found=2)
    if open_check is not None:
        worksheet.leave_open("nothing to go by", open_check)

    assert report_of(worksheet).conclusion is conclusion


def test_parts_of_an_audit_add_up() -> None:
    one, two = sheet(), sheet()
    one.compare(FIRST, "a", expected=1, found=2)
    two.compare(FIRST, "b", expected=1, found=1)
    two.leave_open("missing", SECOND)

    one.merge(two.outcomes())

    first, second = one.outcomes()
    assert (first.count, first.failed_count) == (2, 1)
    assert second.reasons == ("missing",)


def test_an_answer_survives_its_record() -> None:
    worksheet = sheet()
    worksheet.compare(FIRST, "a", expected=1, found=2, blame=["x"])

    for outcome in worksheet.outcomes():
        assert outcome_of(json.loads(json.dumps(outcome_record(outcome))), TABLE) == outcome


def test_a_signed_report_names_its_auditor() -> None:
    signed = decode_report(encode_report(report_of(sheet()), AUDITOR))

    assert signed.signer == AUDITOR.address
    assert signed.record["conclusion"] == "confirmed"
    assert decode_report(encode_report(report_of(sheet()), None)).signer is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param((b'"confirmed"', b'"refuted"'), id="conclusion"),
        pytest.param((AUDITOR.address.hex().encode(), b"11" * 20), id="signer"),
        pytest.param((b'"made_at_s":1790000000', b'"made_at_s":1790000001'), id="time"),
    ],
)
def test_a_changed_report_is_refused(change: tuple[bytes, bytes]) -> None:
    data = encode_report(report_of(sheet()), AUDITOR)
    assert change[0] in data

    with pytest.raises(InvalidReport) as caught:
        decode_report(data.replace(*change))

    assert caught.value.rule == "AUDIT-REPORT-SIGNED"


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"report":1,"signer":null,"signature":1}'])
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidReport):
        decode_report(data)


def test_the_command_tells_who_signed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(encode_report(report_of(sheet()), AUDITOR))

    assert main(["audit", "report", str(path), "--signer", "0x" + AUDITOR.address.hex()]) == 0
    assert AUDITOR.address.hex() in capsys.readouterr().out
    assert main(["audit", "report", str(path), "--signer", "0x" + "11" * 20]) == 1


def test_the_page_shows_checks_findings_and_charts_and_escapes_them() -> None:
    worksheet = sheet()
    worksheet.compare(FIRST, "<script>", expected=1, found=2)
    chart = Chart(title="Gas", unit="gas", points=(("0", 3), ("1", 5)))

    page = render_html(report_of(worksheet, charts=(chart,), notes=("careful",)), AUDITOR.address)

    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<rect") == 2
    assert AUDITOR.address.hex() in page
    assert "src=" not in page
    assert "Refuted" in page


def test_a_chart_has_a_bounded_number_of_bars() -> None:
    points = tuple((str(at), 1) for at in range(10 * BARS_MAX + 3))

    gathered = gather(points)

    assert len(gathered) <= BARS_MAX
    assert sum(value for _, value in gathered) == len(points)
