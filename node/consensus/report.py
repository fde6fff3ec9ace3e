"""What a verifier found: named checks, each with its rule, verdict, expected and actual.

A verifier does not stop at the first failure, so that an auditor sees all of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from node.primitives.errors import InvalidBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question asked of a record, and its answer."""

    rule: str
    """Id of the rule in ``docs/spec``."""
    name: str
    """What was asked, in a few words."""
    is_met: bool
    """The verdict."""
    expected: object
    """What the rule wants."""
    actual: object
    """What was found."""

    def __str__(self) -> str:
        """Say the finding in one sentence."""
        return f"{self.name}: expected {_show(self.expected)}, found {_show(self.actual)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All checks made, in a fixed order."""

    checks: tuple[Check, ...]
    """In the order of the rules."""

    @property
    def is_met(self) -> bool:
        """Tell whether every check is met."""
        return all(check.is_met for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """Return the checks that are not met."""
        return tuple(check for check in self.checks if not check.is_met)

    def raise_if_failed(self) -> None:
        """Turn the first failure into an error.

        Raises:
            InvalidBlock: A check is not met.
        """
        for check in self.failures:
            raise InvalidBlock(str(check), rule=check.rule)


def compare(rule: str, name: str, expected: object, actual: object) -> Check:
    """Build the check that two values are equal."""
    return Check(rule=rule, name=name, is_met=expected == actual, expected=expected, actual=actual)


def _show(value: object) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, str) or not isinstance(value, Iterable):
        return str(value)
    parts = cast("Iterable[object]", value)
    return "[" + ", ".join(_show(part) for part in parts) + "]"
