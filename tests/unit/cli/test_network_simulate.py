"""`daicho network simulate` and ``python -m node.simulation``: what operators see of a campaign."""

import json

import pytest
from click.testing import CliRunner

from node.cli.main import main
from node.simulation.__main__ import main as replay


def test_a_campaign_reports_its_seeds_and_rate(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--json", "network", "simulate", "--seeds", "3..6", "--jobs", "1", "--kind"])

    result = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (result["seeds"], result["broken"]) == (4, [])
    assert result["seeds_per_s"] > 0


def test_a_broken_invariant_names_the_seed_and_how_to_replay_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    too_many = "lost_count=2,calm_ms=5000"

    code = main(
        ["network", "simulate", "--seeds", "1..1", "--jobs", "1", "--kind", "--faults", too_many]
    )

    shown = capsys.readouterr().err
    assert code == 1
    assert "I7" in shown
    assert "--seed 1" in shown


@pytest.mark.parametrize("words", [["--seeds", "9..1"], ["--faults", "los=1"]])
def test_a_wrong_word_is_the_operators_to_correct(words: list[str]) -> None:
    assert main(["network", "simulate", *words]) == 2


def test_a_replay_prints_trace_verdict_and_digest() -> None:
    shown = CliRunner().invoke(replay, ["--seed", "5", "--kind"])

    assert shown.exit_code == 0
    assert "signs Proposal 1/0" in shown.output
    assert "seed 5: holds" in shown.output
    assert "trace digest" in shown.output


def test_a_replay_of_a_broken_run_fails_and_names_the_invariant() -> None:
    words = ["--seed", "1", "--kind", "--quiet", "--faults", "lost_count=2,calm_ms=5000"]

    shown = CliRunner().invoke(replay, words)

    assert shown.exit_code == 1
    assert "VIOLATED I7" in shown.output


def test_a_range_prints_a_report_for_each_seed() -> None:
    shown = CliRunner().invoke(replay, ["--seeds", "1..2", "--kind", "--quiet", "--json"])

    assert [json.loads(line)["seed"] for line in shown.stdout.splitlines()] == [1, 2]


def test_either_a_seed_or_a_range_is_asked_for() -> None:
    assert CliRunner().invoke(replay, []).exit_code == 2
