"""One run from start to report, and the watch over its liveness (I7).

First faults act, until their time is over or enough blocks were decided in spite of them. Then calm
comes, and every honest node must gain blocks, each within a bound that follows from the capped
timeouts, and every admitted transaction must end up in a block.
"""

from dataclasses import dataclass
from typing import Final

from node.simulation.checkers import Broken, Violation
from node.simulation.cluster import Cluster
from node.simulation.faults import format_faults
from node.simulation.people import People
from node.simulation.scenario import Scenario, count_faults_max
from node.simulation.toyexecution import EPOCH_S
from node.simulation.trace import Trace
from node.simulation.weather import Weather

STEPS_MAX: Final = 400_000
"""Tasks after which a run is called endless: a storm of messages is a finding as well."""

BLOCKS_TO_EMPTY: Final = 30
"""Blocks after the calm, besides one for each transaction, by which all must be included."""

SLACK_MS: Final = 5_000
"""Time the bound grants for messages and execution, which calm makes short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a run."""

    seed: int
    """Its seed."""
    faults: str
    """Its faults, as ``parse_faults`` reads them."""
    validator_count: int
    """Validators at genesis."""
    violation: Violation | None
    """The invariant that broke, if one did."""
    digest: str
    """Digest of the trace: equal for equal runs."""
    height: int
    """Highest block any node holds."""
    calm_height: int
    """Highest block when calm came."""
    calm_ms: int
    """When calm came."""
    end_ms: int
    """When the run ended, in virtual time."""
    round_max: int
    """Highest round in which a block was decided."""
    final_validator_count: int
    """Validators after the last block."""
    crash_count: int
    """Processes that died."""
    evidence_count: int
    """Contradictions of validators that honest nodes proved."""
    own_key_count: int
    """Times a node noticed its own key elsewhere."""
    resume_ms: int
    """Time from the calm until every honest node had gained a block."""
    rejects: tuple[tuple[str, int], ...]
    """Why honest nodes refused messages, and how often, by reason."""
    step_count: int
    """Things that happened."""
    lines: tuple[str, ...] = ()
    """The trace, when it was kept."""


def run(scenario: Scenario, *, is_trace_kept: bool = False) -> Report:
    """Run a scenario to its end and report."""
    return Run(scenario, is_trace_kept=is_trace_kept).to_end()


class Run:
    """A cluster, its weather and its people."""

    def __init__(self, scenario: Scenario, *, is_trace_kept: bool = False) -> None:
        """Set everything up; nothing happens yet."""
        self._scenario = scenario
        self._trace = Trace(is_kept=is_trace_kept)
        self.cluster = Cluster(scenario, self._trace)
        self._weather = Weather(self.cluster)
        self._people = People(self.cluster)
        self._step_count = 0
        self._calm_ms = 0
        self._calm_height = 0
        self._goal = 0
        self._deadline_ms = 0
        self._resume_ms = 0

    def to_end(self) -> Report:
        """Run until everything asked for has happened or something has broken."""
        violation = None
        try:
            self.begin()
            while not self._is_over():
                self.take_step()
            chains = tuple(tuple(r.chain) for r in self.cluster.live_honest())
            self.cluster.checkers.on_end(chains)
        except Broken as broken:
            violation = broken.violation
            self._trace.note(self.cluster.agenda.now_ms, "!!", str(broken))
        return self._report(violation)

    def begin(self) -> None:
        """Start nodes, weather and people."""
        self._people.begin()
        self._weather.begin()

    def take_step(self) -> None:
        """Let the next thing on the agenda happen; calm comes when it is due.

        Raises:
            Broken: An invariant does not hold any more.
        """
        cluster = self.cluster
        task = cluster.agenda.take()
        self._step_count += 1
        if self._step_count > STEPS_MAX:
            raise Broken("I5", f"more than {STEPS_MAX} things happened")
        if not cluster.is_calm and self._is_calm_due():
            self._call_calm()
        task()

    def _is_calm_due(self) -> bool:
        faults, checkers = self._scenario.faults, self.cluster.checkers
        is_late = self.cluster.agenda.now_ms >= faults.calm_ms
        return is_late or checkers.height >= self._scenario.heights

    def _call_calm(self) -> None:
        cluster = self.cluster
        self._calm_ms = cluster.agenda.now_ms
        self._calm_height = cluster.checkers.height
        self._goal = self._calm_height + 1
        self._trace.note(self._calm_ms, "**", f"calm at height {self._calm_height}")
        self._weather.calm()
        self._people.resend()
        self._deadline_ms = self._calm_ms + self._bound_ms() + self._clock_error_ms()

    def _is_over(self) -> bool:
        """Tell whether all was reached; move the goal on, or find that it was missed (I7)."""
        cluster = self.cluster
        if not cluster.is_calm:
            return False
        heights = [replica.head.height for replica in cluster.live_honest()]
        if min(heights) >= self._goal:
            self._resume_ms = self._resume_ms or cluster.agenda.now_ms - self._calm_ms
            last = self._calm_height + self._scenario.calm_heights
            if self._goal >= last and not self._people.missing():
                return True
            self._goal += 1
            self._deadline_ms = cluster.agenda.now_ms + self._bound_ms()
        elif cluster.agenda.now_ms > self._deadline_ms:
            raise Broken("I7", f"no block {self._goal} in time; honest heads at {heights}")
        if self._goal > self._calm_height + BLOCKS_TO_EMPTY + len(self._people.admitted):
            raise Broken("I7", f"{len(self._people.missing())} transactions never included")
        return False

    def _bound_ms(self) -> int:
        """Return how long the next block may take once the network is calm.

        All rounds running now end within one cap; the f+1 rule and the next expiry bring every
        honest node to one round; then at most f lying proposers precede an honest one. Before
        that, a block may be due only in the future: after the period, or the heartbeat.
        """
        parameters = self._scenario.parameters
        tally = self.cluster.checkers.tally
        liars = count_faults_max(len(tally.validators))
        head = self.cluster.checkers.chain[-1].header
        now_s = EPOCH_S + self.cluster.agenda.now_ms // 1000
        wait_ms = 1000 * (max(0, head.timestamp_s - now_s) + parameters.heartbeat_s)
        return wait_ms + (liars + 3) * parameters.round_timeout_cap_ms + SLACK_MS

    def _clock_error_ms(self) -> int:
        """Return how wrong a clock can have been when it set a timer that still runs."""
        faults = self._scenario.faults
        if not faults.skewed_count:
            return 0
        return faults.clock_skew_ms + 8 * faults.clock_jump_ms

    def _report(self, violation: Violation | None) -> Report:
        cluster, checkers = self.cluster, self.cluster.checkers
        rejects: dict[str, int] = {}
        for replica in cluster.live_honest():
            for reason, count in replica.reject_counts.items():
                rejects[reason] = rejects.get(reason, 0) + count
        return Report(
            seed=self._scenario.seed,
            faults=format_faults(self._scenario.faults),
            validator_count=self._scenario.validator_count,
            violation=violation,
            digest=self._trace.digest,
            height=checkers.height,
            calm_height=self._calm_height,
            calm_ms=self._calm_ms,
            end_ms=cluster.agenda.now_ms,
            round_max=max(block.header.extra_data.round for block in checkers.chain),
            final_validator_count=len(checkers.tally.validators),
            crash_count=cluster.crash_count,
            evidence_count=cluster.evidence_count,
            own_key_count=cluster.own_key_count,
            resume_ms=self._resume_ms,
            rejects=tuple(sorted(rejects.items())),
            step_count=self._step_count,
            lines=tuple(self._trace.lines),
        )
