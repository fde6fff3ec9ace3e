"""`docs/services.md`: the files of its six steps are a service, and its commands run it.

What stands on the page is written into an empty folder as it is; nothing is added but the line of
the command line's table, a resident's keys, and the port.
"""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from joserfc.jwk import ECKey

from node.cli.client import NodeUnreachable, fetch_json
from services.kit.keys import load_private_key
from services.kit.settings import KitSettings, load_service_settings
from services.local_trial import Resident
from tests.support.network import wait_until
from tests.support.source import ROOT

FILE = re.compile(r"^`(?P<path>[\w./-]+)`:\n\n```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^daicho (service .*)$", re.MULTILINE)
GUIDE = (ROOT / "docs" / "services.md").read_text(encoding="utf-8")
LINE = re.compile(r'^    "board": (?P<value>\(.*\)),$', re.MULTILINE)


class Workplace:
    """The folder of someone who follows the page."""

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        self.url = f"http://127.0.0.1:{port}"
        for found in FILE.finditer(GUIDE):
            path = root / found["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            text = found["text"].replace("8600", str(port)).replace("/tmp/board", str(root))
            path.write_text(text, encoding="utf-8")
        line = LINE.search(GUIDE)
        assert line is not None
        self.prelude = (
            f"import sys, services; services.__path__.append({str(root / 'services')!r})\n"
            f"from services import cli; cli.SERVICES['board'] = {line['value']}\n"
            "from node.cli.main import main; sys.exit(main())"
        )

    def start(self, words: str) -> subprocess.Popen[bytes]:
        """Start `daicho` in the folder."""
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{self.prelude}"
        return subprocess.Popen(
            [sys.executable, "-c", code, *words.split()],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, words: str) -> None:
        """Run `daicho` in the folder, and see that it succeeds."""
        process = self.start(words)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    place = Workplace(tmp_path, port)
    place.run("service new-key --out residents.key.json")
    public = json.loads((tmp_path / "residents.key.pub.json").read_text())
    (tmp_path / "residents.jwks.json").write_text(json.dumps({"keys": [public]}))
    return place


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideSettings:
    """What the page writes into `board.toml`, read without its package."""

    events_key_file: Path
    notice_count_max: int
    kit: KitSettings


async def post(workplace: Workplace, title: str, key: str) -> tuple[int, Any]:
    """Post a notice as a resident under an idempotency key."""
    settings = load_service_settings(GuideSettings, workplace.root / "board.toml")
    resident = Resident(
        kit=settings.kit,
        issuer_key=load_private_key(workplace.root / "residents.key.json"),
        device_key=ECKey.generate_key("P-256"),
    )
    headers = resident.headers("POST", "/notices", now_s=int(time.time()))
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.post(
            f"{workplace.url}/notices",
            json={"title": title},
            headers=headers | {"Idempotency-Key": key, "Accept-Language": "en"},
        ) as response,
    ):
        return response.status, await response.json(content_type=None)


def is_ready(workplace: Workplace, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, process.communicate()[0].decode()
    try:
        return fetch_json(f"{workplace.url}/readiness")[0] == 200
    except NodeUnreachable:
        return False


async def test_who_follows_the_page_has_a_service_that_runs(workplace: Workplace) -> None:
    config = workplace.root / "board.toml"
    config.write_text("notice_count_max = 1\n" + config.read_text())
    *before, run, backup = COMMANDS.findall(GUIDE.split("## What happens to a request")[0])[:6]
    for words in before:
        workplace.run(words)
    process = workplace.start(run)
    try:
        wait_until(lambda: is_ready(workplace, process), "the board to be ready")
        first = await post(workplace, "夏祭り", "0" * 16)
        again = await post(workplace, "夏祭り", "0" * 16)
        other = await post(workplace, "秋祭り", "1" * 16)
        _, listed = fetch_json(f"{workplace.url}/notices")
        _, described = fetch_json(f"{workplace.url}/openapi.json")
        workplace.run(backup)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)

    assert first[0] == 201
    assert first == again
    assert (other[0], other[1]["code"]) == (409, "board.full")
    assert other[1]["title"] == "The board is full. It holds 1 notices."
    assert listed == {"notices": [first[1]]}
    assert sorted(described["paths"]) == ["/notices"]
    assert [path.suffix for path in (workplace.root / "backups").iterdir()] == [".db", ".json"]
    assert process.returncode == 0
