"""Error codes are unique, stable in form, and explained to operators."""

import re

from tests.support.source import ROOT, all_errors

CODE = re.compile(r"^[a-z_]+(\.[a-z0-9_]+)+$")


def test_every_class_of_error_has_a_code_of_its_own() -> None:
    errors = all_errors()
    codes = [error.code for error in errors]

    assert [code for code in codes if not CODE.match(code)] == []
    assert sorted({code for code in codes if codes.count(code) > 1}) == []


def test_operators_can_look_every_code_up() -> None:
    listed = (ROOT / "docs" / "operate" / "errors.md").read_text()

    assert [error.code for error in all_errors() if f"`{error.code}`" not in listed] == []
