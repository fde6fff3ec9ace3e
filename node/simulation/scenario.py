"""What a run is about: how many nodes, which numbers, which changes, and which faults.

A scenario says everything about a run; together with the code it determines every byte of it.
``draw_scenario`` makes the one that belongs to a seed.
"""

from dataclasses import dataclass, replace
from typing import Final

from node.consensus.parameters import ConsensusParameters
from node.simulation.dice import Dice
from node.simulation.faults import Faults, draw_faults

VALIDATOR_COUNTS: Final = (4, 4, 4, 5, 6, 7)
"""Sizes drawn from; four is what most networks have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that determines a run."""

    seed: int
    """Where all draws come from."""
    validator_count: int = 4
    """Validators of the genesis block."""
    joiner_count: int = 0
    """Nodes beside them that follow the chain and may be voted in."""
    change_count: int = 0
    """Changes of the validator set the operators agree on, one after the other."""
    heights: int = 6
    """Blocks to decide while faults act; then the calm comes, even before its time."""
    calm_heights: int = 3
    """Blocks every honest node must gain once calm has come."""
    transaction_ms: int = 700
    """Time between two transactions from clients; 0 for none."""
    parameters: ConsensusParameters = ConsensusParameters(
        period_s=1,
        heartbeat_s=4,
        round_timeout_base_ms=2_000,
        round_timeout_cap_ms=16_000,
        epoch_length=30_000,
    )
    """Numbers of the core."""
    faults: Faults = Faults()
    """What goes wrong."""


def count_faults_max(validator_count: int) -> int:
    """Return f = floor((N-1)/3), computed apart from the core, which a run may have broken."""
    return (validator_count - 1) // 3


def count_quorum(validator_count: int) -> int:
    """Return ceil(2N/3), computed apart from the core, which a run may have broken."""
    return (2 * validator_count + 2) // 3


def draw_scenario(seed: int) -> Scenario:
    """Draw the scenario of a seed."""
    dice = Dice(seed, "scenario")
    count = dice.pick(VALIDATOR_COUNTS)
    joiners = dice.pick((0, 0, 0, 1, 2))
    fault_max = count_faults_max(count)
    faults = draw_faults(Dice(seed, "faults"), fault_max=fault_max, node_count=count + joiners)
    scenario = Scenario(
        seed=seed,
        validator_count=count,
        joiner_count=joiners,
        change_count=dice.pick((0, 0, 1, 2, 3)),
        transaction_ms=dice.pick((300, 700, 3_000)),
        faults=faults,
    )
    epoch = dice.pick((3, 5, 30_000))
    return replace(scenario, parameters=replace(scenario.parameters, epoch_length=epoch))
