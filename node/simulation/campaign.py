"""Many seeds, one after the other or on a pool of processes, with progress.

Works through the standard ``concurrent.futures.Executor``: a process pool on one machine, or
whatever else offers that interface. Seeds are handed out in small batches, a bounded number at a
time, so that progress is even and an interrupt is prompt. Reports come back in the order of seeds.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Final

from node.simulation.run import Report, run
from node.simulation.scenario import Scenario

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
