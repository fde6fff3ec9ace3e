"""The simulated provider running, a relying party registered there, and a holder at the app."""

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
from aiohttp.test_utils import TestServer, unused_port
from joserfc import jwt
from joserfc.jwk import ECKey

from clients.card.card import MyNumberCard
from clients.card.codes import CodeKind, parse_code
from clients.identity.verifier import DirectVerifier
from services.kit.clock import Clock
from services.kit.keys import parse_key, public_document
from services.sim.card.card import SimulatedCard
from services.sim.card.issue import order_card
from services.sim.oidc.app import Holder, log_in
from services.sim.oidc.provider import ASSERTION_TYPE, PROTOCOL_PATH, Provider
from services.sim.oidc.requests import RegisteredClient
from services.sim.oidc.server import build_application
from services.sim.pki.profiles import SimulatedResident
from tests.support.cards import DirectChannel, hierarchy
from tests.support.clock import FakeClock
from tests.support.identity import NOW, LocalSource

HUB = "hub-of-sakai"
OTHER = "library-of-sakai"
REDIRECT_URI = "https://hub.sakai.example/federation/digital-agency/callback"
OTHER_REDIRECT_URI = "https://library.sakai.example/callback"
VERIFIER = "v" * 43


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningProvider:
    """A provider that answers on a port of this machine."""

    provider: Provider
    url: str
    keys: Mapping[str, ECKey]
    """Private keys of the clients by id."""
    source: LocalSource
    session: aiohttp.ClientSession

    def address(self, name: str) -> str:
        """Return an endpoint's address."""
        return f"{self.url}{PROTOCOL_PATH}/{name}"

    async def ask_token(self, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Post to the token endpoint; return status and answer."""
        async with self.session.post(self.address("token"), data=dict(form)) as answered:
            return answered.status, await answered.json()

    async def ask_userinfo(self, token: object) -> tuple[int, dict[str, Any]]:
        """Ask userinfo with a token; return status and answer."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.get(self.address("userinfo"), headers=headers) as answered:
            return answered.status, await answered.json()


@asynccontextmanager
async def running_provider(
    clock: Clock | None = None, *, redirect_uri: str = REDIRECT_URI
) -> AsyncIterator[RunningProvider]:
    """Run a provider with two clients over the simulated authorities."""
    at = clock or FakeClock(NOW)
    keys = {name: ECKey.generate_key("P-256") for name in (HUB, OTHER)}
    addresses = {HUB: redirect_uri, OTHER: OTHER_REDIRECT_URI}
    port = unused_port()
    url = f"http://127.0.0.1:{port}"
    source = LocalSource(hierarchy(), at.now())
    provider = Provider(
        base_url=url,
        clients=tuple(
            RegisteredClient(
                id=name,
                name=f"{name} (test)",
                redirect_uris=(addresses[name],),
                keys=(parse_key(public_document(key)),),
            )
            for name, key in keys.items()
        ),
        verifier=DirectVerifier(hierarchy().trust_store(), source),
        clock=at,
    )
    server = TestServer(build_application(provider), port=port)
    async with server, aiohttp.ClientSession() as session:
        yield RunningProvider(provider=provider, url=url, keys=keys, source=source, session=session)


def card_issued_at(at: datetime, resident: SimulatedResident | None = None) -> SimulatedCard:
    """Return a card with a certificate that is valid at ``at``."""
    return SimulatedCard.issue(order_card(hierarchy(), resident or SimulatedResident(), at=at))


def holder_of(card: SimulatedCard, *, with_attributes: bool = False) -> Holder:
    """Return the person whose card this is."""
    text_pin = parse_code(CodeKind.TEXT, "4321") if with_attributes else None
    return Holder(
        card=MyNumberCard(DirectChannel(card)),
        pin=parse_code(CodeKind.AUTHENTICATION, "1234"),
        text_pin=text_pin,
    )


def authorization_request(**changed: str | None) -> dict[str, str]:
    """Return the parameters of a good request, changed; None leaves one out."""
    digest = hashlib.sha256(VERIFIER.encode()).digest()
    parameters: dict[str, str | None] = {
        "response_type": "code",
        "client_id": HUB,
        "redirect_uri": REDIRECT_URI,
        "scope": "openid",
        "state": "the-state",
        "nonce": "the-nonce",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        **changed,
    }
    return {name: value for name, value in parameters.items() if value is not None}


def assertion_for(
    running: RunningProvider, client: str = HUB, *, key: ECKey | None = None, **changed: object
) -> str:
    """Return a client's assertion, its claims changed."""
    now_s = int(running.source.now.timestamp())
    claims = {
        "iss": client,
        "sub": client,
        "aud": running.address("token"),
        "iat": now_s,
        "exp": now_s + 60,
        "jti": secrets.token_hex(16),
        **changed,
    }
    return jwt.encode({"alg": "ES256"}, claims, key or running.keys[client], algorithms=["ES256"])


def token_request(running: RunningProvider, code: str, /, **changed: str | None) -> dict[str, str]:
    """Return the form of a good token request, changed; None leaves a field out."""
    form: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT_URI,
        "code_verifier": VERIFIER,
        "client_id": HUB,
        "client_assertion_type": ASSERTION_TYPE,
        **changed,
    }
    if "client_assertion" not in form:
        form["client_assertion"] = assertion_for(running)
    return {name: value for name, value in form.items() if value is not None}


async def log_in_at(
    running: RunningProvider, holder: Holder, **changed: str | None
) -> dict[str, str]:
    """Log in with a card; return the parameters the browser brings back."""
    address = f"{running.address('auth')}?{urlencode(authorization_request(**changed))}"
    return parameters_of(await log_in(running.session, address, holder))


def parameters_of(address: str) -> dict[str, str]:
    """Return the query of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
