"""A simulated machine: what stays when the process on it dies.

Disk, clock, key, pool and the operator's wishes belong to the host; everything else is a
``replica``'s and goes with it.
"""

from dataclasses import dataclass, field

from node.primitives.crypto import PrivateKey
from node.primitives.header import ValidatorVote
from node.primitives.transaction import Transaction
from node.primitives.types import TransactionHash
from node.simulation.clock import LocalClock
from node.simulation.disk import SimulatedDisk


@dataclass(slots=True)
class Host:
    """A machine: what stays when the process on it dies."""

    index: int
    """Which node."""
    key: PrivateKey
    """Its validator key, which is its node key too."""
    disk: SimulatedDisk
    """Chain and sign-state."""
    clock: LocalClock
    """Its wall clock."""
    pool: dict[TransactionHash, Transaction] = field(
        default_factory=dict[TransactionHash, Transaction]
    )
    """Transactions that wait; the pool survives a restart."""
    pending_votes: tuple[ValidatorVote, ...] = ()
    """What its operator wants."""
    is_restored: bool = False
    """Whether the next start is from a backup."""
