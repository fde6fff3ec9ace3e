"""A hub's log-in through the simulated provider: the service, devices, and browsers of people."""

import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer

from clients.identity.commitment import DeviceCommitment
from node.primitives.crypto import PrivateKey
from services.hub.federation import LOCALE, Federation, Opening, ProvenDevice
from services.hub.oidc_network import OidcClient
from services.hub.oidc_request import OidcProvider, provider_at
from services.kit.app import ServiceDefinition, build_app
from services.kit.auth import Access
from services.kit.documents import Document
from services.kit.messages import KIT_LOCALE, load_catalogue
from services.kit.operations import Call, operation
from services.sim.oidc.app import Holder, log_in
from tests.support.board_service import board_settings
from tests.support.clock import FakeClock
from tests.support.oidc import HUB, REDIRECT_URI, RunningProvider, parameters_of
from tests.support.tokens import People

AUDIENCE = "hub.sakai.example"
PROVIDER = "digital-agency"
_TICKET = re.compile(r'name="ticket" value="([^"]+)"')


class Bound(Document):
    """What a binding is answered with here; the real hub answers more."""

    device: str


@dataclass
class Binder:
    """Takes the place of the hub's bindings: remembers which device was proven, and by whom."""

    federation: Federation
    proven: list[ProvenDevice] = field(default_factory=list)

    @operation(
        "POST",
        "/federation/logins/{login}/binding",
        purpose="hub.bind",
        access=[Access.PUBLIC],
        request=Opening,
        response=Bound,
        status=201,
    )
    async def bind(self, call: Call[Opening, None]) -> Bound:
        """Bind the device that a log-in proves."""
        proven = self.federation.open_login(call)
        self.proven.append(proven)
        self.federation.finish_login(call)
        return Bound(device=call.body.device)


@dataclass(frozen=True, kw_only=True)
class Device:
    """A resident's device, with the commitment it makes."""

    key: PrivateKey
    commitment: DeviceCommitment

    @classmethod
    def new(cls, *, audience: str = AUDIENCE) -> "Device":
        """Draw a device and its commitment."""
        key = PrivateKey(secrets.token_bytes(32))
        return cls(
            key=key,
            commitment=DeviceCommitment(
                audience=audience,
                device=key.address,
                record_key_hash=secrets.token_bytes(32),
                random=secrets.token_bytes(16),
            ),
        )

    def start(self, **changed: str) -> dict[str, str]:
        """Return the body that begins a log-in."""
        return {
            "provider": PROVIDER,
            "nonce": self.commitment.compute_nonce(),
            "device": "0x" + self.key.address.hex(),
            **changed,
        }

    def opening(self, **changed: str) -> dict[str, str]:
        """Return the body that opens the commitment."""
        signature = self.key.sign(self.commitment.compute_possession_hash())
        return {
            "device": "0x" + self.commitment.device.hex(),
            "record_key_hash": self.commitment.record_key_hash.hex(),
            "random": self.commitment.random.hex(),
            "signature": "0x" + signature.hex(),
            "label": "携帯",
            **changed,
        }


@dataclass(frozen=True, kw_only=True)
class RunningHub:
    """The part of a hub that federates, answering on a port."""

    url: str
    session: aiohttp.ClientSession
    binder: Binder
    clock: FakeClock
    running: RunningProvider

    async def start(self, device: Device, /, **changed: str) -> tuple[int, dict[str, Any]]:
        """Begin a log-in."""
        return await self.post("/federation/logins", device.start(**changed))

    async def post(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Post JSON; return status and answer."""
        async with self.session.post(self.url + path, json=dict(body)) as answered:
            return answered.status, await answered.json()

    async def bind(
        self, login: str, device: Device, /, **changed: str
    ) -> tuple[int, dict[str, Any]]:
        """Open the commitment."""
        return await self.post(f"/federation/logins/{login}/binding", device.opening(**changed))

    async def stage(self, login: str) -> str:
        """Return how far a log-in is."""
        async with self.session.get(f"{self.url}/federation/logins/{login}") as answered:
            told = await answered.json()
            return str(told.get("stage", told.get("code")))

    async def come_back(
        self, parameters: Mapping[str, str], provider: str = PROVIDER
    ) -> tuple[int, str]:
        """Open the page to which the provider sends a browser."""
        path = f"{self.url}/federation/{provider}/callback"
        async with self.session.get(path, params=dict(parameters), allow_redirects=False) as page:
            assert "Location" not in page.headers
            return page.status, await page.text()

    async def confirm(self, ticket: str, code: str) -> tuple[int, str]:
        """Type a code at the page."""
        form = {"ticket": ticket, "code": code}
        async with self.session.post(
            self.url + "/federation/confirm", data=form, allow_redirects=False
        ) as page:
            assert "Location" not in page.headers
            return page.status, await page.text()

    async def browse(self, url: str, holder: Holder) -> dict[str, str]:
        """Log in at the provider with a card; return what the browser brings back."""
        back = await log_in(self.session, url, holder)
        assert back.startswith(REDIRECT_URI + "?")
        return parameters_of(back)

    async def log_in(self, device: Device, holder: Holder) -> str:
        """Go the whole way up to the confirmed log-in; return its name."""
        _, started = await self.start(device)
        _, page = await self.come_back(await self.browse(started["url"], holder))
        status, _ = await self.confirm(ticket_of(page), started["code"])
        assert status == 200
        return str(started["login"])


def ticket_of(page: str) -> str:
    """Return the ticket in a page's form."""
    found = _TICKET.search(page)
    assert found is not None
    return found[1]


def provider_of(running: RunningProvider, **changed: Any) -> OidcProvider:
    """Return the hub's registration at the simulated provider."""
    made = provider_at(
        running.url + "/api/realms/main",
        name=PROVIDER,
        client_id=HUB,
        redirect_uri=REDIRECT_URI,
        key=running.keys[HUB],
    )
    return replace(made, **changed)


@asynccontextmanager
async def running_hub(
    running: RunningProvider, clock: FakeClock, *more: OidcProvider, **changed: Any
) -> AsyncIterator[RunningHub]:
    """Run the federating part of a hub, registered at the simulated provider."""
    providers = (provider_of(running, **changed), *more)
    federation = Federation(
        [OidcClient(provider, clock) for provider in providers], audience=AUDIENCE, clock=clock
    )
    binder = Binder(federation)
    definition = ServiceDefinition(
        name="hub",
        title="Hub",
        version="1.0.0",
        settings=board_settings(),
        trust=People().trust(),
        clock=clock,
        sources=(federation, binder),
        pages=federation.pages,
        catalogue=load_catalogue([KIT_LOCALE, LOCALE]),
    )
    server = TestServer(build_app(definition))
    headers = {"Daicho-Tenant": "sakai"}
    async with server, aiohttp.ClientSession(headers=headers) as session:
        yield RunningHub(
            url=str(server.make_url("")).rstrip("/"),
            session=session,
            binder=binder,
            clock=clock,
            running=running,
        )
