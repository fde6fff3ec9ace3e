"""AUDIT-ELECTION: the verifier in TypeScript, which shares no code, comes to the same answers.

It reads the same records, honest and bent, as the auditor in Python, and must name the same check.
"""

from pathlib import Path

import pytest

from clients.auditor.election.checks import PUBLIC
from tests.support.election_record import hold_election, record_files, write_record
from tests.support.election_tampering import CASES, Tampering
from tests.support.javascript import verify_election

CONFIRMED_BUT_FOR_THE_CHAIN, REFUTED = 2, 1


def test_an_honest_election_is_confirmed_but_for_the_chain(tmp_path: Path) -> None:
    held = hold_election()
    write_record(tmp_path, record_files(held), held)

    code, answers = verify_election(tmp_path)

    assert code == CONFIRMED_BUT_FOR_THE_CHAIN
    verdicts = {name: each["verdict"] for name, each in answers.items()}
    assert verdicts == dict.fromkeys(verdicts, "met") | {"election.chain": "undecided"}
    assert list(answers) == [check.name for check in PUBLIC]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bent_election_is_refuted_by_the_same_check(case: Tampering, tmp_path: Path) -> None:
    case.write(hold_election(), tmp_path)

    code, answers = verify_election(tmp_path)

    assert answers[case.check]["verdict"] == case.verdict.value
    blamed = {name for each in answers[case.check]["findings"] for name in each["blame"]}
    assert case.blame <= blamed
    failed = {name for name, each in answers.items() if each["verdict"] == "failed"}
    assert (code == REFUTED) == bool(failed)
    if case.is_alone:
        assert failed == {case.check}
