"""The checkout keeps its own rules of shape: names, sizes, markers, package docstrings."""

import ast
import os
import re
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.support.source import PACKAGES, ROOT, docstrings, python_files

BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "manager", "base"}
MODULE_LINES_MAX = 600
FUNCTION_LINES_MAX = 90
NOT_OURS = {"node_modules", ".venv", ".eels-venv", ".git"}
"""Folders that hold what others wrote, by the ten thousand files."""

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b|NotImplementedError")


def test_no_module_has_a_name_that_means_nothing() -> None:
    assert [path for path in python_files(*PACKAGES, "tests") if path.stem in BANNED_NAMES] == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in python_files(*PACKAGES, "tests", "scripts")
        if not docstrings(path)[0][1]
    ]

    assert silent == []


def test_modules_and_functions_stay_readable() -> None:
    """Migrations are exempt: they list a schema once and are never edited again."""
    large = []
    for path in python_files(*PACKAGES):
        if path.parent.name == "versions":
            continue
        text = path.read_text()
        if text.count("\n") > MODULE_LINES_MAX:
            large.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        large += [
            f"{path.relative_to(ROOT)}:{node.name}: {node.end_lineno - node.lineno} lines"
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.end_lineno is not None
            and node.end_lineno - node.lineno > FUNCTION_LINES_MAX
        ]

    assert large == []


def test_nothing_shipped_is_marked_unfinished() -> None:
    marked = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in python_files(*PACKAGES)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if UNFINISHED.search(line)
    ]

    assert marked == []


def test_package_markers_hold_a_docstring_and_nothing_else() -> None:
    busy = [
        str(path.relative_to(ROOT))
        for path in python_files(*PACKAGES)
        if path.name == "__init__.py" and len(ast.parse(path.read_text()).body) > 1
    ]

    assert busy == []


def test_no_other_distribution_claims_our_import_names() -> None:
    found = packages_distributions()

    assert {package: set(found.get(package, [])) - {"daicho"} for package in PACKAGES} == {
        package: set() for package in PACKAGES
    }


def test_lock_files_name_no_registry() -> None:
    locks: list[Path] = [*(ROOT / "requirements").glob("*.txt")]
    for folder, inner, files in os.walk(ROOT):
        inner[:] = sorted(set(inner) - NOT_OURS)
        locks += [Path(folder) / name for name in files if name == "package-lock.json"]
    assert len(locks) > 3

    assert [
        path.name for path in locks if re.search(r'"resolved"|index-url', path.read_text())
    ] == []
