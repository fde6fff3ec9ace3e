"""How the service is put together: each role returns a ``Part``; the service joins them.

A role is a sub-package with a module ``part`` that holds ``MIGRATIONS`` (a folder, or None) and
``build_part(context)``, which returns None when the settings do not turn the role on. To add one,
name its module in ``PARTS``.
"""

import importlib
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, cast

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.types import Address
from services.election.board.contracts import Contracts
from services.election.board.files import FileStore
from services.election.board.library import Library
from services.election.board.progress import ProgressBoard
from services.election.board.pulse import Pulse
from services.election.board.store import BoardStore
from services.election.settings import ElectionSettings
from services.kit.events import Event
from services.kit.health import ReadinessCheck
from services.kit.intents import load_intent
from services.kit.jobs import JobHandler
from services.kit.outbox import ChainIntent, Subscriber, intend
from services.kit.schedules import Schedule
from services.kit.service import Resources
from services.kit.supervision import BackgroundTask

PARTS: Final[tuple[str, ...]] = (
    "services.election.board.part",
    "services.election.ballots.part",
    "services.election.publication.part",
    "services.election.trustee.part",
    "services.election.commission.part",
)
"""Modules of the roles."""

SECTOR: Final = "election"
"""Sector of the service's transactions, for the relay's quotas and keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every role is given."""

    settings: ElectionSettings
    """What the operator said."""
    resources: Resources
    """What the kit opened."""
    tenant: str
    """The municipality served."""
    source: str
    """The service's name in events."""
    chain_id: int
    """Chain of the genesis file."""
    genesis_hash: bytes
    """Hash of the genesis block."""
    contracts: Contracts
    """The contracts' addresses, events and calls."""
    board: BoardStore
    """The state of every election, as the ledger's final blocks have it."""
    files: FileStore
    """The elections' files, as they lie here."""
    library: Library
    """The files with what the other municipalities' services have."""
    executor: Executor
    """Where heavy work runs, in processes of their own."""
    progress: ProgressBoard
    """What is being worked on, for people."""
    pulse: Pulse
    """Wakes the workers when the board has news."""

    async def call_contract(
        self,
        tx: AsyncConnection,
        operation: str,
        to: Address,
        data: bytes,
        *,
        gas_limit: int = 3_000_000,
        ordered_by: str | None = None,
    ) -> None:
        """Ask the relay for a call of a contract if this transaction commits.

        Args:
            tx: The transaction that makes the call true.
            operation: What is done, unique in this service; repeating it changes nothing.
            to: The contract.
            data: Its call data.
            gas_limit: Gas it may use.
            ordered_by: Calls with the same word are sent in order.

        Raises:
            EventConflict: The operation asked for another call before.
        """
        intent = ChainIntent(
            tenant=self.tenant,
            operation_id=f"election:{operation}",
            sector=SECTOR,
            to=to,
            data=data,
            gas_limit=gas_limit,
            ordered_by=ordered_by,
        )
        await intend(tx, intent, source=self.source, now=self.resources.clock.now())

    async def call_state(self, tx: AsyncConnection, operation: str) -> str | None:
        """Return how far a call has come, None when it was never asked for."""
        status = await load_intent(tx, tenant=self.tenant, operation_id=f"election:{operation}")
        return None if status is None else status.state.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a role adds to the service."""

    sources: tuple[object, ...] = ()
    """Objects with operations."""
    tasks: tuple[BackgroundTask, ...] = ()
    """What runs beside the requests."""
    jobs: Mapping[str, JobHandler] = field(default_factory=dict)
    """Handlers of its jobs, by kind."""
    schedules: Mapping[tuple[str, str], Schedule] = field(default_factory=dict)
    """Its recurring jobs, by tenant and kind."""
    pages: tuple[web.RouteDef, ...] = ()
    """Plain routes."""
    checks: tuple[ReadinessCheck, ...] = ()
    """What it needs to be ready."""
    subscribers: tuple[Subscriber, ...] = ()
    """Who hears its events, besides the relay."""
    hear: Mapping[str, Callable[[AsyncConnection, Event], Awaitable[None]]] = field(
        default_factory=dict
    )
    """What it does with events of other services, by type."""


class PartModule(Protocol):
    """A module named in ``PARTS``."""

    MIGRATIONS: Path | None

    def build_part(self, context: Context) -> Part | None:
        """Return what the role adds, None when it is off."""
        ...


def part_modules() -> tuple[PartModule, ...]:
    """Import the roles' modules."""
    return tuple(cast(PartModule, importlib.import_module(name)) for name in PARTS)
