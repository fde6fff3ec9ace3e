"""Any order of ballots, withdrawals and waits, against a model in Python.

BOX-SEQUENCE, BOX-CHAIN, BOX-WITHDRAW, BOX-BATCH, BOX-CLOSE. The model decides by the rules alone;
the box must record exactly what it records, in the same order.
"""

import hashlib
from dataclasses import dataclass

import boa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from clients.voting.ballot import Ballot, withdrawal_hash
from clients.voting.batch import Refusal
from clients.voting.encoding import encode_i8
from tests.support.city import City
from tests.support.election import (
    CLOSES_AT_S,
    MIN_INTERVAL_S,
    OPENS_AT_S,
    Election,
    Terms,
    Voter,
    go_to,
)
from tests.support.voting import EID

MAX_SEQUENCE = 3
NAMES = ("a", "b", "c")


@dataclass
class Key:
    """What the model knows of a ballot key."""

    last: int = 0
    digest: bytes = bytes(32)
    cast_at_s: int = 0
    is_withdrawn: bool = False


class Box(RuleBasedStateMachine):
    """Three keys, one box."""

    def __init__(self) -> None:
        super().__init__()
        self.anchored = boa.env.anchor()
        self.anchored.__enter__()
        self.election = Election(City())
        self.election.announce(Terms(max_sequence=MAX_SEQUENCE))
        self.now_s = OPENS_AT_S
        go_to(self.now_s)
        self.voters = {name: Voter(name) for name in NAMES}
        self.keys = {name: Key() for name in NAMES}
        self.recorded: list[bytes] = []

    def teardown(self) -> None:
        self.anchored.__exit__(None, None, None)

    @property
    def is_open(self) -> bool:
        return self.now_s < CLOSES_AT_S

    def judge(self, name: str, sequence: int) -> Refusal | None:
        key = self.keys[name]
        if key.is_withdrawn:
            return Refusal.WITHDRAWN
        if sequence != key.last + 1 or sequence > MAX_SEQUENCE:
            return Refusal.SEQUENCE
        if key.last and self.now_s < key.cast_at_s + MIN_INTERVAL_S:
            return Refusal.INTERVAL
        return None

    @initialize()
    def first_ballot(self) -> None:
        self.cast([("a", 1)])

    @rule(
        items=st.lists(
            st.tuples(st.sampled_from(NAMES), st.integers(0, MAX_SEQUENCE + 1)),
            min_size=1,
            max_size=4,
        )
    )
    def cast(self, items: list[tuple[str, int]]) -> None:
        ballots: list[Ballot] = []
        for name, sequence in items:
            ballots.append(self.voters[name].make_ballot(sequence=sequence))
        if not self.is_open:
            with boa.reverts("ballot_box: closed"):
                self.election.cast(*ballots)
            return
        refused = {}
        for at, ((name, sequence), ballot) in enumerate(zip(items, ballots, strict=True)):
            reason = self.judge(name, sequence)
            if reason is None:
                self.keys[name] = Key(last=sequence, digest=ballot.hash, cast_at_s=self.now_s)
                self.recorded.append(ballot.hash)
            else:
                refused[at] = reason
        assert self.election.cast(*ballots).refused == refused

    @rule(name=st.sampled_from(NAMES), ahead=st.sampled_from([1, 1, 2]))
    def withdraw(self, name: str, ahead: int) -> None:
        key, voter = self.keys[name], self.voters[name]
        signature = voter.secret.sign(withdrawal_hash(EID, voter.key, key.last + ahead))
        r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
        arguments = (EID, *voter.coordinates, 27 + signature[64], r, s)
        with self.election.acting_as_relay():
            if self.is_open and ahead == 1 and not key.is_withdrawn:
                self.election.box.withdraw(*arguments)
                key.is_withdrawn = True
            else:
                with boa.reverts():
                    self.election.box.withdraw(*arguments)

    @rule(seconds=st.sampled_from([1, MIN_INTERVAL_S - 1, MIN_INTERVAL_S, 80_000]))
    def wait(self, seconds: int) -> None:
        self.now_s += seconds
        go_to(self.now_s)

    @rule()
    def close(self) -> None:
        is_closed = self.election.box.box_of(EID).is_closed
        if self.is_open or is_closed:
            with boa.reverts():
                self.election.box.close(EID)
            return
        self.election.box.close(EID)
        assert self.election.box.box_of(EID).is_closed

    @invariant()
    def the_box_holds_what_the_model_holds(self) -> None:
        value = EID
        for index, digest in enumerate(self.recorded):
            value = hashlib.sha256(value + digest + encode_i8(index)).digest()
        box = self.election.box.box_of(EID)
        assert (box.value, box.count) == (value, len(self.recorded))
        for name, key in self.keys.items():
            standing = self.election.box.standing_of(EID, *self.voters[name].coordinates)
            found = (standing.digest, standing.sequence, standing.cast_at, standing.is_withdrawn)
            assert found == (key.digest, key.last, key.cast_at_s, key.is_withdrawn)


TestBox = Box.TestCase
TestBox.settings = settings(max_examples=6, stateful_step_count=12, deadline=None)
