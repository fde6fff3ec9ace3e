"""The trustee's part of the service: its operations, and a task that does what is due."""

from pathlib import Path
from typing import Final

from clients.voting.group import Point, decode_point
from node.log import Log
from node.primitives.errors import InvalidInput, LedgerError, Misconfigured
from services.election.parts import Context, Part
from services.election.trustee.acts import Acts
from services.election.trustee.ceremony import (
    CeremonyParts,
    CeremonyWorker,
    list_ceremonies,
)
from services.election.trustee.custodian import Custodian
from services.election.trustee.operations import TrusteeOperations
from services.election.trustee.remote_custodian import RemoteCustodian
from services.election.trustee.tally import TallyParts, TallyWorker
from services.kit.health import ReadinessCheck
from services.kit.supervision import BackgroundTask

MIGRATIONS: Path | None = Path(__file__).parent / "migrations"

POLL_S: Final = 3.0
"""Longest pause between two looks."""

_log = Log("election-trustee")


def build_part(context: Context) -> Part | None:
    """Return what a trustee's service has; None when the role is off."""
    settings = context.settings.trustee
    if settings is None:
        return None
    worker = TrusteeWorker(
        context, RemoteCustodian(settings.custodian_socket), node=_node_key(settings.node_key)
    )
    return Part(
        sources=(TrusteeOperations(context, worker.ceremonies),),
        tasks=(BackgroundTask(name="trustee", run=worker.run),),
        checks=(ReadinessCheck(name="trustee acts", run=worker.acts.check),),
    )


class TrusteeWorker:
    """Looks at every draft and election, and does what is due."""

    def __init__(self, context: Context, custodian: Custodian, *, node: Point) -> None:
        """Hold the workers."""
        acts = Acts(context)
        self.acts = acts
        self._context = context
        self.ceremonies = CeremonyWorker(
            CeremonyParts(
                context=context,
                library=context.library,
                custodian=custodian,
                acts=acts,
                node=node,
            )
        )
        self.tallies = TallyWorker(
            TallyParts(context=context, library=context.library, custodian=custodian, acts=acts)
        )

    async def run(self) -> None:
        """Look for ever; a task."""
        news = self._context.pulse.listen()
        while True:
            await self.look()
            await news.wait(self._context.resources.clock, POLL_S)

    async def look(self) -> None:
        """Look once; trouble with one draft or election does not stop the others."""
        board = self._context.board
        async with board.database.read() as tx:
            drafts = await list_ceremonies(tx, self._context)
            known = set(await board.list_drafts(tx))
            elections = await board.list_elections(tx)
        for draft_id in drafts:
            if draft_id not in known:
                continue
            try:
                await self.ceremonies.advance(draft_id)
            except LedgerError as error:
                _log.error("a ceremony waits", draft=draft_id.hex()[:16], code=error.code)
        for eid in elections:
            try:
                await self.tallies.advance(eid)
            except LedgerError as error:
                _log.error("a tally waits", election=eid.hex()[:16], code=error.code)


def _node_key(text: str) -> Point:
    try:
        return decode_point(bytes.fromhex(text))
    except (ValueError, InvalidInput) as error:
        raise Misconfigured(
            "trustee.node_key: expected a compressed public key of 66 hexadecimal digits"
        ) from error
