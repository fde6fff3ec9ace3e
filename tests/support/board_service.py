"""A small service on the kit, kept in memory: notices that residents write and staff remove."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from node.primitives.errors import Unavailable
from services.kit.app import ServiceDefinition
from services.kit.auth import Access
from services.kit.documents import Document, Line
from services.kit.operations import Call, PersonalRead, operation
from services.kit.problems import NotFound
from services.kit.settings import (
    AuthSettings,
    DatabaseSettings,
    KitSettings,
    ServerSettings,
    TenantSettings,
)
from tests.support.clock import FakeClock
from tests.support.tokens import AUDIENCE, PUBLIC_URL, People

PLANTED_NAME = "五霞花子"
PLANTED_ADDRESS = "hanako@goka.example"


class NewNotice(Document):
    """A notice as it is sent."""

    title: Line
    email: Line | None = None
    pages: Annotated[int, Field(ge=1, le=100)] = 1


class Notice(Document):
    """A notice as it is shown."""

    id: int
    title: str
    municipality: str


class Notices(Document):
    """Several notices."""

    notices: list[Notice]


class Page(Document):
    """Which notices are wanted."""

    count_max: Annotated[int, Field(ge=1, le=50)] = 10


class Count(Document):
    """How many there are."""

    count: int


@dataclass
class Board:
    """The service's handlers."""

    notices: dict[int, Notice] = field(default_factory=dict)
    authors: dict[int, str] = field(default_factory=dict)
    reads: list[PersonalRead] = field(default_factory=list)
    is_audit_broken: bool = False

    @operation(
        "POST",
        "/notices",
        purpose="board.write",
        proofing_level=2,
        authentication_level=2,
        request=NewNotice,
        response=Notice,
        status=201,
    )
    async def post_notice(self, call: Call[NewNotice, None]) -> Notice:
        """Put a notice up."""
        number = len(self.notices) + 1
        notice = Notice(id=number, title=call.body.title, municipality=call.tenant)
        self.notices[number] = notice
        return notice

    @operation(
        "GET",
        "/notices",
        purpose="board.list",
        access=[Access.PUBLIC],
        query=Page,
        response=Notices,
    )
    async def list_notices(self, call: Call[None, Page]) -> Notices:
        """List what is up."""
        found = [each for each in self.notices.values() if each.municipality == call.tenant]
        return Notices(notices=found[: call.query.count_max])

    @operation(
        "GET",
        "/notices/{id}/author",
        purpose="board.moderate",
        roles=["board-editor"],
        authentication_level=2,
        response=Count,
        is_personal=True,
        refusals=[NotFound],
    )
    async def read_author(self, call: Call[None, None]) -> Count:
        """Show who wrote a notice."""
        if call.path["id"] not in map(str, self.notices):
            raise NotFound(f"no notice {call.path['id']}")
        call.note_read("pairwise-1")
        return Count(count=1)

    @operation("GET", "/count", purpose="board.count", access=[Access.SERVICE], response=Count)
    async def count_notices(self, call: Call[None, None]) -> Count:
        """Count what is up."""
        del call
        return Count(count=len(self.notices))

    @operation("DELETE", "/notices/{id}", purpose="board.moderate", roles=["board-editor"])
    async def remove_notice(self, call: Call[None, None]) -> None:
        """Take a notice down."""
        if call.path["id"].isdecimal():
            self.notices.pop(int(call.path["id"][:9]), None)

    async def record(self, read: PersonalRead) -> None:
        """Keep the audit entry."""
        if self.is_audit_broken:
            raise Unavailable("the audit log does not answer")
        self.reads.append(read)


@dataclass
class Faulty:
    """Handlers that go wrong in every way, quoting personal values as they do."""

    entered: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    @operation("GET", "/crash", purpose="x", access=[Access.PUBLIC])
    async def crash(self, call: Call[None, None]) -> None:
        """Fail with a person's name in the message."""
        try:
            raise KeyError(PLANTED_ADDRESS)
        except KeyError as error:
            raise RuntimeError(f"cannot serve {PLANTED_NAME}") from error

    @operation("GET", "/down", purpose="x", access=[Access.PUBLIC])
    async def down(self, call: Call[None, None]) -> None:
        """Fail because something else is down."""
        raise Unavailable(f"the shelf of {PLANTED_NAME} does not answer")

    @operation("GET", "/slow", purpose="x", access=[Access.PUBLIC])
    async def slow(self, call: Call[None, None]) -> None:
        """Wait until the test lets go."""
        self.entered.set()
        await self.hold.wait()

    @operation("GET", "/wrong", purpose="x", access=[Access.PUBLIC], response=Count)
    async def wrong(self, call: Call[None, None]) -> Notices:
        """Answer another model than declared."""
        return Notices(notices=[])


def board_settings(**server: Any) -> KitSettings:
    """Return the settings of a service for Goka and Sakai."""
    return KitSettings(
        auth=AuthSettings(audience=AUDIENCE),
        database=DatabaseSettings(url="sqlite+aiosqlite:////nowhere.db"),
        tenants=(
            TenantSettings(id="goka", name="五霞町", hosts=("board.goka.example",)),
            TenantSettings(id="sakai", name="境町"),
        ),
        server=ServerSettings(public_url=PUBLIC_URL, **server),
    )


def board_service(
    people: People,
    board: Board,
    *,
    extra: tuple[object, ...] = (),
    record: Callable[[PersonalRead], Awaitable[None]] | None = None,
    server: dict[str, Any] | None = None,
    **changes: Any,
) -> ServiceDefinition:
    """Return the service's definition."""
    parts: dict[str, Any] = {
        "name": "noticeboard",
        "title": "Noticeboard",
        "version": "1.0.0",
        "settings": board_settings(**(server or {})),
        "trust": people.trust(),
        "clock": FakeClock(),
        "sources": (board, *extra),
        "record_read": record or board.record,
    }
    return ServiceDefinition(**{**parts, **changes})
