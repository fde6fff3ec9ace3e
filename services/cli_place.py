"""The service that a command works on: its settings, its municipality and its opened database.

Commands of all services are the same objects. Which service was named on the command line stands
in the context of the call (``choose``), and ``at_service`` hands it to the command.
"""

import asyncio
import os
import pwd
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.errors import Misconfigured
from services.kit.clock import Clock, SystemClock
from services.kit.database import Database, open_database
from services.kit.decisions import Operator
from services.kit.envelope import Envelope
from services.kit.inbox import Handler
from services.kit.master_keys import MasterKeys
from services.kit.outbox import Subscriber, list_subscribers
from services.kit.schema import check_schema
from services.kit.service import Service, sqlite_path
from services.kit.settings import HasKit, KitSettings, database_url

T = TypeVar("T")

CONFIG_FOLDER: Final = Path("/etc/daicho")

COUNT_MAX: Final = 1_000
"""Most entries of one list shown at once."""

_CHOSEN: Final = "services.chosen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a command works."""

    service: Service[Any]
    """The service."""
    settings: HasKit
    """Its settings."""
    asked_tenant: str | None
    """The municipality named on the command line."""
    clock: Clock
    """Where the present comes from."""

    @property
    def name(self) -> str:
        """Return the service's name on the command line."""
        return self.service.name

    @property
    def tenant(self) -> str:
        """Return the municipality meant.

        Raises:
            Misconfigured: None was named where the service serves several, or another one.
        """
        return _pick_tenant(self.settings.kit, self.asked_tenant)

    @asynccontextmanager
    async def open(self, *, is_current: bool = True) -> AsyncIterator[Database]:
        """Open the database, which must exist and, unless told otherwise, be of our schema.

        Raises:
            Misconfigured: There is none, or its schema is not the program's.
            DatabaseUnavailable: It does not answer.
        """
        path = sqlite_path(self.settings.kit)
        if path is not None and not path.exists():
            raise Misconfigured(
                f"database: {path} is not there; check kit.database.url, or make it: "
                f"daicho service {self.name} migrate"
            )
        database = await open_database(database_url(self.settings.kit.database))
        try:
            if is_current:
                await check_schema(database, versions=self.service.versions)
            yield database
        finally:
            await database.close()

    def operator(self) -> Operator:
        """Return who runs the command, for the audit log, and the time."""
        return Operator(actor=f"operator:{find_account()}", at=self.clock.now())

    def read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Do ``work`` in one consistent view of the database."""

        async def run() -> T:
            async with self.open() as database, database.read() as tx:
                return await work(tx)

        return asyncio.run(run())

    def transact(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Do ``work`` in one transaction."""

        async def run() -> T:
            async with self.open() as database:
                return await database.transact(work)

        return asyncio.run(run())

    async def find_subscriber(self, tx: AsyncConnection, name: str) -> Subscriber:
        """Return one of the municipality's subscribers.

        Raises:
            Misconfigured: There is none of this name.
        """
        found = {each.name: each for each in await list_subscribers(tx, tenant=self.tenant)}
        if name not in found:
            known = ", ".join(found) or "none"
            raise Misconfigured(f"subscriber {name}: unknown in {self.tenant}; known here: {known}")
        return found[name]

    def master_file(self) -> Path:
        """Return the file of its master keys.

        Raises:
            Misconfigured: It seals no records.
        """
        if self.service.master_file is None:
            raise Misconfigured(f"{self.name} seals no records and has no keys; nothing to do here")
        return self.service.master_file(self.settings)

    def envelope(self, masters: MasterKeys) -> Envelope:
        """Return what seals its records under ``masters``."""
        return Envelope(masters, actor=f"service:{self.name}")

    def handler(self) -> Handler:
        """Return what its inbox does with an event.

        Raises:
            Misconfigured: It hears no events.
        """
        if self.service.inbox is None:
            raise Misconfigured(f"{self.name} hears no events; nothing waits in its inbox")
        return self.service.inbox(self.settings, self.clock)


def choose(ctx: click.Context, name: str, load: Callable[[str], Service[Any]]) -> None:
    """Note which service the command line names."""
    ctx.meta[_CHOSEN] = (name, load)


def default_config() -> Path:
    """Return where the settings of the chosen service usually are."""
    name, _ = click.get_current_context().meta[_CHOSEN]
    return CONFIG_FOLDER / f"{name}.toml"


def at_service(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option ``--config``, the output and the place."""

    def invoke(ctx: click.Context, config: Path, tenant: str | None = None, **rest: object) -> None:
        name, load = ctx.meta[_CHOSEN]
        service: Service[Any] = load(name)
        settings: HasKit = service.load_settings(config)
        place = Place(service=service, settings=settings, asked_tenant=tenant, clock=SystemClock())
        command(ctx.obj, place, **rest)

    wrapped: Callable[..., None] = wraps(command)(invoke)
    config = click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        default=default_config,
        show_default="/etc/daicho/NAME.toml",
        help="Settings file.",
    )
    return config(click.pass_context(wrapped))


def at_tenant(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command what ``at_service`` gives, and the option ``--tenant``."""
    tenant = click.option("--tenant", help="Municipality; needed when the service serves several.")
    return tenant(at_service(command))


def of_subscriber(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option ``--subscriber``."""
    return click.option("--subscriber", required=True, help="Service that hears the events.")(
        command
    )


def paged(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that lists the options ``--after`` and ``--count``."""
    after = click.option(
        "--after", type=click.IntRange(0), default=0, help="Begin behind this number."
    )
    count = click.option(
        "--count", type=click.IntRange(1, COUNT_MAX), default=100, show_default=True
    )
    return after(count(command))


def show_page(found: Sequence[T], count: int, number_of: Callable[[T], int]) -> Sequence[T]:
    """Return the first ``count`` of what was found and say how to see the rest.

    A command asks for one more than it shows, so that it knows.
    """
    shown = found[:count]
    if len(found) > count:
        click.echo(f"there are more: add --after {number_of(shown[-1])}", err=True)
    return shown


def find_account() -> str:
    """Return the account that logged in, which `sudo` does not change; else the process's own."""
    try:
        return os.getlogin()
    except OSError:
        return pwd.getpwuid(os.getuid()).pw_name


def _pick_tenant(kit: KitSettings, wanted: str | None) -> str:
    known = [tenant.id for tenant in kit.tenants]
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted not in known:
        said = "not given" if wanted is None else f"{wanted} is not served here"
        raise Misconfigured(f"--tenant: {said}; give one of: {', '.join(known)}")
    return wanted
