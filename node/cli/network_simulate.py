"""`daicho network simulate`: many simulated networks under faults, on all processors.

Every seed is a network of its own; what breaks is told by seed, and the same seed run by
``python -m node.simulation --seed N`` prints what happened. A campaign may take hours: with
a record it can be stopped and goes on later; without a terminal it tells every half minute how far
it is.
"""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
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
from node.simulation.record import CampaignRecord, open_record
from node.simulation.run import Report

JOBS_MAX: Final = 64

PLAIN_PROGRESS_S: Final = 30
"""Time between two lines of progress where there is no terminal."""

EXAMPLES: Final = """\b
Examples:
  daicho network simulate --seeds 1000 --jobs 2
  daicho network simulate --seeds 5000..5999
  daicho network simulate --seeds 100 --faults loss_permille=300,partition=halves
  daicho network simulate --seeds 0..9999 --record campaign.jsonl
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
@click.option(
    "--record",
    "record_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write down each seed that was run, and leave out those that stand there already.",
)
@click.pass_obj
def command(
    output: Output,
    *,
    seeds: str,
    jobs: int | None,
    faults: str,
    is_kind: bool,
    record_path: Path | None,
) -> None:
    """Run a campaign of simulated networks with faults, and name the seeds that break a rule."""
    chosen = range(int(seeds)) if seeds.isdigit() else parse_range(seeds)
    scenario_of = partial(make_scenario, faults=faults, is_kind=is_kind)
    scenario_of(0)
    record = open_record(record_path, faults=faults, is_kind=is_kind) if record_path else None
    earlier = record.verdicts if record else {}
    left = [seed for seed in chosen if seed not in earlier]
    broken_earlier = [seed for seed in chosen if seed in earlier and earlier[seed].violation]
    workers = jobs or os.cpu_count() or 1
    display = ProgressDisplay(output)
    broken = []
    with ProcessPoolExecutor(max_workers=workers) as executor:
        reports = run_campaign(left, scenario_of, executor=executor, on_progress=display.show)
        for report in _written(reports, record):
            if report.violation is not None:
                broken.append(report)
                output.progress_done()
                output.say(summarise(report))
    output.progress_done()
    output.result(
        {
            "seeds": len(chosen),
            "run_earlier": len(chosen) - len(left),
            "broken_earlier": broken_earlier,
            "broken": [asdict(report) for report in broken]
            if output.is_json
            else [report.seed for report in broken],
            "seeds_per_s": display.seeds_per_s,
            "processes": workers,
        },
        title="simulated networks",
    )
    all_broken = sorted([*broken_earlier, *(report.seed for report in broken)])
    if all_broken:
        raise InvariantBroken(
            f"{len(all_broken)} of {len(chosen)} seeds broke an invariant, the first "
            f"{all_broken[0]}; replay it with python -m node.simulation --seed {all_broken[0]}"
        )


class ProgressDisplay:
    """Shows how far a campaign is: a line redrawn on a terminal, now and then a line elsewhere."""

    def __init__(self, output: Output) -> None:
        """Show on ``output``."""
        self.seeds_per_s = 0.0
        self._output = output
        self._due_s = float(PLAIN_PROGRESS_S)

    def show(self, progress: Progress) -> None:
        """Show what is new."""
        self.seeds_per_s = round(progress.seeds_per_s, 2)
        if self._output.is_terminal:
            self._output.progress(progress.describe())
        elif progress.elapsed_s >= self._due_s:
            self._output.say(progress.describe())
            self._due_s = progress.elapsed_s + PLAIN_PROGRESS_S


def _written(reports: Iterable[Report], record: CampaignRecord | None) -> Iterator[Report]:
    """Pass reports on, each once it is written down."""
    for report in reports:
        if record is not None:
            record.add(report)
        yield report
