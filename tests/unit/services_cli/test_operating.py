"""Operators look after a service by commands that show numbers and codes, never a person."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.auditor.disclosure import Entry, Head, Root, read_disclosure
from node.cli.output import Output
from node.primitives.errors import InvalidInput, LedgerError, Misconfigured
from node.primitives.merkle import compute_root
from services import cli
from services.kit import deliveries, jobs
from services.kit.audit import close_root, link
from services.kit.backup import BackupDamaged
from services.kit.clock import Clock
from services.kit.database import Database, open_database
from services.kit.envelope import Envelope, Owner
from services.kit.events import Event
from services.kit.inbox import Handler, accept
from services.kit.master_keys import create_master_file, load_master_keys
from services.kit.outbox import publish, subscribe
from services.kit.tables import AUDIT_ENTRIES
from tests.support.board_service import BOARD, BoardSettings, write_board_settings
from tests.support.events import HUB, MORNING, make_event, make_subscriber
from tests.support.postgres import shared_cluster
from tests.support.tokens import People

T = TypeVar("T")

PEOPLE = People()
PERSON = "pairwise-hanako"
MASTER = "master.keys"
GOKA = make_subscriber(tenant="goka")


def hear(settings: BoardSettings, clock: Clock) -> Handler:
    """Return an inbox that refuses events while the file `broken` is there."""
    del clock
    url = settings.kit.database.url
    broken = Path(url.removeprefix("sqlite+aiosqlite:///")).with_name("broken")

    async def take(tx: AsyncConnection, event: Event) -> None:
        del tx
        if broken.exists():
            raise InvalidInput(f"no room for {event.subject}")

    return take


SEALING = replace(
    BOARD,
    inbox=hear,
    master_file=lambda settings: Path(
        settings.kit.database.url.removeprefix("sqlite+aiosqlite:///")
    ).with_name(MASTER),
)
"""The board with an inbox and sealed records."""


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """List the services of this file."""
    here = "tests.unit.services_cli.test_operating"
    monkeypatch.setitem(cli.SERVICES, "board", (f"{here}:SEALING", "A noticeboard."))
    plain = ("tests.support.board_service:BOARD", "It hears and seals nothing.")
    monkeypatch.setitem(cli.SERVICES, "plain", plain)
    services = {"board": SEALING, "plain": BOARD}
    monkeypatch.setattr(cli, "load_service", services.__getitem__)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = write_board_settings(tmp_path, PEOPLE)
    create_master_file(tmp_path / MASTER)
    assert run(path, "migrate").exit_code == 0
    return path


def run(config: Path, *words: object, service: str = "board", given: str | None = None) -> Result:
    """Run `daicho --json service NAME …`."""
    arguments = [service, *map(str, words), "--config", str(config)]
    return CliRunner().invoke(cli.group, arguments, obj=Output(is_json=True), input=given)


def answer(config: Path, *words: object, code: int = 0, given: str | None = None) -> Any:
    """Return what a command answers, and see that it ends with ``code``."""
    result = run(config, *words, given=given)
    assert result.exit_code == code, (result.output, result.exception)
    return json.loads(result.stdout)


def refusal(config: Path, *words: object, service: str = "board") -> str:
    """Return what a command that is refused says."""
    error = run(config, *words, service=service).exception
    assert isinstance(error, LedgerError), error
    return str(error)


def within(config: Path, work: Callable[[Database], Awaitable[T]]) -> T:
    """Do something with the board's database."""

    async def do() -> T:
        database = await open_database(f"sqlite+aiosqlite:///{config.parent / 'board.db'}")
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(do())


def tell(config: Path, *, is_final: bool) -> None:
    """Publish two events of one subject; the first is refused for good, or taken."""

    async def work(database: Database) -> None:
        async with database.write() as tx:
            await subscribe(tx, GOKA)
            for name in ("e1", "e2"):
                await publish(tx, make_event(name, tenant="goka"))
            (first,) = await deliveries.lease_deliveries(tx, GOKA, now=MORNING)
            if is_final:
                await deliveries.postpone(tx, first, now=MORNING, reason="410", is_final=True)
            else:
                await deliveries.acknowledge(tx, first)

    within(config, work)


def due(config: Path) -> list[int]:
    """Return which deliveries would go out now."""

    async def work(database: Database) -> list[int]:
        async with database.write() as tx:
            later = MORNING.replace(year=2027)
            return [
                each.sequence for each in await deliveries.lease_deliveries(tx, GOKA, now=later)
            ]

    return within(config, work)


def seal(config: Path) -> bytes:
    """Seal a record of a person."""
    envelope = Envelope(load_master_keys(config.parent / MASTER), actor="service:board")
    owner = Owner(tenant="goka", person=PERSON, purpose="board.contact")

    async def work(database: Database) -> bytes:
        async with database.write() as tx:
            sealed = await envelope.seal(tx, owner, b"secret", context="c:1", now=MORNING)
            await link(tx, tenant="goka")
            return sealed

    return within(config, work)


def unseal(config: Path, sealed: bytes) -> bytes:
    """Open a record with the master file as it is."""
    envelope = Envelope(load_master_keys(config.parent / MASTER), actor="service:board")

    async def work(database: Database) -> bytes:
        async with database.read() as tx:
            return await envelope.open(tx, sealed, tenant="goka", context="c:1")

    return within(config, work)


def test_a_backup_is_restored_by_commands_that_say_what_comes_next(config: Path) -> None:
    tell(config, is_final=False)
    made = answer(config, "backup", config.parent / "backups")
    assert "move it away" in refusal(config, "restore", made["backup"])
    for path in config.parent.glob("board.db*"):
        path.unlink()

    restored = answer(config, "restore", made["backup"])

    assert Path(made["manifest"]).exists()
    assert restored["taken"] == made["taken"]
    assert restored["next"][0].endswith("daicho service board migrate")
    assert f"--subscriber board {made['taken']}" in restored["next"][2]
    assert len(due(config)) == 1


@pytest.mark.slow
def test_the_same_commands_back_postgresql_up(tmp_path: Path) -> None:
    cluster = shared_cluster()
    path = write_board_settings(tmp_path, PEOPLE)
    sqlite = f"sqlite+aiosqlite:///{tmp_path / 'board.db'}"
    first, second = cluster.make_database(), cluster.make_database()
    path.write_text(path.read_text().replace(sqlite, first))
    assert run(path, "migrate").exit_code == 0
    made = answer(path, "backup", tmp_path / "backups")
    assert "holds tables" in refusal(path, "restore", made["backup"])
    path.write_text(path.read_text().replace(first, second))

    restored = answer(path, "restore", made["backup"])

    assert restored["restored"] == second.partition("@/")[2].partition("?")[0]
    assert answer(path, "jobs", "list") == []
    assert answer(path, "audit", "verify")["findings"] == []


def test_a_damaged_backup_is_not_restored(config: Path) -> None:
    made = answer(config, "backup", config.parent / "backups")
    (config.parent / "board.db").rename(config.parent / "old.db")
    with Path(made["backup"]).open("ab") as file:
        file.write(b"x")

    assert isinstance(run(config, "restore", made["backup"]).exception, BackupDamaged)
    assert not (config.parent / "board.db").exists()


@pytest.mark.parametrize("words", [("backup", "copies"), ("jobs", "list")])
def test_no_command_makes_a_database_that_was_not_there(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    path = write_board_settings(tmp_path, PEOPLE)

    assert "daicho service board migrate" in refusal(path, *words)
    assert not (tmp_path / "board.db").exists()


def decisions(config: Path) -> list[tuple[str, str]]:
    """Return the action and the detail of what operators decided, by their account."""

    async def work(database: Database) -> list[tuple[str, str]]:
        query = select(AUDIT_ENTRIES).where(AUDIT_ENTRIES.c.role == "operator")
        async with database.read() as tx:
            rows = (await tx.execute(query.order_by(AUDIT_ENTRIES.c.number))).all()
        assert all(row.actor.startswith("operator:") and len(row.actor) > 9 for row in rows)
        return [(row.action, row.detail) for row in rows]

    return within(config, work)


def test_a_dead_letter_is_listed_and_sent_again(config: Path) -> None:
    tell(config, is_final=True)
    [letter] = answer(config, "dead-letters", "list")
    assert (letter["subscriber"], letter["event_id"], letter["reason"]) == ("library", "e1", "410")
    words = ("dead-letters", "replay", "--subscriber", "library")

    assert "--all" in refusal(config, *words)
    assert "dead-letters list" in refusal(config, *words, letter["sequence"] + 9)
    assert answer(config, *words, letter["sequence"])["replayed"] == 1
    assert answer(config, *words, "--all")["replayed"] == 0
    assert due(config) == [letter["sequence"]]
    about = f"letter {letter['sequence']} of library"
    assert decisions(config) == [("dead-letter.replayed", about)]


def test_a_discarded_dead_letter_lets_its_subject_go_on(config: Path) -> None:
    tell(config, is_final=True)
    [letter] = answer(config, "dead-letters", "list")
    words = ("dead-letters", "discard", "--subscriber", "library", letter["sequence"])

    assert answer(config, *words)["discarded"] == letter["sequence"]
    assert "no dead letter" in refusal(config, *words)
    assert due(config) == [letter["sequence"] + 1]
    about = f"letter {letter['sequence']} of library, event e1"
    assert decisions(config) == [("dead-letter.discarded", about)]


def test_a_restored_subscriber_is_told_again(config: Path) -> None:
    tell(config, is_final=False)
    words = ("replay-since", "--subscriber", "library")

    assert answer(config, *words, MORNING.isoformat())["replayed"] == 1
    about = f"1 deliveries to library since {MORNING.isoformat()}"
    assert decisions(config) == [("delivery.replayed-since", about)]
    assert "offset" in refusal(config, *words, "2026-04-01T00:00:00")
    assert "not a time" in refusal(config, *words, "yesterday")
    assert "known here: library" in refusal(
        config, "replay-since", "--subscriber", "bus", MORNING.isoformat()
    )


@pytest.mark.parametrize("decision", ["release", "discard"])
def test_what_waits_in_quarantine_is_decided_by_number(config: Path, decision: str) -> None:
    broken = config.parent / "broken"
    broken.touch()
    handler = hear(BOARD.load_settings(config), None)  # type: ignore[arg-type]

    async def work(database: Database) -> None:
        for name in ("e1", "e2"):
            await accept(database, make_event(name, tenant="goka"), handler)

    within(config, work)
    [event] = answer(config, "quarantine", "list")
    assert (event["id"], event["held"]) == ("e1", 1)
    assert "person:1" not in json.dumps(event)
    assert run(config, "quarantine", "release", event["arrival"]).exception is not None
    broken.unlink()

    done = answer(config, "quarantine", decision, event["arrival"])

    assert done["handled"] == (2 if decision == "release" else 1)
    assert answer(config, "quarantine", "list") == []
    assert "quarantine list" in refusal(config, "quarantine", decision, event["arrival"])
    about = f"event {event['arrival']} from {HUB}, e1"
    assert decisions(config) == [(f"quarantine.{decision.rstrip('e')}ed", about)]


def test_a_dead_job_is_revived(config: Path) -> None:
    async def work(database: Database) -> None:
        async with database.write() as tx:
            job = jobs.Job(tenant="goka", kind="expire", key="1", due=MORNING)
            await jobs.enqueue(tx, job, now=MORNING)
            await tx.execute(text("update jobs set state = 'dead', reason = 'input.invalid'"))

    within(config, work)
    [dead] = answer(config, "jobs", "list")

    assert answer(config, "jobs", "revive", dead["number"]) == {"revived": dead["number"]}
    assert answer(config, "jobs", "list") == []
    assert "jobs list" in refusal(config, "jobs", "revive", dead["number"])
    assert decisions(config) == [("job.revived", f"job {dead['number']}")]


@pytest.mark.parametrize("listing", ["dead-letters", "quarantine", "jobs"])
def test_a_long_list_is_shown_in_pages(config: Path, listing: str) -> None:
    (config.parent / "broken").touch()
    handler = hear(BOARD.load_settings(config), None)  # type: ignore[arg-type]

    async def work(database: Database) -> None:
        async with database.write() as tx:
            await subscribe(tx, GOKA)
            for name in ("1", "2", "3"):
                job = jobs.Job(tenant="goka", kind="expire", key=name, due=MORNING)
                await jobs.enqueue(tx, job, now=MORNING)
                await publish(tx, make_event(name, tenant="goka", subject=f"person:{name}"))
            await tx.execute(text("update jobs set state = 'dead'"))
            await tx.execute(text("update outbox_deliveries set state = 'dead'"))
        for name in ("1", "2", "3"):
            event = make_event(name, tenant="goka", subject=f"person:{name}")
            await accept(database, event, handler)

    within(config, work)
    key = {"dead-letters": "sequence", "quarantine": "arrival", "jobs": "number"}[listing]
    everything = answer(config, listing, "list")
    first = run(config, listing, "list", "--count", 2)
    shown = json.loads(first.stdout)
    last = shown[-1][key]
    rest = run(config, listing, "list", "--count", 2, "--after", last)

    assert len(everything) == 3
    assert [*shown, *json.loads(rest.stdout)] == everything
    assert f"--after {last}" in first.stderr
    assert rest.stderr == ""


def test_keys_are_rotated_and_records_still_open(config: Path) -> None:
    sealed = seal(config)
    path = config.parent / MASTER

    assert answer(config, "keys", "rotate-service")["keys wrapped anew"] == 1
    result = run(config, "keys", "rotate-master")
    rotated = json.loads(result.stdout)
    assert answer(config, "keys", "rotate-master", "--resume")["service keys wrapped anew"] == 0

    old, new = path.read_text().split()
    assert old not in result.output
    assert new not in result.output
    actions = [action for action, _ in decisions(config)]
    assert actions == ["service-key.rotated", "master-key.rotated", "master-key.rotated"]
    assert rotated["service keys wrapped anew"] == 1
    path.write_text(new + "\n")
    assert unseal(config, sealed) == b"secret"


def test_a_person_is_shredded_and_the_auditor_sees_it_without_a_name(config: Path) -> None:
    sealed = seal(config)
    words = ("shred", "--person-file", "-", "--yes")
    assert "--yes" in refusal(config, *words[:-1])

    done = run(config, *words, given=PERSON + "\n")
    again = run(config, *words, given=PERSON + "\n")
    report = answer(config, "audit", "verify")

    told = json.loads(done.stdout)
    assert (done.exit_code, told["keys destroyed"], len(told["commitments"])) == (0, 1, 1)
    assert all(check["is_met"] for check in told["checks"])
    assert (again.exit_code, json.loads(again.stdout)["keys destroyed"]) == (1, 0)
    assert PERSON not in done.output + again.output + json.dumps(report)
    told_of = [("person.shredded", f"{count} keys destroyed") for count in (1, 0)]
    assert decisions(config) == told_of
    assert all(PERSON.encode() not in each.read_bytes() for each in config.parent.glob("board.db*"))
    with pytest.raises(InvalidInput, match="erased"):
        unseal(config, sealed)


def test_shredding_empties_the_log_of_a_database_in_use(config: Path) -> None:
    log = config.parent / "board.db-wal"
    service = sqlite3.connect(config.parent / "board.db")
    service.execute("select count(*) from jobs").fetchall()
    seal(config)
    assert PERSON.encode() in log.read_bytes()

    answer(config, "shred", "--person-file", "-", "--yes", given=PERSON)

    assert PERSON.encode() not in log.read_bytes()
    service.close()


@pytest.mark.parametrize(
    ("given", "is_taken"), [("", False), ("p" * 1_024, True), ("p" * 1_025, False)]
)
def test_the_reference_of_a_person_has_a_greatest_length(
    config: Path, given: str, is_taken: bool
) -> None:
    result = run(config, "shred", "--person-file", "-", "--yes", given=given)

    assert isinstance(result.exception, Misconfigured) is not is_taken


def test_a_changed_audit_log_is_told(config: Path) -> None:
    seal(config)
    assert answer(config, "audit", "verify")["entries"] == 1

    async def work(database: Database) -> None:
        async with database.write() as tx:
            await tx.execute(text("update audit_entries set actor = 'nobody'"))

    within(config, work)

    assert answer(config, "audit", "verify", code=1)["findings"] == [
        {"check": "hash", "sequence": 1}
    ]


def test_a_service_of_several_municipalities_asks_which(config: Path) -> None:
    with config.open("a", encoding="utf-8") as file:
        file.write('\n[[kit.tenants]]\nid = "sakai"\nname = "境町"\n')

    assert "goka, sakai" in refusal(config, "jobs", "list")
    assert "not served here" in refusal(config, "jobs", "list", "--tenant", "koga")
    assert answer(config, "jobs", "list", "--tenant", "sakai") == []
    assert answer(config, "backup", config.parent / "backups")["backup"]


def test_what_a_service_does_not_have_is_said(config: Path) -> None:
    assert "seals no records" in refusal(config, "keys", "rotate-service", service="plain")
    assert "hears no events" in refusal(config, "quarantine", "release", 1, service="plain")


@pytest.mark.parametrize(
    "name",
    ["backup", "restore", "replay-since", "dead-letters", "quarantine", "jobs", "keys", "shred"],
)
def test_the_help_gives_examples(name: str) -> None:
    result = CliRunner().invoke(cli.group, ["board", name, "--help"])

    assert "Example" in result.output
    assert "daicho service" in result.output


def test_the_audit_log_is_disclosed_under_its_roots(config: Path, tmp_path: Path) -> None:
    seal(config)

    async def work(database: Database) -> None:
        async with database.write() as tx:
            assert await close_root(tx, tenant="goka", now=MORNING, source="urn:daicho:goka:board")

    within(config, work)

    told = answer(config, "audit", "disclose", tmp_path / "log")

    assert told["lines"] == 3
    head, entry, root = read_disclosure(tmp_path / "log")
    assert isinstance(head, Head)
    assert head.service.startswith("urn:daicho:goka:")
    assert isinstance(entry, Entry)
    assert isinstance(root, Root)
    assert root.root == compute_root([entry.compute_hash()])
