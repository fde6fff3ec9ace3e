"""QBFT-TWIN, QBFT-LOCK: one key runs in two places, and the network is cut between them.

The attack: an operator starts a second process with the same key (or a thief does). Each twin is
honest by itself and knows nothing of the other; the network is split so that each twin sits with
some of the others, in every way there is, one way after another. Four validators, one of them
twice: no two blocks may be decided at one height, and whoever keeps the key hears of it.
"""

from itertools import chain, combinations

import pytest

from node.simulation.faults import Faults, Lie
from node.simulation.run import Run
from node.simulation.scenario import Scenario
from tests.support.simulation import NEVER_MS, height_of, play_for, play_until

TWIN = 4
PHASE_MS = 5_000


def ways_to_split(nodes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return every set of nodes that may sit with the second twin."""
    sizes = range(len(nodes) + 1)
    return [(*group, TWIN) for group in chain(*(combinations(nodes, size) for size in sizes))]


def play_with_twins(seed: int) -> tuple[Run, tuple[int, ...]]:
    faults = Faults(lies=(Lie.TWIN,), calm_ms=NEVER_MS, delay_ms=20, jitter_ms=30)
    play = Run(Scenario(seed=seed, heights=NEVER_MS, faults=faults))
    play.begin()
    return play, play.cluster.honest


def reconnect(play: Run) -> None:
    count = len(play.cluster.hosts)
    for a in range(count):
        for b in range(count):
            if a != b:
                play.cluster.greet(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(8))
@pytest.mark.parametrize("second", range(8))
def test_no_sequence_of_splits_between_twins_makes_two_blocks_final(
    first: int, second: int
) -> None:
    play, honest = play_with_twins(seed=1 + first)
    splits = ways_to_split(honest)

    for split in (splits[first], splits[second]):
        play.cluster.network.split(split)
        reconnect(play)
        play_for(play, PHASE_MS)
    play.cluster.network.heal()
    reconnect(play)
    healed = play.cluster.checkers.height
    play_until(play, lambda: min(height_of(play, index) for index in honest) >= healed + 2)


def test_the_holder_of_the_key_hears_that_it_is_in_use_elsewhere() -> None:
    play, _ = play_with_twins(seed=1)

    play_until(play, lambda: play.cluster.own_key_count > 0)


def test_others_can_prove_what_twins_signed_apart() -> None:
    play, honest = play_with_twins(seed=2)
    liar = next(iter(play.cluster.liars))
    play.cluster.network.split((honest[0], TWIN))
    play_for(play, 8_000)

    assert height_of(play, liar) >= 0
    play.cluster.network.heal()
    reconnect(play)

    play_until(play, lambda: play.cluster.evidence_count + play.cluster.own_key_count > 0)
