"""An officer's way to the municipality's own election service: requests with a staff token.

A token lives ten minutes and is made anew for every command; the officer's key stays in its file.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from clients.voter.network import ElectionService
from services.election.settings import ElectionSettings
from services.kit.auth import TenantId
from services.kit.clock import SystemClock
from services.kit.keys import load_private_key
from services.kit.tokens import sign_staff_token


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """Who acts, and with which key."""

    member: str
    """Id in the staff table."""
    key_file: Path
    """Private key, a JWK."""


@asynccontextmanager
async def reach_service(
    settings: ElectionSettings, officer: Officer
) -> AsyncIterator[ElectionService]:
    """Open a way to the service of these settings, as one of its officers.

    Raises:
        Misconfigured: The key cannot be read.
    """
    tenant = settings.kit.tenants[0].id
    token = sign_staff_token(
        load_private_key(officer.key_file),
        member=officer.member,
        audience=settings.kit.auth.audience,
        tenant=TenantId(tenant),
        now=SystemClock().now(),
    )
    headers = {"Authorization": f"Bearer {token}", "Daicho-Tenant": tenant}
    async with aiohttp.ClientSession(headers=headers, trust_env=False) as http:
        yield ElectionService(settings.kit.server.public_url, http)
