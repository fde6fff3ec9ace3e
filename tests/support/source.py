"""The checkout as data: its files, docstrings, rules and citations, for the house tests."""

import ast
import importlib
import pkgutil
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from node.primitives.errors import LedgerError

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("node", "clients", "services", "contracts")
RULE = re.compile(r"\*\*([A-Z]+(?:-[A-Z0-9]+)+)\*\*")
CITATION = re.compile(r"\b([A-Z]{2,}(?:-[A-Z0-9]+)+)\b")
SPEC_LINE = re.compile(r"^\s*(?:@custom:spec|Spec:)\s+(.+?)\.?\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """One place that names a rule."""

    rule: str
    """Id of the rule."""
    place: str
    """Path and name of what cites it."""


def python_files(*folders: str) -> list[Path]:
    """Return every Python file below ``folders`` of the checkout, sorted."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if "node_modules" not in path.parts)


@cache
def defined_rules() -> dict[str, str]:
    """Return every rule of ``docs/spec`` and the file that defines it, once."""
    rules: dict[str, str] = {}
    for path in sorted((ROOT / "docs" / "spec").glob("*.md")):
        for rule in RULE.findall(path.read_text()):
            assert rule not in rules, f"{rule} is defined in {rules[rule]} and again in {path.name}"
            rules[rule] = path.name
    return rules


@cache
def code_citations() -> tuple[Citation, ...]:
    """Return the rules named in ``Spec:`` lines of the shipped packages, contracts included."""
    found = []
    for path in python_files(*PACKAGES):
        for name, docstring in docstrings(path):
            found += [
                Citation(rule=rule, place=f"{path.relative_to(ROOT)}:{name}")
                for line in SPEC_LINE.findall(docstring)
                for rule in CITATION.findall(line)
            ]
    for path in sorted((ROOT / "contracts").rglob("*.vy")):
        found += [
            Citation(rule=rule, place=str(path.relative_to(ROOT)))
            for line in SPEC_LINE.findall(path.read_text())
            for rule in CITATION.findall(line)
        ]
    return tuple(found)


def test_citations() -> list[Citation]:
    """Return the rules named in the file docstrings of the tests."""
    found = []
    for path in python_files("tests"):
        docstring = docstrings(path)[0][1]
        place = str(path.relative_to(ROOT))
        found += [Citation(rule=rule, place=place) for rule in CITATION.findall(docstring)]
    return found


test_citations.__test__ = False  # type: ignore[attr-defined]


@cache
def docstrings(path: Path) -> tuple[tuple[str, str], ...]:
    """Return the name and docstring of a module, its classes and its functions, in this order."""
    tree = ast.parse(path.read_text())
    inner = (
        (node.name, ast.get_docstring(node) or "")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    )
    return (("module", ast.get_docstring(tree) or ""), *inner)


def all_errors() -> list[type[LedgerError]]:
    """Import every shipped module and return every error class, sorted by code."""
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found: set[type[LedgerError]] = set()
    waiting = [LedgerError]
    while waiting:
        error = waiting.pop()
        if error.__module__.partition(".")[0] in PACKAGES:
            found.add(error)
        waiting += error.__subclasses__()
    return sorted(found, key=lambda error: (error.code, error.__name__))
