"""Any order of postings, verdicts and waits on one list, against a model in Python.

TALLY-CONFIRM, TALLY-ROUND, TALLY-SHARE. The list is the roll of a style; trustees judge, change
their minds, skip and decrypt in any order.
"""

from dataclasses import dataclass, field

import boa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.city import City
from tests.support.election import FREEZES_AT_S, MIX_TIME_S, Election, Terms, go_to
from tests.support.voting import EID

KIND, STYLE, ROWS = 82, 7, 4
MIXERS = (2, 1, 4)
THRESHOLD, MIN_MIXES = 3, 2
PROOF = b"\xee" * 32
TRUSTEES = st.sampled_from([1, 2, 3, 4])


@dataclass
class Round:
    """What the model knows of the round going on."""

    began_at_s: int
    output: bytes = bytes(32)
    verdicts: dict[int, bool] = field(default_factory=dict)
    skips: set[int] = field(default_factory=set)


class List(RuleBasedStateMachine):
    """One list."""

    def __init__(self) -> None:
        super().__init__()
        self.anchored = boa.env.anchor()
        self.anchored.__enter__()
        self.election = Election(City())
        self.now_s = FREEZES_AT_S
        self.digest = b"\x01" * 32
        self.made = 1
        self.number = 1
        self.mix_count = 0
        self.shares: set[int] = set()
        self.round = Round(began_at_s=self.now_s)

    def teardown(self) -> None:
        self.anchored.__exit__(None, None, None)

    @initialize()
    def start(self) -> None:
        self.election.announce(Terms(mixers=MIXERS, min_mixes=MIN_MIXES, style_races=((STYLE, 1),)))
        self.election.register("post_batch", 0, PROOF, ROWS, 0, registrars=(1, 2))
        go_to(self.now_s)
        self.election.register("freeze", STYLE, PROOF, ROWS, PROOF, registrars=(1, 2, 3))
        self.election.box.close(EID)
        self.send("start_list", ROWS, self.digest, trustees=(1, 2, 3))

    def send(self, call: str, *arguments: object, trustees: tuple[int, ...]) -> bool:
        return self.election.confirm(call, KIND, STYLE, *arguments, trustees=trustees)

    def attempt(self, is_allowed: bool, call: str, *arguments: object, trustee: int) -> None:
        if is_allowed:
            self.send(call, *arguments, trustees=(trustee,))
            return
        with boa.reverts():
            self.send(call, *arguments, trustees=(trustee,))

    @property
    def is_mixing(self) -> bool:
        return self.number <= len(MIXERS)

    @property
    def is_final(self) -> bool:
        return not self.is_mixing and self.mix_count >= MIN_MIXES

    def next_round(self) -> None:
        self.number += 1
        self.round = Round(began_at_s=self.now_s)

    @rule(trustee=TRUSTEES)
    def post_any(self, trustee: int) -> None:
        self.post(trustee)

    @precondition(lambda self: self.is_mixing)
    @rule()
    def post_next(self) -> None:
        self.post(MIXERS[self.number - 1])

    def post(self, trustee: int) -> None:
        self.made += 1
        output = bytes([self.made]) * 32
        is_turn = self.is_mixing and MIXERS[self.number - 1] == trustee
        is_allowed = is_turn and self.round.output == bytes(32)
        self.attempt(is_allowed, "post_mix", output, PROOF, trustee=trustee)
        if is_allowed:
            self.round.output = output

    @rule(trustee=TRUSTEES, is_valid=st.sampled_from([True, True, False]))
    def judge(self, trustee: int, is_valid: bool) -> None:
        output = self.round.output
        is_allowed = output != bytes(32) and self.round.verdicts.get(trustee) != is_valid
        self.attempt(is_allowed, "judge_mix", output, PROOF, is_valid, trustee=trustee)
        if not is_allowed:
            return
        self.round.verdicts[trustee] = is_valid
        if list(self.round.verdicts.values()).count(is_valid) == THRESHOLD:
            if is_valid:
                self.digest = output
                self.mix_count += 1
            self.next_round()

    @rule(trustee=TRUSTEES)
    def skip(self, trustee: int) -> None:
        is_allowed = (
            self.is_mixing
            and self.round.output == bytes(32)
            and self.now_s >= self.round.began_at_s + MIX_TIME_S
            and trustee not in self.round.skips
        )
        self.attempt(is_allowed, "skip_mixer", self.number, trustee=trustee)
        if is_allowed:
            self.round.skips.add(trustee)
            if len(self.round.skips) == THRESHOLD:
                self.next_round()

    @rule(trustee=TRUSTEES)
    def share(self, trustee: int) -> None:
        is_allowed = self.is_final and trustee not in self.shares
        self.attempt(is_allowed, "post_share", self.digest, PROOF, PROOF, trustee=trustee)
        if is_allowed:
            self.shares.add(trustee)

    @rule(seconds=st.sampled_from([1, MIX_TIME_S]))
    def wait(self, seconds: int) -> None:
        self.now_s += seconds
        go_to(self.now_s)

    @invariant()
    def the_board_shows_what_the_model_knows(self) -> None:
        tally = self.election.board.tally_of(EID, KIND, STYLE)
        if tally.round == 0:
            return
        assert (tally.round, tally.mix_count, tally.digest, tally.output, tally.share_count) == (
            self.number,
            self.mix_count,
            self.digest,
            self.round.output,
            len(self.shares),
        )
        assert self.election.board.is_final(EID, KIND, STYLE) is self.is_final
        is_open = len(self.shares) >= THRESHOLD
        assert self.election.board.opened_style_count(EID) == int(is_open)


TestList = List.TestCase
TestList.settings = settings(max_examples=6, stateful_step_count=30, deadline=None)
