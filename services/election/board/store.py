"""What the board keeps in the database, and how it is asked."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.header import Header, decode_header
from node.primitives.receipt import Log
from node.primitives.types import Address, Hash32
from services.election.board.contracts import NAMES, ContractEvent, Contracts
from services.election.board.state import (
    DraftState,
    ElectionState,
    Fact,
    build_draft,
    build_election,
)
from services.election.board.tables import (
    BALLOTS,
    CURSORS,
    FACTS,
    FILES,
    REFUSALS,
    WITHDRAWALS,
)
from services.kit.database import Database

EVENTS_KEPT: Final = 8_192
"""Most events kept in memory as they were read."""

CURSOR: Final = "board"
"""Name of the follower's cursor."""

PAGE_SIZE: Final = 2_000
"""Ballots read at once."""

ANNOUNCED: Final = "Elections.Announced"
DRAFTED: Final = "Elections.Drafted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last block that took effect."""

    height: int
    time_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedBallot:
    """A ballot in the box."""

    number: int
    """Its index."""
    height: int
    time_s: int
    digest: bytes
    transaction_hash: bytes
    core: bytes
    signature: bytes
    """r || s || v, v 27 or 28."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedItem:
    """An item of a batch that the box refused."""

    height: int
    transaction_hash: bytes
    reason: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """A ballot key withdrawn."""

    key: bytes
    """P64."""
    height: int
    sequence: int
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFile:
    """A file of the store."""

    digest: bytes
    size: int
    is_restricted: bool


_PLACEHOLDER: Final = Contracts(
    elections=Address(b"\x01" * 20),
    credentials=Address(b"\x02" * 20),
    ballot_box=Address(b"\x03" * 20),
    tally_board=Address(b"\x04" * 20),
    bulletin=Address(b"\x05" * 20),
)
"""Addresses under which kept events are read again; where they came from was checked before."""


class BoardStore:
    """Reads and writes the board's tables."""

    def __init__(self, database: Database, *, tenant: str) -> None:
        """Hold the database."""
        self.database = database
        self.tenant = tenant

    async def load_head(self, tx: AsyncConnection) -> Head | None:
        """Return the last block that took effect; None before the first."""
        header = await self._load_header(tx)
        return None if header is None else Head(height=header.height, time_s=header.timestamp_s)

    async def _load_header(self, tx: AsyncConnection) -> Header | None:
        query = select(CURSORS.c.header).where(
            CURSORS.c.tenant == self.tenant, CURSORS.c.name == CURSOR
        )
        kept = (await tx.execute(query)).scalar()
        return None if kept is None else decode_header(bytes(kept))

    async def list_elections(self, tx: AsyncConnection) -> tuple[bytes, ...]:
        """Return the ids of all announced elections, in their order."""
        return await self._list(tx, ANNOUNCED)

    async def list_drafts(self, tx: AsyncConnection) -> tuple[bytes, ...]:
        """Return all draft ids, in their order."""
        return await self._list(tx, DRAFTED)

    async def _list(self, tx: AsyncConnection, name: str) -> tuple[bytes, ...]:
        query = (
            select(FACTS.c.subject)
            .where(FACTS.c.tenant == self.tenant, FACTS.c.name == name)
            .order_by(FACTS.c.position)
        )
        return tuple(bytes(found) for found in (await tx.execute(query)).scalars())

    async def load_election(self, tx: AsyncConnection, eid: bytes) -> ElectionState | None:
        """Return an election with its draft; None when none was announced under this id."""
        state = build_election(await self._load_facts(tx, eid))
        if state is None:
            return None
        return replace(state, draft=await self.load_draft(tx, state.terms.draft_id))

    async def load_draft(self, tx: AsyncConnection, draft_id: bytes) -> DraftState | None:
        """Return a draft."""
        return build_draft(await self._load_facts(tx, draft_id))

    async def _load_facts(self, tx: AsyncConnection, subject: bytes) -> list[Fact]:
        query = (
            select(FACTS)
            .where(FACTS.c.tenant == self.tenant, FACTS.c.subject == subject)
            .order_by(FACTS.c.position)
        )
        return [_fact_of(row) for row in await tx.execute(query)]

    async def iterate_ballots(self, eid: bytes) -> AsyncIterator[AcceptedBallot]:
        """Yield every accepted ballot in the box's order, a page of them in memory."""
        after = -1
        while True:
            query = (
                select(BALLOTS)
                .where(
                    BALLOTS.c.tenant == self.tenant,
                    BALLOTS.c.eid == eid,
                    BALLOTS.c.number > after,
                )
                .order_by(BALLOTS.c.number)
                .limit(PAGE_SIZE)
            )
            async with self.database.read() as tx:
                rows = (await tx.execute(query)).all()
            for row in rows:
                yield _ballot_of(row)
            if len(rows) < PAGE_SIZE:
                return
            after = rows[-1].number

    async def find_ballot(
        self, tx: AsyncConnection, eid: bytes, digest: bytes
    ) -> AcceptedBallot | None:
        """Return the accepted ballot with this hash."""
        query = select(BALLOTS).where(
            BALLOTS.c.tenant == self.tenant, BALLOTS.c.eid == eid, BALLOTS.c.digest == digest
        )
        row = (await tx.execute(query.order_by(BALLOTS.c.number).limit(1))).one_or_none()
        return None if row is None else _ballot_of(row)

    async def list_ballots(
        self, tx: AsyncConnection, eid: bytes, *, first: int, count_max: int
    ) -> tuple[AcceptedBallot, ...]:
        """Return some accepted ballots from an index on, in the box's order."""
        query = (
            select(BALLOTS)
            .where(BALLOTS.c.tenant == self.tenant, BALLOTS.c.eid == eid, BALLOTS.c.number >= first)
            .order_by(BALLOTS.c.number)
            .limit(count_max)
        )
        return tuple(_ballot_of(row) for row in (await tx.execute(query)).all())

    async def find_tracked(
        self, tx: AsyncConnection, eid: bytes, beginning: bytes
    ) -> AcceptedBallot | None:
        """Return the accepted ballot whose hash begins with these bytes."""
        query = (
            select(BALLOTS)
            .where(
                BALLOTS.c.tenant == self.tenant,
                BALLOTS.c.eid == eid,
                BALLOTS.c.digest >= beginning + bytes(32 - len(beginning)),
                BALLOTS.c.digest <= beginning + b"\xff" * (32 - len(beginning)),
            )
            .order_by(BALLOTS.c.number)
            .limit(1)
        )
        row = (await tx.execute(query)).one_or_none()
        return None if row is None else _ballot_of(row)

    async def find_refusal(
        self, tx: AsyncConnection, eid: bytes, digest: bytes
    ) -> RefusedItem | None:
        """Return the last refusal of a ballot with this hash."""
        query = (
            select(REFUSALS)
            .where(
                REFUSALS.c.tenant == self.tenant,
                REFUSALS.c.eid == eid,
                REFUSALS.c.digest == digest,
            )
            .order_by(REFUSALS.c.height.desc())
            .limit(1)
        )
        row = (await tx.execute(query)).one_or_none()
        if row is None:
            return None
        return RefusedItem(
            height=row.height, transaction_hash=bytes(row.transaction_hash), reason=row.reason
        )

    async def count_ballots(self, tx: AsyncConnection, eid: bytes) -> int:
        """Return how many ballots the box holds."""
        query = (
            select(BALLOTS.c.number)
            .where(BALLOTS.c.tenant == self.tenant, BALLOTS.c.eid == eid)
            .order_by(BALLOTS.c.number.desc())
            .limit(1)
        )
        last = (await tx.execute(query)).scalar()
        return 0 if last is None else int(last) + 1

    async def list_withdrawals(self, tx: AsyncConnection, eid: bytes) -> tuple[Withdrawal, ...]:
        """Return the keys withdrawn, in the chain's order."""
        query = (
            select(WITHDRAWALS)
            .where(WITHDRAWALS.c.tenant == self.tenant, WITHDRAWALS.c.eid == eid)
            .order_by(WITHDRAWALS.c.height, WITHDRAWALS.c.key)
        )
        return tuple(
            Withdrawal(
                key=bytes(row.key),
                height=row.height,
                sequence=row.sequence,
                signature=bytes(row.signature),
            )
            for row in await tx.execute(query)
        )

    async def add_rows(
        self, tx: AsyncConnection, rows: Sequence[tuple[Any, dict[str, Any]]]
    ) -> None:
        """Insert rows of several tables, each table's in one statement."""
        for table in (FACTS, BALLOTS, REFUSALS, WITHDRAWALS):
            values = [{"tenant": self.tenant, **row} for kind, row in rows if kind is table]
            if values:
                await tx.execute(insert(table), values)

    async def note_file(
        self,
        tx: AsyncConnection,
        subject: bytes,
        digest: bytes,
        *,
        size: int,
        is_restricted: bool,
    ) -> None:
        """Note that the store has a file of a draft or election."""
        if await self.find_file(tx, subject, digest) is not None:
            return
        await tx.execute(
            insert(FILES).values(
                tenant=self.tenant,
                subject=subject,
                digest=digest,
                size=size,
                is_restricted=is_restricted,
            )
        )

    async def find_file(
        self, tx: AsyncConnection, subject: bytes, digest: bytes
    ) -> KnownFile | None:
        """Return what is known of a file; None when the store does not have it."""
        query = select(FILES).where(
            FILES.c.tenant == self.tenant, FILES.c.subject == subject, FILES.c.digest == digest
        )
        row = (await tx.execute(query)).one_or_none()
        if row is None:
            return None
        return KnownFile(digest=digest, size=row.size, is_restricted=row.is_restricted)


def _fact_of(row: Any) -> Fact:
    event = _event_of(row.name.partition(".")[0], bytes(row.topics), bytes(row.data))
    return Fact(event=event, height=row.position >> 20, time_s=row.time_s)


@lru_cache(maxsize=EVENTS_KEPT)
def _event_of(contract: str, topics: bytes, data: bytes) -> ContractEvent:
    """Read an event, once: every look at an election begins with all that happened in it."""
    assert contract in NAMES
    log = Log(
        address=_PLACEHOLDER.by_name[contract],
        topics=tuple(Hash32(topics[at : at + 32]) for at in range(0, len(topics), 32)),
        data=data,
    )
    event = _PLACEHOLDER.read_event(log)
    assert event is not None
    return event


def _ballot_of(row: Any) -> AcceptedBallot:
    return AcceptedBallot(
        number=row.number,
        height=row.height,
        time_s=row.time_s,
        digest=bytes(row.digest),
        transaction_hash=bytes(row.transaction_hash),
        core=bytes(row.core),
        signature=bytes(row.signature),
    )
