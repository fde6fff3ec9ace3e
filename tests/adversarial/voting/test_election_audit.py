"""AUDIT-ELECTION, AUDIT-ELECTION-FILES: an honest election is confirmed, a bent one refuted.

Each case takes the record of a correct election and changes one thing. The case's number is that of
the list of attacks; the check that must fail stands beside it.
"""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest

from clients.auditor.checks import Outcome, Verdict
from clients.auditor.election.audit import ElectionAudit, Findings
from clients.auditor.election.records import Folder
from tests.support.election_record import HeldElection, hold_election, record_files, write_record
from tests.support.election_tampering import CASES, Tampering


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def audit(folder: Path, executor: Executor) -> tuple[dict[str, Outcome], Findings]:
    """Return every answer by the check's name."""
    run = ElectionAudit(Folder(folder), executor)
    found = run.run()
    return {each.check.name: each for each in run.sheet.outcomes()}, found


def failed(outcomes: dict[str, Outcome]) -> set[str]:
    return {name for name, each in outcomes.items() if each.verdict is Verdict.FAILED}


def test_an_honest_election_is_confirmed(tmp_path: Path, executor: Executor) -> None:
    held = hold_election()
    write_record(tmp_path, record_files(held), held)

    outcomes, found = audit(tmp_path, executor)

    undecided = {name for name, each in outcomes.items() if each.verdict is Verdict.UNDECIDED}
    assert failed(outcomes) == set()
    assert {name for name in undecided if "accredited" not in name} == {"election.chain"}
    assert all(each.count or each.reasons for each in outcomes.values())
    charts = {chart.title: [value for _, value in chart.points] for chart in found.charts}
    assert charts == {
        f"Race {each.race}, recomputed": [*each.counts, each.invalid] for each in held.results
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bent_election_is_refuted(case: Tampering, tmp_path: Path, executor: Executor) -> None:
    held: HeldElection = hold_election()
    case.write(held, tmp_path)

    outcomes, _ = audit(tmp_path, executor)

    found = failed(outcomes) if case.verdict is Verdict.FAILED else open_checks(outcomes)
    assert case.check in found
    blamed = {name for each in outcomes[case.check].findings for name in each.blame}
    assert case.blame <= blamed
    if case.is_alone:
        assert failed(outcomes) == {case.check}


def open_checks(outcomes: dict[str, Outcome]) -> set[str]:
    return {name for name, each in outcomes.items() if each.verdict is Verdict.UNDECIDED}
