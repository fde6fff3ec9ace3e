"""What every audit command does at its end: print a line for each check, write and sign the report.

Spec: AUDIT-REPORT, AUDIT-EXIT.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import click

from clients.auditor.checks import Outcome, Report, Verdict
from clients.auditor.html import render_html
from clients.auditor.key import load_auditor_key
from clients.auditor.report import encode_report, record_of
from node.primitives.crypto import PrivateKey
from node.primitives.errors import Misconfigured
from node.version import VERSION

TOOL: Final = f"daicho {VERSION}"
"""What made a report."""

FILE: Final = click.Path(dir_okay=False, path_type=Path)
FOLDER: Final = click.Path(file_okay=False, path_type=Path)

_MARKS: Final = {Verdict.MET: "ok", Verdict.FAILED: "FAILED", Verdict.UNDECIDED: "open"}


class Output(Protocol):
    """How `daicho` prints, as its global options asked; handed down in the context."""

    @property
    def is_json(self) -> bool:
        """Tell whether a program reads."""
        ...

    def result(self, record: Mapping[str, object], *, title: str | None = None) -> None:
        """Print one record."""
        ...

    def rows(self, rows: Sequence[Mapping[str, object]], *, empty: str = "none") -> None:
        """Print records of one shape."""
        ...

    def say(self, text: str) -> None:
        """Tell a person something beside the result."""
        ...

    def progress(self, text: str) -> None:
        """Redraw one line of progress."""
        ...

    def progress_done(self) -> None:
        """End the line of progress."""
        ...


def read_given(path: Path, size_max: int) -> bytes:
    """Read a file that the auditor was given.

    Raises:
        Misconfigured: It cannot be read, or is longer.
    """
    try:
        with path.open("rb") as file:
            data = file.read(size_max + 1)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if len(data) > size_max:
        raise Misconfigured(f"{path}: longer than {size_max} bytes; check the path")
    return data


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """Where a report goes and who signs it."""

    json_file: Path | None
    """Signed JSON."""
    html_file: Path | None
    """Page for people."""
    key: PrivateKey | None
    """The auditor's."""


def report_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of a report; the command receives them as ``options``."""

    @click.option("--report", "json_file", type=FILE, help="Write the report here, as JSON.")
    @click.option("--html", "html_file", type=FILE, help="Write the report here, as a page.")
    @click.option("--keystore", type=FILE, help="Keystore of the auditor, to sign the report.")
    @click.option("--password-file", type=FILE, help="File with its password (mode 0600).")
    def with_options(
        *args: object,
        json_file: Path | None,
        html_file: Path | None,
        keystore: Path | None,
        password_file: Path | None,
        **kwargs: object,
    ) -> int:
        if (keystore is None) != (password_file is None):
            raise Misconfigured("give both --keystore and --password-file, or neither")
        key = None
        if keystore is not None and password_file is not None:
            key = load_auditor_key(keystore, password_file)
        options = ReportOptions(json_file=json_file, html_file=html_file, key=key)
        return command(*args, options=options, **kwargs)

    with_options.__doc__ = command.__doc__
    with_options.__name__ = command.__name__
    return with_options


def now_s() -> int:
    """Return the auditor's time."""
    return int(time.time())  # noqa: TID251 - a command is where the clock is read


def finish(output: Output, report: Report, options: ReportOptions) -> int:
    """Print the report, write its files, and return the command's exit code.

    Raises:
        Misconfigured: A file cannot be written.

    Spec: AUDIT-REPORT, AUDIT-EXIT.
    """
    signer = None if options.key is None else options.key.address
    _write(options.json_file, encode_report(report, options.key))
    _write(options.html_file, render_html(report, signer).encode())
    if output.is_json:
        output.result(record_of(report))
        return int(report.conclusion)
    output.rows([_row(each) for each in report.outcomes])
    for outcome in report.outcomes:
        for finding in outcome.findings[:5]:
            blame = f" [{', '.join(finding.blame)}]" if finding.blame else ""
            output.say(
                f"{outcome.check.name}: {finding.subject}: expected {finding.expected}, found "
                f"{finding.found} ({outcome.check.rule}){blame}"
            )
        for reason in outcome.reasons[:5]:
            output.say(f"{outcome.check.name}: not asked of everything: {reason}")
    for note in report.notes:
        output.say(f"note: {note}")
    output.say(f"{report.kind}: {report.conclusion.name.lower()}")
    return int(report.conclusion)


def _row(outcome: Outcome) -> dict[str, object]:
    return {
        "verdict": _MARKS[outcome.verdict],
        "check": outcome.check.name,
        "asked": outcome.count,
        "failed": outcome.failed_count,
        "rule": outcome.check.rule,
    }


def _write(path: Path | None, data: bytes) -> None:
    if path is None:
        return
    try:
        draft = path.with_name(path.name + ".partial")
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as error:
        raise Misconfigured(
            f"{path}: cannot be written ({error.strerror}); choose a writable place"
        ) from error
