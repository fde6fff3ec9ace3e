"""What a node measures of itself, for Prometheus.

One registry per node, so that several nodes can live in one test process. Names are stable:
dashboards and alerts are built on them (``docs/operate/metrics.md`` lists them all, and a test
holds that page to this module). Labels are bounded: validators, peers in the membership file, RPC
methods that exist, refusal codes.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from node.consensus.state import Step

_ROUND_BUCKETS: Final = (0, 1, 2, 3, 5, 8, 13)
_SECOND_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)
_FSYNC_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)

STEPS: Final = tuple(step.value for step in Step)
"""Steps of a round, by their number in ``daicho_consensus_step``."""


class Metrics:
    """Every metric of one node."""

    def __init__(self) -> None:
        """Register all metrics in a fresh registry."""
        self.registry = CollectorRegistry()
        self._rpc_timers: dict[str, Histogram] = {}
        self._consensus()
        self._votes()
        self._chain()
        self._network()
        self._machine()

    def _consensus(self) -> None:
        self.height = self._gauge("consensus_height", "Height being decided.")
        self.round = self._gauge("consensus_round", "Round of that height.")
        self.step = self._gauge("consensus_step", "Step of that round: " + ", ".join(STEPS) + ".")
        self.step_started = self._gauge(
            "consensus_step_started_seconds", "When the step began, in seconds since the epoch."
        )
        self.is_validator = self._gauge("consensus_is_validator", "1 when our key is in the set.")
        self.validator_count = self._gauge("consensus_validators", "Validators of that height.")
        self.rounds_per_height = self._histogram(
            "consensus_decided_round", "Round in which a height was decided.", _ROUND_BUCKETS
        )
        self.block_interval = self._histogram(
            "consensus_block_interval_seconds", "Time between two decided blocks.", _SECOND_BUCKETS
        )
        self.proposal_to_commit = self._histogram(
            "consensus_proposal_to_decision_seconds",
            "Time from an accepted proposal to its decision.",
            _SECOND_BUCKETS,
        )
        self.round_changes = self._counter(
            "consensus_round_changes", "Rounds abandoned, by reason.", "reason"
        )
        self.signing_stopped = self._gauge(
            "consensus_signing_stopped", "1 while the node refuses to sign."
        )

    def _votes(self) -> None:
        self.prepares = self._counter(
            "consensus_prepares", "Prepares received, by validator.", "validator"
        )
        self.commits = self._counter(
            "consensus_commits", "Commits received, by validator.", "validator"
        )
        self.missing_seals = self._counter(
            "consensus_missing_seals", "Blocks without a validator's seal here.", "validator"
        )
        self.proposer_misses = self._counter(
            "consensus_proposer_misses", "Rounds a proposer let pass.", "validator"
        )
        self.buffered_messages = self._gauge(
            "consensus_buffered_messages", "Messages kept for later heights and rounds."
        )
        self.rejected_messages = self._counter(
            "consensus_rejected_messages", "Messages refused, by reason.", "reason"
        )
        self.equivocations = self._counter(
            "consensus_equivocations", "Equivocations seen, by validator.", "validator"
        )
        self.vote_write = self._histogram(
            "consensus_vote_write_seconds", "Time to make a vote durable.", _FSYNC_BUCKETS
        )

    def _chain(self) -> None:
        self.head_height = self._gauge("chain_head_height", "Height of the latest final block.")
        self.head_timestamp = self._gauge(
            "chain_head_timestamp_seconds", "Timestamp of the latest final block."
        )
        self.transactions = self._counter("chain_transactions", "Transactions made final.")
        self.gas_used = self._counter("chain_gas_used", "Gas used by final blocks.")
        self.execution = self._histogram(
            "execution_block_seconds", "Time to execute or build a block.", _SECOND_BUCKETS
        )
        self.gas_rate = self._gauge("execution_gas_per_second", "Gas per second of the last block.")
        self.commit_write = self._histogram(
            "storage_commit_seconds", "Time to write a final block.", _FSYNC_BUCKETS
        )
        self.database_bytes = self._gauge("storage_bytes", "Size of the database on disk.")
        self.disk_free_bytes = self._gauge("storage_free_bytes", "Free space beside it.")
        self.checkpoint_age = self._gauge(
            "storage_checkpoint_age_blocks", "Blocks since the last snapshot."
        )
        self.pool_transactions = self._gauge(
            "pool_transactions", "Waiting transactions, by state.", "state"
        )
        self.pool_refusals = self._counter(
            "pool_refusals", "Transactions refused, by code.", "code"
        )

    def _network(self) -> None:
        self.peers = self._gauge("p2p_peers", "Connected peers.")
        self.peer_height = self._gauge("p2p_peer_height", "A peer's head.", "peer")
        self.peer_offset = self._gauge(
            "p2p_peer_clock_offset_seconds", "A peer's clock minus ours.", "peer"
        )
        self.peer_refusals = self._counter("p2p_refusals", "Connections refused.", "reason")
        self.config_mismatch = self._gauge(
            "p2p_config_mismatch", "1 when the peer's membership file differs from ours.", "peer"
        )
        self.certificate_expiry = self._gauge(
            "p2p_certificate_expiry_timestamp_seconds", "When our TLS certificate expires."
        )
        self.membership_expiry = self._gauge(
            "p2p_membership_expiry_timestamp_seconds", "When the membership file expires."
        )
        self.sync_remaining = self._gauge("sync_remaining_blocks", "Blocks still to fetch.")
        self.rpc_seconds = Histogram(
            "daicho_rpc_seconds",
            "Time to answer a call, by method.",
            ["method"],
            buckets=_SECOND_BUCKETS,
            registry=self.registry,
        )
        self.rpc_refusals = self._counter("rpc_refusals", "Calls refused, by reason.", "reason")

    def _machine(self) -> None:
        self.info = self._gauge("node_info", "1; the labels say what runs.", "name", "version")
        self.clock_offset = self._gauge(
            "clock_offset_seconds", "Median of the peers' clocks minus ours."
        )
        self.clock_synchronised = self._gauge(
            "clock_synchronised", "1 when a time daemon keeps the clock, by the kernel."
        )
        self.clock_kernel_offset = self._gauge(
            "clock_kernel_offset_seconds", "Correction the time daemon still has to make."
        )
        self.loop_lag = self._gauge("runtime_loop_lag_seconds", "Delay of the event loop.")
        self.gc_pause = self._histogram(
            "runtime_gc_pause_seconds", "Garbage collections between blocks.", _FSYNC_BUCKETS
        )
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def expose(self) -> bytes:
        """Return the text that Prometheus reads."""
        return generate_latest(self.registry)

    def saw_call(self, method: str, seconds: float) -> None:
        """Count a call of an RPC method that exists; its series is looked up once."""
        timer = self._rpc_timers.get(method)
        if timer is None:
            timer = self._rpc_timers[method] = self.rpc_seconds.labels(method)
        timer.observe(seconds)

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"daicho_{name}", about, labels, registry=self.registry)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"daicho_{name}", about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"daicho_{name}", about, buckets=buckets, registry=self.registry)
