"""What an audit asks and how it answers: named checks, verdicts, findings, and the report of them.

Every question an audit can ask is one `Check` in a table (`chain_checks`, `election_checks`,
`service_checks`); a report answers all questions of its tables, also those it could not ask. An
audit never stops at the first failure.

Spec: AUDIT-REPORT.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, cast

FINDINGS_MAX: Final = 50
"""Findings kept for one check; the rest is counted."""

TEXT_LENGTH_MAX: Final = 600
"""Characters kept of an expected or found value."""


class Verdict(StrEnum):
    """The answer to a check."""

    MET = "met"
    """Asked of everything there is, and met each time."""
    FAILED = "failed"
    """Not met at least once."""
    UNDECIDED = "undecided"
    """Never failed, but could not be asked of everything; the reason is given."""


class Conclusion(IntEnum):
    """What an audit came to; also the exit code of its command."""

    CONFIRMED = 0
    """Every required check is met."""
    REFUTED = 1
    """A check failed."""
    INCOMPLETE = 2
    """Nothing failed, but a required check is undecided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question an audit asks."""

    name: str
    """Stable name, as ``chain.seals.quorum``."""
    rule: str
    """Id of the rule in ``docs/spec`` that it asks about."""
    question: str
    """What is asked, in a sentence an auditor can sign."""
    is_required: bool = True
    """Whether the audit is incomplete without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One place where a check is not met."""

    subject: str
    """Where: a block, a transaction, a ballot."""
    expected: str
    """What the rule wants."""
    found: str
    """What is there."""
    blame: tuple[str, ...] = ()
    """Who answers for it, by name or address, where that can be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A check with its answer."""

    check: Check
    """The question."""
    count: int
    """How often it was asked."""
    failed_count: int
    """How often it was not met."""
    findings: tuple[Finding, ...]
    """Where; at most ``FINDINGS_MAX``."""
    reasons: tuple[str, ...] = ()
    """Why it could not be asked of everything."""

    @property
    def verdict(self) -> Verdict:
        """Return the answer."""
        if self.failed_count:
            return Verdict.FAILED
        return Verdict.UNDECIDED if self.reasons else Verdict.MET


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Numbers worth seeing, drawn in the report."""

    title: str
    """What they are."""
    unit: str
    """Of the values."""
    points: tuple[tuple[str, int], ...]
    """Label and value, in the order drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an audit asked and found."""

    kind: str
    """Which audit: ``chain``, ``election``, ``services``."""
    tool: str
    """Program and version that made it."""
    made_at_s: int
    """When, in seconds since the epoch, by the auditor's clock."""
    subject: Mapping[str, str]
    """What was audited: digests, hashes, heights."""
    inputs: Mapping[str, str]
    """SHA-256 of every file it rests on, by role."""
    outcomes: tuple[Outcome, ...]
    """Every check of the audit's tables, in their order."""
    notes: tuple[str, ...] = ()
    """What a reader should know besides: evidence found, limits of this audit."""
    charts: tuple[Chart, ...] = ()
    """Figures."""

    @property
    def conclusion(self) -> Conclusion:
        """Return what it came to.

        Spec: AUDIT-EXIT.
        """
        if any(each.verdict is Verdict.FAILED for each in self.outcomes):
            return Conclusion.REFUTED
        is_open = any(
            each.verdict is Verdict.UNDECIDED and each.check.is_required for each in self.outcomes
        )
        return Conclusion.INCOMPLETE if is_open else Conclusion.CONFIRMED

    @property
    def failed(self) -> tuple[str, ...]:
        """Return the names of failed checks, in order."""
        return tuple(each.check.name for each in self.outcomes if each.verdict is Verdict.FAILED)


class _Line:
    """What is known so far about one check."""

    __slots__ = ("count", "failed_count", "findings", "reasons")

    def __init__(self) -> None:
        self.count = 0
        self.failed_count = 0
        self.findings: list[Finding] = []
        self.reasons: list[str] = []


class Worksheet:
    """Answers to a table of checks, gathered while an audit runs; parts can be merged."""

    def __init__(self, table: Sequence[Check]) -> None:
        """Start with nothing asked."""
        self._table = {check.name: check for check in table}
        self._lines = {check.name: _Line() for check in table}

    def ask(
        self,
        check: Check,
        subject: object,
        *,
        is_met: bool,
        expected: object,
        found: object,
        blame: Iterable[str] = (),
    ) -> bool:
        """Note one answer, and return it."""
        line = self._lines[check.name]
        line.count += 1
        if not is_met:
            line.failed_count += 1
            if len(line.findings) < FINDINGS_MAX:
                line.findings.append(
                    Finding(
                        subject=show(subject),
                        expected=show(expected),
                        found=show(found),
                        blame=tuple(blame),
                    )
                )
        return is_met

    def compare(
        self,
        check: Check,
        subject: object,
        *,
        expected: object,
        found: object,
        blame: Iterable[str] = (),
    ) -> bool:
        """Note whether two values are equal, and return it."""
        return self.ask(
            check,
            subject,
            is_met=expected == found,
            expected=expected,
            found=found,
            blame=blame,
        )

    def count(self, check: Check, count: int) -> None:
        """Note that a check was met ``count`` times."""
        self._lines[check.name].count += count

    def leave_open(self, reason: str, *checks: Check) -> None:
        """Note that checks could not be asked of everything, and why."""
        for check in checks:
            reasons = self._lines[check.name].reasons
            if reason not in reasons and len(reasons) < FINDINGS_MAX:
                reasons.append(reason)

    def merge(self, outcomes: Iterable[Outcome]) -> None:
        """Add what another part of the audit answered."""
        for outcome in outcomes:
            line = self._lines[outcome.check.name]
            line.count += outcome.count
            line.failed_count += outcome.failed_count
            line.findings += outcome.findings[: FINDINGS_MAX - len(line.findings)]
            self.leave_open_all(outcome.check, outcome.reasons)

    def leave_open_all(self, check: Check, reasons: Iterable[str]) -> None:
        """Note several reasons for one check."""
        for reason in reasons:
            self.leave_open(reason, check)

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return every check of the table with its answer."""
        return tuple(
            Outcome(
                check=check,
                count=line.count,
                failed_count=line.failed_count,
                findings=tuple(line.findings),
                reasons=tuple(line.reasons),
            )
            for check, line in zip(self._table.values(), self._lines.values(), strict=True)
        )


def show(value: object) -> str:
    """Write a value as it stands in findings: bytes as hex, lists in order, never too long."""
    text = _show(value)
    if len(text) <= TEXT_LENGTH_MAX:
        return text
    return f"{text[:TEXT_LENGTH_MAX]}… ({len(text)} characters)"


def _show(value: object) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, str) or not isinstance(value, Iterable):
        return str(value)
    parts = cast("Iterable[object]", value)
    return "[" + ", ".join(_show(part) for part in parts) + "]"
