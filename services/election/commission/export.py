"""What the restricted store says, line by line, for an accredited auditor.

Electors with their slots, entries with card signature, certificate, salt and the status that was
found, cancel records with their evidence, and the counts that must agree. The export is encrypted
to the auditor's key before it touches a disk; making it takes two officers and is a recorded act.

Spec: ROLL-EXPORT.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.voting.roll_export import seal_export
from node.primitives.canonical import encode_canonical
from node.primitives.json_text import decode_json
from services.election.commission.rolls import (
    Roll,
    RollMissing,
    Vaults,
    encode_elector,
    page_electors,
)
from services.election.commission.tables import CANCELS, ENROLMENTS, EXPORTS
from services.election.commission.vault import Vault
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.events import to_milliseconds

PART_BYTES: Final = 65_536
"""Bytes of an export in one answer."""

PAGE: Final = 1_000

_ENTRY_STATES: Final = ("accepted", "superseded", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export that was made."""

    id: str
    """Its id, and its file's name."""
    digest: bytes
    """SHA-256 of the file."""
    size: int
    """Length of the file."""


async def make_export(
    database: Database,
    vaults: Vaults,
    roll: Roll,
    *,
    auditor: str,
    key: X25519PublicKey,
    folder: Path,
    clock: Clock,
) -> Export:
    """Write the restricted store to a file that only the auditor's key opens.

    Spec: ROLL-EXPORT.
    """
    eid, _ = roll.announced
    async with database.read() as tx:
        vault = await vaults.open(tx, roll.tenant, roll.draft)
        lines = [line async for line in iterate_lines(tx, roll, vault)]
    export_id = secrets.token_hex(16)
    path = folder / f"{export_id}.roll"
    digest, size = await asyncio.to_thread(
        _write, path, seal_export(lines, key, eid, secrets.token_bytes)
    )
    export = Export(id=export_id, digest=digest, size=size)

    async def note(tx: AsyncConnection) -> None:
        await tx.execute(
            insert(EXPORTS).values(
                tenant=roll.tenant,
                draft=roll.draft,
                id=export.id,
                auditor=auditor,
                digest=export.digest,
                size=export.size,
                made_ms=to_milliseconds(clock.now()),
            )
        )

    await database.transact(note)
    return export


def _write(path: Path, pieces: Iterator[bytes]) -> tuple[bytes, int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    hasher, size = sha256(), 0
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        for piece in pieces:
            hasher.update(piece)
            size += len(piece)
            file.write(piece)
    partial.replace(path)
    return hasher.digest(), size


async def iterate_lines(tx: AsyncConnection, roll: Roll, vault: Vault) -> AsyncIterator[bytes]:
    """Yield the head, every elector, entry and cancel record, and the counts."""
    eid, manifest = roll.announced
    yield encode_canonical(
        {
            "kind": "roll",
            "version": 1,
            "eid": eid.hex(),
            "draft_id": roll.draft.hex(),
            "slot_key": vault.slot_key.hex(),
            "registrar": manifest.registrars[0].receipt_key,
            "attestor": manifest.registrars[0].attestor_key,
        }
    )
    counts = {"electors": 0, "entries": 0, "cancels": 0}
    after = b""
    while page := await page_electors(tx, roll, vault, after=after, count_max=PAGE):
        after = page[-1].slot
        counts["electors"] += len(page)
        for listed in page:
            record: Any = decode_json(encode_elector(listed.elector))
            yield encode_canonical({"kind": "elector", "slot": listed.slot.hex(), **record})
    entries = select(ENROLMENTS).where(
        *_of(ENROLMENTS, roll), ENROLMENTS.c.state.in_(_ENTRY_STATES)
    )
    order = (ENROLMENTS.c.batch, ENROLMENTS.c.commitment)
    for row in (await tx.execute(entries.order_by(*order))).all():
        counts["entries"] += 1
        yield encode_canonical(_entry(row, vault))
    cancels = select(CANCELS).where(*_of(CANCELS, roll), CANCELS.c.state == "signed")
    for row in (await tx.execute(cancels.order_by(CANCELS.c.batch, CANCELS.c.commitment))).all():
        counts["cancels"] += 1
        yield encode_canonical(_cancel(row, vault))
    tokens = select(func.count()).where(
        *_of(ENROLMENTS, roll), ENROLMENTS.c.token_signature.is_not(None)
    )
    issued = int((await tx.execute(tokens)).scalar_one())
    yield encode_canonical({"kind": "counts", **counts, "tokens": issued})


def _of(table: Any, roll: Roll) -> tuple[Any, Any]:
    return table.c.tenant == roll.tenant, table.c.draft == roll.draft


def _entry(row: Any, vault: Vault) -> dict[str, object]:
    evidence: Any = decode_json(vault.open(bytes(row.evidence), place=f"evidence:{row.id}"))
    return {
        "kind": "entry",
        "slot": row.slot.hex(),
        "entry_version": row.version,
        "state": row.state,
        "commitment": row.commitment.hex(),
        "batch": row.batch,
        "time": row.time_s,
        "registrar_signature": row.registrar_signature.hex(),
        "attestor_signature": row.attestor_signature.hex(),
        **{name: evidence[name] for name in ("entry", "signature", "certificate", "salt")},
        "status": evidence["status"],
    }


def _cancel(row: Any, vault: Vault) -> dict[str, object]:
    secret = vault.open(bytes(row.secret), place=f"cancel:{row.id}")
    return {
        "kind": "cancel",
        "slot": row.slot.hex(),
        "reason": row.reason,
        "evidence": secret[:32].hex(),
        "salt": secret[32:].hex(),
        "time": row.time_s,
        "commitment": row.commitment.hex(),
        "batch": row.batch,
        "registrar_signature": row.registrar_signature.hex(),
        "attestor_signature": row.attestor_signature.hex(),
    }


async def read_export(
    tx: AsyncConnection, roll: Roll, export_id: str, part: int, *, folder: Path
) -> tuple[int, bytes]:
    """Return how many parts an export has, and one of them.

    Raises:
        RollMissing: There is no such export or part.
    """
    query = select(EXPORTS).where(*_of(EXPORTS, roll), EXPORTS.c.id == export_id)
    row = (await tx.execute(query)).one_or_none()
    parts = 0 if row is None else -(-row.size // PART_BYTES)
    if row is None or not 0 <= part < parts:
        raise RollMissing("there is no such export or part")
    data = await asyncio.to_thread(_read_part, folder / f"{row.id}.roll", part)
    return parts, data


def _read_part(path: Path, part: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(part * PART_BYTES)
            return file.read(PART_BYTES)
    except OSError as error:
        raise RollMissing("the export's file is gone; make another") from error


async def forget_exports(tx: AsyncConnection, roll: Roll, *, folder: Path) -> None:
    """Remove the exports' rows and files."""
    query = select(EXPORTS.c.id).where(*_of(EXPORTS, roll))
    for export_id in (await tx.execute(query)).scalars():
        (folder / f"{export_id}.roll").unlink(missing_ok=True)
    await tx.execute(delete(EXPORTS).where(*_of(EXPORTS, roll)))
