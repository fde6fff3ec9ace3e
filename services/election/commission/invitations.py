"""Invitation codes and the sessions they open: requested, issued, spent, revoked, guessed at.

A code opens sessions of one slot and nothing else. It is spent by the enrolment accepted through
it, revoked by a newer one. What a caller without a good code learns is one answer for every reason,
and soon none: wrong codes are counted by source and for all. A source with too many is locked out
for the hour. When all together have too many, an alarm is raised and every source gets one wrong
code an hour, so that whoever floods the door does not lock it for those with a good code.

Spec: CODE-ISSUE, CODE-GUESS.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.canonical import encode_canonical
from node.primitives.json_text import decode_json
from services.election.commission.codes import MalformedCode, draw_code, read_code
from services.election.commission.rolls import Roll, RollNotReady, RollState
from services.election.commission.tables import (
    CODE_REQUESTS,
    CODES,
    GUESSES,
    RESIDENTS,
    SESSIONS,
)
from services.election.commission.vault import Vault
from services.kit.events import to_milliseconds
from services.kit.problems import Refusal, TooManyRequests

SESSION_LIFE: Final = timedelta(minutes=60)
GUESS_WINDOW_S: Final = 3_600
GUESSES_PER_SOURCE: Final = 10
"""Wrong codes of one source in an hour."""
GUESSES_OF_ALL: Final = 2_000
"""Wrong codes of everyone in an hour; beyond it someone is guessing on purpose."""

REQUESTS_SHOWN: Final = 50


class Channel(StrEnum):
    """How a code reaches the elector."""

    COUNTER = "counter"
    LETTER = "letter"
    INBOX = "inbox"


class CodeRefused(Refusal):
    """The code opens nothing: unknown, revoked or spent."""

    code = "election.code_refused"
    status = HTTPStatus.FORBIDDEN


class Guessing(TooManyRequests):
    """Too many wrong codes from here, or from everywhere."""

    code = "election.guesses"


class SessionEnded(Refusal):
    """The session is unknown or over; log in again."""

    code = "election.session_ended"
    status = HTTPStatus.FORBIDDEN


class NotLinked(Refusal):
    """The resident is not linked to an elector of this roll yet."""

    code = "election.not_linked"
    status = HTTPStatus.FORBIDDEN


class RequestMissing(Refusal):
    """There is no such request, or it was decided."""

    code = "election.request_missing"
    status = HTTPStatus.NOT_FOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An open session."""

    slot: bytes
    """The slot it is for."""
    code: bytes | None
    """Hash of the code that opened it, if one did."""
    is_counter: bool
    """Opened by an officer at a counter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSession:
    """A session as its holder gets it."""

    bearer: str
    """64 hex digits."""
    expires_s: int
    """When it ends."""

    def __repr__(self) -> str:
        """Hide the bearer."""
        return "OpenedSession(hidden)"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CodeRequest:
    """What a resident asked for."""

    request: str
    """Its id."""
    resident: str
    """The hub's pseudonym."""
    name: str
    """As given."""
    address: str
    """As given."""
    birth_date: str
    """As given."""


def _of(table: Any, roll: Roll) -> tuple[Any, Any]:
    return table.c.tenant == roll.tenant, table.c.draft == roll.draft


async def issue_code(
    tx: AsyncConnection, roll: Roll, slot: bytes, vault: Vault, *, channel: Channel, now: datetime
) -> bytes:
    """Issue a new code for a slot and revoke those before it.

    Raises:
        RollNotReady: The roll is not fixed, or the election is over.

    Spec: CODE-ISSUE.
    """
    roll.check_state(RollState.FIXED, RollState.ANNOUNCED)
    await revoke_codes(tx, roll, slot)
    code = draw_code()
    await tx.execute(
        insert(CODES).values(
            tenant=roll.tenant,
            draft=roll.draft,
            hash=vault.hash_code(code),
            slot=slot,
            state="issued",
            channel=channel.value,
            issued_ms=to_milliseconds(now),
        )
    )
    return code


async def revoke_codes(tx: AsyncConnection, roll: Roll, slot: bytes) -> int:
    """Revoke the slot's issued codes and end its session; return how many codes.

    Spec: CODE-ISSUE.
    """
    done = await tx.execute(
        update(CODES)
        .where(*_of(CODES, roll), CODES.c.slot == slot, CODES.c.state == "issued")
        .values(state="revoked")
    )
    await tx.execute(delete(SESSIONS).where(*_of(SESSIONS, roll), SESSIONS.c.slot == slot))
    return int(done.rowcount)


async def spend_code(tx: AsyncConnection, roll: Roll, code: bytes | None) -> None:
    """Mark the code as spent through which an enrolment was accepted.

    Spec: CODE-ISSUE.
    """
    if code is not None:
        await tx.execute(
            update(CODES).where(*_of(CODES, roll), CODES.c.hash == code).values(state="spent")
        )


async def check_guesses(tx: AsyncConnection, roll: Roll, source: bytes, now: datetime) -> None:
    """Refuse when this source, or everyone together, has guessed too often in this hour.

    Raises:
        Guessing: It has.

    Spec: CODE-GUESS.
    """
    counts = []
    for who in (source, b""):
        query = select(GUESSES.c.count).where(*_guess(roll, who, now))
        counts.append((await tx.execute(query)).scalar() or 0)
    most = 1 if counts[1] >= GUESSES_OF_ALL else GUESSES_PER_SOURCE
    if counts[0] >= most:
        raise Guessing("too many wrong codes; wait an hour", rule="CODE-GUESS")


async def note_guess(tx: AsyncConnection, roll: Roll, source: bytes, now: datetime) -> bool:
    """Count a wrong code; tell whether it is the one that raises the alarm.

    Spec: CODE-GUESS.
    """
    window = int(now.timestamp()) // GUESS_WINDOW_S
    past = (GUESSES.c.tenant == roll.tenant, GUESSES.c.window < window)
    await tx.execute(delete(GUESSES).where(*past))
    count = 0
    for who in (source, b""):
        done = await tx.execute(
            update(GUESSES).where(*_guess(roll, who, now)).values(count=GUESSES.c.count + 1)
        )
        if not done.rowcount:
            values = {"tenant": roll.tenant, "source": who, "window": window, "count": 1}
            await tx.execute(insert(GUESSES).values(values))
        query = select(GUESSES.c.count).where(*_guess(roll, who, now))
        count = int((await tx.execute(query)).scalar_one())
    return count == GUESSES_OF_ALL


def _guess(roll: Roll, source: bytes, now: datetime) -> tuple[Any, Any, Any]:
    window = int(now.timestamp()) // GUESS_WINDOW_S
    table = GUESSES
    return table.c.tenant == roll.tenant, table.c.source == source, table.c.window == window


async def open_with_code(
    tx: AsyncConnection, roll: Roll, typed: str, vault: Vault, *, now: datetime
) -> OpenedSession | None:
    """Open a session with a code as typed, None when it opens nothing.

    Spec: CODE-ISSUE.
    """
    try:
        hashed = vault.hash_code(read_code(typed))
    except MalformedCode:
        return None
    query = select(CODES.c.slot).where(
        *_of(CODES, roll), CODES.c.hash == hashed, CODES.c.state == "issued"
    )
    slot = (await tx.execute(query)).scalar_one_or_none()
    if slot is None:
        return None
    return await open_session(tx, roll, bytes(slot), code=hashed, is_counter=False, now=now)


async def open_session(
    tx: AsyncConnection,
    roll: Roll,
    slot: bytes,
    *,
    code: bytes | None,
    is_counter: bool,
    now: datetime,
) -> OpenedSession:
    """Open the session of a slot; the one before ends.

    Raises:
        RollNotReady: The election is not announced, or enrolment is over.
    """
    _, manifest = roll.announced
    if roll.state is not RollState.ANNOUNCED or int(now.timestamp()) >= manifest.closes_at:
        raise RollNotReady("enrolment is over", state=roll.state)
    bearer = secrets.token_bytes(32)
    expires = now + SESSION_LIFE
    await tx.execute(delete(SESSIONS).where(*_of(SESSIONS, roll), SESSIONS.c.slot == slot))
    await tx.execute(
        insert(SESSIONS).values(
            tenant=roll.tenant,
            draft=roll.draft,
            hash=_hash_bearer(bearer),
            slot=slot,
            code=code,
            is_counter=is_counter,
            expires_ms=to_milliseconds(expires),
        )
    )
    return OpenedSession(bearer=bearer.hex(), expires_s=int(expires.timestamp()))


async def load_session(tx: AsyncConnection, roll: Roll, bearer: str, now: datetime) -> Session:
    """Return the session of a bearer.

    Raises:
        SessionEnded: It is unknown or over.
    """
    query = select(SESSIONS).where(
        *_of(SESSIONS, roll),
        SESSIONS.c.hash == _hash_bearer(bytes.fromhex(bearer)),
        SESSIONS.c.expires_ms > to_milliseconds(now),
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise SessionEnded("the session is over; log in again")
    return Session(
        slot=bytes(row.slot),
        code=None if row.code is None else bytes(row.code),
        is_counter=row.is_counter,
    )


def _hash_bearer(bearer: bytes) -> bytes:
    return sha256(b"daicho election session 1" + bearer).digest()


async def ask_for_code(
    tx: AsyncConnection,
    roll: Roll,
    vault: Vault,
    *,
    resident: str,
    body: dict[str, str],
    now: datetime,
) -> None:
    """Keep what a resident asks for, until an officer decides; again replaces it."""
    roll.check_state(RollState.FIXED, RollState.ANNOUNCED)
    request = secrets.token_hex(8)
    await tx.execute(
        delete(CODE_REQUESTS).where(*_of(CODE_REQUESTS, roll), CODE_REQUESTS.c.resident == resident)
    )
    await tx.execute(
        insert(CODE_REQUESTS).values(
            tenant=roll.tenant,
            draft=roll.draft,
            request=request,
            resident=resident,
            body=vault.seal(encode_canonical(body), place=f"request:{request}"),
            state="waiting",
            asked_ms=to_milliseconds(now),
        )
    )


async def list_requests(tx: AsyncConnection, roll: Roll, vault: Vault) -> tuple[CodeRequest, ...]:
    """Return the oldest requests that wait for an officer."""
    table = CODE_REQUESTS
    query = (
        select(table)
        .where(*_of(table, roll), table.c.state == "waiting")
        .order_by(table.c.asked_ms, table.c.request)
        .limit(REQUESTS_SHOWN)
    )
    return tuple(_request(row, vault) for row in (await tx.execute(query)).all())


def _request(row: Any, vault: Vault) -> CodeRequest:
    body: Any = decode_json(vault.open(bytes(row.body), place=f"request:{row.request}"))
    return CodeRequest(request=row.request, resident=row.resident, **body)


async def decide_request(
    tx: AsyncConnection, roll: Roll, request: str, *, slot: bytes | None
) -> str:
    """Link the resident of a request to a slot, or refuse it; return the resident.

    Raises:
        RequestMissing: There is none that waits.
    """
    table = CODE_REQUESTS
    query = select(table.c.resident).where(
        *_of(table, roll), table.c.request == request, table.c.state == "waiting"
    )
    resident = (await tx.execute(query)).scalar_one_or_none()
    if resident is None:
        raise RequestMissing("no such request waits")
    await tx.execute(
        update(table)
        .where(*_of(table, roll), table.c.request == request)
        .values(state="linked" if slot is not None else "refused")
    )
    if slot is not None:
        others = (RESIDENTS.c.resident == resident) | (RESIDENTS.c.slot == slot)
        await tx.execute(delete(RESIDENTS).where(*_of(RESIDENTS, roll), others))
        await tx.execute(
            insert(RESIDENTS).values(
                tenant=roll.tenant, draft=roll.draft, resident=resident, slot=slot
            )
        )
    return str(resident)


async def slot_of_resident(tx: AsyncConnection, roll: Roll, resident: str) -> bytes:
    """Return the slot a resident is linked to.

    Raises:
        NotLinked: None.
    """
    query = select(RESIDENTS.c.slot).where(*_of(RESIDENTS, roll), RESIDENTS.c.resident == resident)
    slot = (await tx.execute(query)).scalar_one_or_none()
    if slot is None:
        raise NotLinked("the resident is not linked to an elector")
    return bytes(slot)


async def count_codes(tx: AsyncConnection, roll: Roll) -> dict[str, int]:
    """Return how many codes there are, by channel and state."""
    query = (
        select(CODES.c.channel, CODES.c.state, func.count())
        .where(*_of(CODES, roll))
        .group_by(CODES.c.channel, CODES.c.state)
    )
    rows = (await tx.execute(query)).all()
    return {f"{channel}/{state}": int(count) for channel, state, count in rows}
