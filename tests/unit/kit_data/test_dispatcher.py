"""Dispatcher: what HTTP answers mean, who waits for whom, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc.jwk import OKPKey

from services.kit.clock import SystemClock
from services.kit.database import Database
from services.kit.deliveries import list_dead, measure_backlog
from services.kit.dispatcher import (
    SILENCE_S_MAX,
    Delivered,
    Dispatcher,
    HttpTransport,
    Outcome,
    Refused,
    Unreachable,
    read_status,
)
from services.kit.event_signatures import SIGNATURE_HEADER, EventSigner, EventVerifier
from services.kit.outbox import Subscriber, publish, subscribe
from tests.support.clock import FakeClock
from tests.support.events import HUB, MORNING, make_event, make_subscriber

KEY = OKPKey.generate_key("Ed25519")
SIGNER = EventSigner(KEY, key_id="k")
VERIFIER = EventVerifier({HUB: {"k": KEY}})


@dataclass
class Library:
    """A subscriber behind HTTP."""

    url: str = ""
    heard: list[str] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    answer: Callable[[str], int] = lambda _: 202

    async def has_heard(self, count: int) -> None:
        """Wait until it has heard so much."""
        async with self.news:
            await self.news.wait_for(lambda: len(self.heard) >= count)

    async def hear(self, request: web.Request) -> web.Response:
        event = VERIFIER.verify(await request.read(), request.headers[SIGNATURE_HEADER])
        assert request.content_type == "application/cloudevents+json"
        status = self.answer(event.id)
        if status < 300:
            self.heard.append(event.id)
            async with self.news:
                self.news.notify_all()
        return web.Response(status=status)


@asynccontextmanager
async def listening() -> AsyncIterator[Library]:
    library = Library()
    app = web.Application()
    app.router.add_post("/events", library.hear)
    async with TestServer(app) as server:
        library.url = str(server.make_url("/events"))
        yield library


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    async with aiohttp.ClientSession() as session:
        yield HttpTransport(session)


async def tell(database: Database, subscriber: Subscriber, *ids: str) -> None:
    """Publish events; those with the same first letter are about the same subject."""
    async with database.write() as tx:
        await subscribe(tx, subscriber)
        for name in ids:
            await publish(tx, make_event(name, subject=name[0]))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Delivered()),
        (202, Delivered()),
        (302, Refused(reason="answered 302", is_final=False)),
        (401, Refused(reason="answered 401", is_final=False)),
        (404, Refused(reason="answered 404", is_final=False)),
        (422, Refused(reason="answered 422", is_final=True)),
        (429, Unreachable(reason="answered 429")),
        (500, Refused(reason="answered 500", is_final=False)),
        (503, Unreachable(reason="answered 503")),
    ],
)
def test_each_status_means_one_thing(status: int, expected: Outcome) -> None:
    assert read_status(status) == expected


async def test_events_arrive_signed_and_in_order(
    database: Database, transport: HttpTransport
) -> None:
    async with listening() as library:
        subscriber = replace(make_subscriber(), endpoint=library.url)
        await tell(database, subscriber, "a1", "b1", "a2", "a3")
        dispatcher = Dispatcher(database, transport, SIGNER, clock=FakeClock(MORNING))

        assert await dispatcher.run_once() == 4
        assert await dispatcher.run_once() == 0
    assert sorted(library.heard) == ["a1", "a2", "a3", "b1"]
    assert [name for name in library.heard if name[0] == "a"] == ["a1", "a2", "a3"]


async def test_one_refused_event_holds_its_own_subject_alone(
    database: Database, transport: HttpTransport
) -> None:
    async with listening() as library:
        library.answer = lambda name: {"a1": 422, "b1": 500}.get(name, 202)
        subscriber = replace(make_subscriber(), endpoint=library.url)
        await tell(database, subscriber, "a1", "b1", "a2", "b2", "c1")
        clock = FakeClock(MORNING)
        dispatcher = Dispatcher(database, transport, SIGNER, clock=clock)
        assert await dispatcher.run_once() == 1
        assert library.heard == ["c1"]

        library.answer = lambda _: 202
        clock.move(1)
        assert await dispatcher.run_once() == 2
        assert library.heard == ["c1", "b1", "b2"]
    async with database.read() as tx:
        (dead,) = await list_dead(tx, subscriber)
    assert (dead.event_id, dead.reason) == ("a1", "answered 422")


async def test_a_subscriber_that_is_down_loses_nothing_and_holds_up_nobody(
    database: Database, transport: HttpTransport
) -> None:
    async with listening() as library:
        gone = replace(make_subscriber("gone"), endpoint="http://127.0.0.1:9/events")
        there = replace(make_subscriber("there"), endpoint=library.url)
        async with database.write() as tx:
            await subscribe(tx, gone)
        await tell(database, there, "a1", "b1")
        clock = FakeClock(MORNING)
        dispatcher = Dispatcher(database, transport, SIGNER, clock=clock)
        assert await dispatcher.run_once() == 2
        for _ in range(12):
            clock.move(SILENCE_S_MAX)
            assert await dispatcher.run_once() == 0
        assert dispatcher.unreachable.keys() == {("sakai", "gone")}

        async with database.write() as tx:
            await subscribe(tx, replace(gone, endpoint=library.url))
        assert await dispatcher.run_once() == 0
        clock.move(SILENCE_S_MAX)
        assert await dispatcher.run_once() == 2
        assert dispatcher.unreachable == {}
    async with database.read() as tx:
        backlog = await measure_backlog(tx, gone)
    assert (backlog.pending, backlog.dead) == (0, 0)


async def test_a_silence_ends_when_the_clock_is_set_back(
    database: Database, transport: HttpTransport
) -> None:
    gone = replace(make_subscriber(), endpoint="http://127.0.0.1:9/events")
    await tell(database, gone, "a1")
    clock = FakeClock(MORNING)
    dispatcher = Dispatcher(database, transport, SIGNER, clock=clock)
    await dispatcher.run_once()
    clock.move(-365 * 86_400)
    async with listening() as library:
        await tell(database, replace(gone, endpoint=library.url))
        assert await dispatcher.run_once() == 1


async def test_a_paused_subscriber_hears_nothing_until_it_is_resumed(
    database: Database, transport: HttpTransport
) -> None:
    async with listening() as library:
        subscriber = replace(make_subscriber(), endpoint=library.url, is_paused=True)
        await tell(database, subscriber, "a1")
        dispatcher = Dispatcher(database, transport, SIGNER, clock=FakeClock(MORNING))
        assert await dispatcher.run_once() == 0
        await tell(database, replace(subscriber, is_paused=False))
        assert await dispatcher.run_once() == 1


async def test_it_runs_by_itself_and_a_slow_subscriber_slows_nobody(
    database: Database, transport: HttpTransport
) -> None:
    async with listening() as library:
        release = asyncio.Event()

        class OneIsSlow:
            async def send(self, subscriber: Subscriber, body: bytes, signature: str) -> Outcome:
                if subscriber.name == "slow":
                    await release.wait()
                return await transport.send(subscriber, body, signature)

        async with database.write() as tx:
            await subscribe(tx, replace(make_subscriber("slow"), endpoint=library.url))
        await tell(database, replace(make_subscriber("swift"), endpoint=library.url), "a1")
        dispatcher = Dispatcher(database, OneIsSlow(), SIGNER, clock=SystemClock())
        running = asyncio.create_task(dispatcher.run())
        async with asyncio.timeout(20):
            await library.has_heard(1)
            release.set()
            await library.has_heard(2)
        assert library.heard == ["a1", "a1"]
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
