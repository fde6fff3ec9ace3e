"""Work for later, kept in the database: done once, tried again, never forgotten.

A job's effects are rows: its handler runs in the transaction that notes it as done, and whatever
must reach the world goes through the outbox. An attempt is noted before the handler runs, so a job
that kills its process is recognised. What a job is due for is the matter's own time and is kept
whatever the clock does; leases and waits are void when they lie in the future of a clock set back.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.canonical import encode_canonical
from node.primitives.errors import InvalidInput, LedgerError, Unavailable
from node.primitives.json_text import decode_json
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.decisions import Operator, note_decision
from services.kit.deliveries import compute_backoff_ms
from services.kit.events import from_milliseconds, to_milliseconds
from services.kit.schedules import Schedule
from services.kit.tables import JOBS

LEASE_MS: Final = 60_000
"""How long a handler may take."""

ATTEMPTS_MAX: Final = 10
"""Attempts before a job is dead."""

PAYLOAD_BYTES_MAX: Final = 16_384
"""Largest payload."""

POLL_S: Final = 1.0
"""Seconds between two looks for due jobs."""

REVIVED: Final = "job.revived"

_LOG: Final = logging.getLogger(__name__)


class JobLeaseLost(Unavailable):
    """The handler took longer than its lease and another took over; nothing of it was kept."""

    code = "job.lease_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something to be done."""

    tenant: str
    """Municipality."""
    kind: str
    """Which handler does it."""
    key: str
    """Unique in the kind; asking again under it asks for nothing new."""
    due: datetime
    """Not before."""
    payload: Mapping[str, object] = field(default_factory=dict)
    """What the handler needs: references, no personal values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadJob:
    """A job that was given up and waits for an operator."""

    number: int
    """Its number."""
    kind: str
    """Its kind."""
    key: str
    """Its key."""
    reason: str
    """Code of the last error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leased:
    job: Job
    number: int
    attempts: int
    lease: str


JobHandler = Callable[[AsyncConnection, Job], Awaitable[None]]
"""What a job does, inside the transaction that notes it as done."""


async def enqueue(tx: AsyncConnection, job: Job, *, now: datetime) -> bool:
    """Ask for a job if this transaction commits; False when it was asked for before.

    Raises:
        InvalidInput: The payload is too large or not canonical.
    """
    payload = encode_canonical(job.payload)
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise InvalidInput(f"job payload of {len(payload)} bytes; at most {PAYLOAD_BYTES_MAX}")
    known = select(JOBS.c.number).where(
        JOBS.c.tenant == job.tenant, JOBS.c.kind == job.kind, JOBS.c.key == job.key
    )
    if (await tx.execute(known)).scalar() is not None:
        return False
    await tx.execute(
        insert(JOBS).values(
            tenant=job.tenant,
            kind=job.kind,
            key=job.key,
            payload=payload,
            state="waiting",
            due_ms=to_milliseconds(job.due),
            retry_ms=0,
            noted_ms=to_milliseconds(now),
            attempts=0,
        )
    )
    return True


async def cancel(tx: AsyncConnection, *, tenant: str, kind: str, key: str) -> bool:
    """Take back a job that has not been done; False when there is none."""
    done = await tx.execute(
        delete(JOBS).where(
            JOBS.c.tenant == tenant,
            JOBS.c.kind == kind,
            JOBS.c.key == key,
            JOBS.c.state != "done",
        )
    )
    return done.rowcount == 1


async def schedule(
    tx: AsyncConnection, *, tenant: str, kind: str, when: Schedule, now: datetime
) -> None:
    """See that a recurring job waits for its next turn, and for none later than that.

    The second part repairs what a clock that ran ahead has left behind.
    """
    next_turn = to_milliseconds(when.next_after(now))
    mine = (JOBS.c.tenant == tenant, JOBS.c.kind == kind, JOBS.c.state == "waiting")
    waiting = (await tx.execute(select(func.min(JOBS.c.due_ms)).where(*mine))).scalar()
    if waiting is not None and waiting <= next_turn:
        return
    if waiting is not None:
        await tx.execute(delete(JOBS).where(*mine))
    key = f"{next_turn}-{secrets.token_hex(4)}"
    job = Job(tenant=tenant, kind=kind, key=key, due=from_milliseconds(next_turn))
    await enqueue(tx, job, now=now)


async def list_dead_jobs(
    tx: AsyncConnection, *, tenant: str, after: int = 0, count_max: int = 100
) -> tuple[DeadJob, ...]:
    """Return jobs that wait for an operator, oldest first, from behind number ``after`` on."""
    query = (
        select(JOBS)
        .where(JOBS.c.tenant == tenant, JOBS.c.state == "dead", JOBS.c.number > after)
        .order_by(JOBS.c.number)
        .limit(count_max)
    )
    return tuple(
        DeadJob(number=row.number, kind=row.kind, key=row.key, reason=row.reason or "")
        for row in await tx.execute(query)
    )


async def revive(tx: AsyncConnection, number: int, *, tenant: str, by: Operator) -> bool:
    """Try a dead job again because an operator says so; False when there is no such."""
    done = await tx.execute(
        update(JOBS)
        .where(JOBS.c.number == number, JOBS.c.tenant == tenant, JOBS.c.state == "dead")
        .values(state="waiting", attempts=0, retry_ms=0, lease=None)
    )
    if done.rowcount != 1:
        return False
    await note_decision(tx, by, tenant=tenant, action=REVIVED, about=f"job {number}")
    return True


async def prune_jobs(tx: AsyncConnection, *, before: datetime) -> int:
    """Forget jobs done that were due before; return how many. Their keys are free again."""
    limit = to_milliseconds(before)
    done = await tx.execute(delete(JOBS).where(JOBS.c.state == "done", JOBS.c.due_ms < limit))
    return int(done.rowcount)


class JobRunner:
    """Does the jobs of one service."""

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, JobHandler],
        *,
        clock: Clock,
        schedules: Mapping[tuple[str, str], Schedule] | None = None,
    ) -> None:
        """Hold what is needed.

        Args:
            database: The service's database.
            handlers: By kind. Jobs of other kinds are left alone.
            clock: Where the present comes from.
            schedules: Of recurring jobs, by tenant and kind.
        """
        self._database = database
        self._handlers = dict(handlers)
        self._clock = clock
        self._schedules = dict(schedules or {})

    async def run(self) -> None:
        """Do due jobs for ever; the supervisor stops it.

        Raises:
            Exception: Whatever a handler lets through beyond the ledger's own errors.
        """
        while True:
            try:
                await self.run_due()
            except Unavailable as error:
                _LOG.warning("jobs wait: %s", error.code)
            await self._clock.sleep(POLL_S)

    async def run_due(self) -> int:
        """Do what is due now, one job after the other; return how many were tried.

        Raises:
            DatabaseUnavailable: The database does not answer.
        """
        await self._database.transact(self._keep_schedules)
        count = 0
        while (leased := await self._database.transact(self._lease)) is not None:
            await self._do(leased)
            count += 1
        return count

    async def _keep_schedules(self, tx: AsyncConnection) -> None:
        for (tenant, kind), when in sorted(self._schedules.items(), key=lambda item: item[0]):
            await schedule(tx, tenant=tenant, kind=kind, when=when, now=self._clock.now())

    async def _lease(self, tx: AsyncConnection) -> _Leased | None:
        now_ms = to_milliseconds(self._clock.now())
        query = (
            select(JOBS)
            .where(
                JOBS.c.state == "waiting",
                JOBS.c.kind.in_(sorted(self._handlers)),
                JOBS.c.due_ms <= now_ms,
                or_(JOBS.c.retry_ms <= now_ms, JOBS.c.noted_ms > now_ms),
            )
            .order_by(JOBS.c.due_ms, JOBS.c.number)
            .limit(1)
        )
        row = (await tx.execute(query)).one_or_none()
        if row is None:
            return None
        leased = _Leased(
            job=Job(
                tenant=row.tenant,
                kind=row.kind,
                key=row.key,
                due=from_milliseconds(row.due_ms),
                payload=_read_payload(bytes(row.payload)),
            ),
            number=row.number,
            attempts=row.attempts + 1,
            lease=secrets.token_hex(8),
        )
        is_spent = row.attempts >= ATTEMPTS_MAX
        values = {
            "state": "dead" if is_spent else "waiting",
            "attempts": leased.attempts,
            "retry_ms": now_ms + LEASE_MS,
            "noted_ms": now_ms,
            "lease": leased.lease,
            "reason": "job.never_finished" if is_spent else row.reason,
        }
        await tx.execute(update(JOBS).where(JOBS.c.number == row.number).values(**values))
        return leased if not is_spent else await self._lease(tx)

    async def _do(self, leased: _Leased) -> None:
        try:
            await self._database.transact(partial(self._finish, leased=leased))
        except LedgerError as error:
            _LOG.warning("job %s of kind %s: %s", leased.number, leased.job.kind, error.code)
            await self._database.transact(partial(self._put_off, leased=leased, error=error))

    async def _finish(self, tx: AsyncConnection, leased: _Leased) -> None:
        await self._handlers[leased.job.kind](tx, leased.job)
        done = await tx.execute(
            update(JOBS)
            .where(JOBS.c.number == leased.number, JOBS.c.lease == leased.lease)
            .values(state="done", lease=None, reason=None)
        )
        if done.rowcount != 1:
            raise JobLeaseLost(f"job {leased.number} took too long and was taken over")
        tenant, kind = leased.job.tenant, leased.job.kind
        when = self._schedules.get((tenant, kind))
        if when is not None:
            await schedule(tx, tenant=tenant, kind=kind, when=when, now=self._clock.now())

    async def _put_off(self, tx: AsyncConnection, leased: _Leased, error: LedgerError) -> None:
        """Note a failure; trouble with the world never makes a job dead."""
        now_ms = to_milliseconds(self._clock.now())
        is_world = isinstance(error, Unavailable)
        is_dead = leased.attempts >= ATTEMPTS_MAX and not is_world
        await tx.execute(
            update(JOBS)
            .where(JOBS.c.number == leased.number, JOBS.c.lease == leased.lease)
            .values(
                state="dead" if is_dead else "waiting",
                attempts=min(leased.attempts, ATTEMPTS_MAX - 1) if is_world else leased.attempts,
                retry_ms=now_ms + compute_backoff_ms(leased.attempts),
                noted_ms=now_ms,
                lease=None,
                reason=error.code,
            )
        )


def _read_payload(raw: bytes) -> Mapping[str, object]:
    payload = decode_json(raw)
    return payload if isinstance(payload, dict) else {}
