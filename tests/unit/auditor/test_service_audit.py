"""AUDIT-SERVICES, AUDIT-DISCLOSURE, AUDIT-LOG, AUDIT-ERASURE: records stand under anchored roots.

A service's audit log is disclosed by the service's own code, its roots anchored by transactions on
a ledger; then the service lies about either.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from eth_abi import encode

from clients.auditor.anchors import compute_stream
from clients.auditor.checks import Conclusion, Report
from clients.auditor.disclosure import InvalidDisclosure, read_disclosure
from clients.auditor.service_audit import ServiceInputs, audit_services
from node.cli.main import main
from node.primitives.crypto import keccak256, sha256
from node.primitives.merkle import compute_root
from node.primitives.types import ZERO_HASH, Address, Hash32, Height
from node.runtime.bundle_file import BundlePlan, export_bundle
from services.kit.audit import AuditEntry, LinkedEntry, hashed_fields
from services.relay.roots import compute_stream as compute_relays_stream
from tests.support.ledger import SERVICE_KEYS, VALIDATOR_KEYS, Ledger, deploy

TENANT, SOURCE = "sakai", "urn:daicho:sakai:example"
KEYS = [sha256(b"key %d" % at).hex() for at in range(3)]
ACTIONS = [
    ("key.created", KEYS[0]),
    ("read", ""),
    ("key.created", KEYS[1]),
    ("key.shredded", KEYS[0]),
    ("loan.extended", ""),
]


def make_log(actions: list[tuple[str, str]]) -> list[LinkedEntry]:
    log: list[LinkedEntry] = []
    previous = ZERO_HASH
    for at, (action, after) in enumerate(actions, 1):
        entry = AuditEntry(
            tenant=TENANT,
            time=datetime(2026, 11, 30, 12, at, tzinfo=UTC),
            actor="staff 7",
            role="clerk",
            purpose="circulation",
            action=action,
            subject="",
            after=Hash32(bytes.fromhex(after)) if after else None,
        )
        linked = LinkedEntry(entry=entry, sequence=at, salt=bytes(32), previous=previous)
        previous = linked.compute_hash()
        log.append(linked)
    return log


def lines_of(log: list[LinkedEntry], roots: list[tuple[int, int]]) -> list[dict[str, Any]]:
    hashes = [linked.compute_hash() for linked in log]
    head = {"kind": "audit-log", "tenant": TENANT, "service": SOURCE, "subject": "audit"}
    return [
        {"disclosure": head},
        *({"entry": hashed_fields(linked)} for linked in log),
        *(
            {
                "root": {
                    "root": "0x" + compute_root(hashes[first - 1 : last]).hex(),
                    "first": first,
                    "last": last,
                }
            }
            for first, last in roots
        ),
    ]


ROOTS = [(1, 3), (4, 5)]
LINES = lines_of(make_log(ACTIONS), ROOTS)


class Town:
    """A ledger with the contract, where a service anchors roots."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger()
        self.anchors = deploy(self.ledger, "Anchors")

    def anchor(self, stream: bytes, root: str, count: int) -> None:
        signature = b"anchor(bytes32,bytes32,bytes32,uint256)"
        operation = keccak256(root.encode())
        words = [stream, operation, bytes.fromhex(root[2:]), count]
        data = keccak256(signature)[:4]
        data += encode(["bytes32", "bytes32", "bytes32", "uint256"], words)
        made = self.ledger.make(self.ledger.call(SERVICE_KEYS[0], self.anchors, data))
        assert made.result.receipts[0].is_success

    def export(self) -> Path:
        plan = BundlePlan(
            profile=self.ledger.genesis.profile,
            start=Height(1),
            stop=self.ledger.head.height,
            key=VALIDATOR_KEYS[0],
        )
        export_bundle(self.ledger.chain, self.folder / "bundle", plan, lambda _height: None)
        return self.folder / "bundle"

    def audit(self, lines: list[dict[str, Any]], *notices: str) -> Report:
        path = self.folder / "log.disclosure"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        inputs = ServiceInputs(
            bundle=self.folder / "bundle",
            anchors=self.anchors,
            disclosures=(path,),
            notices=notices,
        )
        return audit_services(inputs, tool="daicho", now_s=1)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    made = Town(tmp_path_factory.mktemp("town"))
    stream = compute_relays_stream(TENANT, SOURCE, "audit")
    for line in LINES[-2:]:
        root = line["root"]
        made.anchor(stream, root["root"], root["last"] - root["first"] + 1)
    made.export()
    return made


def test_the_stream_is_the_one_the_relay_uses() -> None:
    assert compute_stream(TENANT, SOURCE, "audit") == compute_relays_stream(TENANT, SOURCE, "audit")


def test_an_honest_log_is_confirmed_with_its_notice(town: Town) -> None:
    report = town.audit(LINES, "0x" + KEYS[0])

    assert report.failed == ()
    assert report.conclusion is Conclusion.CONFIRMED
    counts = {each.check.name: each.count for each in report.outcomes}
    assert (counts["log.chain"], counts["disclosure.anchored"]) == (5, 2)
    assert (counts["erasure.known"], counts["erasure.notice"]) == (1, 1)


def entry(lines: list[dict[str, Any]], at: int) -> dict[str, Any]:
    found: dict[str, Any] = lines[at]["entry"]
    return found


def relog(change: Callable[[list[tuple[str, str]]], object]) -> list[dict[str, Any]]:
    """Chain a changed log anew, with roots of its own that nobody anchored."""
    actions = list(ACTIONS)
    change(actions)
    return lines_of(make_log(actions), ROOTS)


LIES = [
    pytest.param(
        lambda lines: entry(lines, 2).update(actor="nobody"),
        ("disclosure.root", "log.chain"),
        id="an entry changed",
    ),
    pytest.param(
        lambda lines: entry(lines, 5).update(actor="nobody"),
        ("disclosure.root",),
        id="the last entry changed",
    ),
    pytest.param(
        lambda lines: lines.pop(2), ("disclosure.root", "log.chain"), id="an entry left out"
    ),
    pytest.param(
        lambda lines: lines.pop(), ("disclosure.complete",), id="a root and its records withheld"
    ),
    pytest.param(
        lambda lines: lines.insert(1, lines.pop(2)),
        ("disclosure.root", "log.chain"),
        id="entries in another order",
    ),
    pytest.param(
        lambda lines: lines[-1]["root"].update(last=4),
        ("disclosure.root", "disclosure.anchored"),
        id="a root over fewer records",
    ),
    pytest.param(
        lambda lines: lines.append({"gossip": 1}), ("disclosure.form",), id="an unknown record"
    ),
    pytest.param(
        lambda lines: lines[0]["disclosure"].update(kind="poem"),
        ("disclosure.form", "disclosure.complete"),
        id="an unknown kind",
    ),
    pytest.param(
        lambda lines: lines[0]["disclosure"].update(service="urn:daicho:goka:example"),
        ("disclosure.anchored",),
        id="another service's stream",
    ),
]


@pytest.mark.parametrize(("lie", "caught_by"), LIES)
def test_a_lie_in_the_file_is_named(
    town: Town, lie: Callable[[list[dict[str, Any]]], object], caught_by: tuple[str, ...]
) -> None:
    lines: list[dict[str, Any]] = json.loads(json.dumps(LINES))
    lie(lines)

    assert set(town.audit(lines).failed) == set(caught_by)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda actions: actions.__setitem__(3, ("key.shredded", KEYS[2])), id="never made"
        ),
        pytest.param(lambda actions: actions.__setitem__(4, ("key.shredded", KEYS[0])), id="twice"),
    ],
)
def test_an_erasure_that_cannot_be_is_named(
    tmp_path: Path, change: Callable[[list[tuple[str, str]]], object]
) -> None:
    """Anchored as it is: the log is sound, only what it says is not."""
    lines = relog(change)
    town = Town(tmp_path)
    for line in lines[-2:]:
        root = line["root"]
        town.anchor(
            compute_stream(TENANT, SOURCE, "audit"),
            root["root"],
            root["last"] - root["first"] + 1,
        )
    town.export()

    assert town.audit(lines).failed == ("erasure.known",)


def test_a_notice_of_what_never_was_is_named(town: Town) -> None:
    assert town.audit(LINES, "0x" + KEYS[1]).failed == ("erasure.notice",)


def test_a_batch_of_records_stands_under_its_root(tmp_path: Path) -> None:
    leaves = [b"booking %d" % at for at in range(4)]
    root = "0x" + compute_root(leaves).hex()
    town = Town(tmp_path)
    town.anchor(compute_stream(TENANT, SOURCE, "bookings"), root, 4)
    town.export()
    head = {"kind": "batch", "tenant": TENANT, "service": SOURCE, "subject": "bookings"}
    lines: list[dict[str, Any]] = [
        {"disclosure": head},
        *({"leaf": "0x" + leaf.hex()} for leaf in leaves),
        {"root": {"root": root, "first": 1, "last": 4}},
    ]
    assert town.audit(lines).conclusion is Conclusion.CONFIRMED

    lines[2], lines[3] = lines[3], lines[2]

    assert town.audit(lines).failed == ("disclosure.root",)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"entry": {}}\n', id="no head"),
        pytest.param("[]\n", id="no object"),
        pytest.param("{" + " " * 70_000 + "}\n", id="too long"),
    ],
)
def test_what_is_no_disclosure_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "d"
    path.write_text(text)
    with pytest.raises(InvalidDisclosure):
        list(read_disclosure(path))


def test_the_command_ends_as_the_report_says(
    town: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    words = ["audit", "services", str(path), "--bundle", str(town.folder / "bundle")]

    assert main([*words, "--anchors", "0x" + town.anchors.hex()]) == 0
    assert "log.chain" in capsys.readouterr().out
    assert main([*words, "--anchors", "0x" + Address(bytes(20)).hex()]) == 1
    assert main([*words, "--anchors", "0x12"]) == 2
