"""Public keys of the issuers of residents' tokens: from a file, or fetched and kept for a while.

A key that is not known causes at most one fetch in thirty seconds, whoever asks. When the issuer
does not answer, keys already held stay good for a day; then tokens are refused, because a withdrawn
key could no longer be noticed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import aiohttp

from clients.core.bodies import read_bounded
from node.log import Log
from node.primitives.errors import InvalidInput, MalformedMessage, Misconfigured, Unavailable
from node.primitives.json_text import decode_json
from services.kit.auth import TenantId
from services.kit.clock import Clock
from services.kit.keys import Key, UnusableKey, load_public_key, parse_key
from services.kit.settings import IssuerSettings, KitSettings
from services.kit.staff import StaffTable, load_staff
from services.kit.tokens import Issuer, Trust, TrustedPartner

JWKS_BYTES_MAX: Final = 65_536
JWKS_KEYS_MAX: Final = 32
FETCH_TIMEOUT_S: Final = 5.0

FRESH_FOR: Final = timedelta(minutes=10)
"""How long fetched keys are used without asking again."""

USABLE_FOR: Final = timedelta(days=1)
"""How long fetched keys are used while the issuer does not answer."""

FETCH_INTERVAL: Final = timedelta(seconds=30)
"""Least time between two fetches."""

_log = Log("auth")


class MalformedKeySet(InvalidInput):
    """An issuer's answer that is not a set of keys."""

    code = "auth.key_set"


class IssuerUnavailable(Unavailable):
    """An issuer's keys cannot be had, and none are held that are recent enough."""

    code = "auth.issuer_unavailable"


class FetchedKeys:
    """An issuer's keys by ``kid``, fetched from its address."""

    def __init__(self, url: str, clock: Clock) -> None:
        """Hold the address; nothing is fetched yet."""
        self._url = url
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._lock = asyncio.Lock()

    async def find(self, kid: str) -> Key | None:
        """Return the key of that name, fetching when it is unknown or what is held is old.

        Raises:
            IssuerUnavailable: No keys are held that may still be used.
        """
        if not self._is_younger(FRESH_FOR) or kid not in self._keys:
            async with self._lock:
                await self._refresh(kid)
        if not self._is_younger(USABLE_FOR):
            raise IssuerUnavailable(f"{self._url}: no keys of the issuer for a day; reach it")
        return self._keys.get(kid)

    async def _refresh(self, kid: str) -> None:
        now = self._clock.now()
        if self._is_younger(FRESH_FOR) and kid in self._keys:
            return
        if self._tried_at is not None and abs(now - self._tried_at) < FETCH_INTERVAL:
            return
        self._tried_at = now
        try:
            self._keys = parse_key_set(await fetch_bounded(self._url))
        except (Unavailable, MalformedKeySet) as error:
            _log.warning("keys of an issuer not fetched", issuer=self._url, code=error.code)
            return
        self._fetched_at = now

    def _is_younger(self, age: timedelta) -> bool:
        return self._fetched_at is not None and abs(self._clock.now() - self._fetched_at) < age


def parse_key_set(data: bytes) -> dict[str, Key]:
    """Return the usable keys of a JWK set by ``kid``; keys of other kinds are passed over.

    Raises:
        MalformedKeySet: It is not a JWK set, or holds too many keys.
    """
    try:
        document = decode_json(data)
    except MalformedMessage as error:
        raise MalformedKeySet("key set: not JSON") from error
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > JWKS_KEYS_MAX:
        raise MalformedKeySet(f"key set: not a list of at most {JWKS_KEYS_MAX} keys")
    keys: dict[str, Key] = {}
    for entry in listed:
        try:
            key = parse_key(entry)
        except UnusableKey:
            continue
        kid = entry.get("kid")
        if isinstance(kid, str) and not key.is_private:
            keys[kid] = key
    return keys


async def fetch_bounded(url: str) -> bytes:
    """Fetch a small document, following no redirect.

    Raises:
        IssuerUnavailable: It cannot be had within the bounds.
    """
    timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise IssuerUnavailable(f"{url}: answered {response.status}; check the address")
            data = await read_bounded(response, JWKS_BYTES_MAX)
            if data is None:
                raise IssuerUnavailable(f"{url}: answers more than {JWKS_BYTES_MAX} bytes")
            return data
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise IssuerUnavailable(f"{url}: does not answer; check network and address") from error


def load_trust(kit: KitSettings, clock: Clock) -> Trust:
    """Read every key that the settings name; addresses are asked when first needed.

    Raises:
        Misconfigured: A file is missing or wrong.
    """
    tenants = frozenset(TenantId(tenant.id) for tenant in kit.tenants)
    partners = {
        partner.name: TrustedPartner(
            name=partner.name,
            key=load_public_key(partner.key_file),
            tenants=_some(partner.tenants, tenants),
            purposes=frozenset(partner.purposes),
        )
        for partner in kit.auth.partners
    }
    issuers = {
        issuer.issuer: Issuer(
            name=issuer.issuer,
            tenants=_some(issuer.tenants, tenants),
            find_key=_find_key(issuer, clock),
        )
        for issuer in kit.auth.issuers
    }
    staff = StaffTable()
    if kit.auth.staff_file is not None:
        staff.replace(load_staff(kit.auth.staff_file, sorted(tenants)))
    return Trust(
        audience=kit.auth.audience,
        public_url=kit.server.public_url,
        issuers=issuers,
        staff=staff,
        partners=partners,
        is_sender_constrained=kit.auth.is_sender_constrained,
    )


def _some(named: tuple[str, ...], tenants: frozenset[TenantId]) -> frozenset[TenantId]:
    return frozenset(map(TenantId, named)) if named else tenants


def _find_key(issuer: IssuerSettings, clock: Clock) -> Callable[[str], Awaitable[Key | None]]:
    if issuer.jwks_file is None:
        return FetchedKeys(issuer.jwks_url, clock).find
    keys = _load_key_set(issuer.jwks_file)

    async def find(kid: str) -> Key | None:
        return keys.get(kid)

    return find


def _load_key_set(path: Path) -> dict[str, Key]:
    try:
        with path.open("rb") as file:
            data = file.read(JWKS_BYTES_MAX)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror}); check the path") from error
    try:
        keys = parse_key_set(data)
    except MalformedKeySet as error:
        raise Misconfigured(f"{path}: {error.message}; fetch it again") from error
    if not keys:
        raise Misconfigured(f"{path}: holds no key that can be used; fetch it again")
    return keys
