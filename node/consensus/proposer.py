"""Whose turn it is to propose.

Spec: QBFT-PROPOSER.
"""

from bisect import bisect_right

from node.primitives.types import Address, Round


def select_proposer(
    validators: tuple[Address, ...], *, parent_coinbase: Address, at: Round
) -> Address:
    """Return the proposer of round ``at``: the turn passes on with each block and each round.

    When the parent's creator has left the set, the turn falls to the next address above it.

    Args:
        validators: The set for the height, ascending by bytes, not empty.
        parent_coinbase: Who created the parent block.
        at: The round.

    Spec: QBFT-PROPOSER.
    """
    above = bisect_right(validators, parent_coinbase)
    return validators[(above + at) % len(validators)]


def possible_creators(
    validators: tuple[Address, ...], *, parent_coinbase: Address, at: Round
) -> frozenset[Address]:
    """Return who may have created a block decided in round ``at``: proposers up to that round.

    Spec: QBFT-COINBASE.
    """
    turns = range(min(at + 1, len(validators)))
    return frozenset(
        select_proposer(validators, parent_coinbase=parent_coinbase, at=Round(turn))
        for turn in turns
    )
