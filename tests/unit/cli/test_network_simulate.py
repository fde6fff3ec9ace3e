"""`daicho network simulate` and ``python -m node.simulation``: what operators see of a campaign."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from node.cli.main import main
from node.cli.network_simulate import PLAIN_PROGRESS_S, ProgressDisplay
from node.cli.output import Output
from node.simulation.__main__ import main as replay
from node.simulation.campaign import Progress

BROKEN = "lost_count=2,calm_ms=5000"


def test_a_campaign_reports_its_seeds_and_rate(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--json", "network", "simulate", "--seeds", "3..6", "--jobs", "1", "--kind"])

    result = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (result["seeds"], result["broken"]) == (4, [])
    assert result["seeds_per_s"] > 0


def test_a_broken_invariant_names_the_seed_and_how_to_replay_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = main(
        ["network", "simulate", "--seeds", "1..1", "--jobs", "1", "--kind", "--faults", BROKEN]
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


def test_a_recorded_campaign_goes_on_where_it_was_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "campaign.jsonl"
    words = ["--json", "network", "simulate", "--jobs", "1", "--kind", "--record", str(record)]
    assert main([*words, "--seeds", "3..4"]) == 0
    whole = record.read_text()
    record.write_text(whole[:-9])
    capsys.readouterr()

    assert main([*words, "--seeds", "3..6"]) == 0

    result = json.loads(capsys.readouterr().out)
    assert (result["seeds"], result["run_earlier"]) == (4, 1)
    assert record.read_text().startswith(whole)
    seeds = [json.loads(line)["seed"] for line in record.read_text().splitlines()[1:]]
    assert seeds == [3, 4, 5, 6]


def test_what_broke_before_the_stop_still_fails_the_campaign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = str(tmp_path / "campaign.jsonl")
    words = ["network", "simulate", "--jobs", "1", "--kind", "--faults", BROKEN, "--seeds", "1..1"]
    assert main([*words, "--record", record]) == 1
    capsys.readouterr()

    assert main([*words, "--record", record]) == 1

    assert "--seed 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param('{"format": "another"}\n', [], id="another file"),
        pytest.param(None, ["--faults", "loss_permille=1"], id="other faults"),
        pytest.param(None, ["--kind"], id="another world"),
    ],
)
def test_a_record_of_another_campaign_is_refused(
    tmp_path: Path, text: str | None, words: list[str]
) -> None:
    record = tmp_path / "campaign.jsonl"
    run = ["network", "simulate", "--jobs", "1", "--seeds", "5..5", "--record", str(record)]
    assert main(run) == 0
    if text is not None:
        record.write_text(text)

    assert main([*run, *words]) == 2


def test_without_a_terminal_progress_is_a_line_every_half_minute(
    capsys: pytest.CaptureFixture[str],
) -> None:
    display = ProgressDisplay(Output())

    for elapsed_s in (1, PLAIN_PROGRESS_S, PLAIN_PROGRESS_S + 1, 2 * PLAIN_PROGRESS_S):
        display.show(Progress(done=elapsed_s, total=100, failed=0, elapsed_s=elapsed_s))

    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["30/100", "60/100"]
    assert display.seeds_per_s == 1
