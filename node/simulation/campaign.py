"""Many seeds, one after the other or on a pool of processes, with progress.

Works through the standard ``concurrent.futures.Executor``: a process pool on one machine, or
whatever else offers that interface. Seeds are handed out in small batches, a bounded number at a
time, so that progress is even and an interrupt is prompt. Reports come back in the order of seeds.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import Final

from node.primitives.errors import Misconfigured
from node.simulation.faults import parse_faults
from node.simulation.run import Report, run
from node.simulation.scenario import Scenario, draw_scenario

BATCH_SIZE: Final = 8
"""Seeds handed to a worker at once."""

BATCHES_AHEAD_MAX: Final = 32
"""Batches handed out and not yet answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a campaign has come."""

    done: int
    """Seeds run."""
    total: int
    """Seeds to run."""
    failed: int
    """Seeds that broke an invariant."""
    elapsed_s: float
    """Time since the start."""

    @property
    def seeds_per_s(self) -> float:
        """Return the rate so far."""
        return self.done / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def remaining_s(self) -> float:
        """Return the time left at the rate so far."""
        return (self.total - self.done) / self.seeds_per_s if self.done else 0.0

    def describe(self) -> str:
        """Return one line for a terminal."""
        return (
            f"{self.done}/{self.total} seeds, {self.failed} failed, "
            f"{self.seeds_per_s:.1f} seeds/s, {self.remaining_s:.0f} s left"
        )


def make_scenario(seed: int, *, faults: str = "", is_kind: bool = False) -> Scenario:
    """Return the scenario of a seed, with faults changed as an operator typed them.

    Args:
        seed: Where all draws come from.
        faults: ``name=value`` pairs, separated by commas.
        is_kind: Start from four validators in a world without faults, not from a drawn one.

    Raises:
        Misconfigured: ``faults`` does not parse.
    """
    drawn = Scenario(seed=seed) if is_kind else draw_scenario(seed)
    return replace(drawn, faults=parse_faults(faults, drawn.faults))


def parse_range(text: str) -> range:
    """Read ``A..B``, both included.

    Raises:
        Misconfigured: It is none, or empty.
    """
    first, _, last = text.partition("..")
    if not (first.isdigit() and last.isdigit()) or int(first) > int(last):
        raise Misconfigured(f"seeds {text!r}: write a range such as 0..199")
    return range(int(first), int(last) + 1)


def run_campaign(
    seeds: Sequence[int],
    scenario_of: Callable[[int], Scenario],
    *,
    executor: Executor | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Iterator[Report]:
    """Run every seed and yield its report.

    Args:
        seeds: Which seeds.
        scenario_of: Makes the scenario of a seed; must be picklable when there is an executor.
        executor: Where to run; in this process when None.
        on_progress: Told after every report.
    """
    started = time.monotonic()
    failed = 0
    reports = _run_here(seeds, scenario_of)
    if executor is not None:
        reports = _run_on(executor, seeds, scenario_of)
    for done, report in enumerate(reports, start=1):
        failed += report.violation is not None
        elapsed = time.monotonic() - started
        on_progress(Progress(done=done, total=len(seeds), failed=failed, elapsed_s=elapsed))
        yield report


def _run_here(seeds: Iterable[int], scenario_of: Callable[[int], Scenario]) -> Iterator[Report]:
    for seed in seeds:
        yield run(scenario_of(seed))


def _run_on(
    executor: Executor, seeds: Sequence[int], scenario_of: Callable[[int], Scenario]
) -> Iterator[Report]:
    batches = (seeds[at : at + BATCH_SIZE] for at in range(0, len(seeds), BATCH_SIZE))
    ahead: deque[Future[tuple[Report, ...]]] = deque()
    for batch in batches:
        ahead.append(executor.submit(_run_batch, tuple(map(scenario_of, batch))))
        if len(ahead) >= BATCHES_AHEAD_MAX:
            yield from ahead.popleft().result()
    while ahead:
        yield from ahead.popleft().result()


def _run_batch(scenarios: tuple[Scenario, ...]) -> tuple[Report, ...]:
    return tuple(run(scenario) for scenario in scenarios)


def summarise(report: Report) -> str:
    """Say what came of a run, with everything needed to run it again."""
    violation = report.violation
    verdict = f"VIOLATED {violation.invariant}: {violation.detail}" if violation else "holds"
    return (
        f"seed {report.seed}: {verdict}\n"
        f"  {report.validator_count} validators, height {report.height} "
        f"({report.calm_height} at calm), highest round {report.round_max}, "
        f"{report.crash_count} crashes, {report.evidence_count} proofs of contradiction, "
        f"{report.end_ms / 1000:.1f} s of virtual time, {report.step_count} steps\n"
        f"  faults: {report.faults or 'none'}\n"
        f"  trace digest: {report.digest}\n"
        f"  replay: python -m node.simulation --seed {report.seed}"
    )
