"""The report as one page for people: no script, nothing loaded, charts drawn in place.

Spec: AUDIT-REPORT.
"""

from collections.abc import Iterable
from html import escape
from typing import Final

from clients.auditor.checks import Chart, Conclusion, Outcome, Report, Verdict
from clients.auditor.report import compute_report_hash, record_of
from node.primitives.types import Address

BARS_MAX: Final = 120
"""Most bars of one chart; more points are gathered into as many."""

_WIDTH: Final = 720
_HEIGHT: Final = 140

_HEADLINE: Final = {
    Conclusion.CONFIRMED: "Confirmed: every required check is met.",
    Conclusion.REFUTED: "Refuted: at least one check failed.",
    Conclusion.INCOMPLETE: "Incomplete: nothing failed, but not everything could be checked.",
}

_STYLE: Final = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .35rem .5rem;
  border-bottom: 1px solid #ccc }
td.count { text-align: right; font-variant-numeric: tabular-nums }
code { font-size: .85rem; overflow-wrap: anywhere }
.met { color: #0b5d1e } .failed { color: #a00000; font-weight: 700 } .undecided { color: #7a4f00 }
.headline { padding: .75rem 1rem; border-left: .4rem solid currentColor; background: #f5f5f5 }
svg { width: 100%; height: auto } rect { fill: #33658a } text { font-size: 11px; fill: #333 }
"""


def render_html(report: Report, signer: Address | None) -> str:
    """Return the report as a page that needs nothing else.

    Args:
        report: What was found.
        signer: The auditor who signed the JSON beside it, if one did.

    Spec: AUDIT-REPORT.
    """
    digest = compute_report_hash(record_of(report)).hex()
    signed = "not signed" if signer is None else f"signed by 0x{signer.hex()}"
    word = {Conclusion.CONFIRMED: "met", Conclusion.REFUTED: "failed"}.get(
        report.conclusion, "undecided"
    )
    failures = [each for each in report.outcomes if each.findings or each.reasons]
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        f"<title>Audit report: {escape(report.kind)}</title><style>{_STYLE}</style>",
        f"<h1>Audit report: {escape(report.kind)}</h1>",
        f"<p class='headline {word}'>{_HEADLINE[report.conclusion]}</p>",
        f"<p>Hash of the report: <code>0x{digest}</code>, {escape(signed)}.</p>",
        f"<p>Made with {escape(report.tool)}.</p>",
        "<h2>Subject</h2>",
        _pairs(report.subject.items()),
        "<h2>Files it rests on (SHA-256)</h2>",
        _pairs(report.inputs.items()),
        "<h2>Checks</h2>",
        _checks(report.outcomes),
        *(_details(each) for each in failures),
        *(["<h2>Notes</h2>", _items(report.notes)] if report.notes else []),
        *(_chart(each) for each in report.charts if each.points),
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td><code>{escape(value)}</code></td></tr>"
        for name, value in pairs
    )
    return f"<table>{rows}</table>"


def _checks(outcomes: Iterable[Outcome]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each.check.name)}</code></td>"
        f"<td>{escape(each.check.question)}</td><td><code>{escape(each.check.rule)}</code></td>"
        f"<td class='count'>{each.count}</td><td class='count'>{each.failed_count}</td>"
        f"<td class='{each.verdict.value}'>{_verdict(each)}</td></tr>"
        for each in outcomes
    )
    head = "".join(
        f"<th scope='col'>{name}</th>"
        for name in ("check", "question", "rule", "asked", "failed", "verdict")
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _verdict(outcome: Outcome) -> str:
    is_optional = outcome.verdict is Verdict.UNDECIDED and not outcome.check.is_required
    return "not asked (optional)" if is_optional else outcome.verdict.value


def _details(outcome: Outcome) -> str:
    rows = "".join(
        f"<tr><td>{escape(each.subject)}</td><td><code>{escape(each.expected)}</code></td>"
        f"<td><code>{escape(each.found)}</code></td><td>{escape(', '.join(each.blame))}</td></tr>"
        for each in outcome.findings
    )
    head = "".join(
        f"<th scope='col'>{name}</th>" for name in ("where", "expected", "found", "answers for it")
    )
    table = f"<table><tr>{head}</tr>{rows}</table>" if rows else ""
    more = outcome.failed_count - len(outcome.findings)
    rest = f"<p>{more} more of the same check.</p>" if more > 0 else ""
    return f"<h2>{escape(outcome.check.name)}</h2>{_items(outcome.reasons)}{table}{rest}"


def _items(texts: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def _chart(chart: Chart) -> str:
    points = gather(chart.points)
    most = max(1, *(value for _, value in points))
    step = _WIDTH / len(points)
    bars = "".join(
        f"<rect x='{at * step:.1f}' y='{_HEIGHT - value * _HEIGHT / most:.1f}' "
        f"width='{max(1.0, step - 1):.1f}' height='{value * _HEIGHT / most:.1f}'>"
        f"<title>{escape(label)}: {value} {escape(chart.unit)}</title></rect>"
        for at, (label, value) in enumerate(points)
    )
    first, last = escape(points[0][0]), escape(points[-1][0])
    return (
        f"<h2>{escape(chart.title)}</h2>"
        f"<svg viewBox='0 -16 {_WIDTH} {_HEIGHT + 36}' role='img' "
        f"aria-label='{escape(chart.title)}'>{bars}"
        f"<text x='0' y='-4'>{most} {escape(chart.unit)}</text>"
        f"<text x='0' y='{_HEIGHT + 14}'>{first}</text>"
        f"<text x='{_WIDTH}' y='{_HEIGHT + 14}' text-anchor='end'>{last}</text></svg>"
    )


def gather(points: tuple[tuple[str, int], ...]) -> list[tuple[str, int]]:
    """Return at most ``BARS_MAX`` points: neighbours become one, named by the first and summed."""
    size = -(-len(points) // BARS_MAX)
    return [
        (points[at][0], sum(value for _, value in points[at : at + size]))
        for at in range(0, len(points), size)
    ]
