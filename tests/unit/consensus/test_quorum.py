"""QBFT-QUORUM: how many make a quorum, and how many may lie."""

import pytest

from node.consensus.quorum import (
    early_round_change_size,
    fault_count_max,
    quorum_size,
    vote_majority,
)


@pytest.mark.parametrize(
    ("count", "quorum", "faults", "early", "majority"),
    [
        (1, 1, 0, 1, 1),
        (2, 2, 0, 1, 2),
        (3, 2, 0, 1, 2),
        (4, 3, 1, 2, 3),
        (5, 4, 1, 2, 3),
        (6, 4, 1, 2, 4),
        (7, 5, 2, 3, 4),
    ],
)
def test_numbers_are_those_of_the_published_table(
    count: int, quorum: int, faults: int, early: int, majority: int
) -> None:
    assert quorum_size(count) == quorum
    assert fault_count_max(count) == faults
    assert early_round_change_size(count) == early
    assert vote_majority(count) == majority


@pytest.mark.parametrize("count", range(1, 65))
def test_two_quorums_share_an_honest_validator(count: int) -> None:
    assert 2 * quorum_size(count) - count > fault_count_max(count)
    assert count - fault_count_max(count) >= quorum_size(count)
