"""Where alarms go: a file of lines, a file for each proof, a command, and an address on loopback.

Lines are appended and synced; a proof is named by its SHA-256, so that it can be published and
compared. What is told to a command or an address is the line, and nothing is read back from them.

Spec: AUDIT-ALARM.
"""

import asyncio
import json
import os
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from clients.auditor.watch import Alarm
from node.primitives.crypto import sha256
from node.primitives.errors import Misconfigured

TELL_TIMEOUT_S: Final = 30.0
"""How long a command or an address may take."""

QUEUE_MAX: Final = 1_000
"""Most alarms waiting to be told; more are still written."""


class AlarmBook:
    """Writes alarms, and tells them on."""

    def __init__(
        self, folder: Path, *, command: tuple[str, ...] = (), webhook: str | None = None
    ) -> None:
        """Keep alarms in ``folder``.

        Raises:
            Misconfigured: The folder cannot be made, or the address is not on loopback.
        """
        self.folder = folder
        self._command = command
        self._webhook = webhook
        self._waiting: asyncio.Queue[str] = asyncio.Queue(QUEUE_MAX)
        if webhook is not None:
            check_loopback(webhook)
        try:
            (folder / "proofs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Misconfigured(
                f"{folder}: cannot be made ({error.strerror}); choose another folder"
            ) from error

    @property
    def path(self) -> Path:
        """Return the file of alarms, a JSON object on each line."""
        return self.folder / "alarms.jsonl"

    def write(self, alarm: Alarm, now_s: int) -> str:
        """Write an alarm and its proof; return its line.

        Spec: AUDIT-ALARM.
        """
        proof = json.dumps(dict(alarm.proof), sort_keys=True).encode()
        digest = sha256(proof).hex()
        (self.folder / "proofs" / f"{digest}.json").write_bytes(proof)
        record = {
            "time_s": now_s,
            "kind": alarm.kind.value,
            "node": alarm.node,
            "height": alarm.height,
            "detail": alarm.detail,
            "proof": digest,
        }
        line = json.dumps(record, ensure_ascii=False)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        if not self._waiting.full():
            self._waiting.put_nowait(line)
        return line

    async def tell(self) -> list[str]:
        """Tell what waits to the command and the address; return what went wrong.

        Spec: AUDIT-ALARM.
        """
        troubles: list[str] = []
        while not self._waiting.empty():
            line = self._waiting.get_nowait()
            if self._command:
                troubles += await _run(self._command, line)
            if self._webhook is not None:
                troubles += await _post(self._webhook, line)
        return troubles


def check_loopback(url: str) -> None:
    """Refuse an address that is not on this machine: alarms leave it by the operator's means.

    Raises:
        Misconfigured: It is not http on a loopback address.
    """
    parts = urlsplit(url)
    try:
        is_ours = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_ours = False
    if parts.scheme != "http" or not is_ours:
        raise Misconfigured(f"{url}: expected http on a loopback address; run a relay there")


async def _run(command: tuple[str, ...], line: str) -> list[str]:
    """Run the command with the line at its standard input; no shell is involved."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        return [f"{command[0]}: cannot be run ({error.strerror})"]
    try:
        async with asyncio.timeout(TELL_TIMEOUT_S):
            await process.communicate(line.encode() + b"\n")
    except TimeoutError:
        process.kill()
        await process.wait()
        return [f"{command[0]}: took over {TELL_TIMEOUT_S:g} s and was stopped"]
    return [] if process.returncode == 0 else [f"{command[0]}: exit code {process.returncode}"]


async def _post(url: str, line: str) -> list[str]:
    try:
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TELL_TIMEOUT_S), trust_env=False
            ) as session,
            session.post(
                url,
                data=line.encode(),
                headers={"Content-Type": "application/json"},
                allow_redirects=False,
            ) as response,
        ):
            return [] if response.status < 300 else [f"{url}: answered {response.status}"]
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        return [f"{url}: {str(error) or type(error).__name__}"]


def build_pages(book: AlarmBook, states: dict[str, str]) -> web.Application:
    """Return the pages others read: alarms as lines, proofs by their digest, where nodes stand.

    Args:
        book: Where alarms are.
        states: Where each node stands; kept current by the caller.

    Spec: AUDIT-ALARM.
    """
    app = web.Application()

    async def alarms(_request: web.Request) -> web.Response:
        text = book.path.read_text(encoding="utf-8") if book.path.exists() else ""
        return web.Response(text=text, content_type="application/jsonl")

    async def proof(request: web.Request) -> web.StreamResponse:
        path = book.folder / "proofs" / f"{request.match_info['digest']}.json"
        if not path.exists():
            raise web.HTTPNotFound
        return web.FileResponse(path)

    async def nodes(_request: web.Request) -> web.Response:
        return web.json_response(states)

    app.router.add_get("/alarms", alarms)
    app.router.add_get("/proofs/{digest:[0-9a-f]{64}}", proof)
    app.router.add_get("/nodes", nodes)
    return app
