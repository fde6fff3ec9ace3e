"""Runs the consensus core: feeds it one event at a time and carries out its effects in order.

All decisions are the core's. Here are only the queue, the two timers and the errands: blocks are
built and checked by ``blocks``, votes are made durable and signed by ``signer``, messages leave
through ``peers``, decided blocks become final through ``importer``. Answers and timers are never
dropped; messages from peers wait in a bounded queue, because a vote that is lost is sent again.

Spec: QBFT-EVENTS, QBFT-EFFECTS.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol, assert_never

from node.consensus import effects, events
from node.consensus.effects import Effect
from node.consensus.events import Event
from node.consensus.evidence import Evidence
from node.consensus.machine import step
from node.consensus.messages import Draft, Message
from node.consensus.sign_state import SignState
from node.consensus.state import State, Transition
from node.consensus.validators import ValidatorTally
from node.log import Log
from node.primitives.block import Block
from node.primitives.errors import InvariantViolation, Unavailable
from node.primitives.header import Header
from node.primitives.types import Address, Height
from node.runtime.clock import Clock
from node.runtime.signer import VotesNotDurable
from node.runtime.supervisor import Supervisor

LOG = Log("consensus")

MESSAGES_WAITING_MAX: Final = 2_000
"""Messages from peers waiting for the core; further ones are dropped and counted."""


class VoteSigner(Protocol):
    """Makes a vote durable and signs it: in this process, or in the signer's."""

    @property
    def address(self) -> Address:
        """Return the validator's address."""
        ...

    async def sign_vote(self, sign_state: SignState, draft: Draft) -> Message:
        """Make ``sign_state`` durable, then sign ``draft``.

        Raises:
            VotesNotDurable: The record cannot be written; nothing was signed.
            Unavailable: The signer does not answer; nothing was signed.
        """
        ...

    async def record(self, sign_state: SignState) -> None:
        """Make ``sign_state`` durable without signing anything.

        Raises:
            VotesNotDurable: The record cannot be written.
            Unavailable: The signer does not answer.
        """
        ...


class BlockWork(Protocol):
    """Builds and checks blocks without holding up the core."""

    async def build(self, asked: effects.BuildBlock) -> Block | None:
        """Build what ``asked`` describes, or None when it would be empty and must not be."""
        ...

    async def validate(self, asked: effects.ValidateBlock) -> bool:
        """Tell whether every execution rule holds."""
        ...


class Peers(Protocol):
    """Sends messages to other nodes; never waits for them."""

    def broadcast(self, message: Message, except_for: tuple[Address, ...] = ()) -> None:
        """Queue ``message`` for every connected peer but ``except_for``."""
        ...

    def send(self, peer: Address, message: Message) -> None:
        """Queue ``message`` for one peer."""
        ...


class Importer(Protocol):
    """Makes a decided block final on this node."""

    async def import_decided(self, block: Block) -> None:
        """Write ``block`` and everything it changes, durably, then announce the new head."""
        ...


class Observer(Protocol):
    """Watches every step, for metrics and status."""

    def saw(self, event: Event, before: State, after: State) -> None:
        """Note one step."""
        ...

    def saw_effect(self, effect: Effect) -> None:
        """Note one effect about to be carried out."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Errands:
    """Who carries out the core's effects."""

    signer: VoteSigner | None
    """Signs votes; None on a node that only follows."""
    blocks: BlockWork
    """Builds and checks."""
    peers: Peers
    """Sends."""
    importer: Importer
    """Makes final."""
    observer: Observer
    """Watches."""
    record_evidence: Callable[[Evidence], None]
    """Stores evidence of equivocation."""
    request_sync: Callable[[Height, Address], None]
    """Hints that blocks are missing here."""
    report_own_key: Callable[[Message], None]
    """Raises the alarm that our key is used elsewhere."""


class ConsensusShell:
    """One core and its queue."""

    def __init__(
        self,
        transition: Transition,
        *,
        clock: Clock,
        errands: Errands,
        tasks: Supervisor,
    ) -> None:
        """Hold the parts and the core's first transition; ``run`` carries it out.

        Args:
            transition: From ``machine.start``.
            clock: Wall clock.
            errands: Who carries effects out.
            tasks: Runs errands that take time.
        """
        self.state = transition.state
        self._first_effects = transition.effects
        self._clock = clock
        self._errands = errands
        self._tasks = tasks
        self._urgent: deque[Event] = deque()
        self._messages: deque[events.MessageReceived] = deque()
        self._wake = asyncio.Event()
        self._timers: dict[events.TimerKind, asyncio.TimerHandle] = {}

    def post(self, event: Event) -> None:
        """Hand the core an event that must not be lost, from the node's own thread."""
        self._urgent.append(event)
        self._wake.set()

    def post_message(self, message: Message, source: Address) -> bool:
        """Hand the core a peer's message; False when too many wait and it was dropped."""
        if len(self._messages) >= MESSAGES_WAITING_MAX:
            return False
        self._messages.append(events.MessageReceived(message=message, source=source, now_ms=0))
        self._wake.set()
        return True

    def announce_head(self, head: Header, tally: ValidatorTally, *, has_content: bool) -> None:
        """Tell the core of a new head, and right after it whether transactions wait."""
        self.post(events.NewHead(head=head, tally=tally, now_ms=0))
        self.post(events.ContentChanged(has_content=has_content, now_ms=0))

    async def run(self) -> None:
        """Feed events to the core for ever.

        Raises:
            InvariantViolation: The core or the chain contradicts itself.
            VotesNotDurable: Votes cannot be made durable.
        """
        for effect in self._first_effects:
            await self._carry_out(effect)
        while True:
            while not self._urgent and not self._messages:
                self._wake.clear()
                await self._wake.wait()
            await self._step(self._urgent.popleft() if self._urgent else self._messages.popleft())
            # Long runs of messages must not starve the sockets that bring them.
            await asyncio.sleep(0)

    async def _step(self, event: Event) -> None:
        stamped = replace(event, now_ms=self._clock.now_ms())
        before = self.state
        transition: Transition = step(before, stamped)
        self.state = transition.state
        self._errands.observer.saw(stamped, before, transition.state)
        for effect in transition.effects:
            self._errands.observer.saw_effect(effect)
            await self._carry_out(effect)

    async def _carry_out(self, effect: Effect) -> None:  # noqa: C901, PLR0912  (one arm each)
        match effect:
            case effects.StartTimer():
                self._start_timer(effect)
            case effects.BuildBlock():
                self._tasks.start("build", self._build(effect))
            case effects.ValidateBlock():
                self._tasks.start("validate", self._validate(effect))
            case effects.PersistAndSign():
                self._tasks.start("sign", self._sign(effect))
            case effects.Persist():
                self._tasks.start("record", self._record(effect.sign_state))
            case effects.Broadcast():
                self._errands.peers.broadcast(effect.message)
            case effects.Send():
                self._errands.peers.send(effect.peer, effect.message)
            case effects.Relay():
                self._errands.peers.broadcast(effect.message, effect.except_for)
            case effects.Decide():
                await self._errands.importer.import_decided(effect.block)
            case effects.RecordEvidence():
                self._errands.record_evidence(effect.evidence)
            case effects.RequestSync():
                self._errands.request_sync(effect.height, effect.source)
            case effects.ReportOwnKeyElsewhere():
                self._errands.report_own_key(effect.message)
            case effects.Reject():
                LOG.debug("message refused", reason=effect.reason.value, author=effect.author)
            case _:
                assert_never(effect)

    def _start_timer(self, timer: effects.StartTimer) -> None:
        running = self._timers.pop(timer.kind, None)
        if running is not None:
            running.cancel()
        expired = events.TimerExpired(
            kind=timer.kind, height=timer.height, round=timer.round, now_ms=0
        )
        loop = asyncio.get_running_loop()
        self._timers[timer.kind] = loop.call_later(timer.delay_ms / 1_000, self.post, expired)

    async def _build(self, asked: effects.BuildBlock) -> None:
        block = await self._errands.blocks.build(asked)
        self.post(events.BlockBuilt(height=asked.height, round=asked.round, block=block, now_ms=0))

    async def _validate(self, asked: effects.ValidateBlock) -> None:
        is_valid = await self._errands.blocks.validate(asked)
        self.post(events.BlockValidated(block_hash=asked.block.hash, is_valid=is_valid, now_ms=0))

    async def _record(self, sign_state: SignState) -> None:
        if self._errands.signer is not None:
            await self._errands.signer.record(sign_state)

    async def _sign(self, asked: effects.PersistAndSign) -> None:
        if self._errands.signer is None:
            raise InvariantViolation("the core of a node without a key asked for a vote")
        try:
            message = await self._errands.signer.sign_vote(asked.sign_state, asked.draft)
        except VotesNotDurable:
            raise
        except Unavailable as error:
            LOG.error("the signer did not sign; this vote is lost", reason=str(error))
            return
        self.post(events.MessageSigned(message=message, now_ms=0))
