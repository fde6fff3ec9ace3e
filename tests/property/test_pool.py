"""POOL-BOUNDS, POOL-NONCE, POOL-EVICT, POOL-FAIR: the pool against a naive list of entries.

The model keeps one flat list and decides everything by counting it anew. Both see the same random
submissions, heads and expiries; what waits, what is refused and why, must agree, and the order of
candidates must be a round robin.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from node.pool.limits import PoolLimits
from node.pool.pool import Pool
from node.pool.refusals import Refused
from node.primitives.transaction import Transaction
from node.primitives.types import Address
from tests.support.pool import NOW_S, key_of, put, transaction

KEYS = tuple(key_of(f"sender {at}") for at in range(4))
SOURCES = ("north", "south")
LIMITS = PoolLimits(
    count_max=9,
    size_max_bytes=1_400,
    per_sender_max=5,
    per_source_max=7,
    replacement_max=2,
    age_max_s=4,
)
SENT = {
    (who, nonce, version): transaction(KEYS[who], nonce, data=bytes(version * 40))
    for who in range(4)
    for nonce in range(7)
    for version in range(4)
}


@dataclass
class Held:
    """An entry of the model."""

    sent: Transaction
    source: str
    arrived_s: int
    replaced: int = 0


@dataclass
class Model:
    """The pool, decided naively."""

    held: list[Held] = field(default_factory=list)
    nonces: Counter[Address] = field(default_factory=Counter)

    def insert(self, sent: Transaction, source: str, now_s: int) -> str:
        """Return the code of the refusal, or nothing."""
        if any(each.sent == sent for each in self.held):
            return "pool.already_known"
        if sent.nonce < self.nonces[sent.sender]:
            return "pool.nonce_too_low"
        mine = [each for each in self.held if each.sent.sender == sent.sender]
        old = next((each for each in mine if each.sent.nonce == sent.nonce), None)
        if old is not None and old.replaced >= LIMITS.replacement_max:
            return "pool.replaced_too_often"
        if old is None and len(mine) >= LIMITS.per_sender_max:
            return "pool.sender_full"
        of_source = sum(each.source == source for each in self.held)
        if (old is None or old.source != source) and of_source >= LIMITS.per_source_max:
            return "pool.source_full"
        return self._place(Held(sent, source, now_s), old)

    def _place(self, new: Held, old: Held | None) -> str:
        others = [each for each in self.held if each is not old]
        while len(others) >= LIMITS.count_max or (
            sum(len(each.sent.raw) for each in others) + len(new.sent.raw) > LIMITS.size_max_bytes
        ):
            victim = self._victim(new.sent.sender)
            if victim is None:
                return "pool.full"
            self.held.remove(victim)
            others.remove(victim)
        if old is not None:
            new.replaced = old.replaced + 1
            self.held.remove(old)
        self.held.append(new)
        return ""

    def _victim(self, newcomer: Address) -> Held | None:
        counts = Counter(each.sent.sender for each in self.held)
        most = max(counts.values(), default=0)
        if most <= counts[newcomer] + 1:
            return None
        largest = [sender for sender, count in counts.items() if count == most]
        if len(largest) > 1:
            raise Undecided
        return max(
            (each for each in self.held if each.sent.sender == largest[0]),
            key=lambda each: each.sent.nonce,
        )

    def hashes(self) -> set[bytes]:
        return {each.sent.hash for each in self.held}

    def pending(self, sender: Address) -> list[int]:
        have = {each.sent.nonce for each in self.held if each.sent.sender == sender}
        at = self.nonces[sender]
        found = []
        while at in have:
            found.append(at)
            at += 1
        return found


class Undecided(Exception):
    """Several senders have most; the model does not say which gives way."""


Step = tuple[str, int, int, int, int]

steps = st.lists(
    st.tuples(
        st.sampled_from(("send", "send", "send", "send", "head", "wait")),
        st.integers(0, 3),
        st.integers(0, 6),
        st.integers(0, 3),
        st.integers(0, 1),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_the_pool_agrees_with_a_list(history: Sequence[Step]) -> None:
    waiting, model, now_s = Pool(LIMITS), Model(), NOW_S
    try:
        for step in history:
            now_s += 1
            take(step, waiting, model, now_s)
            check_agreement(waiting, model)
    except Undecided:
        return


def take(step: Step, waiting: Pool, model: Model, now_s: int) -> None:
    kind, who, nonce, version, source = step
    sender = KEYS[who].address
    if kind == "send":
        sent = SENT[who, nonce, version]
        expected = model.insert(sent, SOURCES[source], now_s)
        try:
            put(
                waiting,
                sent,
                account_nonce=model.nonces[sender],
                source=SOURCES[source],
                now_s=now_s,
            )
            found = ""
        except Refused as refusal:
            found = refusal.code
        assert found == expected
    elif kind == "head":
        mined = waiting.pending_of(sender)[: version + 1]
        model.nonces[sender] += len(mined)
        included = [entry.transaction for entry in mined]
        waiting.upon_head(included, lambda at: model.nonces[at], now_s=now_s)
        model.held = [
            each for each in model.held if each.sent.nonce >= model.nonces[each.sent.sender]
        ]
        expire(model, now_s)
    else:
        waiting.expire(now_s)
        expire(model, now_s)


def expire(model: Model, now_s: int) -> None:
    model.held = [each for each in model.held if each.arrived_s >= now_s - LIMITS.age_max_s]


def check_agreement(waiting: Pool, model: Model) -> None:
    assert {entry.hash for entry in waiting.entries()} == model.hashes()
    assert waiting.size_bytes == sum(len(each.sent.raw) for each in model.held)
    assert len(waiting) <= LIMITS.count_max
    assert waiting.size_bytes <= LIMITS.size_max_bytes
    counts = Counter(each.source for each in model.held)
    assert dict(waiting.source_counts()) == dict(counts)
    pending = {key.address: model.pending(key.address) for key in KEYS}
    for sender, nonces in pending.items():
        assert [entry.transaction.nonce for entry in waiting.pending_of(sender)] == nonces
    check_turns(waiting.candidates(100), pending)


def check_turns(chosen: Sequence[Transaction], pending: dict[Address, list[int]]) -> None:
    """Everything pending is offered once, in nonce order of each sender."""
    for sender, nonces in pending.items():
        assert [each.nonce for each in chosen if each.sender == sender] == nonces
