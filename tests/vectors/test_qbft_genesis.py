"""QBFT-EXTRA against the genesis of a network that ran Besu and GoQuorum together in 2022."""

import json
from typing import Any

import pytest

from node.consensus.validators import check_validator_list
from node.primitives.errors import InvalidBlock
from node.primitives.header import MIX_HASH, ExtraData, ValidatorVote, decode_extra_data
from node.primitives.types import Address, Round
from tests.support.vectors import vectors_path


@pytest.fixture(params=["besu", "goquorum"])
def genesis(request: pytest.FixtureRequest) -> Any:
    path = vectors_path() / "qbft" / f"eea_testnet_genesis_{request.param}.json"
    return json.loads(path.read_text())


def test_extra_data_of_genesis_decodes_and_encodes_to_the_same_bytes(genesis: Any) -> None:
    data = bytes.fromhex(genesis["extraData"][2:])

    extra = decode_extra_data(data)

    assert extra.encode() == data
    assert (len(extra.validators), extra.vote, extra.round, extra.seals) == (4, None, 0, ())


def test_the_constants_of_genesis_are_ours(genesis: Any) -> None:
    assert bytes.fromhex(genesis["mixHash"][2:]) == MIX_HASH
    assert int(genesis["difficulty"], 16) == 1


def test_a_list_out_of_order_as_that_network_had_is_refused_here(genesis: Any) -> None:
    extra = decode_extra_data(bytes.fromhex(genesis["extraData"][2:]))

    with pytest.raises(InvalidBlock, match="ascending"):
        check_validator_list(extra.validators)
    check_validator_list(tuple(sorted(extra.validators)))


@pytest.mark.parametrize(
    ("extra", "published"),
    [
        pytest.param(ExtraData(), "e5a0" + "00" * 32 + "c0c080c0", id="contract mode of Besu"),
        pytest.param(
            ExtraData(vote=ValidatorVote(recipient=Address(b"\x11" * 20), is_add=True)),
            "f83ca0" + "00" * 32 + "c0d794" + "11" * 20 + "81ff" + "80c0",
            id="a vote to add",
        ),
        pytest.param(
            ExtraData(vote=ValidatorVote(recipient=Address(b"\x11" * 20), is_add=False)),
            "f83ba0" + "00" * 32 + "c0d694" + "11" * 20 + "80" + "80c0",
            id="a vote to drop",
        ),
        pytest.param(
            ExtraData(round=Round(256)), "e7a0" + "00" * 32 + "c0c0820100c0", id="a late round"
        ),
    ],
)
def test_extra_data_is_written_as_the_layout_says(extra: ExtraData, published: str) -> None:
    data = bytes.fromhex(published)

    assert decode_extra_data(data) == extra
    assert extra.encode() == data
