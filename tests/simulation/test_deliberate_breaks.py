"""QBFT-QUORUM, QBFT-LOCK, QBFT-SEALS, QBFT-SIGN-STATE, QBFT-PROPOSER: broken rules are noticed.

Each test breaks one rule of the core on purpose and runs a campaign, seed by seed, until a checker
reports a violation. The limit is how many seeds that may take. CI turns the weather towards the
rule (a liar that spoils seals, crashes in every round) to be quick; the nightly tier finds the same
breaks in the ordinary campaign. One that does not see these would not see a real bug either.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from node.consensus import header_rules, rounds, signing, upon_commit, upon_message
from node.consensus.messages import Commit
from node.consensus.proposer import select_proposer
from node.consensus.quorum import quorum_size
from node.consensus.report import Report as Verdict
from node.consensus.sign_state import SignState, position_of
from node.consensus.state import State, Transition
from node.primitives.types import Address, Round
from node.simulation.campaign import make_scenario
from node.simulation.run import run

Break = Callable[[pytest.MonkeyPatch], None]


class Anybody:
    """Equal to everyone."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True


def replace_everywhere(patch: pytest.MonkeyPatch, old: object, new: object) -> None:
    """Replace a function in every module of the core that imported it."""
    for name, module in sorted(sys.modules.items()):
        if name.startswith("node.consensus."):
            for attribute, value in sorted(vars(module).items()):
                if value is old:
                    patch.setattr(module, attribute, new)


def lower_quorum(patch: pytest.MonkeyPatch) -> None:
    replace_everywhere(patch, quorum_size, lambda count: quorum_size(count) - 1)


def raise_quorum(patch: pytest.MonkeyPatch) -> None:
    replace_everywhere(patch, quorum_size, lambda count: quorum_size(count) + 1)


def drop_lock_at_restart(patch: pytest.MonkeyPatch) -> None:
    resume = rounds._resume

    def resume_without_lock(state: State) -> Transition:
        record = replace(state.sign_state, certificate=None)
        return resume(replace(state, sign_state=record))

    patch.setattr(rounds, "_resume", resume_without_lock)


def skip_seal_of_commits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(upon_commit, "recover_sealer", lambda digest, seal: Anybody())


def skip_seals_of_synced_blocks(patch: pytest.MonkeyPatch) -> None:
    empty = Verdict(checks=())
    patch.setattr(header_rules, "verify_commit_seals", lambda header, validators: empty)


def count_a_commit_twice(patch: pytest.MonkeyPatch) -> None:
    count_once = upon_commit.upon_commit

    def count_again(state: State, message: Commit, *, source: Address) -> Transition:
        free = [who for who in state.validators if who not in state.commits]
        if message.signed.author not in state.commits or not free:
            return count_once(state, message, source=source)
        doubled = replace(state, commits={**state.commits, free[0]: message.signed})
        return upon_commit.decide_if_quorum(doubled)

    patch.setattr(upon_message, "upon_commit", count_again)


def vote_twice(patch: pytest.MonkeyPatch) -> None:
    def follow_anything(record: SignState, draft: object, certificate: object) -> SignState:
        height, at = position_of(draft)  # type: ignore[arg-type]
        return replace(record, height=height, round=at, certificate=certificate)  # type: ignore[arg-type]

    patch.setattr(signing, "follow", follow_anything)


def stay_with_one_proposer(patch: pytest.MonkeyPatch) -> None:
    def ignore_round(
        validators: tuple[Address, ...], *, parent_coinbase: Address, at: Round
    ) -> Address:
        return select_proposer(validators, parent_coinbase=parent_coinbase, at=Round(0))

    replace_everywhere(patch, select_proposer, ignore_round)


def turn_backwards(patch: pytest.MonkeyPatch) -> None:
    def backwards(
        validators: tuple[Address, ...], *, parent_coinbase: Address, at: Round
    ) -> Address:
        back = Round(-at % len(validators))
        return select_proposer(validators, parent_coinbase=parent_coinbase, at=back)

    replace_everywhere(patch, select_proposer, backwards)


def hunt(limit: int, faults: str = "") -> Iterator[str]:
    for seed in range(limit):
        violation = run(make_scenario(seed, faults=faults)).violation
        if violation is not None:
            yield violation.invariant


CRASHES = "crash_permille=40,down_max=4,down_ms=300,loss_permille=100,calm_ms=30000"

BREAKS = [
    pytest.param(lower_quorum, 3, "", {"I1", "I2"}, id="quorum one too low"),
    pytest.param(raise_quorum, 5, "lost_count=1", {"I7"}, id="quorum one too high"),
    pytest.param(drop_lock_at_restart, 15, CRASHES, {"I1", "I4"}, id="lock dropped at restart"),
    pytest.param(skip_seal_of_commits, 5, "lies=bad-seal", {"I2"}, id="seal of a commit unchecked"),
    pytest.param(
        skip_seals_of_synced_blocks,
        8,
        "lies=forged-sync,dead_count=1,loss_permille=200",
        {"I1", "I2"},
        id="seals of synced blocks unchecked",
    ),
    pytest.param(count_a_commit_twice, 8, "", {"I2"}, id="commit counted twice"),
    pytest.param(
        vote_twice, 15, f"lies=equivocate,{CRASHES}", {"I1", "I3", "I4"}, id="own vote given twice"
    ),
    pytest.param(
        stay_with_one_proposer, 8, "lies=invalid-block", {"I2", "I7"}, id="proposer does not rotate"
    ),
    pytest.param(turn_backwards, 8, "", {"I2"}, id="proposer rotates backwards"),
]


@pytest.mark.parametrize(("break_rule", "limit", "faults", "invariants"), BREAKS)
def test_a_broken_rule_is_caught_within_a_few_seeds(
    monkeypatch: pytest.MonkeyPatch,
    break_rule: Break,
    limit: int,
    faults: str,
    invariants: set[str],
) -> None:
    break_rule(monkeypatch)

    assert next(hunt(limit, faults), None) in invariants


@pytest.mark.nightly
@pytest.mark.parametrize(
    "break_rule",
    [
        lower_quorum,
        drop_lock_at_restart,
        skip_seal_of_commits,
        count_a_commit_twice,
        stay_with_one_proposer,
    ],
)
def test_the_ordinary_campaign_catches_it_within_two_hundred_seeds(
    monkeypatch: pytest.MonkeyPatch, break_rule: Break
) -> None:
    break_rule(monkeypatch)

    assert next(hunt(200), None) is not None
