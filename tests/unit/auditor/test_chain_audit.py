"""AUDIT-RESUME, AUDIT-PARALLEL, AUDIT-RANGE, AUDIT-FILES: however an audit runs, it finds the same.

A chain of nine blocks is audited here in one go, after interruptions at every block, in ranges by
other processes, and by the command.
"""

import json
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clients.auditor.checks import Conclusion
from clients.auditor.executors import open_executor
from clients.auditor.progress import Buckets, Meter, Progress
from clients.auditor.report import decode_report
from clients.auditor.work_folder import WorkFolder
from node.cli.main import main
from node.consensus.checkpoint import encode_checkpoint
from node.primitives.bundle import BlockRecord, StateChunk
from node.primitives.crypto import sha256
from node.primitives.errors import Misconfigured
from tests.support.audit_chain import (
    GOVERNORS,
    Audit,
    AuditedChain,
    audit_of,
    make_audited_chain,
)
from tests.support.tampering import Draft, load_draft


class Interrupted(Exception):
    """The auditor's machine stops."""


@pytest.fixture(scope="module")
def chain() -> AuditedChain:
    return make_audited_chain()


@pytest.fixture
def audit(chain: AuditedChain) -> Audit:
    return audit_of(chain)


@pytest.fixture(scope="module")
def bundle(chain: AuditedChain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chain.export(tmp_path_factory.mktemp("bundle") / "bundle")


@pytest.fixture(scope="module")
def plain(chain: AuditedChain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle without states."""
    return chain.export(tmp_path_factory.mktemp("plain") / "bundle", snapshot_interval=0)


def lie(bundle: Path, path: Path, change: Callable[[Draft], object]) -> Path:
    draft = load_draft(bundle)
    change(draft)
    path.write_bytes(draft.encode())
    return path


def stopping_after(blocks: int) -> Callable[[Progress], None]:
    count = 0

    def tell(_progress: Progress) -> None:
        nonlocal count
        count += 1
        if count == blocks:
            raise Interrupted

    return tell


def ticking() -> Callable[[], float]:
    """Return a clock that goes a minute and more at every look."""
    now_s = 0.0

    def clock() -> float:
        nonlocal now_s
        now_s += 100.0
        return now_s

    return clock


def test_the_state_after_a_lie_is_known_again_from_the_next_state(
    audit: Audit, bundle: Path, tmp_path: Path
) -> None:
    wrong = lie(bundle, tmp_path / "lie", lambda draft: draft.reclaim(4, state_root=bytes(32)))

    report = audit.run(wrong)

    assert report.failed == ("execution.state-root",)
    outcome = next(each for each in report.outcomes if each.check.name == "execution.state-root")
    assert outcome.count == 7, "blocks 1 to 4, and 7 to 9 after the state of 6"
    assert outcome.reasons


@pytest.mark.parametrize("blocks", range(1, 9))
def test_an_interrupted_audit_goes_on_where_it_was(
    audit: Audit, plain: Path, tmp_path: Path, blocks: int
) -> None:
    whole = audit.run(plain)
    with pytest.raises(Interrupted):
        audit.run(
            plain,
            work=WorkFolder(tmp_path / "work"),
            clock=ticking(),
            tell=stopping_after(blocks),
        )
    heights: list[int] = []

    report = audit.run(
        plain,
        work=WorkFolder(tmp_path / "work"),
        clock=ticking(),
        tell=lambda progress: heights.append(progress.height),
    )

    assert report == whole
    assert heights == list(range(blocks, 10))
    assert list((tmp_path / "work").iterdir()) == []


def test_a_lie_before_an_interruption_is_not_forgotten(
    audit: Audit, bundle: Path, tmp_path: Path
) -> None:
    wrong = lie(bundle, tmp_path / "lie", lambda draft: draft.reclaim(4, state_root=bytes(32)))
    whole = audit.run(wrong)
    with pytest.raises(Interrupted):
        audit.run(
            wrong, work=WorkFolder(tmp_path / "work"), clock=ticking(), tell=stopping_after(6)
        )

    assert audit.run(wrong, work=WorkFolder(tmp_path / "work"), clock=ticking()) == whole


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda work: (work / "progress.json").write_text("{"), id="progress torn"),
        pytest.param(
            lambda work: next(iter(work.glob("state-*"))).write_bytes(b"\xc0"), id="state altered"
        ),
        pytest.param(lambda work: next(iter(work.glob("state-*"))).unlink(), id="state gone"),
    ],
)
def test_damaged_progress_is_not_used(
    audit: Audit, plain: Path, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    whole = audit.run(plain)
    with pytest.raises(Interrupted):
        audit.run(
            plain, work=WorkFolder(tmp_path / "work"), clock=ticking(), tell=stopping_after(5)
        )
    spoil(tmp_path / "work")

    assert audit.run(plain, work=WorkFolder(tmp_path / "work"), clock=ticking()) == whole


def test_progress_of_another_bundle_is_not_used(audit: Audit, plain: Path, tmp_path: Path) -> None:
    """The liar shows the good bundle first, and swaps it while the auditor rests."""
    path = tmp_path / "bundle"
    path.write_bytes(plain.read_bytes())
    with pytest.raises(Interrupted):
        audit.run(path, work=WorkFolder(tmp_path / "work"), clock=ticking(), tell=stopping_after(8))
    lie(plain, path, lambda draft: draft.reclaim(2, mix_hash=bytes(32)))

    report = audit.run(path, work=WorkFolder(tmp_path / "work"), clock=ticking())

    assert report.failed == ("chain.mix-hash",)


@pytest.fixture(scope="module", params=["threads", "processes"])
def executor(request: pytest.FixtureRequest) -> Executor:
    if request.param == "threads":
        return request.getfixturevalue("threads")  # type: ignore[no-any-return]
    return request.getfixturevalue("processes")  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def threads() -> object:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def processes() -> object:
    with open_executor(2, None) as pool:
        yield pool


LIES = [
    pytest.param(lambda _draft: None, id="the truth"),
    pytest.param(lambda draft: draft.reclaim(2, state_root=bytes(32)), id="another state"),
    pytest.param(lambda draft: draft.reclaim(8, gas_used=1), id="another gas"),
    pytest.param(lambda draft: draft.receipts(3, list.reverse), id="other receipts"),
    pytest.param(lambda draft: draft.edit(StateChunk, entries=b"\xc0"), id="an empty state"),
    pytest.param(lambda draft: draft.edit(BlockRecord, block=b"\xc0"), id="an unreadable block"),
]


@pytest.mark.parametrize("change", LIES)
def test_ranges_find_what_one_pass_finds(
    audit: Audit,
    bundle: Path,
    tmp_path: Path,
    executor: Executor,
    change: Callable[[Draft], object],
) -> None:
    told = lie(bundle, tmp_path / "told", change)
    alone = audit.run(told)

    together = audit.run(told, executor=executor)

    assert together.failed == alone.failed
    assert together.conclusion is alone.conclusion
    if not alone.failed:
        assert together == alone


def test_ranges_executed_before_an_interruption_are_kept(
    audit: Audit, bundle: Path, tmp_path: Path
) -> None:
    counted = CountingExecutor()
    with pytest.raises(Interrupted):
        audit.run(
            bundle,
            executor=counted,
            work=WorkFolder(tmp_path / "work"),
            clock=ticking(),
            tell=stopping_after(7),
        )
    assert counted.count == 2

    report = audit.run(bundle, executor=counted, work=WorkFolder(tmp_path / "work"))

    assert report == audit.run(bundle)
    assert counted.count == 4, "the states of 3, 6 and 9 make four ranges"


class CountingExecutor(Executor):
    """Does at once what it is given, and counts it."""

    def __init__(self) -> None:
        self.count = 0

    def submit(self, fn: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        self.count += 1
        future: Future[Any] = Future()
        future.set_result(fn(*arguments, **named))
        return future


def test_dask_is_asked_for_only_when_it_is_named() -> None:
    with open_executor(1, None) as executor:
        assert executor is None


def test_a_range_stands_on_a_checkpoint(chain: AuditedChain, tmp_path: Path) -> None:
    """Blocks 6 to 9: headers from genesis on, the state of 5, a checkpoint within the range."""
    path = chain.export(tmp_path / "range", start=6)
    audit = audit_of(chain)
    assert audit.run(path).conclusion is Conclusion.INCOMPLETE
    for height, conclusion in ((4, Conclusion.INCOMPLETE), (5, Conclusion.CONFIRMED)):
        audit.checkpoints = [("c", encode_checkpoint(chain.checkpoint(height)).encode())]
        assert audit.run(path).conclusion is conclusion
    audit.checkpoints = [("c", encode_checkpoint(chain.checkpoint(5, GOVERNORS[:1])).encode())]
    assert audit.run(path).conclusion is Conclusion.REFUTED


def test_a_range_after_an_epoch_block_counts_votes_from_there(
    chain: AuditedChain, tmp_path: Path
) -> None:
    path = chain.export(tmp_path / "range", start=9)
    audit = audit_of(chain)
    audit.checkpoints = [("c", encode_checkpoint(chain.checkpoint(9)).encode())]

    assert audit.run(path).conclusion is Conclusion.CONFIRMED


def test_attached_files_are_written_out_by_their_digest(
    chain: AuditedChain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proof = tmp_path / "proof"
    proof.write_bytes(b"proof" * 200_000)
    path = chain.export(tmp_path / "bundle", files=(proof,))
    digest = sha256(proof.read_bytes()).hex()
    (tmp_path / "genesis.json").write_bytes(chain.ledger.genesis_file)
    words = ["audit", "chain", str(path), "--genesis", str(tmp_path / "genesis.json")]

    code = main([*words, "--file", digest, "--unpack", str(tmp_path / "files")])

    assert code == 0, capsys.readouterr().err
    assert (tmp_path / "files" / digest).read_bytes() == proof.read_bytes()
    assert main([*words, "--file", "11" * 32]) == 1


def test_an_empty_chain_is_confirmed(tmp_path: Path) -> None:
    chain = AuditedChain()

    report = audit_of(chain).run(chain.export(tmp_path / "bundle"))

    assert report.conclusion is Conclusion.CONFIRMED
    assert report.subject["blocks"] == "0"


def test_the_command_signs_and_ends_as_the_report_says(
    chain: AuditedChain, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(chain.ledger.genesis_file)
    report, page = tmp_path / "report.json", tmp_path / "report.html"
    words = ["audit", "chain", "--genesis", str(genesis), "--report", str(report)]

    assert main([*words, "--html", str(page), str(bundle)]) == 0
    out = capsys.readouterr()
    assert "seals.quorum" in out.out
    assert "confirmed" in out.err
    assert decode_report(report.read_bytes()).record["conclusion"] == "confirmed"
    assert page.read_text().startswith("<!doctype html>")

    wrong = lie(bundle, tmp_path / "lie", lambda draft: draft.reclaim(2, mix_hash=bytes(32)))
    assert main(["--json", *words, str(wrong)]) == 1
    printed = json.loads(capsys.readouterr().out)
    failed = [each["name"] for each in printed["checks"] if each["verdict"] == "failed"]
    assert failed == ["chain.mix-hash"]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--genesis", "{missing}"], id="no genesis file"),
        pytest.param(["--genesis", "{genesis}", "--exporter", "0x12"], id="no address"),
        pytest.param(["--genesis", "{genesis}", "--keystore", "k"], id="half a key"),
        pytest.param(["--genesis", "{genesis}", "--processes", "0"], id="no process"),
    ],
)
def test_wrong_use_ends_with_2(
    chain: AuditedChain, bundle: Path, tmp_path: Path, words: list[str]
) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(chain.ledger.genesis_file)
    filled = [word.format(genesis=genesis, missing=tmp_path / "none") for word in words]

    assert main(["audit", "chain", str(bundle), *filled]) == 2


def test_a_bundle_that_is_missing_is_said(
    chain: AuditedChain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(chain.ledger.genesis_file)

    assert main(["audit", "chain", str(tmp_path / "none"), "--genesis", str(genesis)]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_progress_tells_rate_and_time_left() -> None:
    told: list[Progress] = []
    times = iter([0.0, 0.1, 10.0])
    meter = Meter(lambda: next(times), told.append, total_bytes=1_000)

    meter.take(height=1, done_bytes=100, transactions=5)
    meter.take(height=2, done_bytes=250, transactions=15)

    assert [(each.height, each.transactions_per_s, each.remaining_s) for each in told] == [
        (2, 2.0, 30.0)
    ]


def test_charts_have_few_buckets_for_any_range() -> None:
    buckets = Buckets(1, 1_000_000)
    for height in range(1, 1_000_001, 1_000):
        buckets.add("x", height, 2)
    buckets.add("x", 5_000_000, 1)

    points = buckets.chart("x", "y").points

    assert len(points) <= 120
    assert sum(value for _, value in points) == 2_001


def test_a_work_folder_that_cannot_be_made_is_said(audit: Audit, plain: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be made"):
        audit.run(plain, work=WorkFolder(plain / "below a file"))
