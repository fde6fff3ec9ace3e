"""The board's part of the service."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from clients.core.transport import http_nodes
from clients.voting.manifest import decode_manifest
from node.genesis.parse import parse_genesis
from services.election.board.files import FileRef
from services.election.board.follow import Board, open_board_follower
from services.election.board.operations import BoardOperations, file_page
from services.election.board.refs import expected_files, incidents_of, manifest_ref
from services.election.parts import Context, Part
from services.kit.supervision import BackgroundTask

MIGRATIONS: Path | None = Path(__file__).parent / "migrations"

POLL_MAX_S: Final = 2.0
"""Longest pause at the head; shorter where blocks come faster."""

FETCH_POLL_S: Final = 10.0
"""Pause between two looks for missing files."""


def build_part(context: Context) -> Part | None:
    """Return what everyone's service has."""
    return Part(
        sources=(BoardOperations(context),),
        tasks=(
            BackgroundTask(name="board", run=_Following(context).run),
            BackgroundTask(name="files", run=Fetching(context).run),
        ),
        pages=(file_page(context),),
    )


class Fetching:
    """Fetches what every election's record needs and is not here yet."""

    def __init__(self, context: Context) -> None:
        """Hold the library."""
        self._context = context

    async def run(self) -> None:
        """Fetch for ever; a task."""
        while True:
            await self.fetch_missing()
            await self._context.resources.clock.sleep(FETCH_POLL_S)

    async def fetch_missing(self) -> int:
        """Ask once for everything that is missing; return how many files still are."""
        board = self._context.board
        async with board.database.read() as tx:
            ids = await board.list_elections(tx)
            drafts = await board.list_drafts(tx)
        missing = 0
        for draft_id in drafts:
            async with board.database.read() as tx:
                draft = await board.load_draft(tx, draft_id)
            if draft is not None:
                missing += await self._fetch(incidents_of(draft))
        for eid in ids:
            async with board.database.read() as tx:
                state = await board.load_election(tx, eid)
            if state is not None:
                data = await self._context.library.read(manifest_ref(state.eid))
                manifest = None if data is None else decode_manifest(data)
                refs = expected_files(state, manifest)
                missing += await self._fetch(ref for ref in refs if ref.subject == state.eid)
        return missing

    async def _fetch(self, refs: Iterable[FileRef]) -> int:
        library, missing = self._context.library, 0
        for ref in refs:
            async with self._context.board.database.read() as tx:
                known = await self._context.board.find_file(tx, ref.subject, ref.digest)
            if known is not None and library.store.has(ref.digest):
                continue
            if await library.read(ref) is None:
                missing += 1
        return missing


class _Following:
    """Reads the contracts for ever."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """Follow; a task."""
        context = self._context
        settings, clock = context.settings, context.resources.clock
        genesis = parse_genesis(settings.genesis_file.read_bytes())
        pause_s = min(POLL_MAX_S, genesis.profile.block_period_s)
        board = Board(context.board, context.contracts)
        addresses = [(node.name, node.url) for node in settings.nodes]
        async with http_nodes(addresses) as nodes:
            follower = await open_board_follower(
                context.board,
                context.contracts,
                nodes=tuple(nodes),
                genesis=genesis.header,
                clock=clock,
            )
            while True:
                await follower.follow_to_head(board.take)
                if board.tell_news():
                    context.pulse.beat()
                await clock.sleep(pause_s)
