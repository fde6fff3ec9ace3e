"""Notices and what is kept of them: a row, a sealed contact, a commitment on chain (tier T2).

The chain holds a salted commitment to id, title and time. Whoever is shown the notice and its salt
can check it; once the row is deleted, nobody can tell what the commitment was of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.abi import encode
from node.primitives.canonical import encode_canonical
from node.primitives.crypto import keccak256
from node.primitives.merkle import compute_root
from node.primitives.types import Address, Hash32, Height
from services.example.tables import NOTICES
from services.kit.commitments import commit, new_salt
from services.kit.envelope import Envelope, Owner
from services.kit.events import to_milliseconds
from services.kit.follower import FinalBlock
from services.kit.outbox import ChainIntent

DOMAIN: Final = "jp.daicho.example.notice"
VERSION: Final = 1
CONTACT_PURPOSE: Final = "board.contact"
LISTED_MAX: Final = 50
"""Notices in one answer."""

ANCHOR_GAS: Final = 250_000
"""Gas of an anchor; contracts/gas-report.json measures 150,000 for the first of a stream."""

STREAM: Final = keccak256(DOMAIN.encode())
"""The noticeboard's stream of anchors."""

_SELECTOR: Final = keccak256(b"anchor(bytes32,bytes32,bytes32,uint256)")[:4]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotice:
    """A notice to be put up."""

    tenant: str
    """Municipality."""
    id: str
    """Its id."""
    title: str
    """What it says."""
    author: str
    """Pairwise pseudonym of the resident."""
    contact: str
    """How staff reach the author; personal."""
    at: datetime
    """When."""


async def add_notice(tx: AsyncConnection, notice: NewNotice, *, envelope: Envelope) -> Hash32:
    """Store a notice with its contact sealed; return the commitment to it."""
    salt = new_salt()
    posted_ms = to_milliseconds(notice.at)
    payload = encode_canonical({"id": notice.id, "title": notice.title, "posted_ms": posted_ms})
    commitment = commit(domain=DOMAIN, version=VERSION, salt=salt, payload=payload)
    owner = Owner(tenant=notice.tenant, person=notice.author, purpose=CONTACT_PURPOSE)
    contact = await envelope.seal(
        tx, owner, notice.contact.encode(), context=_context(notice.id), now=notice.at
    )
    await tx.execute(
        insert(NOTICES).values(
            tenant=notice.tenant,
            id=notice.id,
            title=notice.title,
            author=notice.author,
            contact=contact,
            salt=salt,
            commitment=commitment,
            posted_ms=posted_ms,
        )
    )
    return commitment


def build_intent(
    *, tenant: str, notice_id: str, commitment: Hash32, anchors: Address
) -> ChainIntent:
    """Build what the relay is asked for: anchor the commitment, once."""
    root = compute_root([commitment])
    arguments = [STREAM, commitment, root, 1]
    return ChainIntent(
        tenant=tenant,
        operation_id=f"notice:{notice_id}",
        sector="example",
        to=anchors,
        data=_SELECTOR + encode(["bytes32", "bytes32", "bytes32", "uint256"], arguments),
        gas_limit=ANCHOR_GAS,
    )


async def list_notices(tx: AsyncConnection, *, tenant: str) -> Sequence[Any]:
    """Return the newest notices of a municipality, without anything personal."""
    query = (
        select(NOTICES.c.id, NOTICES.c.title, NOTICES.c.height)
        .where(NOTICES.c.tenant == tenant)
        .order_by(NOTICES.c.posted_ms.desc(), NOTICES.c.id)
        .limit(LISTED_MAX)
    )
    return (await tx.execute(query)).all()


async def open_contact(
    tx: AsyncConnection, *, tenant: str, notice_id: str, envelope: Envelope
) -> tuple[str, str] | None:
    """Return author and contact of a notice, None when there is no such notice."""
    query = select(NOTICES.c.author, NOTICES.c.contact).where(
        NOTICES.c.tenant == tenant, NOTICES.c.id == notice_id
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    contact = await envelope.open(
        tx, bytes(row.contact), tenant=tenant, context=_context(notice_id)
    )
    return row.author, contact.decode()


async def remove_notice(tx: AsyncConnection, *, tenant: str, notice_id: str) -> None:
    """Delete a notice with its salt; the commitment on chain means nothing from then on."""
    await tx.execute(delete(NOTICES).where(NOTICES.c.tenant == tenant, NOTICES.c.id == notice_id))


async def note_anchors(tx: AsyncConnection, block: FinalBlock, *, anchors: Address) -> None:
    """Note which notices a final block anchors; a follower's handler."""
    for found in block.logs_of(anchors):
        if found.log.topics[2] == STREAM:
            await tx.execute(
                update(NOTICES)
                .where(NOTICES.c.commitment == found.log.topics[3])
                .values(height=Height(block.header.height))
            )


def _context(notice_id: str) -> str:
    return f"notices.contact:{notice_id}"
