"""How far each chain transaction that a service asked for has come, as the relay reports it.

States go forward only: a report that arrives late or twice changes nothing. Asking is
``outbox.intend``; a service never takes a sent transaction for a final one.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.errors import InvalidInput
from node.primitives.types import Hash32, Height, TransactionHash
from services.kit.events import Event, from_milliseconds, to_milliseconds
from services.kit.tables import CHAIN_INTENTS

STATE_CHANGED: Final = "jp.daicho.chain.state-changed.v1"
"""Type of the relay's report; its subject is the operation id."""


class IntentState(StrEnum):
    """Where a chain transaction stands."""

    INTENDED = "intended"
    BATCHED = "batched"
    SENT = "sent"
    MINED = "mined"
    FINAL = "final"
    FAILED = "failed"
    REPLACED = "replaced"


FAILED: Final = (IntentState.FAILED, IntentState.REPLACED)
"""Ends at which the ledger did not do what was asked."""

_RANK: Final = {state: min(rank, 4) for rank, state in enumerate(IntentState)}
"""Place on the way; the last three are ends and none follows another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentStatus:
    """What is known of one intent."""

    operation_id: str
    """The operation that asked."""
    state: IntentState
    """Where it stands."""
    transaction_hash: TransactionHash | None
    """The transaction that carries it, once sent."""
    height: Height | None
    """The block that holds it, once mined."""
    reason: str | None
    """Why it failed or was replaced."""
    changed: datetime
    """When the state last changed."""


async def load_intent(
    tx: AsyncConnection, *, tenant: str, operation_id: str
) -> IntentStatus | None:
    """Return what is known of an intent, None if none was asked for."""
    table = CHAIN_INTENTS
    query = select(table).where(table.c.tenant == tenant, table.c.operation_id == operation_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    known_hash = row.transaction_hash
    return IntentStatus(
        operation_id=row.operation_id,
        state=IntentState(row.state),
        transaction_hash=None if known_hash is None else TransactionHash(Hash32(bytes(known_hash))),
        height=None if row.height is None else Height(row.height),
        reason=row.reason,
        changed=from_milliseconds(row.changed_ms),
    )


async def apply_state_change(tx: AsyncConnection, event: Event) -> None:
    """Take a report of the relay; an inbox handler.

    Raises:
        InvalidInput: The report is malformed or names an operation this service never had.
    """
    if event.type != STATE_CHANGED:
        raise InvalidInput(f"expected an event of type {STATE_CHANGED}")
    state = _parse_state(event.data.get("state"))
    status = await load_intent(tx, tenant=event.tenant, operation_id=event.subject)
    if status is None:
        raise InvalidInput(f"operation {event.subject}: this service asked for no such transaction")
    is_resend = state == status.state == IntentState.SENT
    if _RANK[state] <= _RANK[status.state] and not is_resend:
        return
    table = CHAIN_INTENTS
    await tx.execute(
        update(table)
        .where(table.c.tenant == event.tenant, table.c.operation_id == event.subject)
        .values(
            state=state.value,
            transaction_hash=_parse_hash(event.data.get("transaction_hash")),
            height=_parse_height(event.data.get("height")),
            reason=_parse_reason(event.data.get("reason")),
            changed_ms=to_milliseconds(event.time),
        )
    )


def _parse_state(value: object) -> IntentState:
    try:
        return IntentState(str(value))
    except ValueError as error:
        raise InvalidInput("chain state: not one of the relay's states") from error


def _parse_hash(value: object) -> bytes | None:
    if value is None:
        return None
    try:
        raw = bytes.fromhex(str(value).removeprefix("0x"))
    except ValueError as error:
        raise InvalidInput("transaction hash: not hexadecimal") from error
    if len(raw) != 32:
        raise InvalidInput("transaction hash: expected 32 bytes")
    return raw


def _parse_height(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise InvalidInput("height: expected a number")
    return value


def _parse_reason(value: object) -> str | None:
    return None if value is None else str(value)[:200]
