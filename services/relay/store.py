"""The relay's memory: operations, signed transactions, and what final blocks held.

Every function runs inside a transaction of its caller. Which changes belong together is decided
in ``intake`` and ``relay``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.errors import Misconfigured
from node.primitives.types import Address, Hash32, Height, TransactionHash
from services.kit.intents import IntentState
from services.relay.choice import Waiting
from services.relay.machine import Candidate, Landed, Lane, Loss, Slot
from services.relay.operations import Operation, Word, compute_void
from services.relay.tables import CANDIDATES, LANES, OPERATIONS, SETTLED

WAITING_READ_MAX: Final = 20_000
"""Waiting operations looked at when choosing the next."""

ENDS: Final = (IntentState.FINAL, IntentState.FAILED, IntentState.REPLACED)
"""States that nothing follows."""

UNDER_WAY: Final = (IntentState.BATCHED, IntentState.SENT, IntentState.MINED)
"""States of operations that stand at a nonce."""


class WrongAccount(Misconfigured):
    """The database belongs to another key."""

    code = "relay.wrong_account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An operation as the relay remembers it."""

    operation: Operation
    """What was asked for."""
    state: IntentState
    """How far it has come."""
    is_withdrawn: bool
    """Its service no longer wants it."""
    transaction_hash: TransactionHash | None
    """Transaction that carries it, or that gave it up."""
    height: Height | None
    """Block that settled it."""
    reason: str | None
    """Why it failed or was replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A transaction of the account in a final block."""

    transaction_hash: TransactionHash
    """Its hash."""
    height: Height
    """The block's height."""
    is_success: bool
    """False when the call reverted."""


async def open_lane(tx: AsyncConnection, *, tenant: str, account: Address) -> Lane:
    """Load the lane with its signed transactions, or begin one.

    Raises:
        WrongAccount: The database was written with another key.
    """
    row = (await tx.execute(select(LANES).where(LANES.c.tenant == tenant))).one_or_none()
    if row is None:
        await tx.execute(insert(LANES).values(tenant=tenant, account=account, next_nonce=0))
        return Lane(next_nonce=0)
    if bytes(row.account) != account:
        raise WrongAccount(
            f"the database belongs to account 0x{bytes(row.account).hex()}, the key is that of "
            f"0x{account.hex()}; name the key of that account, or an empty database"
        )
    table = CANDIDATES
    query = select(table).where(table.c.tenant == tenant).order_by(table.c.nonce, table.c.position)
    slots: dict[int, tuple[Candidate, ...]] = {}
    for found in await tx.execute(query):
        candidate = Candidate(
            word=Word(bytes(found.word)),
            is_filler=found.is_filler,
            loss=Loss(found.loss),
            reason=found.reason,
        )
        slots[found.nonce] = (*slots.get(found.nonce, ()), candidate)
    return Lane(
        next_nonce=row.next_nonce,
        slots=tuple(Slot(nonce=nonce, candidates=each) for nonce, each in sorted(slots.items())),
    )


async def save_next_nonce(tx: AsyncConnection, *, tenant: str, next_nonce: int) -> None:
    """Note that every lower nonce is settled, and forget their signed transactions."""
    await tx.execute(update(LANES).where(LANES.c.tenant == tenant).values(next_nonce=next_nonce))
    await tx.execute(
        delete(CANDIDATES).where(CANDIDATES.c.tenant == tenant, CANDIDATES.c.nonce < next_nonce)
    )


async def load_next_nonce(tx: AsyncConnection, *, tenant: str) -> int:
    """Return the lowest nonce that no final block holds, as of this transaction."""
    query = select(LANES.c.next_nonce).where(LANES.c.tenant == tenant)
    return int((await tx.execute(query)).scalar() or 0)


async def add_candidate(
    tx: AsyncConnection, *, tenant: str, nonce: int, candidate: Candidate, raw: bytes
) -> None:
    """Store a signed transaction behind the others of its nonce."""
    table = CANDIDATES
    here = select(func.count()).where(table.c.tenant == tenant, table.c.nonce == nonce)
    await tx.execute(
        insert(table).values(
            tenant=tenant,
            nonce=nonce,
            position=(await tx.execute(here)).scalar_one(),
            word=candidate.word,
            is_filler=candidate.is_filler,
            loss=candidate.loss.value,
            reason=candidate.reason,
            raw=raw,
        )
    )


async def save_fate(tx: AsyncConnection, *, tenant: str, nonce: int, candidate: Candidate) -> None:
    """Store what becomes of a signed transaction if another takes its nonce."""
    table = CANDIDATES
    await tx.execute(
        update(table)
        .where(table.c.tenant == tenant, table.c.nonce == nonce, table.c.word == candidate.word)
        .values(loss=candidate.loss.value, reason=candidate.reason)
    )


async def load_raw(tx: AsyncConnection, *, tenant: str, nonce: int, word: Word) -> bytes | None:
    """Return a signed transaction, None once its nonce is settled."""
    table = CANDIDATES
    query = select(table.c.raw).where(
        table.c.tenant == tenant, table.c.nonce == nonce, table.c.word == word
    )
    raw = (await tx.execute(query)).scalar()
    return None if raw is None else bytes(raw)


async def add_settled(
    tx: AsyncConnection, *, tenant: str, landed: Landed, transaction_hash: TransactionHash
) -> None:
    """Remember a transaction of the account in a final block."""
    await tx.execute(
        insert(SETTLED).values(
            tenant=tenant,
            nonce=landed.nonce,
            word=landed.word,
            transaction_hash=transaction_hash,
            height=landed.height,
            is_success=landed.is_success,
        )
    )


async def find_settled(tx: AsyncConnection, *, tenant: str, word: Word) -> Outcome | None:
    """Return the final transaction with this word, None if no final block holds one."""
    query = select(SETTLED).where(SETTLED.c.tenant == tenant, SETTLED.c.word == word)
    row = (await tx.execute(query.order_by(SETTLED.c.nonce).limit(1))).one_or_none()
    if row is None:
        return None
    return Outcome(
        transaction_hash=TransactionHash(Hash32(bytes(row.transaction_hash))),
        height=Height(row.height),
        is_success=row.is_success,
    )


async def add_operation(tx: AsyncConnection, operation: Operation, *, received_ms: int) -> None:
    """Store an operation that waits."""
    await tx.execute(
        insert(OPERATIONS).values(
            tenant=operation.tenant,
            word=operation.word,
            void=compute_void(operation.word),
            service=operation.service,
            operation_id=operation.operation_id,
            to=operation.to,
            data=operation.data,
            gas_limit=operation.gas_limit,
            fingerprint=operation.fingerprint,
            state=IntentState.INTENDED.value,
            is_withdrawn=False,
            received_ms=received_ms,
        )
    )


async def find_operation(tx: AsyncConnection, *, tenant: str, word: Word) -> Known | None:
    """Return an operation by its word or by the word of its void, None if there is none."""
    for column in (OPERATIONS.c.word, OPERATIONS.c.void):
        query = select(OPERATIONS).where(OPERATIONS.c.tenant == tenant, column == word)
        row = (await tx.execute(query)).one_or_none()
        if row is not None:
            return _known(row)
    return None


async def change_operation(
    tx: AsyncConnection, *, tenant: str, word: Word, **values: object
) -> None:
    """Change what is remembered of an operation."""
    await tx.execute(
        update(OPERATIONS)
        .where(OPERATIONS.c.tenant == tenant, OPERATIONS.c.word == word)
        .values(**values)
    )


async def count_unsettled(tx: AsyncConnection, *, tenant: str, service: str) -> int:
    """Return how many operations of a service have not come to an end."""
    table = OPERATIONS
    query = select(func.count()).where(
        table.c.tenant == tenant,
        table.c.service == service,
        table.c.state.not_in([state.value for state in ENDS]),
    )
    return int((await tx.execute(query)).scalar_one())


async def list_waiting(tx: AsyncConnection, *, tenant: str) -> tuple[Waiting, ...]:
    """Return the operations without a nonce, in the order of their arrival."""
    return tuple(
        Waiting(word=Word(bytes(row.word)), service=row.service)
        for row in await _read_waiting(tx, tenant, is_withdrawn=False)
    )


async def list_voids(tx: AsyncConnection, *, tenant: str) -> tuple[Word, ...]:
    """Return the voids of operations that were withdrawn before they had a nonce."""
    return tuple(
        Word(bytes(row.void)) for row in await _read_waiting(tx, tenant, is_withdrawn=True)
    )


async def _read_waiting(tx: AsyncConnection, tenant: str, *, is_withdrawn: bool) -> Sequence[Any]:
    table = OPERATIONS
    query = (
        select(table.c.word, table.c.void, table.c.service)
        .where(
            table.c.tenant == tenant,
            table.c.state == IntentState.INTENDED.value,
            table.c.is_withdrawn.is_(is_withdrawn),
        )
        .order_by(table.c.arrival)
        .limit(WAITING_READ_MAX)
    )
    return (await tx.execute(query)).all()


async def list_withdrawn_under_way(tx: AsyncConnection, *, tenant: str) -> tuple[Word, ...]:
    """Return the operations that stand at a nonce and are no longer wanted."""
    table = OPERATIONS
    query = (
        select(table.c.word)
        .where(
            table.c.tenant == tenant,
            table.c.state.in_([state.value for state in UNDER_WAY]),
            table.c.is_withdrawn.is_(True),
        )
        .order_by(table.c.arrival)
    )
    return tuple(Word(bytes(word)) for word in (await tx.execute(query)).scalars())


async def count_under_way(tx: AsyncConnection, *, tenant: str) -> Mapping[str, int]:
    """Return how many operations stand at a nonce, by service."""
    table = OPERATIONS
    query = (
        select(table.c.service, func.count().label("total"))
        .where(
            table.c.tenant == tenant,
            table.c.state.in_([state.value for state in UNDER_WAY]),
        )
        .group_by(table.c.service)
    )
    return {row.service: row.total for row in await tx.execute(query)}


async def count_states(tx: AsyncConnection, *, tenant: str) -> Mapping[IntentState, int]:
    """Return how many operations are in each state."""
    table = OPERATIONS
    query = (
        select(table.c.state, func.count().label("total"))
        .where(table.c.tenant == tenant)
        .group_by(table.c.state)
    )
    found = {IntentState(row.state): int(row.total) for row in await tx.execute(query)}
    return {state: found.get(state, 0) for state in IntentState}


async def find_oldest_unsettled(tx: AsyncConnection, *, tenant: str) -> int | None:
    """Return when the oldest operation without an end arrived, in milliseconds."""
    table = OPERATIONS
    query = select(func.min(table.c.received_ms)).where(
        table.c.tenant == tenant,
        table.c.state.in_([state.value for state in (IntentState.INTENDED, *UNDER_WAY)]),
    )
    oldest: int | None = (await tx.execute(query)).scalar()
    return oldest


def _known(row: Row[Any]) -> Known:
    kept_hash = row.transaction_hash
    return Known(
        operation=Operation(
            tenant=row.tenant,
            service=row.service,
            operation_id=row.operation_id,
            to=Address(bytes(row.to)),
            data=bytes(row.data),
            gas_limit=row.gas_limit,
        ),
        state=IntentState(row.state),
        is_withdrawn=row.is_withdrawn,
        transaction_hash=None if kept_hash is None else TransactionHash(Hash32(bytes(kept_hash))),
        height=None if row.height is None else Height(row.height),
        reason=row.reason,
    )
