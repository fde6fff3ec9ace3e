"""``python -m node.simulation``: replay one seed, or run a range of them.

``--seed 7`` replays the run of seed 7 and prints its trace; ``--seeds 0..199`` runs a range in this
process. ``--faults`` changes single faults of the drawn world (``loss_permille=100``), ``--kind``
starts from a world without any. The exit code is 1 when an invariant broke.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

import click

from node.primitives.errors import Misconfigured
from node.simulation.campaign import Progress, make_scenario, parse_range, run_campaign, summarise
from node.simulation.run import run
from node.simulation.scenario import Scenario


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seed", type=int, help="Replay this seed and print its trace.")
@click.option("--seeds", "seed_range", help="Run a range of seeds: A..B, both included.")
@click.option("--faults", default="", help="Faults to change: name=value, separated by commas.")
@click.option("--kind", "is_kind", is_flag=True, help="Start from a world without faults.")
@click.option("--quiet", is_flag=True, help="Print no trace and no progress.")
@click.option("--json", "is_json", is_flag=True, help="Print reports as JSON, one per line.")
def main(
    *,
    seed: int | None,
    seed_range: str | None,
    faults: str,
    is_kind: bool,
    quiet: bool,
    is_json: bool,
) -> None:
    """Simulate a network of validators under faults; everything follows from the seed."""
    if (seed is None) == (seed_range is None):
        raise click.UsageError("give either --seed or --seeds")
    try:
        scenario_of = partial(make_scenario, faults=faults, is_kind=is_kind)
        if seed is not None:
            is_good = _replay(scenario_of(seed), is_quiet=quiet, is_json=is_json)
        else:
            seeds = parse_range(seed_range or "")
            is_good = _run_range(seeds, scenario_of, is_quiet=quiet, is_json=is_json)
    except Misconfigured as error:
        raise click.UsageError(str(error)) from error
    sys.exit(0 if is_good else 1)


def _replay(scenario: Scenario, *, is_quiet: bool, is_json: bool) -> bool:
    report = run(scenario, is_trace_kept=not is_quiet)
    if is_json:
        click.echo(json.dumps(asdict(report)))
        return report.violation is None
    for line in report.lines:
        click.echo(line)
    click.echo(summarise(report))
    return report.violation is None


def _run_range(
    seeds: range, scenario_of: Callable[[int], Scenario], *, is_quiet: bool, is_json: bool
) -> bool:
    is_good = True
    show: Callable[[Progress], None] = (lambda _: None) if is_quiet else _show_progress
    for report in run_campaign(seeds, scenario_of, on_progress=show):
        if is_json:
            click.echo(json.dumps(asdict(report)))
        elif report.violation is not None:
            click.echo(summarise(report))
        is_good &= report.violation is None
    return is_good


def _show_progress(progress: Progress) -> None:
    is_last = progress.done == progress.total
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{progress.describe()}", err=True, nl=is_last)
    elif is_last or progress.done % 100 == 0:
        click.echo(progress.describe(), err=True)


if __name__ == "__main__":
    main()
