"""Jobs: done once, tried again, set aside, and never led astray by the clock."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.errors import InvalidInput, Unavailable
from services.kit.database import Database
from services.kit.jobs import (
    ATTEMPTS_MAX,
    LEASE_MS,
    PAYLOAD_BYTES_MAX,
    Job,
    JobRunner,
    cancel,
    enqueue,
    list_dead_jobs,
    prune_jobs,
    revive,
)
from services.kit.schedules import Every
from tests.support.clock import FakeClock
from tests.support.events import MORNING, OPERATOR

HOUR = 3_600


class Office:
    """A service with one kind of job, which leaves a row for each it did."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FakeClock(MORNING)
        self.trouble: Callable[[Job], Exception | None] = lambda _: None
        self.runner = JobRunner(database, {"remind": self.remind}, clock=self.clock)

    async def remind(self, tx: AsyncConnection, job: Job) -> None:
        await tx.execute(text("insert into done (key) values (:key)"), {"key": job.key})
        error = self.trouble(job)
        if error is not None:
            raise error

    async def ask(self, key: str = "k", seconds: float = 0, **payload: object) -> bool:
        due = self.clock.now() + timedelta(seconds=seconds)
        job = Job(tenant="sakai", kind="remind", key=key, due=due, payload=payload)
        async with self.database.write() as tx:
            return await enqueue(tx, job, now=self.clock.now())

    async def done(self) -> list[str]:
        async with self.database.read() as tx:
            return [str(row.key) for row in await tx.execute(text("select key from done"))]


@pytest.fixture
async def office(database: Database) -> Office:
    async with database.write() as tx:
        await tx.execute(text("create table done (key text not null)"))
    return Office(database)


async def test_a_job_is_done_once_when_it_is_due_and_not_before(office: Office) -> None:
    assert await office.ask("later", seconds=10)
    assert not await office.ask("later", seconds=10)
    office.clock.move(9.999)
    assert await office.runner.run_due() == 0
    office.clock.move(0.001)

    assert await office.runner.run_due() == 1
    assert await office.runner.run_due() == 0
    assert await office.done() == ["later"]
    assert not await office.ask("later")


async def test_jobs_are_done_in_the_order_they_are_due(office: Office) -> None:
    await office.ask("second", seconds=2)
    await office.ask("first", seconds=1)
    office.clock.move(5)

    assert await office.runner.run_due() == 2
    assert await office.done() == ["first", "second"]


async def test_a_refused_job_is_tried_again_and_then_waits_for_an_operator(office: Office) -> None:
    office.trouble = lambda _: InvalidInput("no")
    await office.ask()
    for _ in range(ATTEMPTS_MAX):
        assert await office.runner.run_due() == 1
        office.clock.move(HOUR)
    assert await office.runner.run_due() == 0
    async with office.database.write() as tx:
        (dead,) = await list_dead_jobs(tx, tenant="sakai")
        assert (dead.key, dead.reason) == ("k", "input.invalid")
        assert await revive(tx, dead.number, tenant="sakai", by=OPERATOR)
        assert not await revive(tx, dead.number, tenant="sakai", by=OPERATOR)
    office.trouble = lambda _: None

    assert await office.done() == []
    await office.runner.run_due()
    assert await office.done() == ["k"]


async def test_trouble_with_the_world_never_makes_a_job_dead(office: Office) -> None:
    office.trouble = lambda _: Unavailable("down")
    await office.ask()
    for _ in range(ATTEMPTS_MAX * 2):
        assert await office.runner.run_due() == 1
        office.clock.move(HOUR)
    office.trouble = lambda _: None

    assert await office.runner.run_due() == 1
    assert await office.done() == ["k"]


async def test_a_job_that_stops_its_runner_every_time_is_set_aside(office: Office) -> None:
    office.trouble = lambda _: KeyError("a bug")
    await office.ask()
    for _ in range(ATTEMPTS_MAX):
        with pytest.raises(KeyError):
            await office.runner.run_due()
        assert await office.runner.run_due() == 0
        office.clock.move(LEASE_MS / 1000)

    assert await office.runner.run_due() == 0
    async with office.database.read() as tx:
        (dead,) = await list_dead_jobs(tx, tenant="sakai")
    assert dead.reason == "job.never_finished"


async def test_a_clock_set_back_ends_a_wait_but_not_the_matters_own_time(office: Office) -> None:
    office.trouble = lambda _: InvalidInput("no")
    await office.ask("failed once")
    await office.ask("due in an hour", seconds=HOUR)
    await office.runner.run_due()
    office.trouble = lambda _: None
    office.clock.move(-1)

    assert await office.runner.run_due() == 0
    office.clock.move(-HOUR + 1)
    assert await office.done() == []
    office.clock.move(2 * HOUR)
    await office.runner.run_due()
    assert sorted(await office.done()) == ["due in an hour", "failed once"]


async def test_a_holder_that_comes_back_after_its_lease_changes_nothing(office: Office) -> None:
    other = JobRunner(office.database, {"remind": office.remind}, clock=office.clock)
    await office.ask()
    leased = await office.database.transact(office.runner._lease)
    assert leased is not None
    office.clock.move(LEASE_MS / 1000)
    assert await other.run_due() == 1

    await office.runner._do(leased)
    assert await office.done() == ["k"]


async def test_recurring_work_is_done_once_for_all_the_turns_it_missed(office: Office) -> None:
    hourly = {("sakai", "remind"): Every(seconds=HOUR)}
    runner = JobRunner(
        office.database, {"remind": office.remind}, clock=office.clock, schedules=hourly
    )
    assert await runner.run_due() == 0
    office.clock.move(HOUR)
    assert await runner.run_due() == 1
    office.clock.move(10 * HOUR)
    assert await runner.run_due() == 1
    assert await runner.run_due() == 0
    assert len(await office.done()) == 2


async def test_a_clock_that_ran_a_year_ahead_does_not_silence_recurring_work(
    office: Office,
) -> None:
    hourly = {("sakai", "remind"): Every(seconds=HOUR)}
    runner = JobRunner(
        office.database, {"remind": office.remind}, clock=office.clock, schedules=hourly
    )
    await runner.run_due()
    office.clock.move(365 * 24 * HOUR)
    await runner.run_due()
    office.clock.move(-365 * 24 * HOUR)
    await runner.run_due()
    before = len(await office.done())
    office.clock.move(HOUR)

    assert await runner.run_due() == 1
    assert len(await office.done()) == before + 1


async def test_a_job_can_be_taken_back_until_it_is_done(office: Office) -> None:
    await office.ask()
    async with office.database.write() as tx:
        assert await cancel(tx, tenant="sakai", kind="remind", key="k")
        assert not await cancel(tx, tenant="sakai", kind="remind", key="k")
    assert await office.runner.run_due() == 0

    await office.ask()
    await office.runner.run_due()
    async with office.database.write() as tx:
        assert not await cancel(tx, tenant="sakai", kind="remind", key="k")
        assert await prune_jobs(tx, before=MORNING) == 0
        assert await prune_jobs(tx, before=MORNING + timedelta(seconds=1)) == 1


async def test_a_payload_is_bounded(office: Office) -> None:
    room = PAYLOAD_BYTES_MAX - len('{"x":""}')

    assert await office.ask("fits", x="a" * room)
    with pytest.raises(InvalidInput):
        await office.ask("too large", x="a" * (room + 1))
