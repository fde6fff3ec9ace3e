"""Every attack on an election that we know of is made by a test, and the table says which."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def load_script() -> ModuleType:
    path = ROOT / "scripts" / "voting_cases.py"
    spec = importlib.util.spec_from_file_location("voting_cases", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = load_script()
FOUND = SCRIPT.find_tests()


@pytest.mark.parametrize("case", sorted(SCRIPT.CASES))
def test_a_case_is_made_by_a_test(case: int) -> None:
    assert FOUND[case], f"no test makes case {case}: {SCRIPT.CASES[case]}"
