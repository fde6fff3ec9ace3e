"""The report as bytes: canonical JSON, signed by the auditor, read by whoever relies on it.

A signed report is one JSON object: the report, who signed it, and the signature. What is signed is
the canonical JSON (RFC 8785) of the report, so that any program can write it again and check.

Spec: AUDIT-REPORT, AUDIT-REPORT-SIGNED.
"""

from dataclasses import dataclass
from typing import Final

from clients.auditor.checks import Chart, Check, Finding, Outcome, Report
from node.primitives.canonical import encode_canonical
from node.primitives.crypto import InvalidSignature, PrivateKey, keccak256, recover_address
from node.primitives.errors import InvalidInput, MalformedMessage
from node.primitives.json_text import decode_json, is_list, is_object
from node.primitives.types import Address, Hash32, Signature

SIGNING_DOMAIN: Final = b"daicho audit report v1"
"""Separates these signatures from every other use of the same key."""

REPORT_SIZE_MAX: Final = 16 * 1024 * 1024
"""Longest report read, in bytes."""

_FORMAT: Final = 1


class InvalidReport(InvalidInput):
    """A report that is malformed, or was changed after it was signed."""

    code = "audit.report_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedReport:
    """A report as it was read, and who signed it."""

    record: dict[str, object]
    """The report's JSON object."""
    signer: Address | None
    """Who signed; None when nobody did."""


def record_of(report: Report) -> dict[str, object]:
    """Return the report as a JSON object.

    Spec: AUDIT-REPORT.
    """
    return {
        "format": _FORMAT,
        "kind": report.kind,
        "tool": report.tool,
        "made_at_s": report.made_at_s,
        "conclusion": report.conclusion.name.lower(),
        "subject": dict(report.subject),
        "inputs": dict(report.inputs),
        "checks": [outcome_record(each) for each in report.outcomes],
        "notes": list(report.notes),
        "charts": [_chart_record(each) for each in report.charts],
    }


def outcome_record(outcome: Outcome) -> dict[str, object]:
    """Return one answered check as a JSON object."""
    return {
        "name": outcome.check.name,
        "rule": outcome.check.rule,
        "question": outcome.check.question,
        "required": outcome.check.is_required,
        "verdict": outcome.verdict.value,
        "count": outcome.count,
        "failed": outcome.failed_count,
        "findings": [
            {
                "subject": each.subject,
                "expected": each.expected,
                "found": each.found,
                "blame": list(each.blame),
            }
            for each in outcome.findings
        ],
        "reasons": list(outcome.reasons),
    }


def outcome_of(record: object, table: dict[str, Check]) -> Outcome:
    """Return an answered check from its JSON object.

    Raises:
        InvalidReport: It is none, or of a check that is not in ``table``.
    """
    if not is_object(record) or record.get("name") not in table:
        raise InvalidReport("audit report: expected an answered check")
    findings, reasons = record.get("findings"), record.get("reasons")
    if not is_list(findings) or not is_list(reasons):
        raise InvalidReport("audit report: expected lists of findings and reasons")
    return Outcome(
        check=table[str(record["name"])],
        count=_count(record.get("count")),
        failed_count=_count(record.get("failed")),
        findings=tuple(_finding_of(each) for each in findings),
        reasons=tuple(str(each) for each in reasons),
    )


def compute_report_hash(record: dict[str, object]) -> Hash32:
    """Return what an auditor signs.

    Spec: AUDIT-REPORT-SIGNED.
    """
    return keccak256(SIGNING_DOMAIN + encode_canonical(record))


def encode_report(report: Report, key: PrivateKey | None) -> bytes:
    """Return the bytes of the report's file, signed with ``key`` if there is one.

    Spec: AUDIT-REPORT-SIGNED.
    """
    record = record_of(report)
    signed: dict[str, object] = {"report": record, "signer": None, "signature": None}
    if key is not None:
        signature = key.sign(compute_report_hash(record))
        signed |= {"signer": "0x" + key.address.hex(), "signature": "0x" + signature.hex()}
    return encode_canonical(signed) + b"\n"


def decode_report(data: bytes) -> SignedReport:
    """Read a report's file and check its signature.

    Raises:
        InvalidReport: Malformed, too long, or not what the named auditor signed.

    Spec: AUDIT-REPORT-SIGNED.
    """
    if len(data) > REPORT_SIZE_MAX:
        raise InvalidReport(f"audit report: {len(data)} bytes, at most {REPORT_SIZE_MAX}")
    try:
        signed = decode_json(data)
    except MalformedMessage as error:
        raise InvalidReport(f"audit report: {error.message}") from error
    if not is_object(signed) or set(signed) != {"report", "signer", "signature"}:
        raise InvalidReport("audit report: expected report, signer and signature")
    record = signed["report"]
    if not is_object(record) or record.get("format") != _FORMAT:
        raise InvalidReport(f"audit report: expected a report of format {_FORMAT}")
    if signed["signer"] is None and signed["signature"] is None:
        return SignedReport(record=record, signer=None)
    try:
        signature = Signature(_bytes_of(signed["signature"]))
        signer = recover_address(compute_report_hash(record), signature)
    except (InvalidSignature, InvalidInput) as error:
        raise InvalidReport(
            f"audit report: its signature is no good ({error.message})", rule="AUDIT-REPORT-SIGNED"
        ) from error
    if signer != _bytes_of(signed["signer"]):
        raise InvalidReport(
            f"audit report: changed after signing, or not signed by {signed['signer']}",
            rule="AUDIT-REPORT-SIGNED",
        )
    return SignedReport(record=record, signer=signer)


def _chart_record(chart: Chart) -> dict[str, object]:
    points = [{"label": label, "value": value} for label, value in chart.points]
    return {"title": chart.title, "unit": chart.unit, "points": points}


def _finding_of(record: object) -> Finding:
    if not is_object(record) or not is_list(record.get("blame")):
        raise InvalidReport("audit report: expected a finding")
    blame = record["blame"]
    return Finding(
        subject=str(record.get("subject")),
        expected=str(record.get("expected")),
        found=str(record.get("found")),
        blame=tuple(str(each) for each in blame) if is_list(blame) else (),
    )


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidReport("audit report: expected a count")
    return value


def _bytes_of(value: object) -> bytes:
    text = value if isinstance(value, str) and value.startswith("0x") else ""
    try:
        return bytes.fromhex(text[2:])
    except ValueError as error:
        raise InvalidReport("audit report: expected 0x and hexadecimal digits") from error
