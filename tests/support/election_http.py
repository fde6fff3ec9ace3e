"""A town of ``election_world`` served over HTTP, with an officer who holds a key."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from aiohttp import web

from services.election.settings import ElectionSettings
from services.kit.app import ServiceDefinition
from services.kit.auth import TenantId
from services.kit.clock import Clock
from services.kit.keys import Key, generate_key, parse_key, private_document, public_document
from services.kit.reads import audit_reads
from services.kit.service import serve
from services.kit.settings import AuthSettings, DatabaseSettings, KitSettings, TenantSettings
from services.kit.staff import StaffMember, StaffTable
from services.kit.tokens import Trust, TrustedPartner, sign_staff_token
from tests.support.election_world import Town
from tests.support.example import write_private

AUDIENCE = "election"
OFFICER = "officer-1"


@dataclass
class Served:
    """A town's service at an address."""

    url: str
    town: Town
    key: Key
    """The officer's."""
    clock: Clock
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        """Take the town's folder."""
        self.folder = self.town.folder

    def headers(self, member: str = OFFICER) -> dict[str, str]:
        """Return an officer's headers."""
        tenant = TenantId(self.town.context.tenant)
        token = sign_staff_token(
            self.key, member=member, audience=AUDIENCE, tenant=tenant, now=self.clock.now()
        )
        return {"Authorization": f"Bearer {token}", "Daicho-Tenant": tenant}

    def settings(self) -> ElectionSettings:
        """Return the town's settings as its officers' commands read them."""
        settings = self.town.context.settings
        kit = settings.kit
        server = replace(kit.server, public_url=self.url)
        return replace(
            settings, kit=replace(kit, auth=AuthSettings(audience=AUDIENCE), server=server)
        )

    def key_file(self) -> Path:
        """Return a file with the officer's key."""
        path = self.folder / "officer.key.json"
        if not path.exists():
            write_private(path, json.dumps(private_document(self.key)))
        return path


@asynccontextmanager
async def serve_town(
    town: Town,
    *,
    sources: Sequence[object] = (),
    pages: Sequence[web.RouteDef] = (),
    roles: frozenset[str] = frozenset({"election-officer"}),
    partners: dict[str, TrustedPartner] | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Served]:
    """Serve operations and pages of a town; time is the world's, unless a clock is given."""
    clock = clock or town.context.resources.clock
    tenant, key = TenantId(town.context.tenant), generate_key()
    officer = StaffMember(
        id=OFFICER,
        tenant=tenant,
        roles=roles,
        key=parse_key(public_document(key)),
        authentication_level=2,
        valid_until=clock.now() + timedelta(days=1),
    )
    settings = KitSettings(
        auth=AuthSettings(audience=AUDIENCE),
        database=DatabaseSettings(url="sqlite+aiosqlite:////nowhere"),
        tenants=(TenantSettings(id=tenant, name=tenant),),
        server=replace(town.context.settings.kit.server, port=0),
    )
    definition = ServiceDefinition(
        name="election",
        title="Elections",
        version="1.0.0",
        settings=settings,
        trust=Trust(
            audience=AUDIENCE,
            public_url="http://127.0.0.1",
            issuers={},
            staff=StaffTable({OFFICER: officer}),
            partners=partners or {},
        ),
        clock=clock,
        sources=tuple(sources),
        catalogue=town.context.resources.catalogue,
        pages=tuple(pages),
        record_read=audit_reads(town.context.resources.database),
    )
    async with serve(definition) as address:
        yield Served(url=address, town=town, key=key, clock=clock)
