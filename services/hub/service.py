"""The identity hub put together: operations, events in and out, jobs, ledger, revocation lists."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.core.headers import TrustLimits
from clients.core.transport import http_nodes
from clients.core.trust import Trust
from clients.identity.network import HttpRevocationSource
from clients.identity.ocsp import OcspQuestion
from clients.identity.path import TrustedAuthority, TrustStore, build_trust_store
from clients.identity.verifier import DirectVerifier
from node.genesis.parse import parse_genesis
from node.genesis.profile import PERMISSIONS_ADDRESS
from node.primitives.errors import InvalidInput, Misconfigured, Unavailable
from node.primitives.header import Header
from node.primitives.types import Address
from services.hub.addresses import Windows, follow_rotation
from services.hub.bindings import Bindings
from services.hub.enrolment import Enrolment
from services.hub.federation import LOCALE as FEDERATION_LOCALE
from services.hub.history import KEPT, prune_queries
from services.hub.issuing import Issuer
from services.hub.keyring import Keyring, load_keyring
from services.hub.names import Names
from services.hub.others import Others
from services.hub.own import Own
from services.hub.provider_binding import ProviderBinding, build_federation
from services.hub.publication import (
    OPERATION_PREFIX,
    Publisher,
    count_stuck,
    note_block,
    note_failure,
)
from services.hub.settings import HUB, HubSettings, Profile, check_hub
from services.hub.statements import Statements
from services.hub.statuses import STATUS_CHANGED, Statuses
from services.hub.sweep import PAGE, SWEEP, Sweep
from services.hub.tables import CURSORS
from services.kit.app import ServiceDefinition
from services.kit.audit_roots import root_closer
from services.kit.auth import TenantId
from services.kit.clock import Clock
from services.kit.dispatcher import dispatcher_task
from services.kit.envelope import Envelope
from services.kit.event_signatures import EventVerifier
from services.kit.events import Event
from services.kit.follower import FollowerParts, Watch, open_follower
from services.kit.health import ReadinessCheck
from services.kit.inbox import Handler
from services.kit.intents import FAILED, STATE_CHANGED
from services.kit.jobs import Job, JobRunner
from services.kit.keys import Key, load_private_key, load_public_key, public_document
from services.kit.master_keys import load_master_keys
from services.kit.outbox import Subscriber, prune_outbox, subscribe
from services.kit.reads import audit_reads
from services.kit.receiving import event_page
from services.kit.reports import apply_report
from services.kit.schedules import Every
from services.kit.service import Resources, Service
from services.kit.settings import parse_address
from services.kit.supervision import BackgroundTask
from services.kit.tokens import Issuer as TrustedIssuer

MIGRATIONS: Final = Path(__file__).parent / "migrations"
LOCALE: Final = Path(__file__).parent / "locale"
SOURCE: Final = "urn:daicho:{tenant}:hub"
"""How the hub of a municipality calls itself in events."""

AUDIT_ROOT: Final = "hub.audit-root"
"""Kind of the hourly job that closes the audit log's root."""

PRUNE: Final = "hub.prune"
"""Kind of the daily job that forgets what was kept long enough."""

OUTBOX_KEPT: Final = timedelta(days=1)
"""How long events that everybody has heard are kept; two sectors' names stand near each other."""

HOUR_S: Final = 3_600
DAY_S: Final = 86_400
TRUSTING_PERIOD_S: Final = 10 * 365 * 86_400
"""A new database reads from genesis; a history forged with retired keys needs every node to lie."""

POLL_S: Final = 2.0
"""Pause of the follower at the head."""

SIMULATED: Final = "DAICHO-TEST"
"""Organisation in the names of simulated authorities."""


class AddressesStuck(Unavailable):
    """The ledger refuses addresses even alone."""

    code = "hub.addresses_stuck"


class ListsMissing(Unavailable):
    """Revocation lists cannot be had; flags run out unless they come back."""

    code = "hub.lists_missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSource:
    """Revocation data over HTTP, with a connection for each question."""

    url: str
    """Of the authorities' server."""

    async def fetch_list(self, authority: TrustedAuthority) -> bytes:
        """Return the newest revocation list.

        Raises:
            SourceUnavailable: It cannot be had now.

        Spec: ID-SOURCE.
        """
        async with aiohttp.ClientSession(trust_env=False) as session:
            return await HttpRevocationSource(session, self.url).fetch_list(authority)

    async def ask(self, question: OcspQuestion) -> bytes:
        """Return the OCSP response to a question.

        Raises:
            SourceUnavailable: It cannot be had now.

        Spec: ID-SOURCE.
        """
        async with aiohttp.ClientSession(trust_env=False) as session:
            return await HttpRevocationSource(session, self.url).ask(question)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the tasks share."""

    settings: HubSettings
    """What the operator said."""
    resources: Resources
    """What the kit opened."""
    registry: Address
    """The contract IdentityStatus."""
    tenant: str
    """Municipality served."""
    source: str
    """Name in events."""
    sweep: Sweep
    """Keeps lists and flags fresh."""

    async def prune(self, tx: AsyncConnection, job: Job) -> None:
        """Forget what was kept long enough; a job handler."""
        del job
        now = self.resources.clock.now()
        await prune_queries(tx, before=now - KEPT)
        await prune_outbox(tx, before=now - OUTBOX_KEPT)

    async def follow(self) -> None:
        """Take over for ever what the ledger says about the hub's addresses; a task."""
        genesis = _read_genesis(self.settings.genesis_file)
        addresses = [(node.name, node.url) for node in self.settings.nodes]
        async with http_nodes(addresses) as nodes:
            follower = await open_follower(
                FollowerParts(
                    database=self.resources.database,
                    cursors=CURSORS,
                    tenant=self.tenant,
                    name="identity",
                    watch=Watch(contracts=frozenset({self.registry, PERMISSIONS_ADDRESS})),
                    nodes=nodes,
                    limits=TrustLimits(trusting_period_s=TRUSTING_PERIOD_S),
                    clock=self.resources.clock,
                ),
                Trust(genesis_hash=genesis.hash, origin=genesis, head=genesis),
            )
            handler = partial(note_block, tenant=self.tenant, registry=self.registry)
            while True:
                await follower.follow_to_head(handler)
                await self.resources.clock.sleep(POLL_S)

    def checks(self) -> tuple[ReadinessCheck, ...]:
        """Return what the hub needs to be ready, beside the kit's."""
        return (
            ReadinessCheck(name="revocation lists", run=self._check_lists),
            ReadinessCheck(name="addresses", run=self._check_addresses),
        )

    async def _check_lists(self) -> str:
        faults = sorted(set(self.sweep.faults.values()))
        if faults:
            raise ListsMissing(f"{len(self.sweep.faults)} lists: {faults[0]}")
        return "held"

    async def _check_addresses(self) -> str:
        async with self.resources.database.read() as tx:
            count = await count_stuck(tx, tenant=self.tenant)
        if count:
            raise AddressesStuck(f"{count} addresses are refused by the ledger; read the relay")
        return "none refused"


async def build(settings: HubSettings, resources: Resources) -> ServiceDefinition:
    """Put the hub together.

    Raises:
        Misconfigured: A setting, key or file is wrong.
    """
    check_hub(settings)
    token_key = load_private_key(settings.token_key_file)
    bindings = _build_bindings(settings, resources)
    issuer = Issuer(
        name=settings.issuer,
        key=token_key,
        keyring=bindings.keyring,
        services=settings.services,
    )
    parts = Parts(
        settings=settings,
        resources=resources,
        registry=parse_address(settings.identity_status, "identity_status"),
        tenant=settings.kit.tenants[0].id,
        source=source_of(settings),
        sweep=Sweep(
            verifier=bindings.statements.verifier, statuses=bindings.statuses, clock=resources.clock
        ),
    )
    federation = build_federation(settings, resources.clock)
    windows = Windows(window_s=settings.window_s, apart_max=settings.apart_windows_max)
    await resources.database.transact(
        partial(follow_rotation, tenant=parts.tenant, keyring=bindings.keyring)
    )
    for subscriber in subscribers_of(settings):
        await resources.database.transact(partial(subscribe, subscriber=subscriber))
    trusted = _trust_itself(settings.issuer, token_key, TenantId(parts.tenant))
    issuers = {**resources.trust.issuers, settings.issuer: trusted}
    return ServiceDefinition(
        name=HUB,
        title="Identity hub",
        version="1.0.0",
        settings=settings.kit,
        trust=replace(resources.trust, issuers=issuers),
        clock=resources.clock,
        sources=(
            Enrolment(bindings, issuer),
            Own(bindings, windows),
            Others(bindings, issuer),
            federation,
            ProviderBinding(federation, bindings),
        ),
        catalogue=resources.catalogue,
        checks=(*resources.standard_checks(), *parts.checks()),
        tasks=_build_tasks(parts, bindings.keyring, windows),
        record_read=audit_reads(resources.database),
        pages=(_build_page(settings, resources), *federation.pages),
    )


def _build_bindings(settings: HubSettings, resources: Resources) -> Bindings:
    keyring = load_keyring(settings.keyring_file)
    _check_sectors(settings, keyring)
    envelope = Envelope(load_master_keys(settings.master_file), actor="service:hub")
    verifier = DirectVerifier(load_store(settings), SessionSource(url=settings.verifier.url))
    return Bindings(
        database=resources.database,
        statements=Statements(
            database=resources.database,
            verifier=verifier,
            keyring=keyring,
            audience=settings.statements_for,
        ),
        envelope=envelope,
        keyring=keyring,
        names=Names(keyring=keyring),
        statuses=Statuses(
            envelope=envelope,
            keyring=keyring,
            source=source_of(settings),
            told_sectors=sorted({each.sector for each in settings.services if each.endpoint}),
        ),
    )


def _build_tasks(parts: Parts, keyring: Keyring, windows: Windows) -> tuple[BackgroundTask, ...]:
    settings, resources, tenant = parts.settings, parts.resources, parts.tenant
    publisher = Publisher(
        database=resources.database,
        clock=resources.clock,
        tenant=tenant,
        source=parts.source,
        registry=parts.registry,
        sectors=sorted(sector for sector in keyring.sectors if sector != HUB),
        windows=windows,
    )
    jobs = JobRunner(
        resources.database,
        {
            AUDIT_ROOT: root_closer(resources.clock, source=parts.source),
            PRUNE: parts.prune,
            SWEEP: parts.sweep.begin,
            PAGE: parts.sweep.page,
        },
        clock=resources.clock,
        schedules={
            (tenant, AUDIT_ROOT): Every(seconds=HOUR_S),
            (tenant, PRUNE): Every(seconds=DAY_S),
            (tenant, SWEEP): Every(seconds=settings.sweep_s),
        },
    )
    return (
        dispatcher_task(resources.database, settings.events_key_file, clock=resources.clock),
        BackgroundTask(name="jobs", run=jobs.run),
        BackgroundTask(name="follower", run=parts.follow),
        BackgroundTask(name="publisher", run=publisher.run),
        BackgroundTask(name="lists", run=parts.sweep.fetch),
    )


def _build_page(settings: HubSettings, resources: Resources) -> web.RouteDef:
    """Return the page that takes the relay's events."""
    key = load_public_key(settings.relay.key_file)
    name = f"urn:daicho:{settings.kit.tenants[0].id}:relay"
    verifier = EventVerifier({name: {key.thumbprint(): key}})
    return event_page(resources.database, verifier, inbox_of(settings, resources.clock))


def source_of(settings: HubSettings) -> str:
    """Return the hub's name in events."""
    return SOURCE.format(tenant=settings.kit.tenants[0].id)


def subscribers_of(settings: HubSettings) -> list[Subscriber]:
    """Return who hears the hub: its relay, and linked services each of its own sector."""
    tenant = settings.kit.tenants[0].id
    relay = Subscriber(
        tenant=tenant,
        name="relay",
        types=("jp.daicho.chain.", "jp.daicho.audit.root-ready"),
        endpoint=settings.relay.endpoint,
    )
    return [relay] + [
        Subscriber(
            tenant=tenant,
            name=f"service-{each.audience}",
            types=(STATUS_CHANGED.format(sector=each.sector),),
            endpoint=each.endpoint,
        )
        for each in settings.services
        if each.endpoint
    ]


def inbox_of(settings: HubSettings, clock: Clock) -> Handler:
    """Return what the inbox does with an event: take a report of the relay."""
    del clock
    source = source_of(settings)

    async def hear(tx: AsyncConnection, event: Event) -> None:
        is_ours = await apply_report(tx, event, source=source)
        is_over = event.type == STATE_CHANGED and event.data.get("state") in FAILED
        if is_ours and is_over and event.subject.startswith(OPERATION_PREFIX):
            await note_failure(tx, tenant=event.tenant, operation_id=event.subject)

    return hear


def load_store(settings: HubSettings) -> TrustStore:
    """Read the authorities; simulated ones only where the profile says so.

    Raises:
        Misconfigured: A file is missing or no authority's, or a simulated one is named in
            production.

    Spec: ID-TRUST, ID-PROFILE.
    """
    try:
        certificates = tuple(
            (authority.kind, authority.file.read_bytes())
            for authority in settings.verifier.authorities
        )
        store = build_trust_store(certificates)
    except OSError as error:
        raise Misconfigured(
            f"verifier.authorities: {error.filename}: {error.strerror}; check the path"
        ) from error
    except InvalidInput as error:
        raise Misconfigured(
            "verifier.authorities: a file holds no certificate; take what the authority publishes"
        ) from error
    if settings.profile is not Profile.DEVELOPMENT and any(map(_is_simulated, store.authorities)):
        raise Misconfigured(
            "verifier.authorities: a simulated authority vouches for anybody; set profile = "
            '"development" on a test machine, or take the real ones',
            rule="ID-PROFILE",
        )
    return store


def _is_simulated(authority: TrustedAuthority) -> bool:
    return SIMULATED in authority.certificate.parsed.subject.rfc4514_string()


def _check_sectors(settings: HubSettings, keyring: Keyring) -> None:
    wanted = {HUB, *(each.sector for each in settings.services)}
    missing = sorted(wanted - set(keyring.sectors))
    if missing:
        raise Misconfigured(
            f"{settings.keyring_file}: no key for the sector {missing[0]}; add one with "
            "`daicho service hub keyring add`"
        )


def _trust_itself(name: str, key: Key, tenant: TenantId) -> TrustedIssuer:
    public = load_own_public(key)

    async def find_key(kid: str) -> Key | None:
        return public if kid == key.thumbprint() else None

    return TrustedIssuer(name=name, tenants=frozenset({tenant}), find_key=find_key)


def load_own_public(key: Key) -> Key:
    """Return the public half of a key."""
    return type(key).import_key(public_document(key))


def _read_genesis(path: Path) -> Header:
    try:
        return parse_genesis(path.read_bytes()).header
    except OSError as error:
        raise Misconfigured(f"genesis_file: {path}: {error.strerror}; check the path") from error


SERVICE: Final = Service(
    name=HUB,
    settings=HubSettings,
    build=build,
    versions=(MIGRATIONS,),
    locales=(LOCALE, FEDERATION_LOCALE),
    inbox=inbox_of,
    master_file=lambda settings: settings.master_file,
)
