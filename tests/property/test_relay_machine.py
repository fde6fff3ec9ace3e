"""RELAY-FENCE, RELAY-ONE-NONCE, RELAY-REPLACE: nothing is lost and nothing happens twice.

A chain and its pool in a few lines, and a relay that crashes after any step, is restored from any
backup it ever made, loses answers, and meets nodes that refuse, forget or mine what they like. The
pool remembers whatever any earlier process sent.
"""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.primitives.types import Height
from services.relay.machine import (
    Answer,
    Answered,
    Effect,
    Event,
    GiveUp,
    Landed,
    Lane,
    Loss,
    Offered,
    Opened,
    Send,
    Settle,
    Sign,
    Ticked,
    Withdrawn,
    step,
)
from services.relay.operations import FENCE, Word, compute_void

WORDS = tuple(Word(at.to_bytes(32, "big")) for at in range(1, 7))


@dataclass(slots=True)
class Disk:
    """What a relay keeps: all of this is one database."""

    next_nonce: int = 0
    slots: tuple = ()
    landed: dict[Word, bool] = field(default_factory=dict)
    waiting: list[Word] = field(default_factory=list)
    read_to: int = 0

    def copy(self) -> "Disk":
        return Disk(
            self.next_nonce, self.slots, dict(self.landed), list(self.waiting), self.read_to
        )


class Relay(RuleBasedStateMachine):
    """One relay on one chain."""

    def __init__(self) -> None:
        super().__init__()
        self.chain: list[Word] = []
        self.pool: dict[int, list[Word]] = {}
        self.disk = Disk()
        self.backups = [self.disk.copy()]
        self.lane = Lane(next_nonce=0)
        self.now_ms = 0
        self.asked: list[Word] = []
        self.withdrawn: set[Word] = set()

    def feed(self, event: Event) -> list[Send]:
        """Take one step and store it as one transaction."""
        transition = step(self.lane, event)
        self.lane = transition.lane
        for effect in transition.effects:
            self.store(effect)
        self.disk.next_nonce, self.disk.slots = self.lane.next_nonce, self.lane.slots
        return [effect for effect in transition.effects if isinstance(effect, Send)]

    def store(self, effect: Effect) -> None:
        match effect:
            case Sign(candidate=candidate) if not candidate.is_filler:
                if candidate.word in self.disk.waiting:
                    self.disk.waiting.remove(candidate.word)
            case Settle(landed=landed, losers=losers):
                assert landed.word is not None
                self.disk.landed[landed.word] = True
                if landed.word in self.disk.waiting:
                    self.disk.waiting.remove(landed.word)
                for loser in losers:
                    self.requeue(loser.word, loser.loss)
            case Sign() | GiveUp() | Send():
                pass

    def requeue(self, word: Word, loss: Loss) -> None:
        settled = word in self.disk.landed or compute_void(word) in self.disk.landed
        if loss is Loss.REQUEUE and not settled:
            self.disk.waiting.append(word)

    def read_chain(self) -> None:
        for nonce in range(self.disk.read_to, len(self.chain)):
            word = self.chain[nonce]
            self.feed(Landed(nonce=nonce, word=word, is_success=True, height=Height(nonce)))
        self.disk.read_to = len(self.chain)

    def start(self) -> None:
        self.lane = Lane(next_nonce=self.disk.next_nonce, slots=self.disk.slots)
        self.read_chain()
        self.feed(Opened())

    def send_due(self, reach: int) -> None:
        self.now_ms += 100_000
        for send in self.feed(Ticked(now_ms=self.now_ms))[:reach]:
            if send.nonce >= len(self.chain):
                here = self.pool.setdefault(send.nonce, [])
                if send.word not in here:
                    here.append(send.word)

    @rule(word=st.sampled_from(WORDS))
    def ask(self, word: Word) -> None:
        """A service asks, or asks again after a restore."""
        if word not in self.asked:
            self.asked.append(word)
        self.take(word)

    def take(self, word: Word) -> None:
        bound = {item.word for slot in self.lane.slots for item in slot.candidates}
        if word not in bound and word not in self.disk.waiting:
            self.requeue(word, Loss.REQUEUE)

    @rule(word=st.sampled_from(WORDS))
    def withdraw(self, word: Word) -> None:
        before = self.lane
        self.feed(Withdrawn(word=word))
        if self.lane != before:
            self.withdrawn.add(word)

    @rule(word=st.sampled_from(WORDS), times=st.integers(1, 2))
    def refuse(self, word: Word, times: int) -> None:
        for slot in self.lane.slots:
            if slot.current.word == word:
                for _ in range(times):
                    self.feed(
                        Answered(
                            nonce=slot.nonce,
                            word=word,
                            answer=Answer.REFUSED,
                            reason="no",
                            node_count=2,
                            now_ms=self.now_ms,
                        )
                    )
                self.withdrawn.add(word)

    @rule()
    def offer(self) -> None:
        self.feed(Offered(words=tuple(self.disk.waiting)))

    @rule(reach=st.integers(0, 40))
    def send(self, reach: int) -> None:
        """The process may die before it has sent everything."""
        self.send_due(reach)

    @rule(count=st.integers(1, 40), pick=st.integers(0, 3))
    def mine(self, count: int, pick: int) -> None:
        """Blocks take what some node's pool holds."""
        for _ in range(count):
            here = self.pool.get(len(self.chain))
            if not here:
                return
            self.chain.append(here[pick % len(here)])

    @rule()
    def read(self) -> None:
        self.read_chain()

    @rule()
    def back_up(self) -> None:
        self.backups.append(self.disk.copy())

    @rule()
    def crash_and_start(self) -> None:
        self.start()

    @rule(at=st.integers(0, 1_000))
    def restore(self, at: int) -> None:
        self.disk = self.backups[at % len(self.backups)].copy()
        self.start()

    @invariant()
    def nothing_happens_twice(self) -> None:
        carried = [word for word in self.chain if word in WORDS]
        assert len(carried) == len(set(carried))

    @invariant()
    def nothing_given_up_happens_after_its_void(self) -> None:
        for word in WORDS:
            assert not (word in self.chain and compute_void(word) in self.chain)

    def teardown(self) -> None:
        """Everything asked for ends, when the world is kind for a while."""
        self.start()
        for word in self.asked:
            self.take(word)
        for _ in range(4):
            self.feed(Offered(words=tuple(self.disk.waiting)))
            self.send_due(1_000)
            self.mine(1_000, 0)
            self.read_chain()
        self.nothing_happens_twice()
        for word in self.asked:
            assert word in self.chain or compute_void(word) in self.chain
        assert FENCE in self.chain


TestRelay = Relay.TestCase
TestRelay.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
