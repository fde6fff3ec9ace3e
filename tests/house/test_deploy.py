"""What an operator installs from ``scripts/deploy``: units call commands that exist."""

import json
import shlex
import shutil
import subprocess
import tomllib
from configparser import ConfigParser
from pathlib import Path
from typing import Final

import click
import pytest

from node.cli.main import cli
from tests.support.source import ROOT

DEPLOY: Final = ROOT / "scripts/deploy"
UNITS: Final = sorted(DEPLOY.glob("*.service"))
PROGRAM: Final = "/opt/daicho/.venv/bin/daicho"
INSTANCE: Final = "relay"
"""The service that stands for %i."""


def read_unit(path: Path) -> ConfigParser:
    unit = ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(path.read_text())
    return unit


def take_apart(words: list[str]) -> None:
    """Read a command line as the program would, without running it."""
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"no command {name}"
        command, context = found, click.Context(found, parent=context, info_name=name)
    known = {text for option in command.params for text in (*option.opts, *option.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known
    required = {option.opts[0] for option in command.params if option.required}
    assert required <= set(words)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_commands_that_exist(path: Path) -> None:
    service = read_unit(path)["Service"]
    lines = [service[key] for key in ("ExecStartPre", "ExecStart") if key in service]

    for line in lines:
        program, *words = shlex.split(line.replace("%i", INSTANCE))
        assert program == PROGRAM
        take_apart(words)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_runs_without_privileges_and_stays_down_when_settings_are_wrong(path: Path) -> None:
    service = read_unit(path)["Service"]

    assert service["User"] != "root"
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert "2" in service["RestartPreventExitStatus"].split()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_takes_a_unit(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name.replace("@", f"@{INSTANCE}")
    copy.write_text(path.read_text().replace(PROGRAM, "/bin/true").replace("/opt/daicho", "/tmp"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    told = [line for line in done.stderr.splitlines() if path.stem.rstrip("@") in line]
    assert told == []
    assert done.returncode == 0


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("*.toml")), ids=lambda path: path.name)
def test_settings_to_start_from_are_toml(path: Path) -> None:
    assert tomllib.loads(path.read_text())


def test_the_dashboard_is_json_with_panels() -> None:
    assert json.loads((DEPLOY / "grafana-dashboard.json").read_text())["panels"]
