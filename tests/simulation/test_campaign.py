"""QBFT-QUORUM, QBFT-LOCK, QBFT-SIGN-STATE, QBFT-SEALS: the invariants hold on every network drawn.

Each seed is a network of its own with its own faults; see docs/operate/simulation.md. CI runs a few
hundred seeds, the nightly tier ten thousand. A seed that fails goes into ``seeds.json`` with what
it showed, and is run here ever after.
"""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from node.simulation.campaign import make_scenario, run_campaign, summarise
from node.simulation.run import Report, run

REGRESSIONS = json.loads(Path(__file__).with_name("seeds.json").read_text())["regressions"]

CI_SEEDS = range(200)
NIGHTLY_SEEDS = range(100_000, 110_000)


def broken(reports: list[Report]) -> str:
    return "\n".join(summarise(report) for report in reports if report.violation is not None)


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{case['seed']} {case['showed']}") for case in REGRESSIONS]
)
def test_a_seed_that_once_failed_holds(case: dict[str, object]) -> None:
    report = run(make_scenario(int(str(case["seed"])), faults=str(case["faults"])))

    assert report.violation is None, summarise(report)


@pytest.mark.slow
def test_the_invariants_hold_on_a_few_hundred_networks() -> None:
    reports = list(run_campaign(CI_SEEDS, make_scenario))

    assert not broken(reports)
    assert sum(report.calm_height > 0 for report in reports) > len(reports) // 2


@pytest.mark.nightly
def test_the_invariants_hold_on_ten_thousand_networks() -> None:
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as executor:
        reports = list(run_campaign(NIGHTLY_SEEDS, make_scenario, executor=executor))

    assert len(reports) == len(NIGHTLY_SEEDS)
    assert not broken(reports)
