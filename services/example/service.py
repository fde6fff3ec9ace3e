"""The noticeboard put together: operations, events in and out, jobs, a follower of the chain."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from clients.core.headers import TrustLimits
from clients.core.transport import http_nodes
from clients.core.trust import Trust
from node.genesis.parse import parse_genesis
from node.primitives.errors import Misconfigured
from node.primitives.header import Header
from node.primitives.types import Address
from services.example.board import EXPIRE, Board
from services.example.notices import note_anchors
from services.example.settings import ExampleSettings
from services.example.tables import CURSORS
from services.kit.app import ServiceDefinition
from services.kit.audit_roots import root_closer
from services.kit.clock import Clock
from services.kit.dispatcher import dispatcher_task
from services.kit.envelope import Envelope
from services.kit.event_signatures import EventVerifier
from services.kit.events import Event
from services.kit.follower import FollowerParts, Watch, open_follower
from services.kit.inbox import Handler
from services.kit.jobs import JobRunner
from services.kit.keys import load_public_key
from services.kit.master_keys import load_master_keys
from services.kit.outbox import Subscriber, subscribe
from services.kit.reads import audit_reads
from services.kit.receiving import event_page
from services.kit.reports import apply_report
from services.kit.schedules import Every
from services.kit.service import Resources, Service
from services.kit.settings import parse_address
from services.kit.supervision import BackgroundTask

MIGRATIONS: Final = Path(__file__).parent / "migrations"
SOURCE: Final = "urn:daicho:{tenant}:example"
"""How the noticeboard of a municipality calls itself in events."""

AUDIT_ROOT: Final = "example.audit-root"
"""Kind of the hourly job that closes the audit log's root."""

HOUR_S: Final = 3_600
TRUSTING_PERIOD_S: Final = 10 * 365 * 86_400
"""A new database reads from genesis; a history forged with retired keys needs every node to lie."""

POLL_S: Final = 2.0
"""Pause of the follower at the head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the tasks share."""

    settings: ExampleSettings
    """What the operator said."""
    resources: Resources
    """What the kit opened."""
    anchors: Address
    """Contract that keeps commitments."""
    tenant: str
    """Municipality served."""
    source: str
    """Name in events."""

    async def follow(self) -> None:
        """Note for ever which notices the chain holds; a task."""
        genesis = _read_genesis(self.settings.genesis_file)
        addresses = [(node.name, node.url) for node in self.settings.nodes]
        async with http_nodes(addresses) as nodes:
            follower = await open_follower(
                FollowerParts(
                    database=self.resources.database,
                    cursors=CURSORS,
                    tenant=self.tenant,
                    name="anchors",
                    watch=Watch(contracts=frozenset({self.anchors})),
                    nodes=nodes,
                    limits=TrustLimits(trusting_period_s=TRUSTING_PERIOD_S),
                    clock=self.resources.clock,
                ),
                Trust(genesis_hash=genesis.hash, origin=genesis, head=genesis),
            )
            while True:
                await follower.follow_to_head(partial(note_anchors, anchors=self.anchors))
                await self.resources.clock.sleep(POLL_S)


async def build(settings: ExampleSettings, resources: Resources) -> ServiceDefinition:
    """Put the noticeboard together.

    Raises:
        Misconfigured: A setting, key or file is wrong.
    """
    if len(settings.kit.tenants) != 1:
        raise Misconfigured("kit.tenants: the noticeboard serves one municipality; name one")
    tenant = settings.kit.tenants[0].id
    source = source_of(settings)
    relay = settings.relay
    parts = Parts(
        settings=settings,
        resources=resources,
        anchors=parse_address(settings.anchors, "anchors"),
        tenant=tenant,
        source=source,
    )
    to_relay = Subscriber(
        tenant=tenant,
        name="relay",
        types=("jp.daicho.chain.", "jp.daicho.audit.root-ready"),
        endpoint=relay.endpoint,
    )
    await resources.database.transact(lambda tx: subscribe(tx, to_relay))
    board = Board(
        resources,
        Envelope(load_master_keys(settings.master_file), actor="service:example"),
        source=source,
        anchors=parts.anchors,
        notice_days=settings.notice_days,
    )
    jobs = JobRunner(
        resources.database,
        {EXPIRE: board.expire, AUDIT_ROOT: root_closer(resources.clock, source=source)},
        clock=resources.clock,
        schedules={(tenant, AUDIT_ROOT): Every(seconds=HOUR_S)},
    )
    relay_key = load_public_key(relay.key_file)
    verifier = EventVerifier({f"urn:daicho:{tenant}:relay": {relay_key.thumbprint(): relay_key}})
    return ServiceDefinition(
        name="example",
        title="Noticeboard",
        version="1.0.0",
        settings=settings.kit,
        trust=resources.trust,
        clock=resources.clock,
        sources=(board,),
        catalogue=resources.catalogue,
        checks=resources.standard_checks(),
        tasks=(
            dispatcher_task(resources.database, settings.events_key_file, clock=resources.clock),
            BackgroundTask(name="jobs", run=jobs.run),
            BackgroundTask(name="follower", run=parts.follow),
        ),
        record_read=audit_reads(resources.database),
        pages=(event_page(resources.database, verifier, inbox_of(settings, resources.clock)),),
    )


def source_of(settings: ExampleSettings) -> str:
    """Return the noticeboard's name in events."""
    return SOURCE.format(tenant=settings.kit.tenants[0].id)


def inbox_of(settings: ExampleSettings, clock: Clock) -> Handler:
    """Return what the inbox does with an event: take a report of the relay."""
    del clock
    source = source_of(settings)

    async def hear(tx: AsyncConnection, event: Event) -> None:
        await apply_report(tx, event, source=source)

    return hear


def _read_genesis(path: Path) -> Header:
    try:
        return parse_genesis(path.read_bytes()).header
    except OSError as error:
        raise Misconfigured(f"genesis_file: {path}: {error.strerror}; check the path") from error


SERVICE: Final = Service(
    name="example",
    settings=ExampleSettings,
    build=build,
    versions=(MIGRATIONS,),
    inbox=inbox_of,
    master_file=lambda settings: settings.master_file,
)
