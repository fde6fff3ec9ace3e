"""Who the validators are at each height: votes in headers, tallied over an epoch.

A proposer may put one vote into its block. Votes stand per recipient and voter until the recipient
changes side, the voter changes its mind or leaves, or the epoch ends. When more than half of the
set agree, the change holds from the next block on. The tally is a value: ``apply_header`` takes it
from one head to the next, so that a node never replays an epoch except at start.

Spec: QBFT-VOTE-TALLY, QBFT-VOTE-EPOCH.
"""

from dataclasses import dataclass

from node.primitives.types import Address, Height


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingVote:
    """One validator's vote that still counts."""

    voter: Address
    """Who proposed the block that carried it."""
    recipient: Address
    """Whom it is about."""
    is_add: bool
    """True to add, False to drop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorTally:
    """The set for the block after ``height``, and the votes standing then."""

    height: Height
    """The last header applied."""
    validators: tuple[Address, ...]
    """Set valid for ``height + 1``, ascending by bytes; never empty."""
    votes: tuple[StandingVote, ...] = ()
    """Ascending by (recipient, voter); at most one for each such pair."""
