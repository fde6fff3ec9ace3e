"""AUDIT-ELECTION: what the record says of the contracts is held against the chain's own events.

Case 91: event data that differ from what is recorded.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clients.auditor.checks import Verdict, Worksheet
from clients.auditor.election import checks
from clients.auditor.election.events import LoggedEvent, audit_events
from clients.auditor.election.records import ChainRecord, ElectionManifest, parse_json
from node.primitives.receipt import Log
from node.primitives.types import Address, Hash32
from tests.support.election_chain import BY_NAME, all_events, logged
from tests.support.election_record import hold_election, record_files

HELD = hold_election(4, "events")
FILES = record_files(HELD)
MANIFEST = parse_json(FILES["manifest.json"], ElectionManifest, "manifest.json")
CHAIN = parse_json(FILES["chain.json"], ChainRecord, "chain.json")

RECORD_HEIGHT = 1_000
"""Block at which the record was written."""


def ask(events: list[LoggedEvent], tmp_path: Path) -> dict[str, Any]:
    """Return the answers by the check's name."""
    sheet = Worksheet(checks.TABLE)
    (tmp_path / "ballots.bin").write_bytes(FILES["ballots.bin"])
    audit_events(
        events,
        eid=HELD.eid,
        manifest=MANIFEST,
        chain=CHAIN,
        height=RECORD_HEIGHT,
        ballots=tmp_path / "ballots.bin",
        sheet=sheet,
    )
    return {each.check.name: each for each in sheet.outcomes()}


def test_the_chains_own_events_confirm_the_record(tmp_path: Path) -> None:
    answers = ask(all_events(HELD), tmp_path)

    assert answers["election.chain"].verdict is Verdict.MET
    assert answers["election.chain"].count == 12 + len(HELD.ballots)
    assert answers["election.roll.frozen"].verdict is Verdict.MET


def test_an_incident_noted_after_the_record_was_written_does_not_count(tmp_path: Path) -> None:
    later = logged(HELD, "Posted", [2], [1_001, b"\x06" * 32], height=RECORD_HEIGHT + 1)
    hidden = logged(HELD, "Posted", [2], [1_001, b"\x06" * 32], height=RECORD_HEIGHT)

    assert ask([*all_events(HELD), later], tmp_path)["election.chain"].verdict is Verdict.MET
    assert ask([*all_events(HELD), hidden], tmp_path)["election.chain"].verdict is Verdict.FAILED


def test_events_of_another_election_or_contract_do_not_count(tmp_path: Path) -> None:
    stray = all_events(HELD)[0]
    other = Log(
        address=stray.log.address,
        topics=(stray.log.topics[0], Hash32(b"\x02" * 32), *stray.log.topics[2:]),
        data=stray.log.data,
    )
    elsewhere = replace(stray.log, address=Address(b"\x03" * 20))
    strays = [replace(stray, log=other), replace(stray, log=elsewhere)]

    assert ask([*all_events(HELD), *strays], tmp_path)["election.chain"].verdict is Verdict.MET


def only(name: str) -> Callable[[LoggedEvent], bool]:
    return lambda each: bytes(each.log.topics[0]) == BY_NAME[name].topic


@pytest.mark.parametrize("name", [name for name in BY_NAME if name != "Abandoned"])
def test_91_an_event_that_is_missing_is_noticed(name: str, tmp_path: Path) -> None:
    events = all_events(HELD)
    at = next(at for at, each in enumerate(events) if only(name)(each))

    answers = ask([*events[:at], *events[at + 1 :]], tmp_path)

    assert answers["election.chain"].verdict is Verdict.FAILED


@pytest.mark.parametrize("name", [name for name in BY_NAME if name != "Abandoned"])
def test_91_an_event_with_other_data_is_noticed(name: str, tmp_path: Path) -> None:
    events = all_events(HELD)
    at = next(at for at, each in enumerate(events) if only(name)(each))
    log = events[at].log
    if name == "BallotCast":
        bent = replace(log, topics=(*log.topics[:3], Hash32(b"\x04" * 32)))
    else:
        # The last data of every event is a digest, a number or a flag of what it says.
        place = 32 * 2 - 1 if name != "Announced" else 32 * 4 - 1
        data = bytearray(log.data)
        data[place if name != "ResultPublished" else 31] ^= 1
        bent = replace(log, data=bytes(data))
    events[at] = replace(events[at], log=bent)

    answers = ask(events, tmp_path)

    assert answers["election.chain"].verdict is Verdict.FAILED


def test_61_a_roll_frozen_too_early_is_noticed(tmp_path: Path) -> None:
    events = [
        replace(each, time_s=MANIFEST.freezes_at - 1) if only("StyleFrozen")(each) else each
        for each in all_events(HELD)
    ]

    assert ask(events, tmp_path)["election.roll.frozen"].verdict is Verdict.FAILED


def test_an_abandoned_election_is_noticed(tmp_path: Path) -> None:
    events = [*all_events(HELD), logged(HELD, "Abandoned", [], [b"\x05" * 32])]

    assert ask(events, tmp_path)["election.chain"].verdict is Verdict.FAILED
