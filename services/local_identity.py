"""A resident's card bound on a local network, from the tap to a status that is proven.

Acts from outside: a simulated card answers the card client's own commands, device and sector keys
are drawn here, the hub is asked over HTTP, and the ledger is read from another municipality's node
with a light client that begins at genesis and believes no node.
"""

import asyncio
import base64
import json
import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import aiohttp
from joserfc.jwk import ECKey

from clients.card.card import MyNumberCard
from clients.card.codes import CodeKind, parse_code
from clients.core.headers import TrustLimits
from clients.core.light_client import LightClient, Proven
from clients.core.state import read_proven
from clients.core.transport import http_nodes
from clients.core.trust import Trust
from clients.hub.requests import write_instant
from clients.identity.certificate import CertificateKind
from clients.identity.chain import ChainRecord, read_record
from clients.identity.statement import compute_device_hash
from clients.wallet.wallet import draw_key
from node.genesis.parse import parse_genesis
from node.primitives.crypto import PrivateKey
from node.primitives.errors import Unavailable
from services.example.service import SERVICE as EXAMPLE
from services.hub.issuing import SELF, SectorClaim, TokenRequest
from services.hub.service import SERVICE
from services.hub.settings import HUB, HubSettings
from services.hub.statuses import NAMES
from services.kit.clock import Clock
from services.kit.settings import parse_address
from services.local_trial import TokenHolder, try_out
from services.localhub import CARD_FILE, SECTOR
from services.localnet import SETTINGS_FILE, LocalTown
from services.sim.card.card import SimulatedCard
from services.sim.card.table import TableChannel
from services.sim.pki.keep import load_card

BOARD: Final = "example"
BOARD_WRITE: Final = "board.write"
"""The noticeboard in tokens, and what a resident does there."""

WRITTEN_TIMEOUT_S: Final = 60.0
"""Longest from the registration to the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResident:
    """A resident with a card, a device and a browser's key."""

    settings: HubSettings
    """The hub's settings: what its tokens must say."""
    session: aiohttp.ClientSession
    """Reaches the hub."""
    card: MyNumberCard
    """The card on the table."""
    device: PrivateKey
    """The device's key."""
    proof_key: ECKey
    """Shows tokens."""
    clock: Clock
    """The present."""

    async def ask(
        self, method: str, path: str, body: object = None, *, token: str | None = None
    ) -> dict[str, Any]:
        """Ask the hub something.

        Raises:
            Unavailable: It refuses.
        """
        headers = {} if token is None else self._headers(method, path, token)
        async with self.session.request(method, path, json=body, headers=headers) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
        if response.status >= 300:
            raise Unavailable(f"the hub answers {response.status}, {answer.get('code')}")
        return answer

    async def sign(self, purpose: str, **fields: str) -> dict[str, str]:
        """Ask for a statement and let the card, and the device it names, sign its text."""
        asked = await self.ask("POST", "/challenges", {"purpose": purpose, **fields})
        text = asked["text"].encode()
        is_signing = purpose == "confirm-attributes"
        kind = CertificateKind.SIGNING if is_signing else CertificateKind.AUTHENTICATION
        code = (
            parse_code(CodeKind.SIGNING, "ABC123")
            if is_signing
            else parse_code(CodeKind.AUTHENTICATION, "1234")
        )
        signed = self.card.sign(kind, text, code)
        presented = {
            "challenge": asked["challenge"],
            "text": asked["text"],
            "certificate": base64.b64encode(signed.certificate.der).decode(),
            "card_signature": base64.b64encode(signed.signature).decode(),
        }
        if "device" in fields:
            presented["device_signature"] = self._sign_text(self.device, text)
        return presented

    async def token(self, service: str = HUB, purpose: str = SELF) -> str:
        """Ask for a token, for the hub itself when nothing else is said."""
        at = self._now()
        request = TokenRequest(
            audience=self.settings.statements_for,
            device=self.device.address,
            service=service,
            purposes=(purpose,),
            thumbprint=self.proof_key.thumbprint(),
            issued_at=at,
            nonce=secrets.token_hex(16),
        )
        public = self.proof_key.as_dict(private=False)
        body = {
            "device": f"0x{self.device.address.hex()}",
            "audience": service,
            "purposes": [purpose],
            "key": {name: public[name] for name in ("kty", "crv", "x", "y")},
            "issued_at": write_instant(at),
            "nonce": request.nonce,
            "signature": self._sign_text(self.device, request.encode()),
        }
        return str((await self.ask("POST", "/tokens", body))["token"])

    async def register(self, key: PrivateKey, *, token: str) -> None:
        """Register the address of a sector's key."""
        claims = jwt_claims(token)
        at = self._now()
        claim = SectorClaim(
            audience=self.settings.statements_for,
            resident=claims["sub"],
            sector=SECTOR,
            address=key.address,
            issued_at=at,
        )
        body = {
            "address": f"0x{key.address.hex()}",
            "issued_at": write_instant(at),
            "signature": self._sign_text(key, claim.encode()),
        }
        await self.ask("PUT", f"/sectors/{SECTOR}", body, token=token)

    async def wait_until_written(self, key: PrivateKey, *, token: str) -> None:
        """Wait until the hub has read its record off the ledger.

        Raises:
            Unavailable: It has not, in time.
        """
        deadline = time.monotonic() + WRITTEN_TIMEOUT_S
        while time.monotonic() < deadline:
            found = (await self.ask("GET", "/sectors", token=token))["sectors"]
            mine = [each for each in found if each["address"] == f"0x{key.address.hex()}"]
            if mine and mine[0]["state"] == "written":
                return
            await asyncio.sleep(0.2)
        raise Unavailable(f"no record on the ledger after {WRITTEN_TIMEOUT_S:.0f} s")

    def _sign_text(self, key: PrivateKey, text: bytes) -> str:
        return f"0x{bytes(key.sign(compute_device_hash(text))).hex()}"

    def _now(self) -> datetime:
        return self.clock.now().replace(microsecond=0)

    def _headers(self, method: str, path: str, token: str) -> dict[str, str]:
        holder = TokenHolder(kit=self.settings.kit, token=token, proof_key=self.proof_key)
        return holder.headers(method, path, now_s=int(self.clock.now().timestamp()))


async def try_identity(town: LocalTown, *, clock: Clock) -> dict[str, dict[str, object]]:
    """Enrol a resident by a card, wait for the record, prove it, and tell what was seen.

    The noticeboard then takes the hub's token for this resident.

    Raises:
        Misconfigured: The hub is not laid out.
        Unavailable: The hub refuses, or the ledger does not hold what it says.
    """
    settings = SERVICE.load_settings(town.hub / SETTINGS_FILE)
    order = load_card(town.hub / CARD_FILE)
    url = f"http://127.0.0.1:{settings.kit.server.port}"
    sector_key = draw_key(secrets.token_bytes)
    async with aiohttp.ClientSession(url, trust_env=False) as session:
        resident = TrialResident(
            settings=settings,
            session=session,
            card=MyNumberCard(TableChannel(SimulatedCard.issue(order))),
            device=draw_key(secrets.token_bytes),
            proof_key=ECKey.generate_key("P-256"),
            clock=clock,
        )
        started = time.monotonic()
        statement = await resident.sign("bind-device", device=f"0x{resident.device.address.hex()}")
        bound = await resident.ask("POST", "/bindings", {"statement": statement})
        bound_after = time.monotonic() - started
        token = await resident.token()
        confirmed = await resident.sign("confirm-attributes")
        attributes = await resident.ask(
            "POST", "/attributes", {"statement": confirmed}, token=token
        )
        await resident.register(sector_key, token=token)
        await resident.wait_until_written(sector_key, token=token)
        waited = time.monotonic() - started
        proven = await _prove(settings, town, sector_key, clock)
        kit = EXAMPLE.load_settings(town.example / SETTINGS_FILE).kit
        board = None
        # A network laid out before the hub issued for it still has the development issuer.
        if any(each.issuer == settings.issuer for each in kit.auth.issuers):
            token_for_board = await resident.token(BOARD, BOARD_WRITE)
            board = TokenHolder(kit=kit, token=token_for_board, proof_key=resident.proof_key)
        notice = await try_out(town, clock=clock, resident=board)
        notice["token of"] = "the development issuer" if board is None else settings.issuer
        # The next trial brings a new device; this one is of no more use.
        await resident.ask("DELETE", f"/devices/{bound['binding']}", token=token)
    shown = _show(proven, sector_key, bound_after=bound_after, waited=waited, attributes=attributes)
    return {"identity": shown, "notice": notice}


async def _prove(
    settings: HubSettings, town: LocalTown, key: PrivateKey, clock: Clock
) -> Proven[ChainRecord | None]:
    """Read the record from proven storage, at another municipality's node first."""
    genesis = parse_genesis(settings.genesis_file.read_bytes()).header
    now_s = int(clock.now().timestamp())
    limits = TrustLimits(trusting_period_s=now_s - genesis.timestamp_s + 86_400)
    trust = Trust(genesis_hash=genesis.hash, origin=genesis, head=genesis)
    registry = parse_address(settings.identity_status, "identity_status")
    async with http_nodes(list(reversed(town.nodes))) as nodes:
        client = LightClient(
            nodes, trust, limits=limits, now_s=lambda: int(clock.now().timestamp())
        )
        await client.sync()
        return await read_proven(client, lambda view: read_record(view, registry, key.address))


def _show(
    proven: Proven[ChainRecord | None],
    key: PrivateKey,
    *,
    bound_after: float,
    waited: float,
    attributes: dict[str, Any],
) -> dict[str, object]:
    record, header = proven.value, proven.header
    if record is None:
        raise Unavailable(f"block {header.height} does not hold the record; read the logs")
    validators = header.extra_data.validators
    return {
        "card": "simulated, read and signed with by the card client's own commands",
        "device bound": f"{bound_after:.2f} s after the tap",
        "attributes": f"{attributes['status']} by the {attributes['source']}",
        "address": f"0x{key.address.hex()}, in the sector {SECTOR}",
        "status": f"{NAMES[record.status]}, level {record.proofing_level}, until "
        f"{write_instant(datetime.fromtimestamp(record.expires_s).astimezone())}",
        "on the ledger after": f"{waited:.2f} s",
        "proven by": f"a light client from genesis: block {header.height}, "
        f"{len(header.extra_data.seals)} of {len(validators)} seals, storage in "
        f"0x{header.state_root.hex()[:16]}…",
    }


def jwt_claims(token: str) -> dict[str, Any]:
    """Return the claims of the hub's own token, which the device does not verify."""
    part = token.split(".")[1]
    data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    claims: dict[str, Any] = json.loads(data)
    return claims
