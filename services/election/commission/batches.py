"""Batches on an interval, and the freeze: what the roll shows of itself, asked for at the relay.

A batch takes every entry and cancel record whose receipt names it, and closes in the transaction
that makes it. At freezing time the last batch closes; when all of them are final on the ledger,
each style's active list is made: the latest entry of every slot that no cancel record has ended.

Spec: ROLL-BATCH, ROLL-ACTIVE, ROLLC-BATCH, ROLLC-FREEZE.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.voting.group import decode_point
from clients.voting.roll_files import ActiveList, BatchEntry, RollBatch, build_batch
from services.election.commission.enrolment import next_batch
from services.election.commission.rolls import Roll
from services.election.commission.tables import ACTIVE, BATCHES, CANCELS, ENROLMENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch:
    """A batch that was made."""

    number: int
    """Its number."""
    root: bytes
    """Its root."""
    entries: int
    """New entries."""
    cancels: int
    """Cancel records."""
    body: bytes
    """The bytes of its file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredActive:
    """The active list of a style."""

    style: int
    """The style."""
    count: int
    """Entries."""
    root: bytes
    """Merkle root."""
    file_digest: bytes
    """SHA-256 of the file."""
    body: bytes
    """The file."""


def _of(table: Any, roll: Roll) -> tuple[Any, Any]:
    return table.c.tenant == roll.tenant, table.c.draft == roll.draft


async def make_batch(tx: AsyncConnection, roll: Roll, now_ms: int) -> StoredBatch | None:
    """Close the open batch and return it; None while nothing is in it.

    Spec: ROLL-BATCH.
    """
    number = await next_batch(tx, roll)
    table = ENROLMENTS
    query = select(table.c.commitment, table.c.style, table.c.a, table.c.b).where(
        *_of(table, roll), table.c.batch == number
    )
    entries = [
        BatchEntry(
            commitment=bytes(row.commitment),
            style=row.style,
            a=decode_point(bytes(row.a)),
            b=decode_point(bytes(row.b)),
        )
        for row in (await tx.execute(query)).all()
    ]
    chosen = select(CANCELS.c.commitment).where(
        *_of(CANCELS, roll), CANCELS.c.batch == number, CANCELS.c.state == "signed"
    )
    cancels = [bytes(found) for found in (await tx.execute(chosen)).scalars()]
    if not entries and not cancels:
        return None
    batch = build_batch(entries, cancels)
    stored = _stored(number, batch)
    await tx.execute(
        insert(BATCHES).values(
            tenant=roll.tenant,
            draft=roll.draft,
            number=number,
            root=stored.root,
            entries=stored.entries,
            cancels=stored.cancels,
            body=stored.body,
            made_ms=now_ms,
        )
    )
    return stored


def _stored(number: int, batch: RollBatch) -> StoredBatch:
    return StoredBatch(
        number=number,
        root=batch.root,
        entries=len(batch.entries),
        cancels=len(batch.cancels),
        body=batch.encode(),
    )


async def find_batch(tx: AsyncConnection, roll: Roll, number: int) -> StoredBatch | None:
    """Return a batch that was made."""
    query = select(BATCHES).where(*_of(BATCHES, roll), BATCHES.c.number == number)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    return StoredBatch(
        number=row.number,
        root=bytes(row.root),
        entries=row.entries,
        cancels=row.cancels,
        body=bytes(row.body),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCounts:
    """How much the roll has shown."""

    batches: int
    """Batches made."""
    entries: int
    """Entries in them."""
    cancels: int
    """Cancel records in them."""


async def count_batches(tx: AsyncConnection, roll: Roll) -> BatchCounts:
    """Return how much the roll has shown."""
    query = select(
        func.count(),
        func.coalesce(func.sum(BATCHES.c.entries), 0),
        func.coalesce(func.sum(BATCHES.c.cancels), 0),
    ).where(*_of(BATCHES, roll))
    batches, entries, cancels = (await tx.execute(query)).one()
    return BatchCounts(batches=int(batches), entries=int(entries), cancels=int(cancels))


async def has_unbatched(tx: AsyncConnection, roll: Roll) -> bool:
    """Tell whether an entry or record is promised to a batch that is still open."""
    number = await next_batch(tx, roll)
    for table in (ENROLMENTS, CANCELS):
        query = select(func.count()).where(*_of(table, roll), table.c.batch == number)
        if (await tx.execute(query)).scalar_one():
            return True
    return False


async def end_enrolment(tx: AsyncConnection, roll: Roll) -> None:
    """Void what was checked and never attested: nobody has a receipt for it."""
    await tx.execute(
        update(ENROLMENTS)
        .where(*_of(ENROLMENTS, roll), ENROLMENTS.c.state.in_(("begun", "checked")))
        .values(state="void")
    )


async def make_active_lists(
    tx: AsyncConnection, roll: Roll, styles: Sequence[int]
) -> tuple[StoredActive, ...]:
    """Make the active list of every style, also of those without an entry.

    Spec: ROLL-ACTIVE.
    """
    table = ENROLMENTS
    query = select(table.c.commitment, table.c.style).where(
        *_of(table, roll), table.c.state == "accepted"
    )
    found: dict[int, list[bytes]] = {style: [] for style in styles}
    for row in (await tx.execute(query)).all():
        found[row.style].append(bytes(row.commitment))
    lists = []
    for style, commitments in sorted(found.items()):
        active = ActiveList(commitments=tuple(sorted(commitments)))
        stored = StoredActive(
            style=style,
            count=len(active.commitments),
            root=active.root,
            file_digest=active.file_digest,
            body=active.encode(),
        )
        await tx.execute(
            insert(ACTIVE).values(
                tenant=roll.tenant,
                draft=roll.draft,
                style=style,
                entries=stored.count,
                root=stored.root,
                file_digest=stored.file_digest,
                body=stored.body,
            )
        )
        lists.append(stored)
    return tuple(lists)


async def list_active(tx: AsyncConnection, roll: Roll) -> tuple[StoredActive, ...]:
    """Return the active lists of a frozen roll, by style."""
    query = select(ACTIVE).where(*_of(ACTIVE, roll)).order_by(ACTIVE.c.style)
    return tuple(
        StoredActive(
            style=row.style,
            count=row.entries,
            root=bytes(row.root),
            file_digest=bytes(row.file_digest),
            body=bytes(row.body),
        )
        for row in (await tx.execute(query)).all()
    )
