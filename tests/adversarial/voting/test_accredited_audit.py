"""AUDIT-ACCREDITED: with the commission's export the auditor says who is behind the roll.

Each case takes an honest election and its export and changes one thing; the check that must fail
stands beside it. Whatever is bent, no person and no key shows in the answers.
"""

import json
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from clients.auditor.checks import Conclusion, Outcome, Verdict, Worksheet
from clients.auditor.election import checks
from clients.auditor.election.accredited import RestrictedInput, RollAudit
from clients.auditor.election.audit import ElectionAudit
from clients.auditor.election.records import ChainRecord, ElectionManifest, Folder, parse_json
from clients.auditor.election.restricted import load_export_key, read_lines
from clients.auditor.election.rolls import split_hashes
from clients.auditor.election.transcripts import EID, InvalidRecord
from clients.voting.manifest import encode_canonical
from node.cli.main import main
from node.primitives.errors import Misconfigured
from tests.support.election_export import (
    AUDITOR,
    CASES,
    Bent,
    Given,
    give,
    of_kind,
    revocation_list,
)
from tests.support.election_record import ENROLS_AT, HeldElection, hold_election

ACCREDITED = {check.name for check in checks.ACCREDITED}


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def held() -> HeldElection:
    return hold_election()


def audit(folder: Path, given: RestrictedInput, executor: Executor) -> dict[str, Outcome]:
    """Return every answer by the check's name."""
    run = ElectionAudit(Folder(folder / "record"), executor, restricted=given)
    run.run()
    return {each.check.name: each for each in run.sheet.outcomes()}


def audit_roll(folder: Path, given: RestrictedInput, executor: Executor) -> dict[str, Outcome]:
    """Return the answers of the part of the audit that reads the export."""
    files = Folder(folder / "record")
    files.read_index()
    assert [path for path in files.paths if files.find_fault(path)] == []
    manifest = parse_json(files.read("manifest.json"), ElectionManifest, "manifest")
    chain = parse_json(files.read("chain.json"), ChainRecord, "chain")
    sheet = Worksheet(checks.ACCREDITED_TABLE)
    lists = {each.style: files.read(f"roll/active-{each.style}.bin") for each in chain.frozen}
    RollAudit(
        manifest=manifest,
        eid=EID.digest(files.read("manifest.json")),
        chain=chain,
        leaves=frozenset(split_hashes(files.read("eligible.bin")) or ()),
        active={style: split_hashes(data) or [] for style, data in lists.items()},
        sheet=sheet,
        executor=executor,
    ).run(given)
    return {each.check.name: each for each in sheet.outcomes()}


def those(outcomes: dict[str, Outcome], verdict: Verdict) -> set[str]:
    return {name for name, each in outcomes.items() if each.verdict is verdict}


def secrets_of(given: Given) -> set[str]:
    """Return every text of the export that must not show."""
    electors, entries = of_kind(given.lines, "elector"), of_kind(given.lines, "entry")
    names = ("slot", "name", "address", "certificate_name")
    texts = {str(line[name]) for line in electors for name in names}
    texts |= {str(line[name]) for line in entries for name in ("entry", "certificate", "salt")}
    texts |= {line["birth_date"] for line in electors} | {given.lines[0].get("slot_key", "")}
    return {text for text in texts if len(text) > len("3000")}


def test_an_honest_roll_is_confirmed(
    held: HeldElection, tmp_path: Path, executor: Executor
) -> None:
    outcomes = audit(tmp_path, give(held).write(tmp_path), executor)

    assert those(outcomes, Verdict.FAILED) == set()
    assert those(outcomes, Verdict.UNDECIDED) == {"election.chain"}
    assert all(outcomes[name].count for name in ACCREDITED)
    assert all(outcomes[name].check.is_required for name in ACCREDITED)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bent_roll_is_refuted(
    case: Bent, held: HeldElection, tmp_path: Path, executor: Executor
) -> None:
    given = give(held)
    hidden = secrets_of(given)
    case.bend(given)

    # What was mixed is asked with the mixes; the rest needs no more than the roll.
    ask = audit if case.check == checks.ROLL_INPUT.name else audit_roll
    outcomes = ask(tmp_path, given.write(tmp_path), executor)

    failed = those(outcomes, Verdict.FAILED)
    assert case.check in failed
    blamed = {name for each in outcomes[case.check].findings for name in each.blame}
    assert case.blame in blamed
    if case.is_alone:
        assert failed == {case.check}
    shown = "".join(map(repr, outcomes.values()))
    assert [text for text in hidden if text in shown] == []


def test_a_certificate_revoked_after_it_was_used_was_good(
    held: HeldElection, tmp_path: Path, executor: Executor
) -> None:
    given = give(held)
    given.lists = [revocation_list(given.cards, 2, ENROLS_AT + 86_400)]

    outcomes = audit_roll(tmp_path, given.write(tmp_path), executor)

    assert those(outcomes, Verdict.FAILED) == set()


def test_without_authorities_the_cards_stay_open(
    held: HeldElection, tmp_path: Path, executor: Executor
) -> None:
    given = give(held)
    given.authorities = []

    outcomes = audit_roll(tmp_path, given.write(tmp_path), executor)

    assert those(outcomes, Verdict.UNDECIDED) == {checks.CARDS.name}


@pytest.mark.parametrize("change", ["altered", "cut off", "too long a line", "without its end"])
def test_an_export_that_is_not_whole_answers_nothing(
    change: str, held: HeldElection, tmp_path: Path, executor: Executor
) -> None:
    given = give(held)
    if change == "too long a line":
        given.texts = [b"{" + b" " * 70_000]
    restricted = given.write(tmp_path)
    data = bytearray(restricted.path.read_bytes())
    if change == "altered":
        data[-1] ^= 1
    elif change == "cut off":
        del data[200:]
    elif change == "without its end":
        del data[132:]
    restricted.path.write_bytes(data)

    outcomes = audit_roll(tmp_path, restricted, executor)

    assert those(outcomes, Verdict.FAILED) == set()
    assert those(outcomes, Verdict.UNDECIDED) == ACCREDITED


def test_the_lines_of_many_chunks_are_read_whole(held: HeldElection, tmp_path: Path) -> None:
    given = give(held)
    given.texts = [
        encode_canonical({"kind": "note", "text": "x" * 50_000, "at": at}) for at in range(90)
    ]
    restricted = given.write(tmp_path)

    assert list(read_lines(restricted.path, AUDITOR, held.eid)) == given.texts


def test_the_chunks_of_an_export_cannot_change_places(held: HeldElection, tmp_path: Path) -> None:
    given = give(held)
    given.texts = [encode_canonical({"kind": "note", "text": "x" * 50_000}) for _ in range(60)]
    restricted = given.write(tmp_path)
    data, size = restricted.path.read_bytes(), 4 + 1024 * 1024 + 16
    head, first, second = data[:132], data[132 : 132 + size], data[132 + size : 132 + 2 * size]
    restricted.path.write_bytes(head + second + first + data[132 + 2 * size :])

    with pytest.raises(InvalidRecord, match="altered"):
        list(read_lines(restricted.path, AUDITOR, held.eid))


def test_another_auditor_or_election_is_the_operators_mistake(
    held: HeldElection, tmp_path: Path
) -> None:
    path = give(held).write(tmp_path).path

    with pytest.raises(Misconfigured, match="not encrypted to this key"):
        list(read_lines(path, X25519PrivateKey.generate(), held.eid))
    with pytest.raises(Misconfigured, match="no export of this election"):
        list(read_lines(path, AUDITOR, bytes(32)))


def write_key(path: Path) -> Path:
    """Write the auditor's key as PEM."""
    pem = AUDITOR.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.touch(mode=0o600)
    path.write_bytes(pem)
    return path


def test_a_key_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    key = write_key(tmp_path / "auditor.pem")
    assert load_export_key(key).private_bytes_raw() == AUDITOR.private_bytes_raw()
    key.chmod(0o644)
    with pytest.raises(Misconfigured, match="lets others in"):
        load_export_key(key)
    key.chmod(0o600)
    key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(Misconfigured, match="no X25519 key"):
        load_export_key(key)


def test_the_command_makes_an_accredited_report(
    held: HeldElection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = give(held)
    restricted = given.write(tmp_path)
    key = write_key(tmp_path / "auditor.pem")
    report = tmp_path / "report.json"
    arguments = ["audit", "election", held.eid.hex(), "--record", str(tmp_path / "record")]
    arguments += ["--roll", str(restricted.path), "--roll-key", str(key), "--report", str(report)]
    for at in range(len(given.authorities)):
        arguments += ["--authority", str(tmp_path / f"authority-{at}.der")]

    assert main(arguments) == Conclusion.INCOMPLETE  # the chain was not given
    captured, written = capsys.readouterr(), report.read_text()
    answers = {each["name"]: each["verdict"] for each in json.loads(written)["report"]["checks"]}
    assert {answers[name] for name in ACCREDITED} == {"met"}
    assert [
        text for text in secrets_of(given) if text in written + captured.out + captured.err
    ] == []
