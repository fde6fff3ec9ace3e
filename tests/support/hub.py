"""The hub and its relay as two real services over HTTP, on one small real chain, with people.

Cards are keys of the simulated authorities; the hub believes them because its settings say that it
is a development hub. Time is the chain's, moved by tests.
"""

import asyncio
import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey

from clients.identity.chain import ChainRecord, read_record
from clients.identity.statement import compute_device_hash
from node.primitives.crypto import PrivateKey
from node.primitives.keyfile import seal_keyfile
from node.primitives.types import Address
from services.hub.issuing import SectorClaim, TokenRequest
from services.hub.keyring import Keyring, create_keyring, load_keyring
from services.hub.service import SERVICE as HUB
from services.hub.settings import (
    AuthoritySettings,
    HubSettings,
    LinkedService,
    Profile,
    VerifierSettings,
)
from services.kit.database import Database
from services.kit.keys import generate_key, private_document, public_document
from services.kit.master_keys import create_master_file
from services.kit.service import Resources, Service, serve
from services.kit.settings import (
    AuthSettings,
    DatabaseSettings,
    KitSettings,
    NodeSettings,
    RelaySettings,
    ServerSettings,
    TenantSettings,
)
from services.kit.staff import StaffMember, StaffTable
from services.kit.tokens import Trust, TrustedPartner
from services.relay.service import SERVICE as RELAY
from services.relay.settings import ClientSettings
from services.relay.settings import RelaySettings as RelaySettingsFile
from services.sim.pki.authority import IssuedCertificate
from services.sim.pki.hierarchy import CardCertificates, Hierarchy
from services.sim.pki.profiles import SimulatedResident
from services.sim.pki.server import build_application
from tests.support.databases import open_current
from tests.support.example import free_port, write_private
from tests.support.followed import Town
from tests.support.identity import RESIDENT, new_hierarchy, sign_as_card
from tests.support.ledger import SERVICE_KEYS, deploy
from tests.support.rpc import serving
from tests.support.tokens import GOKA, People

STATEMENTS_FOR = "hub.goka.example"
ISSUER = "https://hub.goka.example"
PUBLIC_URL = "https://hub.goka.example"
PASSWORD = "development only"
HURRIED_STEPS = 100
"""Steps after which a test that waits gives the tasks more time of their own."""
SECTORS = ("election", "library")
SERVICES = (
    LinkedService(
        audience="library", sector="library", purposes=("library.lend",), partner="library"
    ),
    LinkedService(audience="election", sector="election", purposes=("election.credential",)),
)


class HubTown(Town):
    """The chain with IdentityStatus on it too."""

    def __init__(self) -> None:
        """Found the chain and create both contracts."""
        super().__init__()
        self.registry: Address = deploy(self.chain.ledger, "IdentityStatus")
        self.chain.mine()

    def record_of(self, account: Address) -> ChainRecord | None:
        """Return what the ledger says of an address."""
        return read_record(self.chain.ledger.view, self.registry, account)


@dataclass
class Holder:
    """A person with a card and a device."""

    card: CardCertificates
    device: PrivateKey = field(default_factory=lambda: PrivateKey(secrets.token_bytes(32)))
    proof_key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"))
    sub: str = ""

    @property
    def authentication(self) -> IssuedCertificate:
        """Return the card's log-in certificate with its key."""
        return self.card.authentication

    @property
    def signing(self) -> IssuedCertificate:
        """Return the card's signing certificate with its key."""
        assert self.card.signing is not None
        return self.card.signing


@dataclass
class RunningHub:
    """The hub's address, its people, and what lies behind it."""

    town: HubTown
    hierarchy: Hierarchy
    settings: HubSettings
    url: str
    session: aiohttp.ClientSession
    database: Database
    people: People
    relay_url: str = ""

    @property
    def now(self) -> datetime:
        """Return the present."""
        return self.town.clock.now()

    @property
    def keyring(self) -> Keyring:
        """Return the hub's secrets."""
        return load_keyring(self.settings.keyring_file)

    def holder(self, resident: SimulatedResident = RESIDENT, *, generation: int = 2) -> Holder:
        """Issue a card to somebody."""
        issued_at = self.now - timedelta(days=30)
        return Holder(card=self.hierarchy.issue_card(resident, at=issued_at, generation=generation))

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Send a request as anyone, or with headers."""
        async with self.session.request(
            method, self.url + path, json=body, headers={"Daicho-Tenant": "goka", **(headers or {})}
        ) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else {}

    async def challenge(self, purpose: str, **fields: Any) -> dict[str, Any]:
        """Ask for a statement."""
        status, answer = await self.ask("POST", "/challenges", {"purpose": purpose, **fields})
        assert status == 201, answer
        return answer

    async def statement(
        self,
        holder: Holder,
        purpose: str,
        *,
        device: PrivateKey | None = None,
        by: IssuedCertificate | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Return a statement signed by card and, when it names one, device."""
        if purpose in ("bind-device", "rebind-device"):
            device = device or holder.device
            fields["device"] = f"0x{device.address.hex()}"
        asked = await self.challenge(purpose, **fields)
        signing = purpose == "confirm-attributes"
        return sign_statement(
            asked, by or (holder.signing if signing else holder.authentication), device
        )

    async def bind(self, holder: Holder, *, label: str | None = None) -> tuple[int, dict[str, Any]]:
        """Bind the holder's device by the card."""
        statement = await self.statement(holder, "bind-device")
        return await self.ask("POST", "/bindings", {"statement": statement, "label": label})

    def token_body(
        self,
        holder: Holder,
        *,
        audience: str = "hub",
        purposes: tuple[str, ...] = ("hub.self",),
        grant: str | None = None,
    ) -> dict[str, Any]:
        """Return a signed request for a token."""
        at = self.now.replace(microsecond=0)
        request = TokenRequest(
            audience=STATEMENTS_FOR,
            device=holder.device.address,
            service=audience,
            purposes=purposes,
            thumbprint=holder.proof_key.thumbprint(),
            issued_at=at,
            nonce=secrets.token_hex(16),
            grant=grant,
        )
        signature = holder.device.sign(compute_device_hash(request.encode()))
        return {
            "device": f"0x{holder.device.address.hex()}",
            "audience": audience,
            "purposes": list(purposes),
            "key": {
                name: value
                for name, value in holder.proof_key.as_dict(private=False).items()
                if name in ("kty", "crv", "x", "y")
            },
            "issued_at": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "nonce": request.nonce,
            "grant": grant,
            "signature": f"0x{bytes(signature).hex()}",
        }

    async def token(self, holder: Holder, **wish: Any) -> str:
        """Return a token for the holder."""
        status, answer = await self.ask("POST", "/tokens", self.token_body(holder, **wish))
        assert status == 200, answer
        return str(answer["token"])

    async def own(
        self, holder: Holder, method: str, path: str, body: Any = None
    ) -> tuple[int, dict[str, Any]]:
        """Ask something of the hub as a resident."""
        token = await self.token(holder)
        holder.sub = claims_of(token)["sub"]
        return await self.ask(method, path, body, self.headers(holder, token, method, path))

    def headers(self, holder: Holder, token: str, method: str, path: str) -> dict[str, str]:
        """Return the headers of a request with a token and the device's proof."""
        digest = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest())
        public = holder.proof_key.as_dict(private=False)
        proof = jwt.encode(
            {"alg": "ES256", "typ": "dpop+jwt", "jwk": public},
            {
                "jti": secrets.token_hex(16),
                "htm": method,
                "htu": PUBLIC_URL + path,
                "iat": int(self.now.timestamp()),
                "ath": digest.rstrip(b"=").decode(),
            },
            holder.proof_key,
            algorithms=["ES256"],
        )
        return {"Authorization": f"DPoP {token}", "DPoP": proof}

    async def register(
        self, holder: Holder, sector: str, key: PrivateKey, **changes: Any
    ) -> tuple[int, dict[str, Any]]:
        """Register a sector's address for the holder."""
        token = await self.token(holder)
        holder.sub = claims_of(token)["sub"]
        at = self.now.replace(microsecond=0)
        fields = {
            "audience": STATEMENTS_FOR,
            "resident": holder.sub,
            "sector": sector,
            "address": key.address,
            "issued_at": at,
            **changes,
        }
        text = SectorClaim(**fields).encode()
        body = {
            "address": f"0x{key.address.hex()}",
            "issued_at": fields["issued_at"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "signature": f"0x{bytes(key.sign(compute_device_hash(text))).hex()}",
        }
        path = f"/sectors/{sector}"
        return await self.ask("PUT", path, body, self.headers(holder, token, "PUT", path))

    def partner_headers(self, **claims: Any) -> dict[str, str]:
        """Return the headers of the library's call."""
        now_s = int(self.now.timestamp())
        token = self.people.partner_token(
            iss="library", aud="hub", iat=now_s, exp=now_s + 60, **claims
        )
        return {"Authorization": f"Bearer {token}"}

    def staff_headers(self, who: str = "clerk") -> dict[str, str]:
        """Return the headers of a member of staff."""
        now_s = int(self.now.timestamp())
        token = self.people.staff_token(iss=who, aud="hub", iat=now_s, exp=now_s + 600)
        return {"Authorization": f"Bearer {token}"}

    async def pass_time(self, seconds: float = 2.0, *, pause_s: float = 0.05) -> None:
        """Let time pass for everyone, a block come, and the tasks do what is due."""
        self.town.clock.move(seconds)
        await asyncio.sleep(pause_s)
        self.town.heartbeat()
        await asyncio.sleep(pause_s)

    async def until(
        self, condition: Callable[[], Awaitable[bool]], *, count: int = 300, seconds: float = 2.0
    ) -> None:
        """Let time pass in steps until ``condition`` holds; a busy machine gets longer ones."""
        for step in range(count):
            if await condition():
                return
            await self.pass_time(seconds, pause_s=0.05 if step < HURRIED_STEPS else 0.5)
        raise AssertionError("it did not happen")

    async def until_recorded(self, account: Address, status: Any = None) -> ChainRecord:
        """Let time pass until the ledger has a record of an address, with a status if given."""

        async def is_there() -> bool:
            found = self.town.record_of(account)
            return found is not None and (status is None or found.status is status)

        await self.until(is_there)
        found = self.town.record_of(account)
        assert found is not None
        return found


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token, unverified."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def sign_statement(
    asked: dict[str, Any], by: IssuedCertificate, device: PrivateKey | None
) -> dict[str, Any]:
    """Sign the text of a challenge as card and device do."""
    text = asked["text"].encode()
    signed = {
        "challenge": asked["challenge"],
        "text": asked["text"],
        "certificate": base64.b64encode(by.der).decode(),
        "card_signature": base64.b64encode(sign_as_card(by.key, text)).decode(),
    }
    if device is not None:
        signature = device.sign(compute_device_hash(text))
        signed["device_signature"] = f"0x{bytes(signature).hex()}"
    return signed


def write_files(town: HubTown, hierarchy: Hierarchy, folder: Path) -> None:
    """Write the keys and files that the settings name."""
    (folder / "genesis.json").write_bytes(town.chain.ledger.genesis_file)
    keystore = seal_keyfile(
        SERVICE_KEYS[0].export_secret(), PASSWORD.encode(), work=2, draw=secrets.token_bytes
    )
    write_private(folder / "keystore.json", json.dumps(keystore))
    write_private(folder / "password", PASSWORD)
    for name in ("hub", "relay", "tokens"):
        key = generate_key()
        write_private(folder / f"{name}.key.json", json.dumps(private_document(key)))
        (folder / f"{name}.pub.json").write_text(json.dumps(public_document(key)))
    create_master_file(folder / "master.keys")
    create_keyring(folder / "keyring.json", ("hub", *SECTORS))
    for (kind, generation), authority in hierarchy.authorities.items():
        (folder / f"{kind}-{generation}.der").write_bytes(authority.der)


def kit_settings(folder: Path, name: str, port: int, database: str | None = None) -> KitSettings:
    """Return the kit's table of a service for Goka."""
    return KitSettings(
        auth=AuthSettings(audience=name),
        database=DatabaseSettings(url=database or f"sqlite+aiosqlite:///{folder / name}.db"),
        tenants=(TenantSettings(id="goka", name="五霞町"),),
        server=ServerSettings(port=port, public_url=PUBLIC_URL, shutdown_timeout_s=1),
    )


def hub_settings(
    town: HubTown,
    hierarchy: Hierarchy,
    folder: Path,
    *,
    node: str,
    pki: str,
    ports: tuple[int, int],
    database: str | None = None,
    **changes: Any,
) -> HubSettings:
    """Return the hub's settings."""
    fields: dict[str, Any] = {
        "genesis_file": folder / "genesis.json",
        "identity_status": "0x" + town.registry.hex(),
        "statements_for": STATEMENTS_FOR,
        "issuer": ISSUER,
        "master_file": folder / "master.keys",
        "keyring_file": folder / "keyring.json",
        "token_key_file": folder / "tokens.key.json",
        "events_key_file": folder / "hub.key.json",
        "nodes": (NodeSettings(name="node", url=node),),
        "relay": RelaySettings(
            key_file=folder / "relay.pub.json", endpoint=f"http://127.0.0.1:{ports[1]}/events"
        ),
        "verifier": VerifierSettings(
            url=pki,
            authorities=tuple(
                AuthoritySettings(kind=kind, file=folder / f"{kind}-{generation}.der")
                for kind, generation in hierarchy.authorities
            ),
        ),
        "services": SERVICES,
        "profile": Profile.DEVELOPMENT,
        "window_s": 4,
        "apart_windows_max": 3,
        "sweep_s": 3_600,
        "kit": kit_settings(folder, "hub", ports[0], database),
    }
    return HubSettings(**{**fields, **changes})


def relay_settings(
    town: HubTown, folder: Path, node: str, ports: tuple[int, int]
) -> RelaySettingsFile:
    """Return the relay's settings."""
    return RelaySettingsFile(
        genesis_file=folder / "genesis.json",
        keystore_file=folder / "keystore.json",
        password_file=folder / "password",
        events_key_file=folder / "relay.key.json",
        anchors="0x" + town.anchors.hex(),
        nodes=(NodeSettings(name="node", url=node),),
        clients=(
            ClientSettings(
                name="hub",
                key_file=folder / "hub.pub.json",
                endpoint=f"http://127.0.0.1:{ports[0]}/events",
            ),
        ),
        kit=kit_settings(folder, "relay", ports[1]),
    )


def trust_of(people: People, now: datetime) -> Trust:
    """Return whom the hub believes: two officers, and the library."""

    def officer(name: str) -> StaffMember:
        return StaffMember(
            id=name,
            tenant=GOKA,
            roles=frozenset({"identity-officer"}),
            key=people.clerk_key,
            authentication_level=2,
            valid_until=now + timedelta(days=900),
        )

    library = TrustedPartner(
        name="library",
        key=people.relay_key,
        tenants=frozenset({GOKA}),
        purposes=frozenset({"hub.status"}),
    )
    staff = StaffTable({name: officer(name) for name in ("clerk", "chief")})
    return people.trust(
        audience="hub",
        public_url=PUBLIC_URL,
        staff=staff,
        partners={"library": library},
        issuers={},
    )


@asynccontextmanager
async def running_authorities(hierarchy: Hierarchy, town: HubTown) -> AsyncIterator[str]:
    """Serve lists and OCSP at the chain's time."""
    runner = web.AppRunner(build_application(hierarchy, town.clock), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running_hub(
    folder: Path,
    *,
    town: HubTown | None = None,
    hierarchy: Hierarchy | None = None,
    database_url: str | None = None,
    has_relay: bool = True,
    **changes: Any,
) -> AsyncIterator[RunningHub]:
    """Run hub, relay, authorities and a node while the block runs."""
    town, hierarchy, people = town or HubTown(), hierarchy or new_hierarchy(), People()
    if not (folder / "keyring.json").exists():
        write_files(town, hierarchy, folder)
    ports = (free_port(), free_port())
    async with AsyncExitStack() as stack:
        node = f"http://127.0.0.1:{stack.enter_context(serving(town.chain)).port}"
        pki = await stack.enter_async_context(running_authorities(hierarchy, town))
        settings = hub_settings(
            town,
            hierarchy,
            folder,
            node=node,
            pki=pki,
            ports=ports,
            database=database_url,
            **changes,
        )
        services: list[tuple[Service[Any], Any]] = [(HUB, settings)]
        if has_relay:
            services.insert(0, (RELAY, relay_settings(town, folder, node, ports)))
        urls, databases = {}, {}
        for service, its_settings in services:
            database = await open_current(its_settings.kit.database.url, service.versions)
            stack.push_async_callback(database.close)
            resources = Resources(
                clock=town.clock,
                database=database,
                trust=trust_of(people, town.clock.now()),
                catalogue=service.load_catalogue(),
            )
            definition = await service.build(its_settings, resources)
            urls[service.name] = await stack.enter_async_context(serve(definition))
            databases[service.name] = database
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield RunningHub(
            town=town,
            hierarchy=hierarchy,
            settings=settings,
            url=urls["hub"],
            session=session,
            database=databases["hub"],
            people=people,
            relay_url=urls.get("relay", ""),
        )
