"""QBFT-PROPOSER: the turn passes on with each block and each round, also past a removed creator.

QBFT-COINBASE: a block was created by the proposer of some round up to its own.
"""

from node.consensus.proposer import possible_creators, select_proposer
from node.primitives.types import ZERO_ADDRESS, Address, Round

A, B, C, D = (Address(bytes((value,)) * 20) for value in (0x10, 0x20, 0x30, 0x40))
SET = (A, B, C, D)


def turn(parent_coinbase: Address, at: int = 0, validators: tuple[Address, ...] = SET) -> Address:
    return select_proposer(validators, parent_coinbase=parent_coinbase, at=Round(at))


def test_block_one_falls_to_the_first_validator() -> None:
    assert turn(ZERO_ADDRESS) == A


def test_the_turn_passes_on_with_each_block_and_wraps() -> None:
    assert [turn(creator) for creator in SET] == [B, C, D, A]


def test_the_turn_passes_on_with_each_round_and_wraps() -> None:
    assert [turn(B, at) for at in range(5)] == [C, D, A, B, C]


def test_when_the_creator_was_removed_the_next_above_it_is_first() -> None:
    without_b = (A, C, D)

    assert [turn(B, at, without_b) for at in range(4)] == [C, D, A, C]


def test_when_the_highest_was_removed_the_turn_wraps_to_the_lowest() -> None:
    assert turn(D, 0, (A, B, C)) == A


def test_addresses_are_ordered_by_bytes_not_by_text() -> None:
    low, high = Address(b"\x0a" * 20), Address(b"\xa0" * 20)

    assert turn(ZERO_ADDRESS, 0, (low, high)) == low


def test_creators_grow_with_the_round_until_all_had_a_turn() -> None:
    creators = [
        possible_creators(SET, parent_coinbase=A, at=Round(at)) for at in (0, 1, 2, 3, 1_000_000)
    ]

    assert creators == [{B}, {B, C}, {B, C, D}, set(SET), set(SET)]
