"""The numbers the core runs by: network parameters from genesis, and limits.

The first group is part of the genesis file and must be equal on all nodes; the limits bound what
strangers can make this node keep, and have defaults.
"""

from dataclasses import dataclass
from typing import Final

from node.genesis.profile import ChainProfile
from node.primitives.errors import Misconfigured

ROUND_MAX: Final = 1 << 24
"""Highest round decoded or entered; at the timeout cap it is centuries away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusParameters:
    """Network parameters of QBFT, and the limits of this node."""

    period_s: int = 2
    """Least seconds between the timestamps of a block and its parent."""
    heartbeat_s: int = 30
    """Most seconds without a block when nothing waits; equal to ``period_s`` to always build."""
    round_timeout_base_ms: int = 4_000
    """How long round 0 lasts; doubled for every later round."""
    round_timeout_cap_ms: int = 60_000
    """The longest a round lasts."""
    epoch_length: int = 30_000
    """Heights between blocks that carry no vote and clear the tally."""
    clock_drift_ms: int = 1_000
    """How far ahead of our clock a proposed timestamp may be."""
    future_height_distance_max: int = 10
    """Messages further ahead than this many heights are not kept."""
    future_message_count_max: int = 1_000
    """Most messages kept for later heights; the farthest height is dropped first."""

    def __post_init__(self) -> None:
        """Refuse numbers the protocol cannot run by.

        Raises:
            Misconfigured: A number is out of its range.
        """
        for name in self.__dataclass_fields__:
            if getattr(self, name) < 1:
                raise Misconfigured(f"consensus parameter {name}: must be at least 1")
        if self.heartbeat_s < self.period_s:
            raise Misconfigured("heartbeat_s is below period_s; raise it to period_s or more")
        if self.round_timeout_cap_ms < self.round_timeout_base_ms:
            raise Misconfigured("round_timeout_cap_ms is below the base; raise it")


def parameters_of_chain(profile: ChainProfile) -> ConsensusParameters:
    """Return what a genesis file fixes about consensus."""
    return ConsensusParameters(
        period_s=profile.block_period_s,
        heartbeat_s=max(profile.heartbeat_s, profile.block_period_s),
        round_timeout_base_ms=profile.request_timeout_ms,
        round_timeout_cap_ms=profile.request_timeout_max_ms,
        epoch_length=profile.epoch_length,
    )
