"""Two services that talk: a hub that publishes and a library that keeps what it hears."""

from dataclasses import dataclass, field
from pathlib import Path

from joserfc.jwk import OKPKey
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.database import Database
from services.kit.dispatcher import Dispatcher
from services.kit.event_signatures import EventSigner, EventVerifier
from services.kit.events import Event
from services.kit.outbox import publish, subscribe
from tests.support.clock import FakeClock
from tests.support.crashes import FragileDatabase, Fuse
from tests.support.delivery import DirectTransport
from tests.support.events import HUB, MORNING, make_event, make_subscriber

KEY = OKPKey.generate_key("Ed25519")
LIBRARY = make_subscriber()


async def note(tx: AsyncConnection, event: Event) -> None:
    """Keep what was heard, in order; the library's whole purpose."""
    values = {"id": event.id, "subject": event.subject}
    place = (await tx.execute(text("select count(*) from heard"))).scalar_one()
    await tx.execute(
        text("insert into heard (place, id, subject) values (:place, :id, :subject)"),
        {"place": place, **values},
    )


@dataclass
class Towns:
    """A hub and a library with a database each."""

    hub: Database
    library: Database
    clock: FakeClock = field(default_factory=lambda: FakeClock(MORNING))

    async def prepare(self) -> None:
        """Make the tables of their own and introduce them."""
        async with self.hub.write() as tx:
            await tx.execute(text("create table deed (id text primary key)"))
            await subscribe(tx, LIBRARY)
        async with self.library.write() as tx:
            await tx.execute(text("create table heard (place integer, id text, subject text)"))

    def start(self, fuse: Fuse | None = None, *, is_down: bool = False) -> Dispatcher:
        """Start the hub's dispatcher; hub and library die together when the fuse is down."""
        fuse = fuse if fuse is not None else Fuse()
        verifier = EventVerifier({HUB: {"k": KEY}})
        transport = DirectTransport(FragileDatabase(self.library, fuse), note, verifier)
        transport.is_down = is_down
        signer = EventSigner(KEY, key_id="k")
        return Dispatcher(FragileDatabase(self.hub, fuse), transport, signer, clock=self.clock)

    async def do(self, name: str, fuse: Fuse | None = None) -> None:
        """Do a deed of the hub and tell it, in one transaction; repeating it changes nothing.

        The first letter is its subject.
        """

        async def work(tx: AsyncConnection) -> None:
            known = text("select 1 from deed where id = :id")
            if (await tx.execute(known, {"id": name})).scalar() is None:
                await tx.execute(text("insert into deed (id) values (:id)"), {"id": name})
            await publish(tx, make_event(name, subject=name[0]))

        await FragileDatabase(self.hub, fuse if fuse is not None else Fuse()).transact(work)

    async def settle(self) -> None:
        """Let whatever is left arrive."""
        dispatcher = self.start()
        for _ in range(3):
            await dispatcher.run_once()
            self.clock.move(120)

    async def deeds(self) -> list[str]:
        """Return what the hub did."""
        async with self.hub.read() as tx:
            return sorted((await tx.execute(text("select id from deed"))).scalars())

    async def heard(self) -> list[str]:
        """Return what the library heard, in order."""
        async with self.library.read() as tx:
            return list((await tx.execute(text("select id from heard order by place"))).scalars())


def is_in_order(heard: list[str], told: list[str]) -> bool:
    """Tell whether each subject's events were heard in the order they were told."""
    return all(
        [name for name in heard if name[0] == subject]
        == [name for name in told if name[0] == subject]
        for subject in {name[0] for name in told}
    )


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite+aiosqlite:///{path}"
