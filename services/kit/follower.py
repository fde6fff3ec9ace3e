"""Events of final blocks: read in order, verified, each taking effect once.

A follower reads through the light client, so no node's word counts: headers are sealed and linked,
a block's transactions and receipts are all of it and nothing else. Its cursor lies in the service's
own database and moves in the transaction of what the events did there. So a crash repeats nothing,
and a service restored from a backup reads on from where the backup stands: the chain tells it again
what it forgot.

A service keeps the cursors in its own tables: ``define_cursors`` beside them, and a migration.

Spec: RELAY-FOLLOW.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    LargeBinary,
    MetaData,
    Table,
    Text,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.core.headers import StaleHead, TrustLimits
from clients.core.light_client import LightClient
from clients.core.proofs import ProvenLog, ProvenReceipt, logs_of, may_hold_logs
from clients.core.transport import Node
from clients.core.trust import Trust
from node.primitives.errors import Misconfigured
from node.primitives.header import EMPTY_ROOT, Header, decode_header
from node.primitives.types import Address, Height
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.events import to_milliseconds

BATCH_BLOCKS_MAX: Final = 200
"""Most blocks taken in one transaction."""

BATCH_OUTCOMES_MAX: Final = 2_000
"""Most transactions of these blocks; a batch ends with the block that crosses it."""


class CursorMoved(Misconfigured):
    """Two processes read with one cursor."""

    code = "follower.cursor_moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Which blocks are read whole."""

    contracts: frozenset[Address] = frozenset()
    """Contracts whose events are wanted."""
    is_every_block: bool = False
    """Read every block that holds a transaction, for those who look for transactions."""

    def wants(self, header: Header) -> bool:
        """Tell whether the block may hold what is wanted; False is certain.

        Spec: RELAY-FOLLOW.
        """
        if self.is_every_block:
            return header.transactions_root != EMPTY_ROOT
        return any(may_hold_logs(header, address=contract) for contract in self.contracts)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalBlock:
    """A final block and all that happened in it."""

    header: Header
    """Its sealed header."""
    outcomes: tuple[ProvenReceipt, ...]
    """Its transactions with their receipts, in order."""

    def logs_of(self, contract: Address) -> Iterator[ProvenLog]:
        """Return the events of one contract, in order."""
        return (found for found in logs_of(self.outcomes) if found.log.address == contract)


BlockHandler = Callable[[AsyncConnection, FinalBlock], Awaitable[None]]
"""What a block does, inside the transaction that moves the cursor past it; it may run again when
that transaction is tried again."""


def define_cursors(metadata: MetaData) -> Table:
    """Add the table of cursors to a service's tables."""
    return Table(
        "follower_cursors",
        metadata,
        Column("tenant", Text, primary_key=True),
        Column("name", Text, primary_key=True),
        Column("height", BigInteger, nullable=False),
        Column("header", LargeBinary, nullable=False),
        Column("noted_ms", BigInteger, nullable=False),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowerParts:
    """What a follower is built from."""

    database: Database
    """The service's database."""
    cursors: Table
    """Its table of cursors."""
    tenant: str
    """Municipality whose service reads."""
    name: str
    """Name of the cursor."""
    watch: Watch
    """What is wanted."""
    nodes: Sequence[Node]
    """Nodes asked, in this order."""
    limits: TrustLimits
    """How long trust lasts."""
    clock: Clock
    """The present."""


class Follower:
    """Reads final blocks from a cursor on. Open with ``open_follower``."""

    def __init__(self, parts: FollowerParts, client: LightClient, at: Header, *, is_new: bool):
        """Stand behind ``at``; ``is_new`` when the database has no cursor yet."""
        self.at = at
        """The last block that took effect."""
        self.stale: StaleHead | None = None
        """Set while the newest verified block is older than the network's heartbeats allow."""
        self._parts = parts
        self._client = client
        self._is_new = is_new

    @property
    def head(self) -> Header:
        """Return the newest verified header."""
        return self._client.trust.head

    @property
    def lag(self) -> int:
        """Return how many verified blocks have not taken effect yet."""
        return self.head.height - self.at.height

    async def follow_once(self, handler: BlockHandler) -> int:
        """Let the next blocks take effect; return how many, 0 at the head.

        Raises:
            Unavailable: No node gave blocks that verify; what was read before stays.
            CursorMoved: Another process moved the cursor.

        Spec: RELAY-FOLLOW.
        """
        if self.lag <= 0:
            await self._sync()
        headers = await self._load_headers()
        if not headers:
            return 0
        taken, blocks = await self._read(headers)
        await self._parts.database.transact(lambda tx: self._apply(tx, handler, blocks, taken[-1]))
        self.at = taken[-1]
        self._is_new = False
        return len(taken)

    async def follow_to_head(self, handler: BlockHandler) -> int:
        """Let every block up to the present head take effect; return how many."""
        count = 0
        while taken := await self.follow_once(handler):
            count += taken
            if self.lag <= 0:
                break
        return count

    async def _sync(self) -> None:
        """Look for a newer head; an old one is noted, since what it proves is still true."""
        try:
            await self._client.sync()
            self.stale = None
        except StaleHead as error:
            self.stale = error

    async def _load_headers(self) -> tuple[Header, ...]:
        if self.lag <= 0:
            return ()
        return (await self._client.headers_after(self.at, BATCH_BLOCKS_MAX)).value

    async def _read(self, headers: Sequence[Header]) -> tuple[list[Header], list[FinalBlock]]:
        """Read the wanted blocks among ``headers``, up to the bound of one transaction."""
        taken: list[Header] = []
        blocks: list[FinalBlock] = []
        outcome_count = 0
        for header in headers:
            taken.append(header)
            if not self._parts.watch.wants(header):
                continue
            outcomes = (await self._client.block_receipts(header)).value
            blocks.append(FinalBlock(header=header, outcomes=outcomes))
            outcome_count += len(outcomes)
            if outcome_count >= BATCH_OUTCOMES_MAX:
                break
        return taken, blocks

    async def _apply(
        self, tx: AsyncConnection, handler: BlockHandler, blocks: list[FinalBlock], to: Header
    ) -> None:
        """Move the cursor and run the handler, in one transaction.

        Spec: RELAY-FOLLOW.
        """
        await self._move_cursor(tx, to)
        for block in blocks:
            await handler(tx, block)

    async def _move_cursor(self, tx: AsyncConnection, to: Header) -> None:
        table, tenant, name = self._parts.cursors, self._parts.tenant, self._parts.name
        values = {
            "height": to.height,
            "header": to.encode(),
            "noted_ms": to_milliseconds(self._parts.clock.now()),
        }
        if self._is_new:
            await tx.execute(insert(table).values(tenant=tenant, name=name, **values))
            return
        moved = await tx.execute(
            update(table)
            .where(table.c.tenant == tenant, table.c.name == name, table.c.height == self.at.height)
            .values(**values)
        )
        if moved.rowcount != 1:
            raise CursorMoved(
                f"cursor {name} of {tenant} was moved by another process; run one process only, "
                "then start again",
                rule="RELAY-FOLLOW",
            )


async def open_follower(parts: FollowerParts, start: Trust) -> Follower:
    """Read on from the cursor, or from ``start`` when there is none yet.

    Args:
        parts: What it is built from.
        start: A start the operator vouches for: a checkpoint, or the genesis block.

    Raises:
        DatabaseUnavailable: The database does not answer.

    Spec: RELAY-FOLLOW.
    """
    table = parts.cursors
    query = select(table.c.header).where(table.c.tenant == parts.tenant, table.c.name == parts.name)
    async with parts.database.read() as tx:
        kept = (await tx.execute(query)).scalar()
    at = start.head if kept is None else decode_header(bytes(kept))
    client = LightClient(
        parts.nodes,
        replace(start, origin=at, head=at),
        limits=parts.limits,
        now_s=lambda: int(parts.clock.now().timestamp()),
    )
    return Follower(parts, client, at, is_new=kept is None)


async def load_height(
    tx: AsyncConnection, cursors: Table, *, tenant: str, name: str
) -> Height | None:
    """Return the last height that took effect under a cursor, None before the first."""
    query = select(cursors.c.height).where(cursors.c.tenant == tenant, cursors.c.name == name)
    height = (await tx.execute(query)).scalar()
    return None if height is None else Height(height)
