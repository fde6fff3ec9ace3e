"""Rows of the ballot relay, read and written for one municipality and one election.

Spec: CAST-QUEUE.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.voting.batch import Refusal as BoxRefusal
from services.election.ballots.batching import Pending, Recorded
from services.election.ballots.checking import KeyStanding
from services.election.ballots.tables import ABSORBED, BATCHES, KEYS, QUEUE, WITHDRAWALS
from services.election.board.tables import BALLOTS, REFUSALS
from services.election.board.tables import WITHDRAWALS as WITHDRAWN

RETRIED: Final = frozenset({BoxRefusal.INTERVAL, BoxRefusal.SEQUENCE})
"""Refusals that another ballot of the key explains; the next pass looks again."""

ABSORB_MAX: Final = 2_000
"""Ballots taken over from the board at once."""

CHOOSE_MAX: Final = 4_096
"""Pending ballots looked at for one batch."""


class BallotState(StrEnum):
    """Where a ballot that was handed in here stands."""

    PENDING = "pending"
    SENT = "sent"
    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which rows are meant."""

    tenant: str
    """The municipality."""
    eid: bytes
    """The election."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A ballot handed in here."""

    deadline: int
    """Height promised."""
    receipt: bytes
    """Signature of the promise."""
    state: BallotState
    """Where it stands."""
    reason: str | None
    """Why it was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A ballot in the box."""

    height: int
    """Its block."""
    index: int
    """Its place in the box."""
    transaction: bytes
    """Hash of the transaction."""


async def find_queued(tx: AsyncConnection, scope: Scope, ballot_hash: bytes) -> Queued | None:
    """Return a ballot handed in here, None when there is none."""
    query = select(QUEUE).where(
        QUEUE.c.tenant == scope.tenant, QUEUE.c.eid == scope.eid, QUEUE.c.hash == ballot_hash
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    return Queued(
        deadline=row.deadline,
        receipt=bytes(row.receipt),
        state=BallotState(row.state),
        reason=row.reason,
    )


async def find_placed(tx: AsyncConnection, scope: Scope, ballot_hash: bytes) -> Placed | None:
    """Return where the box holds a ballot, None when it does not."""
    query = select(BALLOTS).where(
        BALLOTS.c.tenant == scope.tenant,
        BALLOTS.c.eid == scope.eid,
        BALLOTS.c.digest == ballot_hash,
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    return Placed(height=row.height, index=row.number, transaction=bytes(row.transaction_hash))


async def load_standing(tx: AsyncConnection, scope: Scope, key: bytes) -> KeyStanding:
    """Return what is known of a key: box and queue."""
    known = select(KEYS.c.sequence).where(
        KEYS.c.tenant == scope.tenant, KEYS.c.eid == scope.eid, KEYS.c.key == key
    )
    waiting = select(func.max(QUEUE.c.sequence)).where(
        QUEUE.c.tenant == scope.tenant,
        QUEUE.c.eid == scope.eid,
        QUEUE.c.key == key,
        QUEUE.c.state.in_((BallotState.PENDING, BallotState.SENT)),
    )
    withdrawn = select(WITHDRAWN.c.height).where(
        WITHDRAWN.c.tenant == scope.tenant, WITHDRAWN.c.eid == scope.eid, WITHDRAWN.c.key == key
    )
    return KeyStanding(
        recorded=(await tx.execute(known)).scalar() or 0,
        queued=(await tx.execute(waiting)).scalar() or 0,
        is_withdrawn=(await tx.execute(withdrawn)).scalar() is not None,
    )


async def count_open(tx: AsyncConnection, scope: Scope) -> int:
    """Return how many ballots wait or are under way."""
    query = select(func.count()).where(
        QUEUE.c.tenant == scope.tenant,
        QUEUE.c.eid == scope.eid,
        QUEUE.c.state.in_((BallotState.PENDING, BallotState.SENT)),
    )
    return int((await tx.execute(query)).scalar_one())


async def count_states(tx: AsyncConnection, scope: Scope) -> Mapping[str, int]:
    """Return how many ballots handed in here stand where."""
    query = (
        select(QUEUE.c.state, func.count())
        .where(QUEUE.c.tenant == scope.tenant, QUEUE.c.eid == scope.eid)
        .group_by(QUEUE.c.state)
    )
    return {row[0]: row[1] for row in await tx.execute(query)}


async def add_queued(
    tx: AsyncConnection, scope: Scope, ballot_hash: bytes, ballot: Pending, receipt: bytes
) -> None:
    """Queue a ballot that was checked and promised."""
    await tx.execute(
        insert(QUEUE).values(
            tenant=scope.tenant,
            eid=scope.eid,
            hash=ballot_hash,
            key=ballot.key,
            sequence=ballot.sequence,
            core=ballot.core,
            signature=ballot.signature,
            deadline=ballot.deadline,
            receipt=receipt,
            state=BallotState.PENDING.value,
        )
    )


async def load_pending(tx: AsyncConnection, scope: Scope) -> tuple[Pending, ...]:
    """Return the pending ballots whose promises end first."""
    query = (
        select(QUEUE)
        .where(
            QUEUE.c.tenant == scope.tenant,
            QUEUE.c.eid == scope.eid,
            QUEUE.c.state == BallotState.PENDING,
        )
        .order_by(QUEUE.c.deadline, QUEUE.c.hash)
        .limit(CHOOSE_MAX)
    )
    return tuple(
        Pending(
            key=bytes(row.key),
            sequence=row.sequence,
            core=bytes(row.core),
            signature=bytes(row.signature),
            deadline=row.deadline,
        )
        for row in await tx.execute(query)
    )


async def load_recorded(
    tx: AsyncConnection, scope: Scope, keys: Collection[bytes]
) -> dict[bytes, Recorded]:
    """Return what the box has of these keys, by key."""
    found: dict[bytes, Recorded] = {}
    names = sorted(keys)
    for at in range(0, len(names), 500):
        query = select(KEYS).where(
            KEYS.c.tenant == scope.tenant,
            KEYS.c.eid == scope.eid,
            KEYS.c.key.in_(names[at : at + 500]),
        )
        for row in await tx.execute(query):
            found[bytes(row.key)] = Recorded(sequence=row.sequence, cast_at=row.cast_at)
    return found


async def last_batch(tx: AsyncConnection, scope: Scope) -> tuple[int, int]:
    """Return number and time of the last batch; (-1, 0) before the first."""
    query = (
        select(BATCHES.c.number, BATCHES.c.sent_s)
        .where(BATCHES.c.tenant == scope.tenant, BATCHES.c.eid == scope.eid)
        .order_by(BATCHES.c.number.desc())
        .limit(1)
    )
    row = (await tx.execute(query)).one_or_none()
    return (-1, 0) if row is None else (row.number, row.sent_s)


async def add_batch(
    tx: AsyncConnection, scope: Scope, number: int, hashes: Sequence[bytes], *, sent_s: int
) -> None:
    """Note a batch and that its ballots are under way."""
    await tx.execute(
        insert(BATCHES).values(
            tenant=scope.tenant, eid=scope.eid, number=number, is_settled=False, sent_s=sent_s
        )
    )
    for ballot_hash in hashes:
        await tx.execute(
            update(QUEUE)
            .where(
                QUEUE.c.tenant == scope.tenant,
                QUEUE.c.eid == scope.eid,
                QUEUE.c.hash == ballot_hash,
            )
            .values(state=BallotState.SENT.value, batch=number)
        )


async def open_batches(tx: AsyncConnection, scope: Scope) -> tuple[int, ...]:
    """Return the numbers of batches whose end is not noted yet."""
    query = (
        select(BATCHES.c.number)
        .where(
            BATCHES.c.tenant == scope.tenant,
            BATCHES.c.eid == scope.eid,
            BATCHES.c.is_settled.is_(False),
        )
        .order_by(BATCHES.c.number)
    )
    return tuple((await tx.execute(query)).scalars())


async def settle_batch(
    tx: AsyncConnection, scope: Scope, number: int, *, height: int | None
) -> None:
    """Note that a batch is over: what the box refused, and what waits again.

    Args:
        tx: The transaction.
        scope: Which election.
        number: Which batch.
        height: Block that holds it, None when none does.
    """
    await tx.execute(
        update(BATCHES)
        .where(
            BATCHES.c.tenant == scope.tenant,
            BATCHES.c.eid == scope.eid,
            BATCHES.c.number == number,
        )
        .values(is_settled=True)
    )
    mine = (QUEUE.c.tenant == scope.tenant, QUEUE.c.eid == scope.eid)
    query = select(QUEUE.c.hash).where(
        *mine, QUEUE.c.batch == number, QUEUE.c.state == BallotState.SENT
    )
    for ballot_hash in (await tx.execute(query)).scalars().all():
        reason = None if height is None else await _refusal(tx, scope, ballot_hash, height)
        is_final = reason is not None and reason not in RETRIED
        state = BallotState.REFUSED if is_final else BallotState.PENDING
        told = reason.name.lower() if reason is not None and is_final else None
        await mark(tx, scope, ballot_hash, state, reason=told)


async def _refusal(
    tx: AsyncConnection, scope: Scope, ballot_hash: bytes, height: int
) -> BoxRefusal | None:
    query = (
        select(REFUSALS.c.reason)
        .where(
            REFUSALS.c.tenant == scope.tenant,
            REFUSALS.c.eid == scope.eid,
            REFUSALS.c.digest == ballot_hash,
            REFUSALS.c.height == height,
        )
        .limit(1)
    )
    reason = (await tx.execute(query)).scalar()
    return None if reason is None else BoxRefusal(reason)


async def mark(
    tx: AsyncConnection,
    scope: Scope,
    ballot_hash: bytes,
    state: BallotState,
    *,
    reason: str | None = None,
) -> None:
    """Note the end of a ballot that was handed in here; an accepted one stays accepted."""
    await tx.execute(
        update(QUEUE)
        .where(
            QUEUE.c.tenant == scope.tenant,
            QUEUE.c.eid == scope.eid,
            QUEUE.c.hash == ballot_hash,
            QUEUE.c.state != BallotState.ACCEPTED,
        )
        .values(state=state.value, reason=reason)
    )


async def refuse_open(tx: AsyncConnection, scope: Scope, reason: str) -> None:
    """Note that whatever still waits never gets into the box."""
    await tx.execute(
        update(QUEUE)
        .where(
            QUEUE.c.tenant == scope.tenant,
            QUEUE.c.eid == scope.eid,
            QUEUE.c.state.in_((BallotState.PENDING, BallotState.SENT)),
        )
        .values(state=BallotState.REFUSED.value, reason=reason)
    )


async def absorb(tx: AsyncConnection, scope: Scope) -> int:
    """Take over what the board read since the last time; return how many ballots.

    Spec: CAST-RESULT.
    """
    mine = (ABSORBED.c.tenant == scope.tenant, ABSORBED.c.eid == scope.eid)
    count = (await tx.execute(select(ABSORBED.c.count).where(*mine))).scalar()
    query = (
        select(BALLOTS.c.core, BALLOTS.c.time_s, BALLOTS.c.digest)
        .where(
            BALLOTS.c.tenant == scope.tenant,
            BALLOTS.c.eid == scope.eid,
            BALLOTS.c.number >= (count or 0),
        )
        .order_by(BALLOTS.c.number)
        .limit(ABSORB_MAX)
    )
    rows = (await tx.execute(query)).all()
    for row in rows:
        core = bytes(row.core)
        await _put_key(
            tx,
            scope,
            core[35:99],
            sequence=int.from_bytes(core[99:107], "big"),
            cast_at=row.time_s,
        )
        await mark(tx, scope, bytes(row.digest), BallotState.ACCEPTED)
    if not rows:
        return 0
    if count is None:
        await tx.execute(
            insert(ABSORBED).values(tenant=scope.tenant, eid=scope.eid, count=len(rows))
        )
    else:
        await tx.execute(update(ABSORBED).where(*mine).values(count=count + len(rows)))
    return len(rows)


async def _put_key(
    tx: AsyncConnection, scope: Scope, key: bytes, *, sequence: int, cast_at: int
) -> None:
    changed = await tx.execute(
        update(KEYS)
        .where(KEYS.c.tenant == scope.tenant, KEYS.c.eid == scope.eid, KEYS.c.key == key)
        .values(sequence=sequence, cast_at=cast_at)
    )
    if not changed.rowcount:
        await tx.execute(
            insert(KEYS).values(
                tenant=scope.tenant,
                eid=scope.eid,
                key=key,
                sequence=sequence,
                cast_at=cast_at,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """A withdrawal handed in here."""

    key: bytes
    """P64 of the key."""
    sequence: int
    """Number it was signed for."""
    signature: bytes
    """r, s, v with v 27 or 28."""
    attempts: int
    """Transactions asked for so far."""
    state: str
    """pending, sent or done."""


async def add_withdrawal(tx: AsyncConnection, scope: Scope, asked: Withdrawal) -> None:
    """Queue a withdrawal; a later signature of the same key takes its place until it is done."""
    values = {
        "sequence": asked.sequence,
        "signature": asked.signature,
        "state": asked.state,
    }
    changed = await tx.execute(
        update(WITHDRAWALS)
        .where(
            WITHDRAWALS.c.tenant == scope.tenant,
            WITHDRAWALS.c.eid == scope.eid,
            WITHDRAWALS.c.key == asked.key,
        )
        .values(**values)
    )
    if not changed.rowcount:
        await tx.execute(
            insert(WITHDRAWALS).values(
                tenant=scope.tenant,
                eid=scope.eid,
                key=asked.key,
                attempts=asked.attempts,
                **values,
            )
        )


async def load_withdrawals(
    tx: AsyncConnection, scope: Scope, *, state: str
) -> tuple[Withdrawal, ...]:
    """Return withdrawals in a state."""
    query = (
        select(WITHDRAWALS)
        .where(
            WITHDRAWALS.c.tenant == scope.tenant,
            WITHDRAWALS.c.eid == scope.eid,
            WITHDRAWALS.c.state == state,
        )
        .order_by(WITHDRAWALS.c.key)
        .limit(CHOOSE_MAX)
    )
    return tuple(
        Withdrawal(
            key=bytes(row.key),
            sequence=row.sequence,
            signature=bytes(row.signature),
            attempts=row.attempts,
            state=row.state,
        )
        for row in await tx.execute(query)
    )


async def put_withdrawal_state(
    tx: AsyncConnection, scope: Scope, key: bytes, state: str, *, attempts: int | None = None
) -> None:
    """Note where a withdrawal stands."""
    values: dict[str, object] = {"state": state}
    if attempts is not None:
        values["attempts"] = attempts
    await tx.execute(
        update(WITHDRAWALS)
        .where(
            WITHDRAWALS.c.tenant == scope.tenant,
            WITHDRAWALS.c.eid == scope.eid,
            WITHDRAWALS.c.key == key,
        )
        .values(**values)
    )
