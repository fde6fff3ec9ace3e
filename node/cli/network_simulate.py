"""`daicho network simulate`: many simulated networks under faults, on all processors.

Every seed is a network of its own; what breaks is told by seed, and the same seed run by
``python -m node.simulation --seed N`` prints what happened.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Final

import click

from node.cli.output import Output
from node.primitives.errors import LedgerError
from node.simulation.campaign import (
    Progress,
    make_scenario,
    parse_range,
    run_campaign,
    summarise,
)

JOBS_MAX: Final = 64

EXAMPLES: Final = """\b
Examples:
  daicho network simulate --seeds 1000 --jobs 2
  daicho network simulate --seeds 5000..5999
  daicho network simulate --seeds 100 --faults loss_permille=300,partition=halves
"""


class InvariantBroken(LedgerError):
    """A simulated network broke an invariant; the seed is a bug report."""

    code = "simulation.invariant_broken"


@click.command("simulate", epilog=EXAMPLES)
@click.option("--seeds", default="200", show_default=True, help="How many from 0, or a range A..B.")
@click.option(
    "--jobs", type=click.IntRange(1, JOBS_MAX), help="Processes; all processors if unset."
)
@click.option("--faults", default="", help="Faults to change: name=value, separated by commas.")
@click.option("--kind", "is_kind", is_flag=True, help="Start from a world without faults.")
@click.pass_obj
def command(output: Output, *, seeds: str, jobs: int | None, faults: str, is_kind: bool) -> None:
    """Run a campaign of simulated networks with faults, and name the seeds that break a rule."""
    chosen = range(int(seeds)) if seeds.isdigit() else parse_range(seeds)
    scenario_of = partial(make_scenario, faults=faults, is_kind=is_kind)
    scenario_of(0)
    workers = jobs or os.cpu_count() or 1
    last: list[Progress] = []
    broken = []

    def show(progress: Progress) -> None:
        last[:] = [progress]
        output.progress(progress.describe())

    with ProcessPoolExecutor(max_workers=workers) as executor:
        for report in run_campaign(chosen, scenario_of, executor=executor, on_progress=show):
            if report.violation is not None:
                broken.append(report)
                output.progress_done()
                output.say(summarise(report))
    output.progress_done()
    rate = round(last[0].seeds_per_s, 2) if last else 0.0
    output.result(
        {
            "seeds": len(chosen),
            "broken": [asdict(report) for report in broken]
            if output.is_json
            else [report.seed for report in broken],
            "seeds_per_s": rate,
            "processes": workers,
        },
        title="simulated networks",
    )
    if broken:
        first = broken[0]
        raise InvariantBroken(
            f"{len(broken)} of {len(chosen)} seeds broke an invariant, the first {first.seed}; "
            f"replay it with python -m node.simulation --seed {first.seed}"
        )
