"""Inbox: an event takes effect once; one that cannot is set aside, with its subject behind it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.errors import InvalidInput, Unavailable
from services.kit import inbox
from services.kit.database import Database
from services.kit.events import Event
from services.kit.inbox import (
    ATTEMPTS_MAX,
    Acceptance,
    EventTooOld,
    InboxFull,
    accept,
    discard,
    list_quarantined,
    prune_inbox,
    receive,
    release,
)
from services.kit.outbox import EventConflict
from tests.support.events import MORNING, OPERATOR, make_event


class Ledger:
    """What handled events left behind, in the service's own table."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.trouble: Callable[[Event], Exception | None] = lambda _: None

    async def prepare(self) -> None:
        async with self.database.write() as tx:
            await tx.execute(text("create table handled (id text not null)"))

    async def handle(self, tx: AsyncConnection, event: Event) -> None:
        await tx.execute(text("insert into handled (id) values (:id)"), {"id": event.id})
        error = self.trouble(event)
        if error is not None:
            raise error

    async def seen(self) -> list[str]:
        async with self.database.read() as tx:
            return [str(row.id) for row in await tx.execute(text("select id from handled"))]


@pytest.fixture
async def ledger(database: Database) -> Ledger:
    ledger = Ledger(database)
    await ledger.prepare()
    return ledger


async def test_an_event_told_three_times_takes_effect_once(
    database: Database, ledger: Ledger
) -> None:
    results = [await accept(database, make_event(), ledger.handle) for _ in range(3)]

    assert results == [Acceptance.DONE, Acceptance.DUPLICATE, Acceptance.DUPLICATE]
    assert await ledger.seen() == ["e1"]


async def test_the_mark_and_the_effect_stand_or_fall_together(
    database: Database, ledger: Ledger
) -> None:
    async def fail_after_receiving() -> None:
        async with database.write() as tx:
            assert await receive(tx, make_event(), ledger.handle)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_receiving()
    assert await ledger.seen() == []

    async with database.write() as tx:
        assert await receive(tx, make_event(), ledger.handle)
        assert not await receive(tx, make_event(), ledger.handle)
    assert await ledger.seen() == ["e1"]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(make_event(data={"level": 2}), id="other data"),
        pytest.param(make_event(subject="person:2"), id="other subject"),
    ],
)
async def test_an_id_used_for_something_else_is_refused(
    database: Database, ledger: Ledger, other: Event
) -> None:
    await accept(database, make_event(), ledger.handle)

    with pytest.raises(EventConflict):
        await accept(database, other, ledger.handle)


async def test_the_same_id_of_another_tenant_is_another_event(
    database: Database, ledger: Ledger
) -> None:
    await accept(database, make_event(), ledger.handle)

    assert await accept(database, make_event(tenant="goka"), ledger.handle) is Acceptance.DONE


async def test_an_event_that_breaks_its_handler_every_time_is_set_aside(
    database: Database, ledger: Ledger
) -> None:
    ledger.trouble = lambda _: KeyError("a bug")
    for _ in range(ATTEMPTS_MAX):
        with pytest.raises(KeyError):
            await accept(database, make_event(), ledger.handle)

    assert await accept(database, make_event(), ledger.handle) is Acceptance.QUARANTINED
    assert await accept(database, make_event(), ledger.handle) is Acceptance.QUARANTINED
    assert await ledger.seen() == []
    async with database.read() as tx:
        (waiting,) = await list_quarantined(tx, tenant="sakai")
    assert (waiting.id, waiting.attempts, waiting.held) == ("e1", ATTEMPTS_MAX, 0)


async def test_an_event_that_a_rule_refuses_is_set_aside_at_once(
    database: Database, ledger: Ledger
) -> None:
    ledger.trouble = lambda _: InvalidInput("no such person: 山田")

    assert await accept(database, make_event(), ledger.handle) is Acceptance.QUARANTINED
    async with database.read() as tx:
        (waiting,) = await list_quarantined(tx, tenant="sakai")
    assert waiting.reason == "input.invalid"


async def test_trouble_with_the_world_is_never_held_against_an_event(
    database: Database, ledger: Ledger
) -> None:
    ledger.trouble = lambda _: Unavailable("node is down")
    for _ in range(ATTEMPTS_MAX + 2):
        with pytest.raises(Unavailable):
            await accept(database, make_event(), ledger.handle)
    ledger.trouble = lambda _: None

    assert await accept(database, make_event(), ledger.handle) is Acceptance.DONE


async def quarantine_one_with_two_behind(database: Database, ledger: Ledger) -> int:
    ledger.trouble = lambda event: InvalidInput("no") if event.id == "bad" else None
    assert await accept(database, make_event("bad"), ledger.handle) is Acceptance.QUARANTINED
    for name in ("b1", "b2"):
        assert await accept(database, make_event(name), ledger.handle) is Acceptance.HELD
        assert await accept(database, make_event(name), ledger.handle) is Acceptance.HELD
    other = make_event("other", subject="person:2")
    assert await accept(database, other, ledger.handle) is Acceptance.DONE
    assert await ledger.seen() == ["other"]
    async with database.read() as tx:
        (waiting,) = await list_quarantined(tx, tenant="sakai")
    assert waiting.held == 2
    return waiting.arrival


async def test_a_repair_releases_the_event_and_those_behind_it_in_order(
    database: Database, ledger: Ledger
) -> None:
    arrival = await quarantine_one_with_two_behind(database, ledger)
    ledger.trouble = lambda _: None

    assert await release(database, arrival, ledger.handle, by=OPERATOR) == 3
    assert await ledger.seen() == ["other", "bad", "b1", "b2"]
    assert await accept(database, make_event("b3"), ledger.handle) is Acceptance.DONE
    with pytest.raises(InvalidInput):
        await release(database, arrival, ledger.handle, by=OPERATOR)


async def test_a_discarded_event_never_takes_effect_and_those_behind_it_do(
    database: Database, ledger: Ledger
) -> None:
    arrival = await quarantine_one_with_two_behind(database, ledger)

    assert await discard(database, arrival, ledger.handle, by=OPERATOR) == 2
    assert await ledger.seen() == ["other", "b1", "b2"]
    assert await accept(database, make_event("bad"), ledger.handle) is Acceptance.DUPLICATE


async def test_a_held_event_that_fails_on_release_is_the_next_in_quarantine(
    database: Database, ledger: Ledger
) -> None:
    arrival = await quarantine_one_with_two_behind(database, ledger)
    ledger.trouble = lambda event: InvalidInput("no") if event.id == "b1" else None

    with pytest.raises(InvalidInput):
        await release(database, arrival, ledger.handle, by=OPERATOR)
    async with database.read() as tx:
        (waiting,) = await list_quarantined(tx, tenant="sakai")
    assert (waiting.id, waiting.held) == ("b1", 1)
    assert await ledger.seen() == ["other", "bad"]


async def test_the_sender_waits_once_too_much_is_held(
    database: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "HELD_MAX", 2)
    await quarantine_one_with_two_behind(database, ledger)

    with pytest.raises(InboxFull):
        await accept(database, make_event("b3"), ledger.handle)


async def test_what_may_have_been_forgotten_is_refused_not_repeated(
    database: Database, ledger: Ledger
) -> None:
    later = MORNING + timedelta(days=2)
    await accept(database, make_event("old"), ledger.handle)
    await accept(database, make_event("new", time=later), ledger.handle)
    async with database.write() as tx:
        assert await prune_inbox(tx, tenant="sakai", before=later) == 1

    with pytest.raises(EventTooOld):
        await accept(database, make_event("old"), ledger.handle)
    assert await accept(database, make_event("new", time=later), ledger.handle) == "duplicate"


async def test_pruning_by_a_clock_years_ahead_refuses_nothing_that_is_current(
    database: Database, ledger: Ledger
) -> None:
    await accept(database, make_event("a"), ledger.handle)
    async with database.write() as tx:
        await prune_inbox(tx, tenant="sakai", before=MORNING + timedelta(days=3_650))

    assert await accept(database, make_event("b"), ledger.handle) is Acceptance.DONE
