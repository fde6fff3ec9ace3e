"""The noticeboard and its relay as two real services over HTTP, on one small real chain."""

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from node.primitives.keyfile import seal_keyfile
from services.example.service import SERVICE as EXAMPLE
from services.example.settings import ExampleSettings
from services.kit.database import Database
from services.kit.keys import generate_key, private_document, public_document
from services.kit.master_keys import create_master_file
from services.kit.service import Resources, serve
from services.kit.settings import (
    AuthSettings,
    DatabaseSettings,
    KitSettings,
    NodeSettings,
    ServerSettings,
    TenantSettings,
)
from services.kit.settings import RelaySettings as ExampleRelay
from services.kit.staff import StaffMember, StaffTable
from services.relay.service import SERVICE as RELAY
from services.relay.settings import ClientSettings, RelaySettings
from tests.support.databases import open_current
from tests.support.followed import Town
from tests.support.ledger import SERVICE_KEYS
from tests.support.rpc import serving
from tests.support.tokens import AUDIENCE, GOKA, PUBLIC_URL, People

PASSWORD = "development only"
HURRIED_STEPS = 120
"""Steps of waiting after which a busy machine is given longer ones."""


@dataclass
class Board:
    """The noticeboard's address and everyone who calls it."""

    town: Town
    people: People
    url: str
    session: aiohttp.ClientSession
    database: Database
    relay_url: str

    async def post(
        self,
        title: str,
        *,
        contact: str = "029-000-0000",
        key: str = "0123456789abcdef-1",
        **claims: Any,
    ) -> tuple[int, dict[str, Any]]:
        """Post a notice as a resident."""
        now_s = int(self.town.clock.now().timestamp())
        token = self.people.resident_token(iat=now_s, exp=now_s + 600, **claims)
        proof = self.people.proof(token, method="POST", path="/notices", iat=now_s)
        headers = {
            "Authorization": f"DPoP {token}",
            "DPoP": proof,
            "Idempotency-Key": key,
            "Daicho-Tenant": "goka",
        }
        body = {"title": title, "contact": contact}
        async with self.session.post(f"{self.url}/notices", json=body, headers=headers) as response:
            return response.status, await response.json()

    async def get(self, path: str, *, is_staff: bool = False) -> tuple[int, dict[str, Any]]:
        """Ask as anyone, or as the clerk."""
        headers = {}
        if is_staff:
            now_s = int(self.town.clock.now().timestamp())
            headers = self.people.staff_headers(iat=now_s, exp=now_s + 600)
        async with self.session.get(f"{self.url}{path}", headers=headers) as response:
            return response.status, await response.json()

    async def pass_time(self, seconds: float = 2.0, *, pause_s: float = 0.05) -> None:
        """Let time pass for everyone, a block come, and the tasks do what is due."""
        self.town.clock.move(seconds)
        await asyncio.sleep(pause_s)
        self.town.heartbeat()
        await asyncio.sleep(pause_s)

    async def until(self, condition: Callable[[], Awaitable[bool]], *, count: int = 300) -> None:
        """Let time pass until ``condition`` holds; a busy machine gets longer steps."""
        for step in range(count):
            if await condition():
                return
            await self.pass_time(pause_s=0.05 if step < HURRIED_STEPS else 0.5)
        raise AssertionError("it did not happen")


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def write_private(path: Path, text: str) -> Path:
    """Write a file that is its owner's alone."""
    path.write_text(text)
    path.chmod(0o600)
    return path


def kit_settings(folder: Path, name: str, port: int) -> KitSettings:
    """Return the kit's table of a service for Goka."""
    return KitSettings(
        auth=AuthSettings(audience=AUDIENCE),
        database=DatabaseSettings(url=f"sqlite+aiosqlite:///{folder / name}.db"),
        tenants=(TenantSettings(id="goka", name="五霞町"),),
        server=ServerSettings(port=port, public_url=PUBLIC_URL, shutdown_timeout_s=1),
    )


def write_files(town: Town, folder: Path) -> None:
    """Write the keys and files that the settings name."""
    (folder / "genesis.json").write_bytes(town.chain.ledger.genesis_file)
    keystore = seal_keyfile(
        SERVICE_KEYS[1].export_secret(), PASSWORD.encode(), work=2, draw=secrets.token_bytes
    )
    write_private(folder / "keystore.json", json.dumps(keystore))
    write_private(folder / "password", PASSWORD)
    for name in ("example", "relay"):
        key = generate_key()
        write_private(folder / f"{name}.key.json", json.dumps(private_document(key)))
        (folder / f"{name}.pub.json").write_text(json.dumps(public_document(key)))
    create_master_file(folder / "master.keys")


def relay_settings(town: Town, folder: Path, node: str, ports: tuple[int, int]) -> RelaySettings:
    """Return the relay's settings."""
    return RelaySettings(
        genesis_file=folder / "genesis.json",
        keystore_file=folder / "keystore.json",
        password_file=folder / "password",
        events_key_file=folder / "relay.key.json",
        anchors="0x" + town.anchors.hex(),
        nodes=(NodeSettings(name="node", url=node),),
        clients=(
            ClientSettings(
                name="example",
                key_file=folder / "example.pub.json",
                endpoint=f"http://127.0.0.1:{ports[0]}/events",
            ),
        ),
        kit=kit_settings(folder, "relay", ports[1]),
    )


def example_settings(
    town: Town, folder: Path, node: str, ports: tuple[int, int]
) -> ExampleSettings:
    """Return the noticeboard's settings."""
    return ExampleSettings(
        genesis_file=folder / "genesis.json",
        anchors="0x" + town.anchors.hex(),
        master_file=folder / "master.keys",
        events_key_file=folder / "example.key.json",
        nodes=(NodeSettings(name="node", url=node),),
        relay=ExampleRelay(
            key_file=folder / "relay.pub.json", endpoint=f"http://127.0.0.1:{ports[1]}/events"
        ),
        kit=kit_settings(folder, "example", ports[0]),
    )


@asynccontextmanager
async def running_board(town: Town, folder: Path) -> AsyncIterator[Board]:
    """Run both services while the block runs."""
    people = People()
    clerk = StaffMember(
        id="clerk",
        tenant=GOKA,
        roles=frozenset({"board-editor"}),
        key=people.clerk_key,
        authentication_level=2,
        valid_until=town.clock.now() + timedelta(days=300),
    )
    write_files(town, folder)
    ports = (free_port(), free_port())
    async with AsyncExitStack() as stack:
        port = stack.enter_context(serving(town.chain)).port
        node = f"http://127.0.0.1:{port}"
        databases = {}
        urls = {}
        for service, settings in (
            (RELAY, relay_settings(town, folder, node, ports)),
            (EXAMPLE, example_settings(town, folder, node, ports)),
        ):
            database = await open_current(settings.kit.database.url, service.versions)
            stack.push_async_callback(database.close)
            resources = Resources(
                clock=town.clock,
                database=database,
                trust=people.trust(staff=StaffTable({"clerk": clerk})),
                catalogue=service.load_catalogue(),
            )
            definition = await service.build(settings, resources)  # type: ignore[arg-type]
            urls[service.name] = await stack.enter_async_context(serve(definition))
            databases[service.name] = database
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Board(town, people, urls["example"], session, databases["example"], urls["relay"])
