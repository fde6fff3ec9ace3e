"""A resident's notice on a local network, from the request to the proof that the ledger holds it.

Acts from outside: asks the noticeboard over HTTP with a token and a device's proof, then finds the
notice on the ledger with a light client that begins at genesis and believes no node. Nothing is
taken from the service's word but the notice's id and the block to look in.
"""

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import aiohttp
from joserfc import jwt
from joserfc.jwk import ECKey

from clients.core.headers import TrustLimits
from clients.core.light_client import LightClient, Proven
from clients.core.proofs import ProvenReceipt
from clients.core.transport import http_nodes
from clients.core.trust import Trust
from node.genesis.parse import parse_genesis
from node.primitives.errors import Unavailable
from node.primitives.header import Header
from node.primitives.types import Height
from services.example.notices import STREAM
from services.example.service import SERVICE, SOURCE
from services.example.settings import ExampleSettings
from services.kit.clock import Clock
from services.kit.keys import Key, algorithm_of, load_private_key
from services.kit.settings import KitSettings
from services.localnet import ISSUER, RESIDENTS_KEY_FILE, SETTINGS_FILE, LocalTown
from services.relay.operations import compute_word, read_tail

ANCHOR_TIMEOUT_S: Final = 60.0
"""Longest from the answer to the block."""

TOKEN_TIME_S: Final = 600
TITLE: Final = "夏祭りのお知らせ"
CONTACT: Final = "029-000-0000"


class Caller(Protocol):
    """Somebody with a token for the noticeboard."""

    def headers(self, method: str, path: str, *, now_s: int) -> dict[str, str]:
        """Return the headers of one request."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """A resident with a device, as the development issuer vouches for."""

    kit: KitSettings
    """The service's settings: what its tokens must say."""
    issuer_key: Key
    """The issuer's key."""
    device_key: ECKey
    """The device's."""

    def headers(self, method: str, path: str, *, now_s: int) -> dict[str, str]:
        """Return the headers of one request."""
        kit = self.kit
        token = _sign(
            self.issuer_key,
            {"typ": "at+jwt", "kid": self.issuer_key.thumbprint()},
            {
                "iss": ISSUER,
                "aud": kit.auth.audience,
                "sub": "trial-resident",
                "tenant": kit.tenants[0].id,
                "scope": "board.write",
                "proofing_level": 2,
                "authentication_level": 2,
                "iat": now_s,
                "exp": now_s + TOKEN_TIME_S,
                "cnf": {"jkt": self.device_key.thumbprint()},
            },
        )
        holder = TokenHolder(kit=kit, token=token, proof_key=self.device_key)
        return holder.headers(method, path, now_s=now_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHolder:
    """Somebody with a token and the key it is bound to."""

    kit: KitSettings
    """The service's settings: what proofs must name."""
    token: str
    """The token."""
    proof_key: ECKey
    """Shows it."""

    def headers(self, method: str, path: str, *, now_s: int) -> dict[str, str]:
        """Return the headers of one request."""
        digest = base64.urlsafe_b64encode(hashlib.sha256(self.token.encode()).digest())
        proof = _sign(
            self.proof_key,
            {"typ": "dpop+jwt", "jwk": self.proof_key.as_dict(private=False)},
            {
                "jti": secrets.token_hex(16),
                "htm": method,
                "htu": self.kit.server.public_url + path,
                "iat": now_s,
                "ath": digest.rstrip(b"=").decode(),
            },
        )
        return {
            "Authorization": f"DPoP {self.token}",
            "DPoP": proof,
            "Idempotency-Key": secrets.token_hex(16),
            "Daicho-Tenant": self.kit.tenants[0].id,
        }


async def try_out(
    town: LocalTown, *, clock: Clock, resident: Caller | None = None
) -> dict[str, object]:
    """Post a notice as a resident, wait until it is anchored, prove it, and tell what was seen.

    Args:
        town: The municipality.
        clock: The present.
        resident: With a token of the hub; left out, one of the development issuer where no hub is.

    Raises:
        Misconfigured: The services are not laid out.
        Unavailable: The service refuses, the notice is not anchored in time, or the ledger does
            not hold what the service says.
    """
    settings = SERVICE.load_settings(town.example / SETTINGS_FILE)
    if resident is None:
        resident = Resident(
            kit=settings.kit,
            issuer_key=load_private_key(town.example / RESIDENTS_KEY_FILE),
            device_key=ECKey.generate_key("P-256"),
        )
    started = time.monotonic()
    url = f"http://127.0.0.1:{settings.kit.server.port}"
    async with aiohttp.ClientSession(url, trust_env=False) as session:
        posted = await _post(session, resident, clock)
        answered = time.monotonic() - started
        height = await _wait_until_anchored(session, posted["id"])
    waited = time.monotonic() - started
    proven, found = await _prove(settings, town, (posted["id"], height), clock)
    validators = proven.header.extra_data.validators
    return {
        "notice": posted["id"],
        "posted to": f"{url}/notices as a resident of {town.name}, answered in {answered:.2f} s",
        "transaction": f"0x{found.transaction.hash.hex()}",
        "sent by": f"relay of {town.name}, 0x{found.transaction.sender.hex()}",
        "block": height,
        "commitment": f"0x{found.transaction.data[36:68].hex()}",
        "anchored after": f"{waited:.2f} s",
        "proven by": f"a light client from genesis: {len(proven.header.extra_data.seals)} of "
        f"{len(validators)} seals, receipt in 0x{proven.header.receipts_root.hex()[:16]}…",
    }


async def _post(session: aiohttp.ClientSession, resident: Caller, clock: Clock) -> dict[str, Any]:
    headers = resident.headers("POST", "/notices", now_s=_seconds(clock))
    body = {"title": TITLE, "contact": CONTACT}
    async with session.post("/notices", json=body, headers=headers) as response:
        answer: dict[str, Any] = await response.json(content_type=None)
    if response.status != 201:
        raise Unavailable(f"the noticeboard answers {response.status}, {answer.get('code')}")
    return answer


async def _wait_until_anchored(session: aiohttp.ClientSession, notice_id: str) -> Height:
    deadline = time.monotonic() + ANCHOR_TIMEOUT_S
    while time.monotonic() < deadline:
        async with session.get("/notices") as response:
            answer = await response.json()
        for notice in answer["notices"]:
            if notice["id"] == notice_id and notice["height"] is not None:
                return Height(notice["height"])
        await asyncio.sleep(0.2)
    raise Unavailable(f"notice {notice_id} is not anchored after {ANCHOR_TIMEOUT_S:.0f} s")


async def _prove(
    settings: ExampleSettings, town: LocalTown, claim: tuple[str, Height], clock: Clock
) -> tuple[Proven[tuple[ProvenReceipt, ...]], ProvenReceipt]:
    """Find the notice's transaction in a block whose seals and receipts were verified."""
    notice_id, height = claim
    genesis = parse_genesis(settings.genesis_file.read_bytes()).header
    trust = Trust(genesis_hash=genesis.hash, origin=genesis, head=genesis)
    # Asked in the other order than the services: another municipality's node shows it.
    addresses = list(reversed(town.nodes))
    async with http_nodes(addresses) as nodes:
        limits = _limits(genesis, now_s=_seconds(clock))
        client = LightClient(nodes, trust, limits=limits, now_s=lambda: _seconds(clock))
        await client.sync()
        header = (await client.header(height)).value
        proven = await client.block_receipts(header)
    word = compute_word(town.tenant, SOURCE.format(tenant=town.tenant), f"notice:{notice_id}")
    anchors = bytes.fromhex(settings.anchors.removeprefix("0x"))
    for each in proven.value:
        if read_tail(each.transaction.data) == word and _is_anchored(each, anchors):
            return proven, each
    raise Unavailable(f"block {height} does not hold notice {notice_id}; read the logs")


def _is_anchored(found: ProvenReceipt, anchors: bytes) -> bool:
    """Tell whether a transaction succeeded and anchored the commitment that it carries."""
    return found.receipt.is_success and any(
        log.address == anchors
        and log.topics[2] == STREAM
        and log.topics[3] == found.transaction.data[36:68]
        for log in found.receipt.logs
    )


def _limits(genesis: Header, *, now_s: int) -> TrustLimits:
    """Trust genesis however old the trial network is; we wrote it ourselves."""
    return TrustLimits(trusting_period_s=now_s - genesis.timestamp_s + 86_400)


def _seconds(clock: Clock) -> int:
    return int(clock.now().timestamp())


def _sign(key: Key, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    algorithm = algorithm_of(key)
    return jwt.encode({"alg": algorithm, **header}, dict(claims), key, algorithms=[algorithm])
