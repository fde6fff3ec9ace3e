"""QBFT-EFFECTS, QBFT-SIGN-STATE: effects in order, and votes only once they are durable.

A single validator with a real core, real blocks and a real record of votes, on a chain in memory:
it is its own quorum, so every step of a height passes through the shell.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from node.consensus import events, machine
from node.consensus.effects import Effect
from node.consensus.events import Event
from node.consensus.messages import Message
from node.consensus.parameters import ConsensusParameters
from node.consensus.sign_state import SignState
from node.consensus.state import State
from node.consensus.validators import ValidatorTally
from node.primitives.errors import Unavailable
from node.primitives.types import Address, Height
from node.runtime.blocks import Blocks, Waiting
from node.runtime.clock import SystemClock
from node.runtime.commit import Importer, NewBlock
from node.runtime.consensus import MESSAGES_WAITING_MAX, ConsensusShell, Errands
from node.runtime.metrics import Metrics
from node.runtime.signer import Ballotbook, LocalSigner, SignStateFile, VotesNotDurable
from node.runtime.supervisor import Supervisor
from tests.support.ledger import VALIDATOR_KEYS, Ledger, describe

KEY = VALIDATOR_KEYS[0]
PARAMETERS = ConsensusParameters(period_s=1, heartbeat_s=1, round_timeout_base_ms=1_000)


class Wire:
    """Peers that are not there."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def broadcast(self, message: Message, except_for: tuple[Address, ...] = ()) -> None:
        self.sent.append(message)

    def send(self, peer: Address, message: Message) -> None:
        self.sent.append(message)


class Trace:
    """An observer that remembers the names of effects."""

    def __init__(self) -> None:
        self.effects: list[str] = []

    def saw(self, event: Event, before: State, after: State) -> None:
        """Nothing to note."""

    def saw_effect(self, effect: Effect) -> None:
        self.effects.append(type(effect).__name__)


class FullDisk:
    """A log of votes that cannot be written."""

    def load(self) -> SignState | None:
        return None

    def save(self, record: SignState) -> None:
        raise Unavailable("no space left")


class Lone:
    """One validator, its shell and what they left behind."""

    def __init__(self, log: SignStateFile | FullDisk) -> None:
        self.ledger = Ledger(describe(municipality_count=1))
        self.wire, self.trace, self.tasks = Wire(), Trace(), Supervisor()
        self.new: list[NewBlock] = []
        metrics, clock = Metrics(), SystemClock()
        self.blocks = Blocks(
            self.ledger.chain,
            profile=self.ledger.profile,
            build_time_ms=500,
            waiting=Waiting(
                candidates=tuple, drop_skipped=lambda _: None, lend_senders=lambda _: None
            ),
            clock=clock,
            metrics=metrics,
        )
        tally = ValidatorTally(height=Height(0), validators=(KEY.address,))
        self.importer = Importer(
            self.blocks,
            head=self.ledger.head,
            tally=tally,
            epoch_length=PARAMETERS.epoch_length,
            recoveries=(),
            announce=self._announce,
        )
        self.signer = LocalSigner(Ballotbook(KEY, log), observe_s=lambda _: None)
        started = events.Started(
            head=self.ledger.head,
            tally=tally,
            sign_state=None,
            is_restored=False,
            now_ms=clock.now_ms(),
        )
        self.shell = ConsensusShell(
            machine.start(PARAMETERS, KEY.address, started),
            clock=clock,
            errands=Errands(
                signer=self.signer,
                blocks=self.blocks,
                peers=self.wire,
                importer=self.importer,
                observer=self.trace,
                record_evidence=lambda _: None,
                request_sync=lambda _height, _source: None,
                report_own_key=lambda _: None,
            ),
            tasks=self.tasks,
        )

    def _announce(self, new: NewBlock) -> None:
        self.new.append(new)
        self.shell.announce_head(new.block.header, new.tally, has_content=False)
        if len(self.new) == 2:
            self.tasks.stop()

    async def run(self) -> None:
        self.tasks.start("consensus", self.shell.run())
        async with asyncio.timeout(20):
            await self.tasks.wait()
        self.signer.close()
        self.blocks.close()


async def test_a_lone_validator_decides_height_after_height(tmp_path: Path) -> None:
    lone = Lone(SignStateFile(tmp_path / "votes"))
    await lone.run()

    assert lone.tasks.failure is None
    assert [new.block.height for new in lone.new] == [1, 2]
    assert lone.ledger.head.hash == lone.new[-1].block.hash
    newest = SignStateFile(tmp_path / "votes").load()
    assert newest is not None
    assert newest.height == 2
    assert newest.commit == lone.new[-1].block.digest


async def test_nothing_is_sent_before_its_vote_was_asked_to_be_durable(tmp_path: Path) -> None:
    lone = Lone(SignStateFile(tmp_path / "votes"))
    await lone.run()

    signed = lone.trace.effects.index("PersistAndSign")
    assert "Broadcast" not in lone.trace.effects[:signed]
    assert lone.trace.effects.count("PersistAndSign") >= len(lone.wire.sent)


async def test_a_disk_that_refuses_votes_stops_the_node_and_nothing_is_sent() -> None:
    lone = Lone(FullDisk())
    await lone.run()

    assert isinstance(lone.tasks.failure, VotesNotDurable)
    assert lone.wire.sent == []
    assert lone.new == []


async def test_messages_beyond_the_bound_are_dropped_and_said_so(tmp_path: Path) -> None:
    lone = Lone(SignStateFile(tmp_path / "votes"))
    await lone.run()
    message = lone.wire.sent[0]
    taken = [lone.shell.post_message(message, KEY.address) for _ in range(MESSAGES_WAITING_MAX + 3)]
    assert taken.count(False) == 3


async def test_another_block_at_a_final_height_stops_everything(tmp_path: Path) -> None:
    lone = Lone(SignStateFile(tmp_path / "votes"))
    await lone.run()
    final = lone.new[0].block
    assert not await lone.importer.import_fetched(final)
    forged = Ledger(describe(municipality_count=1)).make(seconds=77).block
    with pytest.raises(Exception, match="two blocks with a quorum"):
        await lone.importer.import_fetched(forged)


async def test_a_task_that_fails_stops_the_node_and_the_first_failure_is_told() -> None:
    tasks = Supervisor()
    failing: Callable[[], object] = {}.popitem

    async def broken() -> None:
        failing()

    async def patient() -> None:
        await asyncio.Event().wait()

    tasks.start("patient", patient())
    tasks.start("broken", broken())
    await tasks.wait()
    assert isinstance(tasks.failure, KeyError)
