"""A small service on the kit, kept in memory: notices that residents write and staff remove."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from node.primitives.errors import Unavailable
from services.kit.app import ServiceDefinition
from services.kit.auth import Access
from services.kit.documents import Document, Line
from services.kit.keys import public_document
from services.kit.operations import Call, PersonalRead, operation
from services.kit.problems import NotFound
from services.kit.reads import audit_reads
from services.kit.service import Resources, Service
from services.kit.settings import (
    AuthSettings,
    DatabaseSettings,
    KitSettings,
    ServerSettings,
    TenantSettings,
)
from tests.support.clock import FakeClock
from tests.support.tokens import AUDIENCE, ISSUER, PUBLIC_URL, People

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


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSettings:
    """The board's settings file."""

    kit: KitSettings


async def build_board(settings: BoardSettings, resources: Resources) -> ServiceDefinition:
    """Put the board together as its own package would."""
    return ServiceDefinition(
        name="board",
        title="Noticeboard",
        version="1.0.0",
        settings=settings.kit,
        trust=resources.trust,
        clock=resources.clock,
        sources=(Board(),),
        catalogue=resources.catalogue,
        checks=resources.standard_checks(),
        record_read=audit_reads(resources.database),
    )


BOARD = Service(name="board", settings=BoardSettings, build=build_board)


def write_board_settings(folder: Path, people: People, *, port: int = 0) -> Path:
    """Write a settings file of the board that believes ``people``, and the keys it names."""
    keys = {"issuer": people.issuer_key, "clerk": people.clerk_key, "relay": people.relay_key}
    for name, key in keys.items():
        (folder / f"{name}.json").write_text(json.dumps(public_document(key)))
    jwks = {"keys": [{**public_document(people.issuer_key), "kid": "k1"}]}
    (folder / "jwks.json").write_text(json.dumps(jwks))
    (folder / "staff.toml").write_text(
        '[[staff]]\nid = "clerk"\ntenant = "goka"\nroles = ["board-editor"]\n'
        'key_file = "clerk.json"\nvalid_until = "2099-03-31"\n'
    )
    path = folder / "board.toml"
    path.write_text(
        f"""
[kit.server]
port = {port}
public_url = "{PUBLIC_URL}"

[kit.auth]
audience = "{AUDIENCE}"
staff_file = "staff.toml"

[[kit.auth.issuers]]
issuer = "{ISSUER}"
jwks_file = "jwks.json"

[[kit.auth.partners]]
name = "relay"
key_file = "relay.json"
purposes = ["board.count"]

[kit.database]
url = "sqlite+aiosqlite:///{folder}/board.db"

[[kit.tenants]]
id = "goka"
name = "五霞町"
"""
    )
    return path
