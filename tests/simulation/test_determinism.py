"""QBFT-EVENTS, QBFT-EFFECTS: a seed and the code determine a run, whatever process runs it.

The core keeps mappings and sets; were their order to leak into an effect, runs of one seed would
differ between processes, and a failing seed would not be a bug report.
"""

import json
import os
import subprocess
import sys

import pytest

from node.simulation.campaign import make_scenario, run_campaign
from node.simulation.run import run

SEEDS = "11..22"


def run_under_hash_seed(value: str) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "node.simulation", "--seeds", SEEDS, "--json", "--quiet"]
    environment = {**os.environ, "PYTHONHASHSEED": value}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_runs_are_equal_under_two_hash_seeds() -> None:
    first, second = run_under_hash_seed("1"), run_under_hash_seed("4242")

    assert len(first) == 12
    assert first == second


def test_a_replay_is_the_run_of_the_campaign() -> None:
    (in_campaign,) = run_campaign([35], make_scenario)
    replayed = run(make_scenario(35), is_trace_kept=True)

    assert replayed.digest == in_campaign.digest
    assert replayed.lines
    assert not in_campaign.lines


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_seeds_are_other_runs(seed: int) -> None:
    assert run(make_scenario(seed)).digest != run(make_scenario(seed + 1)).digest
