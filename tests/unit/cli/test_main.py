"""The `daicho` command: every group loads; errors are messages with exit codes."""

import json
import subprocess
import sys

import click
import pytest

from node.cli.main import EXAMPLES, GROUPS, cli, main
from node.primitives.errors import (
    InvalidInput,
    InvariantViolation,
    Misconfigured,
    Unavailable,
)


@pytest.mark.parametrize("name", list(GROUPS))
def test_every_group_of_the_table_loads_and_explains_itself(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main([name, "--help"])
    except ModuleNotFoundError as error:
        pytest.fail(f"{GROUPS[name].target}: {error}")
    assert code == 0
    assert "Usage: daicho" in capsys.readouterr().out


def test_help_lists_every_group_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in GROUPS)
    assert "daicho network up" in out
    assert "daicho node run" in EXAMPLES


def test_asking_for_help_loads_no_group() -> None:
    code = "import sys, node.cli.main as m; m.main(['--help']); print('eth' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(Misconfigured("no file; name one"), 2, id="operator"),
        pytest.param(InvalidInput("bad block"), 1, id="sender"),
        pytest.param(Unavailable("disk down"), 1, id="world"),
        pytest.param(InvariantViolation("two blocks"), 3, id="us"),
    ],
)
def test_an_error_is_its_code_and_message_on_standard_error(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setattr(type(cli), "get_command", lambda *_: failing)

    assert main(["failing"]) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.strip() == f"{error.code}: {error}"  # type: ignore[attr-defined]

    assert main(["--json", "failing"]) == code
    assert json.loads(capsys.readouterr().err)["error"]["message"] == str(error)


def test_a_wrong_option_is_exit_code_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "show"]) == 2
    assert "Missing argument" in capsys.readouterr().err


def test_an_internal_error_is_one_line_without_a_traceback() -> None:
    code = (
        "import sys, node.cli.main as m, node.cli.lazy as l\n"
        "l.LazyGroup.get_command = lambda *a: 1 / 0\n"
        "sys.exit(m.main(['key']))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "internal error: ZeroDivisionError" in ran.stderr
    assert "Traceback" not in ran.stderr
