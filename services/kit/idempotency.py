"""A request repeated under its ``Idempotency-Key`` takes effect once and gets the same answer.

``begin`` claims the key in a transaction of its own; ``complete`` stores the answer in the
transaction of the effects, so that both stand or fall together. A claim whose holder died lapses
after a minute, and a holder that comes back late loses its effects instead of doubling them.
Answers are kept for a day; ``services.kit.app`` maps the errors to 409 and 422.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput, Unavailable
from services.kit.events import to_milliseconds
from services.kit.tables import IDEMPOTENCY_KEYS

CLAIM_MS: Final = 60_000
"""How long a request may be worked on before its key is free again."""

KEPT_MS: Final = 86_400_000
"""How long an answer is kept."""

BODY_BYTES_MAX: Final = 262_144
"""Largest answer kept."""

_KEY: Final = re.compile(r"[!-~]{1,128}")


class RequestInProgress(InvalidInput):
    """The same request is being worked on; ask again later (409)."""

    code = "idempotency.in_progress"


class KeyReused(InvalidInput):
    """The key was used for another request (422)."""

    code = "idempotency.key_reused"


class ClaimLost(Unavailable):
    """The work took longer than the claim and another took over; nothing of it was kept."""

    code = "idempotency.claim_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotentRequest:
    """A request as its key sees it."""

    tenant: str
    """Municipality."""
    caller: str
    """Who asks; keys of different callers never meet."""
    key: str
    """The header's value."""
    fingerprint: bytes
    """Of method, path and body: ``compute_fingerprint``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to work on a request, and to answer it."""

    request: IdempotentRequest
    """The request."""
    token: str
    """Proof of the right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """What the request was answered the first time."""

    status: int
    """HTTP status."""
    content_type: str
    """Type of the body."""
    body: bytes
    """The body."""


def compute_fingerprint(method: str, path: str, body: bytes) -> bytes:
    """Return what tells one request from another."""
    return sha256(sha256(f"{method} {path}".encode()) + sha256(body))


async def begin(
    tx: AsyncConnection, request: IdempotentRequest, *, now: datetime
) -> Claim | StoredAnswer:
    """Claim a request, or return what it was answered before.

    Raises:
        RequestInProgress: Somebody works on it.
        KeyReused: The key belongs to another request.
        InvalidInput: The key is malformed.
    """
    if not _KEY.fullmatch(request.key):
        raise InvalidInput("Idempotency-Key: 1 to 128 visible ASCII characters")
    table, now_ms = IDEMPOTENCY_KEYS, to_milliseconds(now)
    row = (await tx.execute(select(table).where(*_is(request)))).one_or_none()
    claim = Claim(request=request, token=secrets.token_hex(16))
    if row is None:
        await tx.execute(
            insert(table).values(
                tenant=request.tenant,
                caller=request.caller,
                key=request.key,
                fingerprint=request.fingerprint,
                claim=claim.token,
                noted_ms=now_ms,
            )
        )
        return claim
    age_ms = now_ms - row.noted_ms
    is_done = row.claim is None
    is_fresh = age_ms < KEPT_MS if is_done else 0 <= age_ms < CLAIM_MS
    if is_fresh and bytes(row.fingerprint) != request.fingerprint:
        raise KeyReused("Idempotency-Key: used for another request; take a new one")
    if is_fresh and not is_done:
        raise RequestInProgress("Idempotency-Key: this request is being worked on; ask again later")
    if is_fresh:
        return StoredAnswer(status=row.status, content_type=row.content_type, body=bytes(row.body))
    await tx.execute(
        update(table)
        .where(*_is(request))
        .values(
            fingerprint=request.fingerprint,
            claim=claim.token,
            noted_ms=now_ms,
            status=None,
            content_type=None,
            body=None,
        )
    )
    return claim


async def complete(
    tx: AsyncConnection, claim: Claim, answer: StoredAnswer, *, now: datetime
) -> None:
    """Store the answer, in the transaction of the effects.

    Raises:
        ClaimLost: Another took over; let the transaction fail.
        InvalidInput: The answer is larger than ``BODY_BYTES_MAX``.
    """
    if len(answer.body) > BODY_BYTES_MAX:
        raise InvalidInput(f"answer of {len(answer.body)} bytes; at most {BODY_BYTES_MAX} are kept")
    table = IDEMPOTENCY_KEYS
    done = await tx.execute(
        update(table)
        .where(*_is(claim.request), table.c.claim == claim.token)
        .values(
            claim=None,
            noted_ms=to_milliseconds(now),
            status=answer.status,
            content_type=answer.content_type,
            body=answer.body,
        )
    )
    if done.rowcount != 1:
        raise ClaimLost("the request took too long and was taken over; nothing of this try is kept")


async def abandon(tx: AsyncConnection, claim: Claim) -> None:
    """Free the key of a request that had no effect, so that it may be made again at once."""
    table = IDEMPOTENCY_KEYS
    await tx.execute(delete(table).where(*_is(claim.request), table.c.claim == claim.token))


async def prune_keys(tx: AsyncConnection, *, now: datetime) -> int:
    """Forget answers older than a day; return how many."""
    table = IDEMPOTENCY_KEYS
    limit = to_milliseconds(now) - KEPT_MS
    return int((await tx.execute(delete(table).where(table.c.noted_ms < limit))).rowcount)


def _is(request: IdempotentRequest) -> tuple[ColumnElement[bool], ...]:
    table = IDEMPOTENCY_KEYS
    return (
        table.c.tenant == request.tenant,
        table.c.caller == request.caller,
        table.c.key == request.key,
    )
