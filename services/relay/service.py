"""The relay as a service: events in over HTTP, reports out, readiness for operators.

Reads like a parts list; what the parts do is theirs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from clients.core.headers import TrustLimits
from clients.core.transport import http_nodes
from clients.core.trust import Trust
from node.genesis.parse import parse_genesis
from node.genesis.profile import Genesis
from node.primitives.errors import Misconfigured, Unavailable
from node.settings import read_secret
from services.kit.app import ServiceDefinition
from services.kit.clock import Clock
from services.kit.dispatcher import dispatcher_task
from services.kit.event_signatures import EventVerifier
from services.kit.follower import FollowerParts, Watch, open_follower
from services.kit.health import ReadinessCheck
from services.kit.inbox import Handler
from services.kit.keys import load_public_key
from services.kit.outbox import Subscriber, list_subscribers, subscribe, unsubscribe
from services.kit.receiving import event_page
from services.kit.service import Resources, Service
from services.kit.settings import parse_address
from services.kit.supervision import BackgroundTask
from services.relay.gauges import Gauges
from services.relay.intake import Intake
from services.relay.relay import Relay, RelayParts, open_relay
from services.relay.remote_signer import open_remote_signer
from services.relay.schema import MIGRATIONS
from services.relay.settings import RelaySettings, check_relay
from services.relay.signer import KeystoreSigner, Signer, load_key
from services.relay.tables import CURSORS

VERSION: Final = "1.0.0"
DAY_S: Final = 86_400
REPORTED: Final = ("jp.daicho.chain.state", "jp.daicho.audit.root-anchored")
"""Prefixes of the events that services hear."""


class RelayNotReady(Unavailable):
    """The relay does not sign at present."""

    code = "relay.not_ready"


def source_of(tenant: str, name: str) -> str:
    """Return the source of a service's events."""
    return f"urn:daicho:{tenant}:{name}"


@dataclass(slots=True)
class Running:
    """The relay of this process, once it is open."""

    settings: RelaySettings
    """What the operator said."""
    resources: Resources
    """What the kit opened."""
    intake: Intake
    """Knows the services."""
    keystore: KeystoreSigner | None
    """Its key; None when a signer process holds it."""
    genesis: Genesis
    """Where reading starts."""
    relay: Relay | None = None
    """The relay; None until nodes are connected."""

    async def run(self) -> None:
        """Connect to the nodes and relay for ever."""
        settings, resources = self.settings, self.resources
        signer = await self._open_signer()
        header = self.genesis.header
        trust = Trust(genesis_hash=header.hash, origin=header, head=header)
        addresses = [(node.name, node.url) for node in settings.nodes]
        async with http_nodes(addresses) as nodes:
            follower = await open_follower(
                FollowerParts(
                    database=resources.database,
                    cursors=CURSORS,
                    tenant=self.intake.tenant,
                    name="relay",
                    watch=Watch(is_every_block=True),
                    nodes=nodes,
                    limits=TrustLimits(
                        trusting_period_s=settings.trusting_period_days * DAY_S,
                        staleness_s=settings.staleness_s,
                    ),
                    clock=resources.clock,
                ),
                trust,
            )
            parts = RelayParts(
                database=resources.database,
                nodes=nodes,
                signer=signer,
                intake=self.intake,
                clock=resources.clock,
            )
            self.relay = await open_relay(parts, follower)
            try:
                await self.relay.run()
            finally:
                self.relay = None

    async def _open_signer(self) -> Signer:
        """Return the key in this process, or reach the process that has it.

        Raises:
            SignerDown: The signer process does not answer; the task is started again.
        """
        if self.keystore is not None:
            return self.keystore
        assert self.settings.signer_socket is not None
        return await open_remote_signer(
            self.settings.signer_socket, chain_id=self.genesis.profile.chain_id
        )

    async def check(self) -> str:
        """Say where the relay stands.

        Raises:
            RelayNotReady: It does not sign; the message says why.
        """
        if self.relay is None:
            raise RelayNotReady("not connected to a node yet; the log tells why")
        status = await self.relay.status()
        if status.trouble:
            raise RelayNotReady(
                f"the last pass failed with {status.trouble}; see that nodes answer"
            )
        if status.is_stale:
            raise RelayNotReady("nodes show no new blocks; see whether the network stands still")
        if not status.is_open:
            raise RelayNotReady(f"reads the chain or settles its window, at block {status.height}")
        waiting = {state.value: count for state, count in status.operations.items() if count}
        return f"signs; block {status.height}, nonce {status.next_nonce}, operations {waiting}"


async def build(settings: RelaySettings, resources: Resources) -> ServiceDefinition:
    """Put the relay together.

    Raises:
        Misconfigured: A setting, key or file is wrong.
    """
    check_relay(settings)
    tenant = settings.kit.tenants[0].id
    genesis = _read_genesis(settings.genesis_file)
    keystore = None
    if settings.keystore_file is not None and settings.password_file is not None:
        key = load_key(settings.keystore_file, read_secret(settings.password_file))
        keystore = KeystoreSigner(key, chain_id=genesis.profile.chain_id)
    intake = _intake_of(settings, resources.clock)
    running = Running(settings, resources, intake, keystore, genesis)
    await resources.database.transact(lambda tx: _subscribe(tx, settings, tenant))
    verifier = _verifier_of(settings, tenant)
    gauges = Gauges(resources.database, tenant, resources.clock)
    return ServiceDefinition(
        name="relay",
        title="Relay",
        version=VERSION,
        settings=settings.kit,
        trust=resources.trust,
        clock=resources.clock,
        sources=(),
        catalogue=resources.catalogue,
        checks=(
            *resources.standard_checks(),
            ReadinessCheck(name="relay", run=running.check),
        ),
        tasks=(
            BackgroundTask(name="relay", run=running.run),
            BackgroundTask(name="gauges", run=gauges.run),
            dispatcher_task(resources.database, settings.events_key_file, clock=resources.clock),
        ),
        pages=(event_page(resources.database, verifier, intake.handle),),
        measure=gauges.show,
    )


def inbox_of(settings: RelaySettings, clock: Clock) -> Handler:
    """Return what the relay's inbox does with an event."""
    return _intake_of(settings, clock).handle


def _intake_of(settings: RelaySettings, clock: Clock) -> Intake:
    tenant = settings.kit.tenants[0].id
    return Intake(
        tenant=tenant,
        source=source_of(tenant, "relay"),
        unsettled_max=settings.unsettled_max,
        anchors=parse_address(settings.anchors, "anchors"),
        clock=clock,
    )


def verifier_of(sources: Iterable[tuple[str, Path]]) -> EventVerifier:
    """Return what believes each source by the public key in its file.

    Raises:
        Misconfigured: A key cannot be used.
    """
    keys = [(source, load_public_key(path)) for source, path in sources]
    return EventVerifier({source: {key.thumbprint(): key} for source, key in keys})


def _verifier_of(settings: RelaySettings, tenant: str) -> EventVerifier:
    return verifier_of(
        (source_of(tenant, client.name), client.key_file) for client in settings.clients
    )


async def _subscribe(tx: AsyncConnection, settings: RelaySettings, tenant: str) -> None:
    """Let every service of the settings, and no other, hear reports."""
    named = {client.name for client in settings.clients}
    for old in await list_subscribers(tx, tenant=tenant):
        if old.name not in named:
            await unsubscribe(tx, tenant=tenant, name=old.name)
    for client in settings.clients:
        await subscribe(
            tx,
            Subscriber(tenant=tenant, name=client.name, types=REPORTED, endpoint=client.endpoint),
        )


def _read_genesis(path: Path) -> Genesis:
    try:
        return parse_genesis(path.read_bytes())
    except OSError as error:
        raise Misconfigured(f"genesis_file: {path}: {error.strerror}; check the path") from error


SERVICE: Final = Service(
    name="relay",
    settings=RelaySettings,
    build=build,
    versions=(MIGRATIONS,),
    inbox=inbox_of,
)
