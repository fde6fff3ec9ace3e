"""Services beside a local network: found by their files, migrated, started, watched and stopped."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.cli.network import describe_service, is_ready
from node.cli.network_logs import merge_tails
from node.primitives.errors import Misconfigured
from node.runtime.localprocess import LocalProcess, stop_all
from node.runtime.localservices import find_address, find_services, start_service
from tests.support.board_service import write_board_settings
from tests.support.tokens import People

PRELUDE = """
from services import cli
cli.SERVICES["board"] = ("tests.support.board_service:BOARD", "A noticeboard.")
"""


@pytest.fixture
def board(tmp_path: Path) -> Iterator[LocalProcess]:
    """A board laid out beside a network; stopped at the end."""
    folder = tmp_path / "services" / "board@goka"
    folder.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    written = write_board_settings(folder, People(), port=port)
    written.rename(folder / "service.toml")
    [process] = find_services(tmp_path)
    yield process
    stop_all([process])


def test_a_service_is_started_found_again_and_stopped(board: LocalProcess, tmp_path: Path) -> None:
    stopped = describe_service(board)
    start_service(board, PRELUDE)
    deadline = time.monotonic() + 30
    while not is_ready(board):
        assert board.id is not None, board.program.log_path.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    [found_again] = find_services(tmp_path)

    assert (stopped["process"], stopped["ready"]) == ("stopped", "-")
    assert describe_service(found_again) == {
        "service": "board@goka",
        "process": board.id,
        "ready": "yes",
        "address": find_address(board),
    }
    assert board.stop() == 0
    assert found_again.id is None
    assert "service stops" in board.program.log_path.read_text()


def test_a_service_that_cannot_be_migrated_names_its_log(board: LocalProcess) -> None:
    settings = board.program.settings_path
    settings.write_text(settings.read_text().replace("audience", "audiance"))

    with pytest.raises(Misconfigured, match=r"service\.log"):
        start_service(board, PRELUDE)

    assert "did you mean kit.auth.audience?" in board.program.log_path.read_text()
    assert board.id is None


def test_a_process_that_was_given_the_same_id_is_not_taken_for_the_service(
    board: LocalProcess,
) -> None:
    board.program.pid_path.write_text("1\n")

    assert board.id is None


def test_settings_without_a_port_are_told(board: LocalProcess) -> None:
    board.program.settings_path.write_text("[kit]\n")

    with pytest.raises(Misconfigured, match=r"set kit\.server\.port"):
        find_address(board)


def test_logs_are_merged_by_time_and_tracebacks_stay_together(tmp_path: Path) -> None:
    goka, relay, none = tmp_path / "goka.log", tmp_path / "relay.log", tmp_path / "none.log"
    goka.write_text("16:20:31 INFO a\n16:20:33 ERROR b\nTraceback\n  at c\n")
    relay.write_text('16:20:32 INFO d\n{"time": "2026-04-01T16:20:34.123Z", "message": "e"}\n')

    assert merge_tails({"Goka": goka, "relay": relay, "none": none}) == [
        "Goka  | 16:20:31 INFO a",
        "relay | 16:20:32 INFO d",
        "Goka  | 16:20:33 ERROR b",
        "Goka  | Traceback",
        "Goka  |   at c",
        'relay | {"time": "2026-04-01T16:20:34.123Z", "message": "e"}',
    ]
