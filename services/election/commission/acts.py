"""The commission's acts: numbered, in order, without names, and the record printed of them.

An act is written in the transaction that does it, once for the commission's own record and once
for the service's audit log. Its detail holds counts, digests and fixed words alone, so the record
may be published and outlives the restricted store.

Spec: ROLL-ACTS.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.canonical import encode_canonical
from node.primitives.json_text import decode_json
from services.election.commission.rolls import Roll
from services.election.commission.tables import ACTS
from services.kit.audit import AuditEntry, record
from services.kit.clock import JAPAN
from services.kit.events import from_milliseconds, to_milliseconds
from services.kit.messages import Catalogue, Language

ACTS_MAX: Final = 5_000
"""Acts in one printed record."""


class Act(StrEnum):
    """What a commission does."""

    BEGUN = "begun"
    IMPORTED = "imported"
    FIXED = "fixed"
    ANNOUNCED = "announced"
    CODE_ISSUED = "code-issued"
    CODE_REVOKED = "code-revoked"
    LINKED = "linked"
    REQUEST_REFUSED = "request-refused"
    COUNTER_SESSION = "counter-session"
    GUESSING = "guessing"
    CANCELLED = "cancelled"
    BATCH = "batch"
    FROZEN = "frozen"
    PROPOSED = "proposed"
    REFUSED = "refused"
    EXPORTED = "exported"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts, and with whom."""

    name: str
    """Staff id, or the service's own name."""
    role: str
    """Role."""
    at: datetime
    """When."""
    second: str | None = None
    """The officer who confirmed, where two are needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAct:
    """An act as recorded."""

    number: int
    """Its number."""
    time: datetime
    """When."""
    kind: Act
    """What."""
    actor: str
    """Who."""
    second: str | None
    """Who confirmed."""
    detail: dict[str, object]
    """Counts, digests and fixed words."""


def system_actor(at: datetime) -> Actor:
    """Return the service itself, for what it does unattended."""
    return Actor(name="service:election", role="service", at=at)


async def note_act(
    tx: AsyncConnection, roll: Roll, kind: Act, actor: Actor, **detail: object
) -> None:
    """Record an act in the transaction that does it.

    Spec: ROLL-ACTS.
    """
    body = encode_canonical(detail).decode()
    await tx.execute(
        insert(ACTS).values(
            tenant=roll.tenant,
            draft=roll.draft,
            time_ms=to_milliseconds(actor.at),
            kind=kind.value,
            actor=actor.name,
            second=actor.second,
            detail=body,
        )
    )
    names = [actor.name] if actor.second is None else [actor.name, actor.second]
    for name in names:
        entry = AuditEntry(
            tenant=roll.tenant,
            time=actor.at,
            actor=name,
            role=actor.role,
            purpose="election.commission",
            action=f"commission.{kind}",
            subject="",
            detail=roll.draft.hex()[:16],
        )
        await record(tx, entry)


async def list_acts(tx: AsyncConnection, roll: Roll) -> tuple[RecordedAct, ...]:
    """Return the acts of a roll, in order."""
    query = (
        select(ACTS)
        .where(ACTS.c.tenant == roll.tenant, ACTS.c.draft == roll.draft)
        .order_by(ACTS.c.number)
        .limit(ACTS_MAX)
    )
    return tuple(_read(row) for row in (await tx.execute(query)).all())


def _read(row: Any) -> RecordedAct:
    detail: Any = decode_json(row.detail.encode())
    return RecordedAct(
        number=row.number,
        time=from_milliseconds(row.time_ms),
        kind=Act(row.kind),
        actor=row.actor,
        second=row.second,
        detail=detail,
    )


def print_record(
    roll: Roll, acts: Sequence[RecordedAct], catalogue: Catalogue, language: Language
) -> str:
    """Return the record as a page to print."""
    title = html.escape("" if roll.manifest is None else roll.manifest.title)
    heads = ("number", "time", "act", "actor", "second", "detail")
    head = "".join(
        f"<th>{html.escape(catalogue.text(f'election.record.{name}', language))}</th>"
        for name in heads
    )
    rows = "".join(_print_row(at, act, catalogue, language) for at, act in enumerate(acts, 1))
    heading = html.escape(catalogue.text("election.record.title", language))
    return (
        f'<!DOCTYPE html><html lang="{language.tag}"><head><meta charset="utf-8">'
        f"<title>{heading}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{heading}</h1><p>{title}</p><p>{roll.draft.hex()}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></body></html>"
    )


_STYLE: Final = (
    "body{font-family:sans-serif;margin:2em}table{border-collapse:collapse;width:100%}"
    "td,th{border:1px solid #555;padding:.3em;text-align:left;vertical-align:top;font-size:10pt}"
    "tr{break-inside:avoid}"
)


def _print_row(number: int, act: RecordedAct, catalogue: Catalogue, language: Language) -> str:
    cells = (
        str(number),
        f"{act.time.astimezone(JAPAN):%Y-%m-%d %H:%M:%S}",
        catalogue.text(f"election.act.{act.kind}", language),
        act.actor,
        act.second or "",
        "; ".join(f"{name}: {value}" for name, value in sorted(act.detail.items())),
    )
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
