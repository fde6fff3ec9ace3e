"""A service is migrated, checked, examined and backed up by commands; its tasks are kept alive."""

import asyncio
import itertools
import json
import socket
import sqlite3
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli.output import Output
from node.primitives.errors import InvariantViolation, LedgerError, Misconfigured, Unavailable
from services import cli
from services.kit.health import examine_readiness
from services.kit.supervision import BackgroundTask, Supervisor
from tests.support.board_service import BOARD, write_board_settings
from tests.support.clock import FakeClock
from tests.support.tokens import People

PEOPLE = People()


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """List the board among the services."""
    entry = ("tests.support.board_service:BOARD", "A noticeboard.")
    monkeypatch.setitem(cli.SERVICES, "board", entry)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_board_settings(tmp_path, PEOPLE)


def run(*words: object, is_json: bool = False) -> Result:
    """Run `daicho service board …`."""
    arguments = ["board", *map(str, words)]
    return CliRunner().invoke(cli.group, arguments, obj=Output(is_json=is_json))


def findings(config: Path) -> dict[str, dict[str, str]]:
    """Return what the doctor finds, by check."""
    result = run("doctor", "--config", config, is_json=True)
    found = {each["check"]: each for each in json.loads(result.output)}
    assert result.exit_code == (1 if "BAD" in {each["verdict"] for each in found.values()} else 0)
    return found


def test_a_new_service_is_migrated_and_then_healthy(config: Path) -> None:
    before = findings(config)["database"]
    migrated = run("migrate", "--config", config)
    after = findings(config)

    assert (before["verdict"], before["remedy"]) == (
        "BAD",
        "make it: daicho service board migrate",
    )
    assert migrated.exit_code == 0
    assert {each["verdict"] for each in after.values()} == {"good"}
    assert set(after) == {"settings", "catalogue", "keys", "secrets", "disk", "database", "port"}


def test_settings_are_checked_without_a_database(config: Path) -> None:
    result = run("check-config", "--config", config, is_json=True)

    assert json.loads(result.output)["tenants"] == ["goka (五霞町)"]
    assert not (config.parent / "board.db").exists()


def test_the_doctor_names_what_is_wrong_and_its_remedy(config: Path) -> None:
    run("migrate", "--config", config)
    (config.parent / "clerk.json").unlink()
    (config.parent / "board.db").write_bytes(b"not a database" * 1_000)

    found = findings(config)

    assert [name for name, each in found.items() if each["verdict"] == "BAD"] == [
        "keys",
        "database",
    ]
    assert found["keys"]["remedy"] == "check the path"


def test_the_doctor_stops_at_settings_that_cannot_be_read(config: Path) -> None:
    config.write_text("colour = 1")

    [(name, finding)] = findings(config).items()

    assert (name, finding["verdict"]) == ("settings", "BAD")
    assert "known here: kit" in finding["remedy"]


def test_a_taken_port_and_ended_registrations_are_warned_of(config: Path) -> None:
    run("migrate", "--config", config)
    staff = config.parent / "staff.toml"
    staff.write_text(staff.read_text().replace("2099", "2020"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config.write_text(config.read_text().replace("port = 0", f"port = {port}"))
        found = findings(config)

    assert found["port"]["verdict"] == found["keys"]["verdict"] == "warning"


def test_a_backup_is_a_whole_database_with_its_manifest(config: Path) -> None:
    run("migrate", "--config", config)

    result = run("backup", "--config", config, config.parent / "backups", is_json=True)

    made = json.loads(result.output)
    assert json.loads(Path(made["manifest"]).read_text())["sha256"] == made["sha256"]
    with sqlite3.connect(made["backup"]) as copy:
        assert copy.execute("pragma integrity_check").fetchone() == ("ok",)
    copy.close()


def test_a_service_does_not_start_on_a_database_that_was_not_migrated(config: Path) -> None:
    result = run("run", "--config", config)

    assert isinstance(result.exception, LedgerError)
    assert "migrate" in str(result.exception)


def test_a_key_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "board.key.json"
    words = ["new-key", "--out", str(path)]

    made = CliRunner().invoke(cli.group, words, obj=Output(is_json=True))
    again = CliRunner().invoke(cli.group, words, obj=Output())

    assert path.stat().st_mode & 0o777 == 0o600
    assert "d" not in json.loads(path.with_suffix(".pub.json").read_text())
    assert json.loads(path.read_text())["d"] not in made.output
    assert isinstance(again.exception, Misconfigured)


def test_the_help_lists_services_without_importing_them() -> None:
    result = CliRunner().invoke(cli.group, ["--help"])

    assert "A noticeboard." in result.output


def test_the_board_is_the_service_that_is_loaded() -> None:
    assert cli.load_service("board") is BOARD


async def test_a_failing_task_is_started_again_with_growing_pauses() -> None:
    clock = FakeClock()
    attempts: list[datetime] = []

    async def work() -> None:
        attempts.append(clock.now())
        if len(attempts) < 4:
            raise Unavailable("down")
        await asyncio.Event().wait()

    supervisor = Supervisor((BackgroundTask(name="dispatcher", run=work),), clock)
    supervisor.start()
    for pause_s in (1, 2, 4):
        await settle()
        [result] = await examine_readiness(supervisor.checks())
        assert (result.is_ok, "world.unavailable" in result.reason) == (False, True)
        clock.move(pause_s)
    await settle()
    [result] = await examine_readiness(supervisor.checks())
    await supervisor.stop()

    assert result.is_ok
    pauses = [(b - a).total_seconds() for a, b in itertools.pairwise(attempts)]
    assert pauses == [1, 2, 4]


async def test_a_task_that_found_a_contradiction_stays_down() -> None:
    clock = FakeClock()
    attempts: list[int] = []

    async def work() -> None:
        attempts.append(1)
        raise InvariantViolation("the log contradicts itself")

    supervisor = Supervisor((BackgroundTask(name="follower", run=work),), clock)
    supervisor.start()
    await settle()
    clock.move(3_600)
    await settle()
    [result] = await examine_readiness(supervisor.checks())
    await supervisor.stop()

    assert attempts == [1]
    assert "invariant.violated" in result.reason


async def settle() -> None:
    """Let every task that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)
