"""A service's real process: it is ready, answers another service, and ends in order on SIGTERM."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.kit.service import migrate
from tests.support.board_service import BOARD, write_board_settings
from tests.support.tokens import People

PEOPLE = People()
ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Any]:
    """A running board: its process and address."""
    port = free_port()
    config = write_board_settings(tmp_path, PEOPLE, port=port)
    asyncio.run(migrate(BOARD, BOARD.load_settings(config)))
    code = (
        "import sys; from services import cli; from node.cli.main import main;"
        "cli.SERVICES['board'] = ('tests.support.board_service:BOARD', 'A noticeboard.');"
        "sys.exit(main())"
    )
    command = [sys.executable, "-c", code, "service", "board", "run", "--config", str(config)]
    running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, env=os.environ)
    yield running, f"http://127.0.0.1:{port}"
    running.kill()
    running.wait()
    assert running.stderr is not None
    running.stderr.close()


async def test_a_running_service_answers_and_ends_in_order(process: Any) -> None:
    running, address = process
    deadline = time.monotonic() + 30
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{address}/readiness") as response:
                    assert response.status == 200
                    break
            except aiohttp.ClientConnectorError:
                assert time.monotonic() < deadline
                assert running.poll() is None
                await asyncio.sleep(0.05)
        claims = {"iat": now_s(), "exp": now_s() + 60}
        headers = PEOPLE.partner_headers(**claims)
        async with session.get(f"{address}/count", headers=headers) as response:
            assert await response.json() == {"count": 0}
    running.send_signal(signal.SIGTERM)

    assert await asyncio.to_thread(running.wait, 15) == 0
    assert b"service stops" in running.stderr.read()


def now_s() -> int:
    return int(datetime.now(UTC).timestamp())
