"""AUDIT-ELECTION: what the record says of the contracts is held against the chain's own events.

Case 91: event data that differ from what is recorded.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

from clients.auditor.checks import Verdict, Worksheet
from clients.auditor.election import checks
from clients.auditor.election.events import _EVENTS, LoggedEvent, audit_events
from clients.auditor.election.records import ChainRecord, ElectionManifest, parse_json
from node.primitives.receipt import Log
from node.primitives.types import Address, Hash32
from tests.support.election_record import hold_election, record_files

HELD = hold_election(4, "events")
FILES = record_files(HELD)
MANIFEST = parse_json(FILES["manifest.json"], ElectionManifest, "manifest.json")
CHAIN = parse_json(FILES["chain.json"], ChainRecord, "chain.json")
KINDS = {"ballots": 66, "roll": 82}
BY_NAME = {event.name: event for event in _EVENTS}

RECORD_HEIGHT = 1_000
"""Block at which the record was written."""


def logged(
    name: str, topics: list[Any], values: list[Any], *, height: int = 100, time_s: int = 0
) -> LoggedEvent:
    """Return an event as its contract emits it."""
    event = BY_NAME[name]
    contracts = CHAIN.contracts.model_dump()
    subject = bytes.fromhex(MANIFEST.draft_id) if name == "Posted" else HELD.eid
    words = [
        encode([kind], [value])
        for kind, value in zip(event.indexed, [subject, *topics], strict=True)
    ]
    return LoggedEvent(
        height=height,
        time_s=time_s,
        log=Log(
            address=Address(bytes.fromhex(contracts[event.contract][2:])),
            topics=tuple(Hash32(word) for word in (event.topic, *words)),
            data=encode(list(event.data), values),
        ),
    )


def all_events() -> list[LoggedEvent]:
    """Return what the chain emitted in the held election."""
    terms = MANIFEST.terms()
    values = tuple(
        bytes.fromhex(value) if name == "draft_id" else value for name, value in terms.items()
    )
    events = [
        logged(
            "Posted",
            [each.municipality],
            [each.step, bytes.fromhex(each.digest)],
            height=each.height,
        )
        for each in CHAIN.bulletin
    ]
    events += [logged("Announced", [bytes.fromhex(MANIFEST.draft_id)], [values])]
    events += [
        logged("BatchPosted", [], [b.number, bytes.fromhex(b.root), b.entry_count, b.cancel_count])
        for b in CHAIN.batches
    ]
    events += [
        logged(
            "BallotCast",
            [b"\x01" * 32, each.digest],
            [at, each.core],
            height=each.height,
            time_s=each.time_s,
        )
        for at, each in enumerate(HELD.ballots)
    ]
    box = CHAIN.box
    events.append(
        logged("BoxClosed", [], [box.count, bytes.fromhex(box.value)], height=box.closed_height)
    )
    events += [
        logged(
            "StyleFrozen",
            [],
            [f.style, bytes.fromhex(f.root), f.count, bytes.fromhex(f.file_digest)],
            time_s=MANIFEST.freezes_at,
        )
        for f in CHAIN.frozen
    ]
    for each in CHAIN.lists:
        key = [KINDS[each.kind], each.number]
        events.append(logged("ListStarted", key, [each.row_count, bytes.fromhex(each.digest)]))
        for turn in each.rounds:
            output, proof = bytes.fromhex(turn.output), bytes.fromhex(turn.proof)
            events.append(logged("MixPosted", key, [turn.round, turn.mixer, output, proof]))
            events.append(logged("MixEnded", key, [turn.round, turn.mixer, turn.is_valid, output]))
        events += [
            logged(
                "SharePosted",
                key,
                [share.trustee, bytes.fromhex(share.shares), bytes.fromhex(share.proof)],
            )
            for share in each.shares
        ]
    events += [
        logged(
            "ResultPublished",
            [r.race, r.is_mock],
            [bytes.fromhex(r.result), b"".join(n.to_bytes(8, "big") for n in r.numbers)],
        )
        for r in CHAIN.results
    ]
    return events


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
    answers = ask(all_events(), tmp_path)

    assert answers["election.chain"].verdict is Verdict.MET
    assert answers["election.chain"].count == 12 + len(HELD.ballots)
    assert answers["election.roll.frozen"].verdict is Verdict.MET


def test_an_incident_noted_after_the_record_was_written_does_not_count(tmp_path: Path) -> None:
    later = logged("Posted", [2], [1_001, b"\x06" * 32], height=RECORD_HEIGHT + 1)
    hidden = logged("Posted", [2], [1_001, b"\x06" * 32], height=RECORD_HEIGHT)

    assert ask([*all_events(), later], tmp_path)["election.chain"].verdict is Verdict.MET
    assert ask([*all_events(), hidden], tmp_path)["election.chain"].verdict is Verdict.FAILED


def test_events_of_another_election_or_contract_do_not_count(tmp_path: Path) -> None:
    stray = all_events()[0]
    other = Log(
        address=stray.log.address,
        topics=(stray.log.topics[0], Hash32(b"\x02" * 32), *stray.log.topics[2:]),
        data=stray.log.data,
    )
    elsewhere = replace(stray.log, address=Address(b"\x03" * 20))
    strays = [replace(stray, log=other), replace(stray, log=elsewhere)]

    assert ask([*all_events(), *strays], tmp_path)["election.chain"].verdict is Verdict.MET


def only(name: str) -> Callable[[LoggedEvent], bool]:
    return lambda each: bytes(each.log.topics[0]) == BY_NAME[name].topic


@pytest.mark.parametrize("name", [name for name in BY_NAME if name != "Abandoned"])
def test_91_an_event_that_is_missing_is_noticed(name: str, tmp_path: Path) -> None:
    events = all_events()
    at = next(at for at, each in enumerate(events) if only(name)(each))

    answers = ask([*events[:at], *events[at + 1 :]], tmp_path)

    assert answers["election.chain"].verdict is Verdict.FAILED


@pytest.mark.parametrize("name", [name for name in BY_NAME if name != "Abandoned"])
def test_91_an_event_with_other_data_is_noticed(name: str, tmp_path: Path) -> None:
    events = all_events()
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
        for each in all_events()
    ]

    assert ask(events, tmp_path)["election.roll.frozen"].verdict is Verdict.FAILED


def test_an_abandoned_election_is_noticed(tmp_path: Path) -> None:
    events = [*all_events(), logged("Abandoned", [], [b"\x05" * 32])]

    assert ask(events, tmp_path)["election.chain"].verdict is Verdict.FAILED
