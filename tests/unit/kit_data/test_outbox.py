"""Outbox: events commit with their cause, go out in order per subject, and are never dropped."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.errors import Misconfigured
from services.kit import deliveries, outbox
from services.kit.database import Database
from services.kit.deliveries import (
    ATTEMPTS_MAX,
    LEASE_MS,
    Delivery,
    acknowledge,
    discard_dead,
    give_back,
    lease_deliveries,
    list_dead,
    measure_backlog,
    postpone,
    replay_dead,
    replay_since,
)
from services.kit.events import Event, decode_event
from services.kit.outbox import EventConflict, publish, subscribe
from tests.support.clock import FakeClock
from tests.support.events import MORNING, OPERATOR, make_event, make_subscriber

LIBRARY = make_subscriber()


async def tell(database: Database, *events: Event) -> None:
    async with database.write() as tx:
        for event in events:
            await publish(tx, event)


async def take(database: Database, clock: FakeClock) -> tuple[Delivery, ...]:
    async with database.write() as tx:
        return await lease_deliveries(tx, LIBRARY, now=clock.now())


def ids(taken: tuple[Delivery, ...]) -> list[str]:
    return [decode_event(delivery.body).id for delivery in taken]


@pytest.fixture
async def clock(database: Database) -> FakeClock:
    async with database.write() as tx:
        await subscribe(tx, LIBRARY)
    return FakeClock(MORNING)


async def test_an_event_of_a_transaction_that_fails_is_never_told(
    database: Database, clock: FakeClock
) -> None:
    async def fail_after_publishing() -> None:
        async with database.write() as tx:
            await publish(tx, make_event())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_publishing()

    assert await take(database, clock) == ()


async def test_a_subscriber_hears_what_it_wants_of_its_tenant_and_nothing_else(
    database: Database, clock: FakeClock
) -> None:
    async with database.write() as tx:
        await subscribe(tx, make_subscriber(types=("jp.daicho.hub.",)))
    await tell(
        database,
        make_event("wanted"),
        make_event("other-kind", type="jp.daicho.bus.arrived.v1", subject="bus:1"),
        make_event("other-tenant", tenant="goka", subject="person:2"),
    )

    assert ids(await take(database, clock)) == ["wanted"]


async def test_events_of_one_subject_go_out_one_at_a_time_in_order(
    database: Database, clock: FakeClock
) -> None:
    await tell(database, make_event("a1"), make_event("b1", subject="b"), make_event("a2"))

    first = await take(database, clock)
    assert ids(first) == ["a1", "b1"]
    assert await take(database, clock) == ()
    async with database.write() as tx:
        assert await acknowledge(tx, first[0])
    assert ids(await take(database, clock)) == ["a2"]


async def test_a_lease_that_ran_out_is_taken_again_and_its_old_holder_settles_nothing(
    database: Database, clock: FakeClock
) -> None:
    await tell(database, make_event())
    (lost,) = await take(database, clock)
    clock.move(LEASE_MS / 1000 + 1)
    (held,) = await take(database, clock)

    async with database.write() as tx:
        assert not await acknowledge(tx, lost)
        assert not await postpone(tx, lost, now=clock.now(), reason="late")
        assert await acknowledge(tx, held)
    assert held.attempts == 2


async def test_a_clock_set_back_by_a_year_delays_nothing(
    database: Database, clock: FakeClock
) -> None:
    await tell(database, make_event())
    await take(database, clock)
    clock.move(-365 * 86_400)

    assert ids(await take(database, clock)) == ["e1"]


async def test_a_refused_event_waits_longer_each_time_and_then_is_dead(
    database: Database, clock: FakeClock
) -> None:
    await tell(database, make_event("poison"), make_event("behind"), make_event("x", subject="x"))
    waits = []
    for _ in range(ATTEMPTS_MAX):
        taken = await take(database, clock)
        (poison,) = [d for d in taken if ids((d,)) == ["poison"]]
        async with database.write() as tx:
            for other in taken:
                if other is not poison:
                    await acknowledge(tx, other)
            await postpone(tx, poison, now=clock.now(), reason="answered 500")
        wait = deliveries.compute_backoff_ms(poison.attempts) / 1000
        waits.append(wait)
        clock.move(wait - 0.001)
        assert await take(database, clock) == ()
        clock.move(0.001)

    assert waits[:3] == [1, 2, 4]
    assert max(waits) == 3_600
    async with database.read() as tx:
        (dead,) = await list_dead(tx, LIBRARY)
        backlog = await measure_backlog(tx, LIBRARY)
    assert (dead.event_id, dead.attempts, dead.reason) == ("poison", ATTEMPTS_MAX, "answered 500")
    assert (backlog.pending, backlog.dead, backlog.cursor) == (1, 1, 0)
    assert backlog.oldest == MORNING


@pytest.mark.parametrize("is_replayed", [True, False], ids=["replayed", "discarded"])
async def test_a_dead_event_holds_its_subject_until_an_operator_decides(
    database: Database, clock: FakeClock, is_replayed: bool
) -> None:
    await tell(database, make_event("dead"), make_event("behind"))
    (first,) = await take(database, clock)
    async with database.write() as tx:
        await postpone(tx, first, now=clock.now(), reason="422", is_final=True)
    clock.move(10_000_000)
    assert await take(database, clock) == ()

    async with database.write() as tx:
        if is_replayed:
            assert await replay_dead(tx, LIBRARY, by=OPERATOR, sequence=first.sequence) == 1
        else:
            assert await discard_dead(tx, LIBRARY, by=OPERATOR, sequence=first.sequence) == 1
    assert ids(await take(database, clock)) == (["dead"] if is_replayed else ["behind"])


async def test_a_send_that_never_left_counts_as_no_attempt(
    database: Database, clock: FakeClock
) -> None:
    await tell(database, make_event())
    for _ in range(ATTEMPTS_MAX + 2):
        (taken,) = await take(database, clock)
        assert taken.attempts == 1
        async with database.write() as tx:
            assert await give_back(tx, taken)


async def test_a_subscriber_restored_from_a_backup_is_told_again_from_then_on(
    database: Database, clock: FakeClock
) -> None:
    later = MORNING + timedelta(hours=2)
    await tell(database, make_event("old"), make_event("new", subject="b", time=later))
    async with database.write() as tx:
        for delivery in await lease_deliveries(tx, LIBRARY, now=clock.now()):
            await acknowledge(tx, delivery)
        assert await replay_since(tx, LIBRARY, by=OPERATOR, since=MORNING + timedelta(hours=1)) == 1

    assert ids(await take(database, clock)) == ["new"]


async def test_an_event_from_before_the_backup_that_arrived_after_it_is_told_again(
    database: Database, clock: FakeClock
) -> None:
    await tell(database, make_event("early"))
    backup = MORNING + timedelta(hours=1)
    async with database.write() as tx:
        (taken,) = await lease_deliveries(
            tx, LIBRARY, now=backup - timedelta(milliseconds=LEASE_MS)
        )
        await acknowledge(tx, taken)
        too_late = backup + timedelta(milliseconds=1)
        assert await replay_since(tx, LIBRARY, by=OPERATOR, since=too_late) == 0
        assert await replay_since(tx, LIBRARY, by=OPERATOR, since=backup) == 1

    assert ids(await take(database, clock)) == ["early"]


async def test_a_new_subscriber_can_be_given_the_past_once(
    database: Database, clock: FakeClock
) -> None:
    await tell(database, make_event("a"), make_event("b"))
    newcomer = make_subscriber("bus")
    async with database.write() as tx:
        await subscribe(tx, newcomer)
        assert await outbox.backfill(tx, newcomer, since=MORNING) == 2
        assert await outbox.backfill(tx, newcomer, since=MORNING) == 0
        taken = await lease_deliveries(tx, newcomer, now=clock.now())

    assert ids(taken) == ["a"]


async def test_publishing_again_is_harmless_and_reusing_an_id_is_refused(
    database: Database, clock: FakeClock
) -> None:
    await tell(database, make_event(), make_event())
    with pytest.raises(EventConflict):
        await tell(database, make_event(data={"level": 2}))

    assert len(await take(database, clock)) == 1


async def test_pruning_keeps_what_somebody_waits_for(database: Database, clock: FakeClock) -> None:
    await tell(database, make_event("done"), make_event("waiting", subject="b"))
    taken = await take(database, clock)
    async with database.write() as tx:
        await acknowledge(tx, taken[0])
        later = MORNING + timedelta(days=1)
        assert await outbox.prune_outbox(tx, before=later) == 1
        assert await outbox.prune_outbox(tx, before=later) == 0
    clock.move(LEASE_MS / 1000 + 1)

    assert ids(await take(database, clock)) == ["waiting"]


async def test_a_tenant_has_a_bounded_number_of_subscribers(database: Database) -> None:
    async with database.write() as tx:
        for number in range(outbox.SUBSCRIBERS_MAX):
            await subscribe(tx, make_subscriber(f"s{number}"))
        with pytest.raises(Misconfigured):
            await subscribe(tx, make_subscriber("one too many"))
        await subscribe(tx, make_subscriber("elsewhere", tenant="goka"))


async def test_a_subscriber_that_leaves_is_owed_nothing(
    database: Database, clock: FakeClock
) -> None:
    await tell(database, make_event())
    async with database.write() as tx:
        await outbox.unsubscribe(tx, tenant="sakai", name=LIBRARY.name)
        assert await outbox.list_subscribers(tx) == ()

    assert await take(database, clock) == ()


@pytest.mark.parametrize("types", [(), ("two words",)], ids=["none", "a space"])
async def test_a_subscriber_names_its_types(database: Database, types: tuple[str, ...]) -> None:
    with pytest.raises(Misconfigured):
        async with database.write() as tx:
            await subscribe(tx, make_subscriber(types=types))


async def test_a_later_event_of_a_subject_is_numbered_after_the_earlier_has_committed(
    database: Database, clock: FakeClock
) -> None:
    async with database.write() as tx:
        await publish(tx, make_event("a1"))
        later = asyncio.create_task(database.transact(lambda tx: publish(tx, make_event("a2"))))
        await asyncio.sleep(0.2)
        assert not later.done()
    await later

    (first,) = await take(database, clock)
    assert ids((first,)) == ["a1"]
    async with database.write() as tx:
        await acknowledge(tx, first)
    (second,) = await take(database, clock)
    assert ids((second,)) == ["a2"]
    assert second.sequence == await later


async def test_two_dispatchers_never_take_the_same_delivery(
    database: Database, clock: FakeClock
) -> None:
    await tell(database, *(make_event(f"e{n}", subject=f"s{n}") for n in range(20)))

    async def lease(tx: AsyncConnection) -> tuple[Delivery, ...]:
        return await lease_deliveries(tx, LIBRARY, now=clock.now(), count_max=7)

    batches = await asyncio.gather(*(database.transact(lease) for _ in range(4)))
    taken = [name for batch in batches for name in ids(batch)]

    assert sorted(taken) == sorted(f"e{n}" for n in range(20))
    assert all(len(batch) <= 7 for batch in batches)
