"""Watches the core's steps and the blocks made final: metrics, and what a status answer needs.

It changes nothing. Everything is kept for validators only, so its size is bounded by the set.
"""

from dataclasses import dataclass

from node.consensus import effects, events
from node.consensus.effects import Effect
from node.consensus.events import Event
from node.consensus.messages import Commit, Prepare
from node.consensus.proposer import select_proposer
from node.consensus.seals import recover_sealers
from node.consensus.state import State, Step
from node.log import Log
from node.primitives.block import Block
from node.primitives.types import Address, Height, Round
from node.runtime.clock import Clock
from node.runtime.metrics import STEPS, Metrics

LOG = Log("consensus")


@dataclass(slots=True)
class Presence:
    """When a validator last did its work, as far as this node saw."""

    last_proposed: Height | None = None
    """Height of its latest block."""
    last_sealed: Height | None = None
    """Latest height whose block here carries its seal."""


class Observer:
    """What this node saw of the validators."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        """Start having seen nothing."""
        self.presence: dict[Address, Presence] = {}
        self.round_started_ms = clock.monotonic_ms()
        self._metrics = metrics
        self._clock = clock
        self._accepted_ms: int | None = None
        self._last_block_ms: int | None = None

    def saw(self, event: Event, before: State, after: State) -> None:
        """Note one step of the core."""
        if isinstance(event, events.MessageReceived):
            self._count_vote(event)
        if (before.height, before.round) != (after.height, after.round):
            self._note_round(before, after)
        if before.step is not after.step:
            self._metrics.step.set(STEPS.index(after.step))
            self._metrics.step_started.set(self._clock.now_ms() / 1_000)
            if after.step is Step.PREPARING:
                self._accepted_ms = self._clock.monotonic_ms()
        self._metrics.buffered_messages.set(len(after.future) + len(after.later))

    def saw_effect(self, effect: Effect) -> None:
        """Note one effect about to be carried out."""
        match effect:
            case effects.Reject():
                self._metrics.rejected_messages.labels(effect.reason.value).inc()
            case effects.RecordEvidence():
                self._metrics.equivocations.labels(_label(effect.evidence.author)).inc()
                LOG.error(
                    "a validator contradicted itself; evidence is stored",
                    validator=effect.evidence.author,
                    height=effect.evidence.height,
                    kind=effect.evidence.contradiction.value,
                )
            case _:
                pass

    def saw_block(self, block: Block, validators: tuple[Address, ...]) -> None:
        """Note a block made final; ``validators`` is the set that decided it."""
        header = block.header
        sealers = set(recover_sealers(header))
        for validator in validators:
            seen = self.presence.setdefault(validator, Presence())
            if validator in sealers:
                seen.last_sealed = header.height
            else:
                self._metrics.missing_seals.labels(_label(validator)).inc()
        self.presence.setdefault(header.coinbase, Presence()).last_proposed = header.height
        for stranger in set(self.presence) - set(validators) - {header.coinbase}:
            del self.presence[stranger]
        self._measure(block)

    def _measure(self, block: Block) -> None:
        now_ms = self._clock.monotonic_ms()
        if self._last_block_ms is not None:
            self._metrics.block_interval.observe((now_ms - self._last_block_ms) / 1_000)
        self._last_block_ms = now_ms
        if self._accepted_ms is not None:
            self._metrics.proposal_to_commit.observe((now_ms - self._accepted_ms) / 1_000)
            self._accepted_ms = None
        self._metrics.rounds_per_height.observe(block.header.extra_data.round)
        self._metrics.head_height.set(block.height)
        self._metrics.head_timestamp.set(block.header.timestamp_s)
        self._metrics.transactions.inc(len(block.transactions))
        self._metrics.gas_used.inc(block.header.gas_used)

    def _note_round(self, before: State, after: State) -> None:
        self.round_started_ms = self._clock.monotonic_ms()
        self._metrics.height.set(after.height)
        self._metrics.round.set(after.round)
        self._metrics.validator_count.set(len(after.validators))
        self._metrics.is_validator.set(after.is_validator)
        for validator in after.validators:
            self.presence.setdefault(validator, Presence())
        if before.height != after.height or after.round <= before.round:
            return
        for missed in range(before.round, min(after.round, before.round + 8)):
            self._metrics.proposer_misses.labels(_label(_proposer(after, Round(missed)))).inc()
        reason = "no_proposal" if before.proposal is None else "no_quorum"
        self._metrics.round_changes.labels(reason).inc()
        LOG.warning(
            "round abandoned",
            height=after.height,
            round=before.round,
            reason=reason,
            proposer=_proposer(before, before.round),
            prepares=len(before.prepares),
            commits=len(before.commits),
        )

    def _count_vote(self, event: events.MessageReceived) -> None:
        author = event.message.signed.author
        if author not in self.presence:
            return
        match event.message:
            case Prepare():
                self._metrics.prepares.labels(_label(author)).inc()
            case Commit():
                self._metrics.commits.labels(_label(author)).inc()
            case _:
                pass


def _proposer(state: State, at: Round) -> Address:
    return select_proposer(state.validators, parent_coinbase=state.head.coinbase, at=at)


def _label(validator: Address) -> str:
    return f"0x{validator.hex()}"
