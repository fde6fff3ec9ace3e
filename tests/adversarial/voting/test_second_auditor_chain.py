"""AUDIT-ELECTION, AUDIT-BUNDLE: given the chain, the TypeScript verifier can confirm an election.

It walks the bundle from the genesis file on. Each case bends headers, seals, bodies or events; the
events' cases are asked of the auditor in Python too, which leaves the headers to the chain's audit.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from clients.auditor.checks import Verdict, Worksheet
from clients.auditor.election import checks
from clients.auditor.election.events import LoggedEvent, audit_events, read_events
from clients.auditor.election.records import ChainRecord, ElectionManifest, parse_json
from node.genesis.build import build_genesis
from node.primitives.header import ValidatorVote
from node.primitives.types import Hash32, Height, Round
from tests.support.election_chain import (
    BY_NAME,
    LAST_HEIGHT,
    BuiltChain,
    all_events,
    build_chain,
    seal_by,
)
from tests.support.election_record import hold_election, record_files, write_record
from tests.support.javascript import verify_election
from tests.support.ledger import OUTSIDER_KEY, VALIDATOR_KEYS, describe, key_of

HELD = hold_election()
CONFIRMED = 0
JOINING = key_of("validator 5")


def ask_chain(folder: Path, chain: tuple[Path, Path], **head: object) -> dict[str, Any]:
    """Return the answer about the chain, of the few files that it is asked of."""
    whole = record_files(HELD)
    files = {path: whole[path] for path in ("manifest.json", "chain.json", "ballots.bin")}
    write_record(folder / "record", files, HELD, **head)
    _, answers = verify_election(folder / "record", chain=chain)
    answer: dict[str, Any] = answers["election.chain"]
    return answer


def messages_of(answer: dict[str, Any]) -> str:
    """Return what was found."""
    return " ".join(each["message"] for each in answer["findings"])


def head_of(chain: BuiltChain) -> dict[str, object]:
    """Return how the record names the chain."""
    return {"genesis_hash": chain.genesis.hash.hex(), "height": LAST_HEIGHT}


def ask_python(folder: Path, bundle: Path) -> Verdict:
    """Return what the auditor in Python says of the events in a bundle."""
    files, sheet = record_files(HELD), Worksheet(checks.TABLE)
    chain = parse_json(files["chain.json"], ChainRecord, "chain.json")
    (folder / "ballots.bin").write_bytes(files["ballots.bin"])
    audit_events(
        read_events(bundle, chain.contracts.model_dump().values()),
        eid=HELD.eid,
        manifest=parse_json(files["manifest.json"], ElectionManifest, "manifest.json"),
        chain=chain,
        height=LAST_HEIGHT,
        ballots=folder / "ballots.bin",
        sheet=sheet,
    )
    return next(each for each in sheet.outcomes() if each.check is checks.CHAIN).verdict


@pytest.mark.parametrize("joining", [None, JOINING], ids=["four validators", "a fifth joins"])
def test_an_honest_record_and_its_chain_are_confirmed(joining: Any, tmp_path: Path) -> None:
    chain = build_chain(HELD, all_events(HELD), joining=joining)

    write_record(tmp_path / "record", record_files(HELD), HELD, **head_of(chain))

    code, answers = verify_election(tmp_path / "record", chain=chain.write(tmp_path))

    assert {name for name, each in answers.items() if each["verdict"] != "met"} == set()
    assert code == CONFIRMED
    assert answers["election.chain"]["count"] == 14 + len(HELD.ballots)
    assert ask_python(tmp_path, tmp_path / "chain.bundle") is Verdict.MET


def bend_event(name: str, change: Callable[[LoggedEvent], LoggedEvent | None]) -> list[LoggedEvent]:
    """Return the events with the first of a name changed, or left out."""
    events = all_events(HELD)
    topic = BY_NAME[name].topic
    at = next(at for at, each in enumerate(events) if each.log.topics[0] == topic)
    changed = change(events[at])
    return [*events[:at], *([] if changed is None else [changed]), *events[at + 1 :]]


def with_last_byte(each: LoggedEvent) -> LoggedEvent:
    """Change the last byte of what an event says."""
    if each.log.topics[0] == BY_NAME["BallotCast"].topic:
        topics = (*each.log.topics[:3], Hash32(b"\x04" * 32))
        return replace(each, log=replace(each.log, topics=topics))
    data = bytearray(each.log.data)
    place = {"Announced": 32 * 4 - 1, "ResultPublished": 31}.get(name_of(each), 32 * 2 - 1)
    data[place] ^= 1
    return replace(each, log=replace(each.log, data=bytes(data)))


def name_of(each: LoggedEvent) -> str:
    """Return an event's name."""
    return next(name for name, form in BY_NAME.items() if form.topic == each.log.topics[0])


EVENTS = [name for name in BY_NAME if name != "Abandoned"]


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_that_says_something_else_is_noticed_by_both(name: str, tmp_path: Path) -> None:
    chain = build_chain(HELD, bend_event(name, with_last_byte))
    bundle, genesis = chain.write(tmp_path)

    assert ask_chain(tmp_path, (bundle, genesis), **head_of(chain))["verdict"] == "failed"
    assert ask_python(tmp_path, bundle) is Verdict.FAILED


@dataclass(frozen=True, kw_only=True)
class Bent:
    """One change to the honest chain, and words of the finding."""

    name: str
    bend: Callable[[BuiltChain], BuiltChain]
    message: str


def header_case(name: str, message: str, **changes: object) -> Bent:
    """Return a change of a header's fields, sealed again; the chain goes on from it."""

    def bend(chain: BuiltChain) -> BuiltChain:
        block = chain.blocks[119]
        header = replace(block.header, **changes)  # type: ignore[arg-type]
        changed = seal_by(replace(block, header=header), VALIDATOR_KEYS)
        return replace(chain, blocks=relinked(chain, 120, changed))

    return Bent(name=name, bend=bend, message=message)


def relinked(chain: BuiltChain, height: int, changed: Any) -> tuple[Any, ...]:
    """Return the blocks with those after a changed one put onto it, sealed again."""
    blocks, parent = [*chain.blocks[: height - 1], changed], changed.header
    for block in chain.blocks[height:]:
        header = replace(block.header, parent_hash=parent.hash)
        blocks.append(seal_by(replace(block, header=header), VALIDATOR_KEYS))
        parent = header
    return tuple(blocks)


def sealed_again(count: int, *others: Any) -> Callable[[BuiltChain], BuiltChain]:
    """Return a block with fewer seals, or a stranger's among them."""

    def bend(chain: BuiltChain) -> BuiltChain:
        keys = [*VALIDATOR_KEYS[:count], *others]
        return chain.with_block(120, seal_by(chain.blocks[119], keys))

    return bend


def without_block(chain: BuiltChain) -> BuiltChain:
    """Leave a block out."""
    return replace(
        chain,
        blocks=(*chain.blocks[:100], *chain.blocks[101:]),
        receipts=(*chain.receipts[:100], *chain.receipts[101:]),
    )


def other_receipt(chain: BuiltChain) -> BuiltChain:
    """Change a receipt that the header commits to."""
    receipts = list(chain.receipts)
    data = bytearray(receipts[99][0])
    data[-1] ^= 1
    receipts[99] = (bytes(data), *receipts[99][1:])
    return replace(chain, receipts=tuple(receipts))


def without_receipt(chain: BuiltChain) -> BuiltChain:
    """Leave a receipt out."""
    receipts = list(chain.receipts)
    receipts[99] = receipts[99][1:]
    return replace(chain, receipts=tuple(receipts))


def other_transaction(chain: BuiltChain) -> BuiltChain:
    """Exchange two transactions."""
    block = chain.blocks[99]
    return chain.with_block(100, replace(block, transactions=block.transactions[::-1]))


def other_genesis(chain: BuiltChain) -> BuiltChain:
    """Give another network's genesis file."""
    return replace(chain, genesis_file=build_genesis(describe()))


CASES = (
    Bent(name="two seals of four", bend=sealed_again(2), message="not sealed by a quorum"),
    Bent(
        name="a stranger's seal",
        bend=sealed_again(3, OUTSIDER_KEY),
        message="not sealed by a quorum",
    ),
    Bent(
        name="a seal twice",
        bend=sealed_again(3, VALIDATOR_KEYS[0]),
        message="not sealed by a quorum",
    ),
    Bent(name="a block left out", bend=without_block, message="height is not the next"),
    Bent(name="another receipt", bend=other_receipt, message="receipts are others"),
    Bent(name="a receipt left out", bend=without_receipt, message="receipts are others"),
    Bent(name="transactions exchanged", bend=other_transaction, message="transactions are others"),
    Bent(name="another genesis file", bend=other_genesis, message="of another network"),
    header_case("a parent that is another", "parent is another", parent_hash=Hash32(b"\x09" * 32)),
    header_case("a time that stands still", "older than its parent", timestamp_s=1_790_000_001),
    header_case("another difficulty", "a constant field", difficulty=2),
    header_case("a jump in height", "height is not the next", height=Height(130)),
    header_case("a creator out of turn", "creator's turn", coinbase=OUTSIDER_KEY.address),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bent_chain_is_refuted(case: Bent, tmp_path: Path) -> None:
    honest = build_chain(HELD, all_events(HELD))

    answer = ask_chain(tmp_path, case.bend(honest).write(tmp_path), **head_of(honest))

    assert answer["verdict"] == "failed"
    assert case.message in messages_of(answer)


def test_validators_that_nobody_voted_for_are_refuted(tmp_path: Path) -> None:
    """A colluding quorum lists a fifth without votes; and one that votes at an epoch's block."""
    honest = build_chain(HELD, all_events(HELD))
    block = honest.blocks[119]
    extra = block.header.extra_data
    listed = replace(extra, validators=tuple(sorted((*extra.validators, JOINING.address))))
    voted = replace(extra, vote=ValidatorVote(recipient=JOINING.address, is_add=True))
    for height, changed, message in (
        (120, listed, "validators are others"),
        (150, voted, "a vote"),
    ):
        old = honest.blocks[height - 1]
        header = replace(old.header, extra_data=replace(changed, round=Round(0)))
        bent = seal_by(replace(old, header=header), VALIDATOR_KEYS)
        chain = replace(honest, blocks=relinked(honest, height, bent))
        folder = tmp_path / str(height)
        folder.mkdir()

        assert message in messages_of(ask_chain(folder, chain.write(folder), **head_of(honest)))


@pytest.mark.parametrize("change", ["digest", "cut off", "garbage", "too short a chain"])
def test_a_file_that_is_no_whole_bundle_is_refuted(change: str, tmp_path: Path) -> None:
    chain = build_chain(HELD, all_events(HELD))
    bundle, genesis = chain.write(tmp_path)
    data, head = bytearray(bundle.read_bytes()), head_of(chain)
    match change:
        case "digest":
            data[30] ^= 1
        case "cut off":
            del data[-100:]
        case "garbage":
            data += b"\xc1"
        case _:
            head["height"] = LAST_HEIGHT + 1
    bundle.write_bytes(data)

    assert ask_chain(tmp_path, (bundle, genesis), **head)["verdict"] == "failed"
