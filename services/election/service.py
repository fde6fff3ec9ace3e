"""The election service put together from its roles."""

from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from node.genesis.parse import parse_genesis
from node.genesis.profile import Genesis
from node.primitives.errors import Misconfigured
from services.election.board.contracts import Contracts
from services.election.board.files import FileStore
from services.election.board.library import HttpPeers, Library, Peers
from services.election.board.progress import ProgressBoard
from services.election.board.pulse import Pulse
from services.election.board.store import BoardStore
from services.election.parts import Context, Part, part_modules
from services.election.settings import ElectionSettings
from services.kit.app import ServiceDefinition
from services.kit.audit_roots import root_closer
from services.kit.clock import Clock
from services.kit.dispatcher import dispatcher_task
from services.kit.event_signatures import EventVerifier
from services.kit.events import Event
from services.kit.inbox import Handler
from services.kit.jobs import JobRunner
from services.kit.keys import load_private_key, load_public_key
from services.kit.outbox import Subscriber, subscribe
from services.kit.reads import audit_reads
from services.kit.receiving import event_page
from services.kit.reports import apply_report
from services.kit.schedules import Every
from services.kit.service import Resources, Service
from services.kit.supervision import BackgroundTask

SOURCE: Final = "urn:daicho:{tenant}:election"
"""How the election service of a municipality calls itself in events."""

AUDIT_ROOT: Final = "election.audit-root"
"""Kind of the hourly job that closes the audit log's root."""

HOUR_S: Final = 3_600


async def build(settings: ElectionSettings, resources: Resources) -> ServiceDefinition:
    """Put the service together.

    Raises:
        Misconfigured: A setting, key or file is wrong.
    """
    context = build_context(settings, resources, _open_executor(settings))
    return await build_with(context)


def build_context(
    settings: ElectionSettings,
    resources: Resources,
    executor: Executor,
    peers: Peers | None = None,
) -> Context:
    """Return what the roles are given; ``peers`` are those of the settings unless given.

    Raises:
        Misconfigured: A setting or file is wrong.
    """
    if len(settings.kit.tenants) != 1:
        raise Misconfigured("kit.tenants: the election service serves one municipality; name one")
    tenant = settings.kit.tenants[0].id
    board = BoardStore(resources.database, tenant=tenant)
    files = FileStore(settings.files)
    genesis = _read_genesis(settings.genesis_file)
    return Context(
        settings=settings,
        resources=resources,
        tenant=tenant,
        source=source_of(settings),
        chain_id=genesis.profile.chain_id,
        genesis_hash=genesis.header.hash,
        contracts=Contracts.parse(settings.contracts),
        board=board,
        files=files,
        library=Library(files, board, peers or _http_peers(settings, resources)),
        executor=executor,
        progress=ProgressBoard(),
        pulse=Pulse(),
    )


async def build_with(context: Context) -> ServiceDefinition:
    """Put the service together from what its roles add.

    Raises:
        Misconfigured: A setting, key or file is wrong.
    """
    settings, resources, tenant = context.settings, context.resources, context.tenant
    parts = tuple(
        part for module in part_modules() if (part := module.build_part(context)) is not None
    )
    to_relay = Subscriber(
        tenant=tenant,
        name="relay",
        types=("jp.daicho.chain.", "jp.daicho.audit.root-ready"),
        endpoint=settings.relay.endpoint,
    )
    for subscriber in (to_relay, *(each for part in parts for each in part.subscribers)):
        await resources.database.transact(lambda tx, it=subscriber: subscribe(tx, it))  # type: ignore[misc]
    jobs = JobRunner(
        resources.database,
        {
            AUDIT_ROOT: root_closer(resources.clock, source=context.source),
            **{k: v for p in parts for k, v in p.jobs.items()},
        },
        clock=resources.clock,
        schedules={
            (tenant, AUDIT_ROOT): Every(seconds=HOUR_S),
            **{key: when for part in parts for key, when in part.schedules.items()},
        },
    )
    relay_key = load_public_key(settings.relay.key_file)
    verifier = EventVerifier({f"urn:daicho:{tenant}:relay": {relay_key.thumbprint(): relay_key}})
    return ServiceDefinition(
        name="election",
        title="Elections",
        version="1.0.0",
        settings=settings.kit,
        trust=resources.trust,
        clock=resources.clock,
        sources=tuple(source for part in parts for source in part.sources),
        catalogue=resources.catalogue,
        checks=(*resources.standard_checks(), *(each for part in parts for each in part.checks)),
        tasks=(
            dispatcher_task(resources.database, settings.events_key_file, clock=resources.clock),
            BackgroundTask(name="jobs", run=jobs.run),
            *(task for part in parts for task in part.tasks),
        ),
        record_read=audit_reads(resources.database),
        pages=(
            event_page(resources.database, verifier, _hear(settings, parts)),
            *(page for part in parts for page in part.pages),
        ),
    )


def source_of(settings: ElectionSettings) -> str:
    """Return the service's name in events."""
    return SOURCE.format(tenant=settings.kit.tenants[0].id)


def inbox_of(settings: ElectionSettings, clock: Clock) -> Handler:
    """Return what the inbox does with an event: take a report of the relay."""
    del clock
    return _hear(settings, ())


def _hear(settings: ElectionSettings, parts: tuple[Part, ...]) -> Handler:
    source = source_of(settings)
    hearers = {kind: hear for part in parts for kind, hear in part.hear.items()}

    async def hear(tx: AsyncConnection, event: Event) -> None:
        if event.type in hearers:
            await hearers[event.type](tx, event)
        else:
            await apply_report(tx, event, source=source)

    return hear


def _open_executor(settings: ElectionSettings) -> Executor:
    """Open the processes for heavy work; they start when first used."""
    workers = settings.trustee.workers if settings.trustee is not None else 1
    if not 1 <= workers <= 64:
        raise Misconfigured(f"trustee.workers = {workers}: give 1 to 64")
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def _http_peers(settings: ElectionSettings, resources: Resources) -> Peers:
    auth = settings.kit.auth
    return HttpPeers(
        settings.peers,
        name=auth.audience,
        key=None if auth.key_file is None else load_private_key(auth.key_file),
        clock=resources.clock,
    )


def _read_genesis(path: Path) -> Genesis:
    try:
        return parse_genesis(path.read_bytes())
    except OSError as error:
        raise Misconfigured(f"genesis_file: {path}: {error.strerror}; check the path") from error


def _master_file(settings: ElectionSettings) -> Path:
    """Return the file of the commission's master keys, for the operator's commands.

    Raises:
        Misconfigured: The commission's role is off, so no records are sealed.
    """
    if settings.commission is None:
        raise Misconfigured("commission: the role is off; no records are sealed here")
    return settings.commission.master_file


SERVICE: Final = Service(
    name="election",
    settings=ElectionSettings,
    build=build,
    versions=tuple(module.MIGRATIONS for module in part_modules() if module.MIGRATIONS is not None),
    locales=(
        Path(__file__).parent / "locale",
        Path(__file__).parent / "commission" / "locale",
        Path(__file__).parent / "publication" / "locale",
    ),
    master_file=_master_file,
    inbox=inbox_of,
)
