"""`daicho service NAME dead-letters|quarantine|jobs`: what waits for an operator's decision.

Shown are numbers, ids, types and reasons, never the data of an event or a job. Every decision
leaves an audit entry with the operator's account.
"""

import asyncio
from dataclasses import asdict
from typing import Final

import click
from sqlalchemy.ext.asyncio import AsyncConnection

from node.cli.output import Output
from node.primitives.errors import Misconfigured
from services.cli_place import Place, at_tenant, of_subscriber, paged, show_page
from services.kit.deliveries import DeadLetter, discard_dead, list_dead, replay_dead
from services.kit.inbox import discard, is_quarantined, list_quarantined, release
from services.kit.jobs import list_dead_jobs, revive
from services.kit.outbox import Subscriber, list_subscribers

DEAD_LETTERS_EXAMPLES: Final = """\b
Examples:
  daicho service relay dead-letters list
  daicho service relay dead-letters replay --subscriber example --all
  daicho service relay dead-letters discard --subscriber example 42
"""


@click.group("dead-letters", epilog=DEAD_LETTERS_EXAMPLES)
def dead_letters() -> None:
    """Events that a subscriber did not take; each holds its subject until decided upon."""


@dead_letters.command("list")
@at_tenant
@click.option("--subscriber", help="Only those of this subscriber.")
@paged
def list_letters(
    output: Output, place: Place, subscriber: str | None, after: int, count: int
) -> None:
    """List the oldest dead letters of each subscriber, ``--count`` of each."""

    async def work(tx: AsyncConnection) -> list[tuple[Subscriber, tuple[DeadLetter, ...]]]:
        told = (
            await list_subscribers(tx, tenant=place.tenant)
            if subscriber is None
            else [await place.find_subscriber(tx, subscriber)]
        )
        return [
            (each, await list_dead(tx, each, after=after, count_max=count + 1)) for each in told
        ]

    output.rows(
        [
            {"subscriber": told.name, **asdict(letter)}
            for told, letters in place.read(work)
            for letter in show_page(letters, count, lambda letter: letter.sequence)
        ]
    )


@dead_letters.command("replay")
@at_tenant
@of_subscriber
@click.argument("sequence", type=int, required=False)
@click.option("--all", "is_all", is_flag=True, help="Every dead letter of the subscriber.")
def replay(
    output: Output, place: Place, subscriber: str, sequence: int | None, is_all: bool
) -> None:
    """Send dead letter SEQUENCE again, or all of them, once the subscriber is repaired."""
    if is_all == (sequence is not None):
        raise Misconfigured("give either SEQUENCE, as `dead-letters list` shows it, or --all")

    async def work(tx: AsyncConnection) -> int:
        told = await place.find_subscriber(tx, subscriber)
        return await replay_dead(tx, told, by=place.operator(), sequence=sequence)

    count = place.transact(work)
    if sequence is not None:
        _require(count, f"no dead letter {sequence} of {subscriber}", place, "dead-letters list")
    output.result({"subscriber": subscriber, "replayed": count})


@dead_letters.command("discard")
@at_tenant
@of_subscriber
@click.argument("sequence", type=int)
def discard_letter(output: Output, place: Place, subscriber: str, sequence: int) -> None:
    """Give dead letter SEQUENCE up for good; later events of its subject then go out."""

    async def work(tx: AsyncConnection) -> int:
        told = await place.find_subscriber(tx, subscriber)
        return await discard_dead(tx, told, by=place.operator(), sequence=sequence)

    count = place.transact(work)
    _require(count, f"no dead letter {sequence} of {subscriber}", place, "dead-letters list")
    output.result({"subscriber": subscriber, "discarded": sequence})


QUARANTINE_EXAMPLES: Final = """\b
Examples:
  daicho service relay quarantine list
  daicho service relay quarantine release 7
  daicho service relay quarantine discard 7
"""


@click.group("quarantine", epilog=QUARANTINE_EXAMPLES)
def quarantine() -> None:
    """Events that this service could not handle; each holds its subject until decided upon."""


@quarantine.command("list")
@at_tenant
@paged
def list_events(output: Output, place: Place, after: int, count: int) -> None:
    """List what waits, oldest first, and how many events wait behind each."""
    found = place.read(
        lambda tx: list_quarantined(tx, tenant=place.tenant, after=after, count_max=count + 1)
    )
    output.rows([asdict(event) for event in show_page(found, count, lambda each: each.arrival)])


@quarantine.command("release")
@at_tenant
@click.argument("arrival", type=int)
def release_event(output: Output, place: Place, arrival: int) -> None:
    """Handle event ARRIVAL after a repair, then those held behind it.

    An event that is refused again stays in quarantine.
    """
    output.result({"released": arrival, "handled": _decide(place, arrival, is_release=True)})


@quarantine.command("discard")
@at_tenant
@click.argument("arrival", type=int)
def discard_event(output: Output, place: Place, arrival: int) -> None:
    """Give event ARRIVAL up for good and handle those held behind it."""
    output.result({"discarded": arrival, "handled": _decide(place, arrival, is_release=False)})


def _decide(place: Place, arrival: int, *, is_release: bool) -> int:
    handler = place.handler()

    async def run() -> int:
        async with place.open() as database:
            async with database.read() as tx:
                is_waiting = await is_quarantined(tx, tenant=place.tenant, arrival=arrival)
            _require(is_waiting, f"no event {arrival} in quarantine", place, "quarantine list")
            decide = release if is_release else discard
            return await decide(database, arrival, handler, by=place.operator())

    return asyncio.run(run())


JOBS_EXAMPLES: Final = """\b
Examples:
  daicho service example jobs list
  daicho service example jobs revive 12
"""


@click.group("jobs", epilog=JOBS_EXAMPLES)
def jobs() -> None:
    """Work for later that was given up after its last attempt."""


@jobs.command("list")
@at_tenant
@paged
def list_jobs(output: Output, place: Place, after: int, count: int) -> None:
    """List the jobs that were given up, oldest first."""
    found = place.read(
        lambda tx: list_dead_jobs(tx, tenant=place.tenant, after=after, count_max=count + 1)
    )
    output.rows([asdict(job) for job in show_page(found, count, lambda each: each.number)])


@jobs.command("revive")
@at_tenant
@click.argument("number", type=int)
def revive_job(output: Output, place: Place, number: int) -> None:
    """Try job NUMBER again after a repair."""

    async def work(tx: AsyncConnection) -> bool:
        return await revive(tx, number, tenant=place.tenant, by=place.operator())

    _require(place.transact(work), f"no dead job {number}", place, "jobs list")
    output.result({"revived": number})


def _require(found: int | bool, what: str, place: Place, listing: str) -> None:
    """Refuse a number under which nothing waits."""
    if not found:
        raise Misconfigured(
            f"{what} in {place.tenant}; see what waits: daicho service {place.name} {listing}"
        )


COMMANDS = (dead_letters, quarantine, jobs)
"""What this module adds to every service."""
