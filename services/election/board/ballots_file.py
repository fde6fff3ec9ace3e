"""``ballots.bin`` and ``withdrawals.bin`` of the published record, written a page at a time."""

import asyncio
import os
from pathlib import Path

from services.election.board.store import AcceptedBallot, BoardStore

PAGE: int = 2_000


def encode_ballot(ballot: AcceptedBallot) -> bytes:
    """Return I8(index) || I8(height) || I8(block time) || I2(size of core) || core || SIG65."""
    numbers = (ballot.number, ballot.height, ballot.time_s)
    head = b"".join(number.to_bytes(8, "big") for number in numbers)
    return head + len(ballot.core).to_bytes(2, "big") + ballot.core + ballot.signature


async def write_ballots(board: BoardStore, eid: bytes, path: Path) -> int:
    """Write every accepted ballot in the box's order; return how many. Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    count = 0
    with partial.open("wb") as file:
        page: list[bytes] = []
        async for ballot in board.iterate_ballots(eid):
            page.append(encode_ballot(ballot))
            count += 1
            if len(page) == PAGE:
                await asyncio.to_thread(file.write, b"".join(page))
                page = []
        file.write(b"".join(page))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return count


async def encode_withdrawals(board: BoardStore, eid: bytes) -> bytes:
    """Return P64(K) || I8(height) || SIG65 of every withdrawal."""
    async with board.database.read() as tx:
        found = await board.list_withdrawals(tx, eid)
    return b"".join(each.key + each.height.to_bytes(8, "big") + each.signature for each in found)
