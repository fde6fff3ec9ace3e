"""Who did or read what, and why: written with the deed, chained, and rooted every hour.

``record`` writes an entry in the transaction of the deed itself. ``link`` numbers and chains what
was committed, apart from the deed so that writers do not wait for one another; a job runs it every
few seconds. ``close_root`` puts a Merkle root over the entries since the last one, for the relay
to anchor. Entries hold references and hashes, never values, and a salt each, so that a proof shown
to one person tells nothing about the neighbours.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.canonical import encode_canonical
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput
from node.primitives.merkle import build_proof, compute_root, is_included
from node.primitives.types import ZERO_HASH, Hash32, Height, TransactionHash
from services.kit.events import Event, from_milliseconds, to_milliseconds
from services.kit.outbox import publish
from services.kit.tables import AUDIT_ENTRIES, AUDIT_ROOTS

ROOT_READY: Final = "jp.daicho.audit.root-ready.v1"
"""Type of the event that asks the relay to anchor a root."""

LINK_BATCH_MAX: Final = 1_000
"""Entries chained in one transaction."""

ROOT_ENTRIES_MAX: Final = 65_536
"""Entries under one root."""

TEXT_LENGTH_MAX: Final = 256
"""Characters of each text in an entry."""

_DOMAIN: Final = b"daicho audit entry 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A deed, told without personal values."""

    tenant: str
    """Municipality."""
    time: datetime
    """When."""
    actor: str
    """Who: a staff or service id, or a pairwise reference."""
    role: str
    """In which role."""
    purpose: str
    """For which purpose, as the operation declares it."""
    action: str
    """What, as ``loan.extended`` or ``read``."""
    subject: str
    """About whom or what: a pairwise reference; empty when about nobody."""
    detail: str = ""
    """Names of the fields read, or a reason code; never a value."""
    before: Hash32 | None = None
    """Commitment to the state before."""
    after: Hash32 | None = None
    """Commitment to the state after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedEntry:
    """An entry with its place in the chain."""

    entry: AuditEntry
    """The deed."""
    sequence: int
    """Its place, from 1."""
    salt: bytes
    """Keeps its hash from being guessed."""
    previous: Hash32
    """Hash of the entry before it; zero for the first."""

    def compute_hash(self) -> Hash32:
        """Return the hash that the next entry and the root stand on."""
        return Hash32(sha256(_DOMAIN + encode_canonical(hashed_fields(self))))


def hashed_fields(linked: LinkedEntry) -> dict[str, object]:
    """Return an entry as it is hashed, and as an auditor gets it."""
    entry = linked.entry
    return {
        "tenant": entry.tenant,
        "time_ms": to_milliseconds(entry.time),
        "actor": entry.actor,
        "role": entry.role,
        "purpose": entry.purpose,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
        "before": None if entry.before is None else entry.before.hex(),
        "after": None if entry.after is None else entry.after.hex(),
        "sequence": linked.sequence,
        "salt": linked.salt.hex(),
        "previous": linked.previous.hex(),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRoot:
    """A Merkle root over the entries ``first`` to ``last``."""

    tenant: str
    """Municipality."""
    first: int
    """First entry under it."""
    last: int
    """Last entry under it."""
    root: Hash32
    """The root."""
    closed: datetime
    """When it was closed."""
    transaction_hash: TransactionHash | None = None
    """The transaction that anchors it, once final."""
    height: Height | None = None
    """The block that holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionProof:
    """That an entry stands under a root; shows nothing of the others."""

    linked: LinkedEntry
    """The entry."""
    root: AuditRoot
    """The root, to be compared with the chain's."""
    siblings: tuple[bytes, ...]
    """Hashes from the entry up to the root."""

    def holds(self) -> bool:
        """Tell whether the entry stands under the root."""
        return is_included(
            self.root.root,
            self.linked.compute_hash(),
            self.siblings,
            index=self.linked.sequence - self.root.first,
            count=self.root.last - self.root.first + 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFinding:
    """Something wrong with the log."""

    check: str
    """What was looked at: ``sequence``, ``previous``, ``hash``, ``root`` or ``roots``."""
    sequence: int
    """Where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What verifying a log found."""

    entries: int
    """Entries looked at."""
    roots: int
    """Roots looked at."""
    findings: tuple[AuditFinding, ...]
    """Everything wrong; empty for a sound log."""


async def record(tx: AsyncConnection, entry: AuditEntry) -> None:
    """Write an entry in the transaction of the deed.

    Raises:
        InvalidInput: A text is too long, or a hash has another length.
    """
    texts = (entry.actor, entry.role, entry.purpose, entry.action, entry.subject, entry.detail)
    if any(len(value) > TEXT_LENGTH_MAX for value in texts):
        raise InvalidInput(f"audit entry: a text is longer than {TEXT_LENGTH_MAX} characters")
    if any(value is not None and len(value) != 32 for value in (entry.before, entry.after)):
        raise InvalidInput("audit entry: expected hashes of 32 bytes")
    await tx.execute(
        insert(AUDIT_ENTRIES).values(
            tenant=entry.tenant,
            time_ms=to_milliseconds(entry.time),
            actor=entry.actor,
            role=entry.role,
            purpose=entry.purpose,
            action=entry.action,
            subject=entry.subject,
            detail=entry.detail,
            before=entry.before,
            after=entry.after,
            salt=secrets.token_bytes(32),
        )
    )


async def record_read(tx: AsyncConnection, entry: AuditEntry, *, fields: tuple[str, ...]) -> None:
    """Write that personal data was read: the names of the fields, never their values.

    Raises:
        InvalidInput: The names are too long together.
    """
    await record(tx, replace(entry, action="read", detail=",".join(fields)))


async def link(tx: AsyncConnection, *, tenant: str) -> int:
    """Chain entries that were committed since; return how many. Repeat until it returns 0."""
    table = AUDIT_ENTRIES
    query = (
        select(table)
        .where(table.c.tenant == tenant, table.c.sequence.is_(None))
        .order_by(table.c.number)
        .limit(LINK_BATCH_MAX)
    )
    rows = (await tx.execute(query)).all()
    sequence, previous = await _load_head(tx, tenant)
    for row in rows:
        sequence += 1
        linked = LinkedEntry(
            entry=_read_entry(row), sequence=sequence, salt=bytes(row.salt), previous=previous
        )
        own_hash = linked.compute_hash()
        await tx.execute(
            update(table)
            .where(table.c.number == row.number)
            .values(sequence=sequence, previous=previous, hash=own_hash)
        )
        previous = own_hash
    return len(rows)


async def close_root(
    tx: AsyncConnection, *, tenant: str, now: datetime, source: str
) -> AuditRoot | None:
    """Put a root over the chained entries since the last one and ask the relay to anchor it.

    Returns:
        The root, or None when there is nothing new.
    """
    first = 1 + int((await tx.execute(_last_rooted(tenant))).scalar() or 0)
    hashes = await _load_hashes(tx, tenant, first, first + ROOT_ENTRIES_MAX - 1)
    if not hashes:
        return None
    root = AuditRoot(
        tenant=tenant,
        first=first,
        last=first + len(hashes) - 1,
        root=compute_root(hashes),
        closed=from_milliseconds(to_milliseconds(now)),
    )
    await tx.execute(
        insert(AUDIT_ROOTS).values(
            tenant=tenant,
            first=root.first,
            last=root.last,
            root=root.root,
            closed_ms=to_milliseconds(now),
        )
    )
    event = Event(
        id=f"audit-root:{root.root.hex()[:40]}",
        source=source,
        type=ROOT_READY,
        subject="audit",
        tenant=tenant,
        time=root.closed,
        data={"root": "0x" + root.root.hex(), "count": len(hashes), "first": first},
    )
    await publish(tx, event)
    return root


async def note_anchored(
    tx: AsyncConnection,
    *,
    tenant: str,
    root: Hash32,
    transaction_hash: TransactionHash,
    height: Height,
) -> bool:
    """Note where a root is anchored; False when there is no such root."""
    table = AUDIT_ROOTS
    done = await tx.execute(
        update(table)
        .where(table.c.tenant == tenant, table.c.root == root)
        .values(transaction_hash=transaction_hash, height=height)
    )
    return done.rowcount == 1


async def prove(tx: AsyncConnection, *, tenant: str, sequence: int) -> InclusionProof:
    """Return the proof that entry ``sequence`` stands under its root.

    Raises:
        InvalidInput: There is no such entry, or no root over it yet.
    """
    entries, roots = AUDIT_ENTRIES, AUDIT_ROOTS
    of_entry = select(entries).where(entries.c.tenant == tenant, entries.c.sequence == sequence)
    over_it = select(roots).where(
        roots.c.tenant == tenant, roots.c.first <= sequence, roots.c.last >= sequence
    )
    row = (await tx.execute(of_entry)).one_or_none()
    root_row = (await tx.execute(over_it)).one_or_none()
    if row is None or root_row is None:
        raise InvalidInput(f"audit: no root over entry {sequence} yet; try after the next hour")
    root = _read_root(root_row)
    hashes = await _load_hashes(tx, tenant, root.first, root.last)
    siblings = build_proof(hashes, sequence - root.first)
    return InclusionProof(linked=read_linked(row), root=root, siblings=siblings)


async def verify_log(tx: AsyncConnection, *, tenant: str) -> AuditReport:
    """Recompute the whole chain and every root."""
    table, findings = AUDIT_ENTRIES, []
    query = (
        select(table)
        .where(table.c.tenant == tenant, table.c.sequence.is_not(None))
        .order_by(table.c.sequence)
    )
    previous = ZERO_HASH
    hashes: list[bytes] = []
    async for row in await tx.stream(query):
        linked = read_linked(row)
        place = len(hashes) + 1
        if linked.sequence != place:
            findings.append(AuditFinding(check="sequence", sequence=place))
        if linked.previous != previous:
            findings.append(AuditFinding(check="previous", sequence=place))
        if linked.compute_hash() != bytes(row.hash):
            findings.append(AuditFinding(check="hash", sequence=place))
        previous = Hash32(bytes(row.hash))
        hashes.append(linked.compute_hash())
    roots = [
        _read_root(row)
        for row in await tx.execute(
            select(AUDIT_ROOTS).where(AUDIT_ROOTS.c.tenant == tenant).order_by(AUDIT_ROOTS.c.first)
        )
    ]
    expected_first = 1
    for root in roots:
        if root.first != expected_first:
            findings.append(AuditFinding(check="roots", sequence=expected_first))
        if root.last > len(hashes) or compute_root(hashes[root.first - 1 : root.last]) != root.root:
            findings.append(AuditFinding(check="root", sequence=root.first))
        expected_first = root.last + 1
    return AuditReport(entries=len(hashes), roots=len(roots), findings=tuple(findings))


async def _load_head(tx: AsyncConnection, tenant: str) -> tuple[int, Hash32]:
    table = AUDIT_ENTRIES
    query = (
        select(table.c.sequence, table.c.hash)
        .where(table.c.tenant == tenant, table.c.sequence.is_not(None))
        .order_by(table.c.sequence.desc())
        .limit(1)
    )
    row = (await tx.execute(query)).one_or_none()
    return (0, ZERO_HASH) if row is None else (int(row.sequence), Hash32(bytes(row.hash)))


def _last_rooted(tenant: str) -> Any:
    return select(func.max(AUDIT_ROOTS.c.last)).where(AUDIT_ROOTS.c.tenant == tenant)


async def _load_hashes(tx: AsyncConnection, tenant: str, first: int, last: int) -> list[bytes]:
    table = AUDIT_ENTRIES
    query = (
        select(table.c.hash)
        .where(table.c.tenant == tenant, table.c.sequence.between(first, last))
        .order_by(table.c.sequence)
    )
    return [bytes(value) for value in (await tx.execute(query)).scalars()]


def _read_entry(row: Any) -> AuditEntry:
    return AuditEntry(
        tenant=row.tenant,
        time=from_milliseconds(row.time_ms),
        actor=row.actor,
        role=row.role,
        purpose=row.purpose,
        action=row.action,
        subject=row.subject,
        detail=row.detail,
        before=None if row.before is None else Hash32(bytes(row.before)),
        after=None if row.after is None else Hash32(bytes(row.after)),
    )


def read_linked(row: Any) -> LinkedEntry:
    """Return the entry in a row of the log."""
    return LinkedEntry(
        entry=_read_entry(row),
        sequence=row.sequence,
        salt=bytes(row.salt),
        previous=Hash32(bytes(row.previous)),
    )


def _read_root(row: Any) -> AuditRoot:
    anchored = row.transaction_hash
    return AuditRoot(
        tenant=row.tenant,
        first=row.first,
        last=row.last,
        root=Hash32(bytes(row.root)),
        closed=from_milliseconds(row.closed_ms),
        transaction_hash=None if anchored is None else TransactionHash(Hash32(bytes(anchored))),
        height=None if row.height is None else Height(row.height),
    )
