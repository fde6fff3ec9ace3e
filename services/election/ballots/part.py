"""The ballot relay's part of the service.

Spec: CAST-BATCH, CAST-CLOSE.
"""

import secrets
from pathlib import Path
from typing import Final

from clients.voting.manifest import Manifest, decode_manifest
from node.log import Log
from node.primitives.errors import InvalidInput, Unavailable
from node.settings import read_secret
from services.election.ballots.limits import AddressLimits
from services.election.ballots.operations import BallotOperations
from services.election.ballots.relay import (
    BallotRelay,
    Present,
    RelayIdentity,
    RelayLimits,
)
from services.election.board.refs import manifest_ref
from services.election.board.store import Head
from services.election.parts import Context, Part
from services.kit.settings import parse_address
from services.kit.supervision import BackgroundTask
from services.relay.signer import load_key

MIGRATIONS: Path | None = Path(__file__).parent / "migrations"

POLL_S: Final = 1.0
"""Pause between two passes."""

GRACE_S: Final = 86_400
"""How long after its closing time an election that nobody closed is still looked at."""

_log = Log("ballots")


class SystemNonces:
    """Randomness of the operating system."""

    def draw(self, size: int) -> bytes:
        """Return ``size`` fresh bytes."""
        return secrets.token_bytes(size)


def build_part(context: Context) -> Part | None:
    """Return the ballot relay, None when the settings do not turn it on.

    Raises:
        Misconfigured: Its key cannot be read.
    """
    settings = context.settings.ballots
    if settings is None:
        return None
    relay = BallotRelay(
        RelayIdentity(
            tenant=context.tenant,
            source=context.source,
            account=parse_address(context.settings.municipality.account, "municipality.account"),
            key=load_key(settings.receipt_key_file, read_secret(settings.password_file)),
            box=context.contracts.ballot_box,
        ),
        database=context.resources.database,
        clock=context.resources.clock,
        nonces=SystemNonces(),
        limits=RelayLimits(
            queue_max=settings.queue_max,
            batch_interval_s=settings.batch_interval_s,
            margin_s=settings.margin_s,
            turn_s=settings.turn_s,
        ),
    )
    running = Running(context, relay)
    limits = AddressLimits(count_max=settings.address_max)
    return Part(
        sources=(BallotOperations(relay, context.contracts, running.find, limits),),
        tasks=(BackgroundTask(name="ballots", run=running.run),),
    )


class Running:
    """Passes over the elections, one after the other."""

    def __init__(self, context: Context, relay: BallotRelay) -> None:
        """Hold what a pass needs."""
        self._context = context
        self._relay = relay
        self._manifests: dict[bytes, Manifest] = {}

    async def find(self, eid: bytes) -> tuple[Manifest, Present] | None:
        """Return an announced election's manifest, and the present; None when there is no such."""
        manifest = await self._manifest(eid)
        if manifest is None:
            return None
        board = self._context.board
        async with board.database.read() as tx:
            state = await board.load_election(tx, eid)
            head = await board.load_head(tx)
        if state is None or state.abandoned is not None or head is None:
            return None
        return manifest, _present(head)

    async def run(self) -> None:
        """Pass for ever; a task."""
        while True:
            try:
                await self.pass_once()
            except Unavailable as error:
                _log.warning("ballots wait", code=error.code)
            await self._context.resources.clock.sleep(POLL_S)

    async def pass_once(self) -> None:
        """Do what is due in every election.

        Raises:
            DatabaseUnavailable: The database does not answer.
        """
        board = self._context.board
        async with board.database.read() as tx:
            head = await board.load_head(tx)
            ids = await board.list_elections(tx)
        if head is None:
            return
        for eid in ids:
            manifest = await self._manifest(eid)
            if manifest is None or head.time_s > manifest.closes_at + GRACE_S:
                continue
            async with board.database.read() as tx:
                state = await board.load_election(tx, eid)
            if state is not None:
                is_closed = state.box is not None or state.abandoned is not None
                await self._relay.advance(manifest, _present(head), is_closed=is_closed)

    async def _manifest(self, eid: bytes) -> Manifest | None:
        """Return a manifest from here or from a peer; kept, because it never changes."""
        if eid not in self._manifests:
            data = await self._context.library.read(manifest_ref(eid))
            try:
                if data is not None:
                    self._manifests[eid] = decode_manifest(data)
            except InvalidInput as error:
                _log.error("a manifest cannot be read", code=error.code)
        return self._manifests.get(eid)


def _present(head: Head) -> Present:
    return Present(height=head.height, timestamp_s=head.time_s)
