"""What a verifier found: one named check for each rule, passed or not.

A verifier does not stop at the first failure. Nothing here quotes a certificate, a serial number or
an attribute of a person, so reports may be shown, logged and kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule held against what was presented."""

    rule: str
    """Id of the rule in ``docs/spec/identity.md``."""
    passed: bool
    """Whether the rule is kept."""
    expected: str
    """What the rule asks for."""
    found: str
    """What was there, without anything that points to a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All checks of one verification, in the order of the specification."""

    checks: tuple[Check, ...]
    """Never empty."""

    @property
    def passed(self) -> bool:
        """Return whether every check passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def broken_rules(self) -> tuple[str, ...]:
        """Return the rules that are not kept, each once, in order."""
        return tuple(dict.fromkeys(check.rule for check in self.checks if not check.passed))


def join_reports(reports: Iterable[Report]) -> Report:
    """Return one report with the checks of all."""
    return Report(checks=tuple(check for report in reports for check in report.checks))
