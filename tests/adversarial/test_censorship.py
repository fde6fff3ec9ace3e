"""QBFT-PROPOSER: who leaves transactions out can delay them by its own turns only.

The attack: up to f validators build blocks without the transactions that wait. The turn passes on
with every block, so that a transaction known to all is in a block after at most f+1 more turns, and
one more that may already have been under way when it arrived.
"""

from functools import partial

import pytest

from node.simulation.faults import Faults, Lie
from node.simulation.run import Run
from node.simulation.scenario import Scenario, count_faults_max
from node.simulation.toyexecution import make_transaction
from tests.support.simulation import NEVER_MS, play_until

TRANSACTION_COUNT = 12


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("validators", [4, 7])
def test_every_transaction_is_included_as_soon_as_an_honest_turn_comes(
    seed: int, validators: int
) -> None:
    fault_max = count_faults_max(validators)
    faults = Faults(lies=(Lie.CENSOR,) * fault_max, calm_ms=NEVER_MS)
    scenario = Scenario(
        seed=seed, validator_count=validators, heights=NEVER_MS, transaction_ms=0, faults=faults
    )
    play = Run(scenario)
    play.begin()
    cluster = play.cluster
    play_until(play, lambda: cluster.checkers.height >= 1)

    for nonce in range(TRANSACTION_COUNT):
        transaction = make_transaction(nonce)
        admitted = cluster.checkers.height
        for index in cluster.honest:
            replica = cluster.replicas[index]
            assert replica is not None
            cluster.act(index, partial(replica.admit, transaction))
        play_until(play, lambda digest=transaction.hash: digest in cluster.checkers.included)  # type: ignore[misc]

        assert cluster.checkers.height - admitted <= fault_max + 2
