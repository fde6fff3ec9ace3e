"""QBFT-HEADER, QBFT-VALIDATORS, QBFT-COINBASE, QBFT-BLOCK-TIME, QBFT-VOTE-EPOCH on one header.

Every field a header must carry unchanged is changed once, and the check is named.
"""

from dataclasses import replace
from typing import Any

import pytest

from node.consensus.header_rules import check_sealed_header, verify_header, verify_sealed_header
from node.consensus.parameters import ConsensusParameters
from node.primitives.errors import InvalidBlock
from node.primitives.header import ExtraData, Header, ValidatorVote
from node.primitives.types import Round
from tests.support.consensus import (
    BLOCK,
    FOURTH,
    GENESIS,
    OUTSIDER,
    PARAMETERS,
    SECOND,
    TALLY,
    addresses,
    block_by,
    make_keys,
    sealed,
)


def failures(header: Header, parameters: ConsensusParameters = PARAMETERS) -> list[tuple[str, str]]:
    report = verify_header(header, parent=GENESIS, tally=TALLY, parameters=parameters)
    return [(check.rule, check.name) for check in report.failures]


def test_a_good_header_has_no_failures() -> None:
    assert failures(BLOCK.header) == []


@pytest.mark.parametrize(
    ("change", "failure"),
    [
        ({"mix_hash": b"\x01" * 32}, ("QBFT-HEADER", "mix hash")),
        ({"difficulty": 2}, ("QBFT-HEADER", "difficulty")),
        ({"nonce": b"\x00" * 7 + b"\x01"}, ("QBFT-HEADER", "nonce")),
        ({"ommers_hash": b"\x01" * 32}, ("QBFT-HEADER", "ommers hash")),
        ({"base_fee_wei": 1}, ("QBFT-HEADER", "base fee")),
        ({"withdrawals_root": b"\x01" * 32}, ("QBFT-HEADER", "withdrawals root")),
        ({"height": 2}, ("QBFT-HEADER", "height")),
        ({"parent_hash": b"\x01" * 32}, ("QBFT-HEADER", "parent hash")),
        ({"timestamp_s": 1001}, ("QBFT-BLOCK-TIME", "timestamp")),
        ({"coinbase": OUTSIDER.address}, ("QBFT-COINBASE", "coinbase")),
        ({"coinbase": SECOND.address}, ("QBFT-COINBASE", "coinbase")),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_changed_field_is_named(change: dict[str, Any], failure: tuple[str, str]) -> None:
    assert failures(replace(BLOCK.header, **change)) == [failure]


@pytest.mark.parametrize(
    "listed",
    [
        pytest.param(TALLY.validators[:3], id="one missing"),
        pytest.param((*TALLY.validators, OUTSIDER.address), id="one more"),
        pytest.param(TALLY.validators[::-1], id="not ascending"),
        pytest.param((TALLY.validators[0], *TALLY.validators), id="one twice"),
        pytest.param((), id="none, as in contract mode"),
    ],
)
def test_the_list_must_be_the_tallys_set(listed: tuple[Any, ...]) -> None:
    header = replace(BLOCK.header, extra_data=ExtraData(validators=listed))

    assert failures(header) == [("QBFT-VALIDATORS", "validators")]


def test_an_epoch_block_carries_no_vote() -> None:
    vote = ValidatorVote(recipient=OUTSIDER.address, is_add=True)
    parameters = replace(PARAMETERS, epoch_length=1)

    assert failures(block_by(vote=vote).header) == []
    assert failures(block_by(vote=vote).header, parameters) == [("QBFT-VOTE-EPOCH", "vote")]


def test_the_second_proposer_may_have_created_a_block_of_round_one() -> None:
    assert failures(block_by(SECOND, at=1).header) == []


def test_import_refuses_a_header_without_a_quorum_of_seals() -> None:
    arguments: Any = {"parent": GENESIS, "tally": TALLY, "parameters": PARAMETERS}
    good, bare = sealed(BLOCK).header, BLOCK.header

    check_sealed_header(good, **arguments)
    assert verify_sealed_header(good, **arguments).is_met
    with pytest.raises(InvalidBlock, match="QBFT-SEALS"):
        check_sealed_header(bare, **arguments)


def test_a_reseal_in_another_round_is_the_same_block() -> None:
    again = sealed(BLOCK.with_round(Round(3)), by=[FOURTH, *make_keys(2)])

    assert again.hash == BLOCK.hash
    assert again.digest != BLOCK.digest


def test_the_genesis_list_is_ascending() -> None:
    assert addresses(make_keys(7)) == tuple(sorted(addresses(make_keys(7))))
