"""The board's part of the service."""

from pathlib import Path
from typing import Final

from clients.core.transport import http_nodes
from node.genesis.parse import parse_genesis
from services.election.board.follow import Board, open_board_follower
from services.election.board.operations import BoardOperations, file_page
from services.election.parts import Context, Part
from services.kit.supervision import BackgroundTask

MIGRATIONS: Path | None = Path(__file__).parent / "migrations"

POLL_S: Final = 2.0
"""Pause at the head."""


def build_part(context: Context) -> Part | None:
    """Return what everyone's service has."""
    return Part(
        sources=(BoardOperations(context),),
        tasks=(BackgroundTask(name="board", run=_Following(context).run),),
        pages=(file_page(context),),
    )


class _Following:
    """Reads the contracts for ever."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """Follow; a task."""
        context = self._context
        settings, clock = context.settings, context.resources.clock
        genesis = parse_genesis(settings.genesis_file.read_bytes()).header
        board = Board(context.board, context.contracts)
        addresses = [(node.name, node.url) for node in settings.nodes]
        async with http_nodes(addresses) as nodes:
            follower = await open_board_follower(
                context.board, context.contracts, nodes=tuple(nodes), genesis=genesis, clock=clock
            )
            while True:
                await follower.follow_to_head(board.take)
                await clock.sleep(POLL_S)
