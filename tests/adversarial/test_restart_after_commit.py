"""QBFT-LOCK, QBFT-SIGN-STATE, QBFT-RESUME: forgetting is not an excuse.

The attack: a block reaches a commit quorum at one validator only, which is then cut off; all others
are switched off and on again, and a liar among them proposes something else. Validators that forgot
what they had prepared would decide the other block, and the one cut off holds a different final
block of the same height. Four validators, one liar.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from node.consensus import rounds
from node.consensus.state import State, Transition
from node.simulation.checkers import Broken
from node.simulation.faults import Faults, Lie
from node.simulation.run import Run
from node.simulation.scenario import Scenario
from tests.support.simulation import NEVER_MS, height_of, play_for, play_until

LIES = [Lie.EQUIVOCATE, Lie.DOUBLE_VOTE, Lie.FORGED_JUSTIFICATION, Lie.WITHHOLD, Lie.CENSOR]


def attack(seed: int, lie: Lie) -> None:
    """Cut off whoever decides height 2 first, and restart the others until they decide it too."""
    faults = Faults(delay_ms=40, jitter_ms=60, lies=(lie,), calm_ms=NEVER_MS)
    play = Run(Scenario(seed=seed, heights=NEVER_MS, faults=faults))
    play.begin()
    cluster = play.cluster
    play_until(play, lambda: cluster.checkers.height == 2)
    first = next(index for index in range(4) if height_of(play, index) == 2)
    others = [index for index in range(4) if index != first]

    cluster.network.cut_off(first)
    for index in others:
        cluster.crash(index)
    for index in others:
        cluster.boot(index)
    play_for(play, 30_000)
    cluster.network.heal()
    for index in others:
        cluster.greet(index, first)
        cluster.greet(first, index)
    play_until(play, lambda: min(height_of(play, index) for index in cluster.honest) >= 3)


def forget_the_lock(resume: Callable[[State], Transition]) -> Callable[[State], Transition]:
    def resume_without(state: State) -> Transition:
        record = replace(state.sign_state, certificate=None)
        return resume(replace(state, sign_state=record))

    return resume_without


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("lie", LIES)
def test_validators_that_restart_stand_by_what_they_prepared(seed: int, lie: Lie) -> None:
    attack(seed, lie)


def test_the_attack_works_against_validators_that_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "_resume", forget_the_lock(rounds._resume))

    with pytest.raises(Broken, match=r"I1|I4"):
        attack(1, Lie.EQUIVOCATE)
