"""Simulated networks for tests: run one to its end, or by hand up to a moment."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from node.primitives.header import ValidatorVote
from node.primitives.types import Address
from node.simulation.faults import Faults, Lie
from node.simulation.run import Report, Run, run
from node.simulation.scenario import Scenario

STEPS_MAX: Final = 60_000

NEVER_MS: Final = 10_000_000
"""Later than any run ends: faults that last."""


def endure(seed: int, *, validators: int = 4, heights: int = 6, **faults: object) -> Report:
    """Run a network under faults to its end; no invariant may break."""
    scenario = Scenario(
        seed=seed,
        validator_count=validators,
        heights=heights,
        faults=replace(Faults(), **faults),  # type: ignore[arg-type]
    )
    return check(run(scenario, is_trace_kept=True))


def check(report: Report) -> Report:
    """Return a report that holds, or fail with everything needed to see why."""
    tail = "\n".join(report.lines[-15:])
    assert report.violation is None, f"{report.violation} seed {report.seed}\n{tail}"
    return report


def endure_live(seed: int, *, validators: int = 4, heights: int = 6, **faults: object) -> Report:
    """Run a network whose faults never cease; it must decide its blocks all the same."""
    given: dict[str, object] = {"calm_ms": 300_000, **faults}
    report = endure(seed, validators=validators, heights=heights, **given)
    assert report.calm_height >= heights, f"only {report.calm_height} blocks in spite of the faults"
    return report


def play_until(play: Run, is_reached: Callable[[], bool]) -> None:
    """Let things happen until something is the case."""
    for _ in range(STEPS_MAX):
        if is_reached():
            return
        play.take_step()
    raise AssertionError(f"not reached in {STEPS_MAX} steps, at {play.cluster.agenda.now_ms} ms")


def play_for(play: Run, duration_ms: int) -> None:
    """Let things happen for a while of virtual time."""
    end_ms = play.cluster.agenda.now_ms + duration_ms
    play_until(play, lambda: play.cluster.agenda.now_ms >= end_ms)


def height_of(play: Run, index: int) -> int:
    """Return the head of a node; -1 when it is down."""
    replica = play.cluster.replicas[index]
    return -1 if replica is None else replica.head.height


def liars(*lies: Lie) -> tuple[Lie, ...]:
    return lies


def vote_all(play: Run, recipient: Address, *, is_add: bool) -> None:
    """Let every operator vote for one change."""
    for host in play.cluster.hosts:
        host.pending_votes = (ValidatorVote(recipient=recipient, is_add=is_add),)
        replica = play.cluster.replicas[host.index]
        if replica is not None:
            play.cluster.act(host.index, replica.want)
