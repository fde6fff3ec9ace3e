"""A service as the command line knows it, and how one is run.

A package declares one ``Service``: its name, its settings record, its migrations, and how it is put
together. ``run_service`` opens the database, refuses a schema that is not the program's, serves
until SIGTERM or Ctrl-C, lets running requests end, stops the tasks, and closes.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from aiohttp import web
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from node.log import Log
from node.primitives.errors import Misconfigured
from services.kit.app import ServiceDefinition, build_app
from services.kit.auth import TenantId
from services.kit.clock import Clock, SystemClock
from services.kit.database import Database, open_database
from services.kit.health import ReadinessCheck, database_check
from services.kit.inbox import Handler
from services.kit.issuers import load_trust
from services.kit.logs import start_service_log
from services.kit.messages import KIT_LOCALE, Catalogue, load_catalogue
from services.kit.schema import check_schema, upgrade
from services.kit.settings import HasKit, KitSettings, database_url, load_service_settings
from services.kit.staff import load_staff
from services.kit.tokens import Trust

Settings = TypeVar("Settings", bound=HasKit)

_log = Log("service")

BACKLOG: Final = 512
"""Connections that wait to be taken."""


class DatabaseDamaged(Misconfigured):
    """The database's own check found damage."""

    code = "database.damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the kit opens for a service."""

    clock: Clock
    """Where the present comes from."""
    database: Database
    """The service's database, at the program's schema."""
    trust: Trust
    """Whom the settings say to believe."""
    catalogue: Catalogue
    """The kit's texts and the service's."""

    def standard_checks(self) -> tuple[ReadinessCheck, ...]:
        """Return what every service needs to be ready."""
        return (database_check(self.database),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Generic[Settings]):
    """A service, as its package declares it."""

    name: str
    """Its name on the command line."""
    settings: type[Settings]
    """Its settings record, with the kit's in a field ``kit``."""
    build: Callable[[Settings, Resources], Awaitable[ServiceDefinition]]
    """Puts the service together; opens what it needs besides the database."""
    versions: tuple[Path, ...] = ()
    """Folders of its own migrations."""
    locales: tuple[Path, ...] = ()
    """Folders of its own catalogues."""
    inbox: Callable[[Settings, Clock], Handler] | None = None
    """Gives what its inbox does with an event; None when it hears none."""
    master_file: Callable[[Settings], Path] | None = None
    """Tells where its settings name the master keys; None when it seals no records."""

    def load_settings(self, path: Path) -> Settings:
        """Read and check its settings file.

        Raises:
            Misconfigured: The file, or something in it, is wrong.
        """
        return load_service_settings(self.settings, path)

    def load_catalogue(self) -> Catalogue:
        """Load the kit's texts and its own.

        Raises:
            Misconfigured: A catalogue is incomplete.
        """
        return load_catalogue([KIT_LOCALE, *self.locales])


@asynccontextmanager
async def open_resources(
    service: Service[Any], settings: HasKit, *, clock: Clock
) -> AsyncIterator[Resources]:
    """Open what ``service`` needs, and close it afterwards.

    Raises:
        Misconfigured: Keys, catalogue or schema are wrong.
        DatabaseUnavailable: The database does not answer.
    """
    trust = load_trust(settings.kit, clock)
    catalogue = service.load_catalogue()
    database = await open_database(database_url(settings.kit.database))
    try:
        await check_schema(database, versions=service.versions)
        yield Resources(clock=clock, database=database, trust=trust, catalogue=catalogue)
    finally:
        await database.close()


def run_service(service: Service[Any], config: Path) -> None:
    """Run ``service`` until SIGTERM or Ctrl-C; SIGHUP reads the staff table again.

    Raises:
        Misconfigured: Settings, keys, catalogue or schema are wrong.
        DatabaseUnavailable: The database does not answer.
    """
    settings = service.load_settings(config)
    log = start_service_log(settings.kit.log)
    try:
        asyncio.run(_run(service, settings))
    finally:
        log.stop()


async def _run(service: Service[Any], settings: HasKit) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with open_resources(service, settings, clock=SystemClock()) as resources:
        definition = await service.build(settings, resources)
        loop.add_signal_handler(signal.SIGHUP, read_staff_again, settings, resources.trust)
        async with serve(definition) as address:
            _log.info("service runs", name=definition.name, at=address)
            await stopping.wait()
            _log.info("service stops", name=definition.name)


@asynccontextmanager
async def serve(definition: ServiceDefinition) -> AsyncIterator[str]:
    """Serve ``definition`` while the block runs; give the address it listens on.

    Raises:
        Misconfigured: The port is taken, or the address is not this machine's.
    """
    server = definition.settings.server
    runner = web.AppRunner(
        build_app(definition), access_log=None, shutdown_timeout=server.shutdown_timeout_s
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, server.host, server.port, backlog=BACKLOG)
        try:
            await site.start()
        except OSError as error:
            raise Misconfigured(
                f"kit.server: {server.host}:{server.port}: {error.strerror}; choose another port"
            ) from error
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def read_staff_again(settings: HasKit, trust: Trust) -> None:
    """Take over the staff table's file as it is now; a wrong file leaves the table as it was."""
    path = settings.kit.auth.staff_file
    if path is None:
        return
    tenants = [TenantId(tenant.id) for tenant in settings.kit.tenants]
    try:
        trust.staff.replace(load_staff(path, tenants))
    except Misconfigured as error:
        _log.error("staff table not taken over", code=error.code, path=path)
    else:
        _log.info("staff table read again", members=len(trust.staff))


async def migrate(service: Service[Any], settings: HasKit) -> None:
    """Bring the service's database to the program's schema.

    Raises:
        SchemaMismatch: The database was written by a newer program.
        DatabaseUnavailable: The database does not answer.
    """
    database = await open_database(database_url(settings.kit.database))
    try:
        await upgrade(database, versions=service.versions)
    finally:
        await database.close()


def sqlite_path(kit: KitSettings) -> Path | None:
    """Return the database's file; None when it is PostgreSQL, or its URL is none."""
    try:
        url = make_url(kit.database.url)
    except ArgumentError:
        return None
    is_file = url.drivername.startswith("sqlite") and url.database
    return Path(url.database) if is_file and url.database else None


async def check_database(service: Service[Any], settings: HasKit) -> str:
    """Return what is found of the database; raise what is wrong with it.

    Raises:
        LedgerError: It does not answer, is damaged, or is of another schema.
    """
    database = await open_database(database_url(settings.kit.database))
    try:
        await check_schema(database, versions=service.versions)
        integrity = await database.check_integrity()
    finally:
        await database.close()
    if not integrity.is_sound:
        raise DatabaseDamaged(
            f"database: {integrity.findings[0]}; stop the service and restore the last backup"
        )
    return "sound, at the program's schema"
