"""Who may act for whom: granted by the principal's own device, or by two members of staff.

A person is named by a code that the own device showed within ten minutes, so nobody is found by
name or number. The delegate acts with the own key; both stand in the record.

Spec: ID-GRANT.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.hub.requests import write_instant
from services.hub import people
from services.hub.documents import LISTED_MAX, GrantAnswer
from services.hub.people import GRANT_PURPOSE, Person
from services.hub.refusals import CodeRefused, GrantRefused, GrantUnknown, SamePerson
from services.hub.showing import show_instant
from services.hub.tables import CODES, GRANTS
from services.kit.envelope import Envelope, Owner
from services.kit.events import from_milliseconds, to_milliseconds
from services.kit.problems import Fault, InvalidRequest

CODE_LIFETIME: Final = timedelta(minutes=10)
GRANT_LIFETIME_MAX: Final = timedelta(days=366)
_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"
_CODE_LENGTH: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrant:
    """A grant about to be kept."""

    principal: Person
    """For whom is acted."""
    delegate: Person
    """Who acts."""
    scope: Sequence[str]
    """Purposes."""
    place: str | None
    """Where, when limited to a place."""
    basis: str
    """Guardian, family, carer, emergency."""
    expires_at: datetime
    """Until when."""
    entered_by: str
    """``principal``, or a member of staff."""
    is_confirmed: bool
    """False while a second member of staff is awaited."""


async def make_code(tx: AsyncConnection, person: Person, *, now: datetime) -> tuple[str, datetime]:
    """Make a code that names a person for ten minutes, once."""
    code = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH))
    expires_at = now + CODE_LIFETIME
    await tx.execute(delete(CODES).where(CODES.c.expires_ms < to_milliseconds(now)))
    await tx.execute(
        delete(CODES).where(CODES.c.tenant == person.tenant, CODES.c.resident == person.reference)
    )
    await tx.execute(
        insert(CODES).values(
            tenant=person.tenant,
            digest=_digest(code),
            resident=person.reference,
            expires_ms=to_milliseconds(expires_at),
        )
    )
    return code, expires_at


async def take_code(tx: AsyncConnection, *, tenant: str, code: str, now: datetime) -> Person:
    """Return whom a code names, and use it up.

    Raises:
        CodeRefused: It is wrong, used or too old.
    """
    query = select(CODES).where(CODES.c.tenant == tenant, CODES.c.digest == _digest(code))
    row = (await tx.execute(query)).one_or_none()
    if row is None or row.expires_ms <= to_milliseconds(now):
        raise CodeRefused("code: wrong, used or too old")
    await tx.execute(delete(CODES).where(CODES.c.tenant == tenant, CODES.c.digest == _digest(code)))
    person = await people.load_person(tx, tenant=tenant, reference=row.resident)
    if person is None:
        raise CodeRefused("code: of nobody known any more")
    return person


async def add_grant(
    tx: AsyncConnection, grant: NewGrant, *, envelope: Envelope, now: datetime
) -> str:
    """Keep a grant; return its id.

    Raises:
        SamePerson: Principal and delegate are one.
        InvalidRequest: It ends too late, or has ended.

    Spec: ID-GRANT.
    """
    if grant.principal.id == grant.delegate.id:
        raise SamePerson("grant: to oneself")
    if not now < grant.expires_at <= now + GRANT_LIFETIME_MAX:
        fault = Fault(pointer="/expires_at", kind="out_of_range")
        raise InvalidRequest("grant: ends too late or has ended", faults=(fault,))
    identifier = secrets.token_hex(16)
    place = None
    if grant.place is not None:
        owner = Owner(
            tenant=grant.principal.tenant, person=grant.principal.reference, purpose=GRANT_PURPOSE
        )
        place = await envelope.seal(
            tx, owner, grant.place.encode(), context=f"grants.place:{identifier}", now=now
        )
    await tx.execute(
        insert(GRANTS).values(
            tenant=grant.principal.tenant,
            id=identifier,
            principal=grant.principal.reference,
            delegate=grant.delegate.reference,
            scope=" ".join(sorted(set(grant.scope))),
            place=place,
            basis=grant.basis,
            entered_by=grant.entered_by,
            confirmed_by=grant.entered_by if grant.is_confirmed else None,
            granted_ms=to_milliseconds(now),
            expires_ms=to_milliseconds(grant.expires_at),
        )
    )
    return identifier


async def confirm_grant(
    tx: AsyncConnection, *, tenant: str, identifier: str, by: str, now: datetime
) -> Any:
    """Let a second member of staff confirm a grant; return its row.

    Raises:
        GrantUnknown: None waits under that id.
        SamePerson: The first member confirms.

    Spec: ID-GRANT.
    """
    row = await load_grant(tx, tenant=tenant, identifier=identifier)
    if row is None or row.ended_ms is not None or row.expires_ms <= to_milliseconds(now):
        raise GrantUnknown("grant: none waits")
    if row.entered_by == by:
        raise SamePerson("grant: a second member confirms")
    if row.confirmed_by is None:
        await tx.execute(
            update(GRANTS)
            .where(GRANTS.c.tenant == tenant, GRANTS.c.id == identifier)
            .values(confirmed_by=by)
        )
    return await load_grant(tx, tenant=tenant, identifier=identifier)


async def end_grant(tx: AsyncConnection, person: Person, identifier: str, *, now: datetime) -> None:
    """End a grant that a person gave or holds; repeating it changes nothing.

    Raises:
        GrantUnknown: There is none of or for this person.
    """
    row = await load_grant(tx, tenant=person.tenant, identifier=identifier)
    if row is None or person.reference not in (row.principal, row.delegate):
        raise GrantUnknown("grant: none of this person")
    if row.ended_ms is None:
        await tx.execute(
            update(GRANTS)
            .where(GRANTS.c.tenant == person.tenant, GRANTS.c.id == identifier)
            .values(ended_ms=to_milliseconds(now))
        )


async def load_grant(tx: AsyncConnection, *, tenant: str, identifier: str) -> Any | None:
    """Return a grant's row, None when there is none."""
    query = select(GRANTS).where(GRANTS.c.tenant == tenant, GRANTS.c.id == identifier)
    return (await tx.execute(query)).one_or_none()


async def find_usable_grant(
    tx: AsyncConnection,
    delegate: Person,
    identifier: str,
    *,
    purposes: Sequence[str],
    now: datetime,
) -> Any:
    """Return a grant by which somebody may act now for these purposes.

    Raises:
        GrantRefused: There is none of that id for this person, or it is not confirmed, ended, over
            or for something else.

    Spec: ID-GRANT-USE.
    """
    row = await load_grant(tx, tenant=delegate.tenant, identifier=identifier)
    if (
        row is None
        or row.delegate != delegate.reference
        or row.confirmed_by is None
        or row.ended_ms is not None
        or row.expires_ms <= to_milliseconds(now)
        or not set(purposes) <= set(row.scope.split(" "))
    ):
        raise GrantRefused("grant: none that covers this now")
    return row


async def open_place(tx: AsyncConnection, row: Any, *, envelope: Envelope) -> str | None:
    """Return the place that a grant is limited to, None for none."""
    if row.place is None:
        return None
    opened = await envelope.open(
        tx, bytes(row.place), tenant=row.tenant, context=f"grants.place:{row.id}"
    )
    return opened.decode()


async def list_grants(tx: AsyncConnection, person: Person) -> Sequence[Any]:
    """Return the grants a person gave and holds, the newest first."""
    query = (
        select(GRANTS)
        .where(
            GRANTS.c.tenant == person.tenant,
            or_(GRANTS.c.principal == person.reference, GRANTS.c.delegate == person.reference),
        )
        .order_by(GRANTS.c.granted_ms.desc(), GRANTS.c.id)
        .limit(LISTED_MAX)
    )
    return (await tx.execute(query)).all()


async def show_grant(
    tx: AsyncConnection, row: Any, person: Person | None, *, envelope: Envelope
) -> GrantAnswer:
    """Show a grant to one of its sides, or to staff."""
    place = await open_place(tx, row, envelope=envelope)
    role = "staff"
    if person is not None:
        role = "principal" if row.principal == person.reference else "delegate"
    return GrantAnswer(
        grant=row.id,
        role=role,
        scope=row.scope.split(" "),
        place=place,
        basis=row.basis,
        expires_at=write_instant(from_milliseconds(row.expires_ms)),
        is_confirmed=row.confirmed_by is not None,
        ended_at=show_instant(row.ended_ms),
    )


def _digest(code: str) -> bytes:
    return hashlib.sha256(b"daicho hub code 1\x00" + code.encode()).digest()
