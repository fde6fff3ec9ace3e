"""The noticeboard's operations: residents post, anyone lists, staff see how to reach an author."""

import secrets
from datetime import timedelta
from functools import partial
from typing import Annotated, Final

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.types import Address
from services.example import notices
from services.kit.audit import AuditEntry, record
from services.kit.auth import Access, Delegation
from services.kit.documents import Document, Line
from services.kit.envelope import Envelope
from services.kit.events import Event
from services.kit.jobs import Job, enqueue
from services.kit.once import once
from services.kit.operations import Call, operation
from services.kit.outbox import intend, publish
from services.kit.problems import NotFound
from services.kit.reads import actor_of, reference_of, role_of
from services.kit.service import Resources

NOTICE_POSTED: Final = "jp.daicho.example.notice-posted.v1"
"""Type of the event that tells other services of a notice."""

EXPIRE: Final = "example.expire"
"""Kind of the job that takes a notice down."""


class NewNotice(Document):
    """A notice as it is sent."""

    title: Line
    contact: Line


class Notice(Document):
    """A notice as it is shown."""

    id: str
    title: str
    height: int | None


class Notices(Document):
    """Notices, the newest first."""

    notices: Annotated[list[Notice], Field(max_length=notices.LISTED_MAX)]


class Contact(Document):
    """How to reach an author."""

    contact: str


class Board:
    """The handlers and what they need."""

    def __init__(
        self,
        resources: Resources,
        envelope: Envelope,
        *,
        source: str,
        anchors: Address,
        notice_days: int,
    ) -> None:
        """Hold it."""
        self._resources = resources
        self._envelope = envelope
        self._source = source
        self._anchors = anchors
        self._notice_days = notice_days

    @operation(
        "POST",
        "/notices",
        purpose="board.write",
        proofing_level=2,
        authentication_level=2,
        delegation=Delegation.ANYWHERE,
        request=NewNotice,
        response=Notice,
        status=201,
        needs_idempotency_key=True,
    )
    async def post_notice(self, call: Call[NewNotice, None]) -> Notice:
        """Put a notice up, for oneself or for whom one acts; the audit log names both."""
        return await once(
            call,
            database=self._resources.database,
            clock=self._resources.clock,
            answer=Notice,
            work=partial(self._post, call),
        )

    async def _post(self, call: Call[NewNotice, None], tx: AsyncConnection) -> Notice:
        """Do all that a notice means in one transaction."""
        notice = notices.NewNotice(
            tenant=call.tenant,
            id=secrets.token_hex(8),
            title=call.body.title,
            author=reference_of(call.caller),
            contact=call.body.contact,
            at=call.at,
        )
        commitment = await notices.add_notice(tx, notice, envelope=self._envelope)
        intent = notices.build_intent(
            tenant=call.tenant, notice_id=notice.id, commitment=commitment, anchors=self._anchors
        )
        await intend(tx, intent, source=self._source, now=call.at)
        await publish(tx, self._tell(notice))
        await enqueue(
            tx,
            Job(
                tenant=call.tenant,
                kind=EXPIRE,
                key=notice.id,
                due=call.at + timedelta(days=self._notice_days),
            ),
            now=call.at,
        )
        await record(
            tx,
            AuditEntry(
                tenant=call.tenant,
                time=call.at,
                actor=actor_of(call.caller),
                role=role_of(call.caller),
                purpose=call.purpose,
                action="notice.posted",
                subject=notice.author,
                detail=notice.id,
                after=commitment,
            ),
        )
        return Notice(id=notice.id, title=notice.title, height=None)

    def _tell(self, notice: notices.NewNotice) -> Event:
        return Event(
            id=f"posted:{notice.id}",
            source=self._source,
            type=NOTICE_POSTED,
            subject=f"notice:{notice.id}",
            tenant=notice.tenant,
            time=notice.at,
            data={"notice": notice.id},
        )

    @operation("GET", "/notices", purpose="board.list", access=[Access.PUBLIC], response=Notices)
    async def list_notices(self, call: Call[None, None]) -> Notices:
        """List what is up, with the block that holds each commitment."""
        async with self._resources.database.read() as tx:
            rows = await notices.list_notices(tx, tenant=call.tenant)
        return Notices(
            notices=[Notice(id=row.id, title=row.title, height=row.height) for row in rows]
        )

    @operation(
        "GET",
        "/notices/{id}/contact",
        purpose="board.moderate",
        roles=["board-editor"],
        authentication_level=2,
        response=Contact,
        is_personal=True,
        refusals=[NotFound],
    )
    async def read_contact(self, call: Call[None, None]) -> Contact:
        """Show how to reach the author of a notice."""
        async with self._resources.database.read() as tx:
            found = await notices.open_contact(
                tx, tenant=call.tenant, notice_id=call.path["id"], envelope=self._envelope
            )
        if found is None:
            raise NotFound("no such notice")
        author, contact = found
        call.note_read(author)
        return Contact(contact=contact)

    async def expire(self, tx: AsyncConnection, job: Job) -> None:
        """Take a notice down; a job handler."""
        await notices.remove_notice(tx, tenant=job.tenant, notice_id=job.key)
