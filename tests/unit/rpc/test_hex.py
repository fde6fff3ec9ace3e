"""RPC-HEX: quantities and data are strict on the way in and minimal on the way out."""

from collections.abc import Callable

import pytest
from eth_utils import to_checksum_address

from node.primitives.types import Address
from node.rpc import hex as codec
from node.rpc.errors import InvalidParams


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("0x0", 0, id="zero"),
        pytest.param("0xff", 255, id="digits"),
        pytest.param("0xFF", 255, id="capitals"),
        pytest.param("0xffffffffffffffff", 2**64 - 1, id="the largest of 64 bits"),
    ],
)
def test_a_quantity_is_read(text: str, value: int) -> None:
    assert codec.parse_quantity(text) == value
    assert codec.quantity(value) == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("0x", id="no digits"),
        pytest.param("2", id="no prefix"),
        pytest.param("0x01", id="leading zero"),
        pytest.param("0xg", id="no hex"),
        pytest.param("0x-1", id="sign"),
        pytest.param("0x1_0", id="underscore"),
        pytest.param("0x10000000000000000", id="65 bits"),
        pytest.param("0x" + "f" * 10_000, id="very long"),
        pytest.param(5, id="a number"),
        pytest.param(None, id="nothing"),
        pytest.param(["0x1"], id="a list"),
    ],
)
def test_a_malformed_quantity_is_refused(text: object) -> None:
    with pytest.raises(InvalidParams):
        codec.parse_quantity(text)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        pytest.param(codec.parse_data, "0x0", id="odd"),
        pytest.param(codec.parse_data, "00", id="no prefix"),
        pytest.param(codec.parse_data, "0xzz", id="no hex"),
        pytest.param(codec.parse_data, "0x 0", id="a space"),
        pytest.param(codec.parse_address, "0x" + "00" * 19, id="short address"),
        pytest.param(codec.parse_hash, "0x" + "00" * 33, id="long hash"),
        pytest.param(codec.parse_slot, "0x" + "0" * 65, id="long slot"),
    ],
)
def test_malformed_data_is_refused(parse: Callable[[object], object], text: str) -> None:
    with pytest.raises(InvalidParams):
        parse(text)


@pytest.mark.parametrize("text", ["0x", "0x00", "0x0", "0x" + "0" * 63 + "7"])
def test_a_slot_is_read_in_every_form(text: str) -> None:
    assert codec.parse_slot(text) == int(text[2:] or "0", 16)


def test_capitals_of_an_address_are_those_of_eip_55() -> None:
    for at in range(32):
        address = Address(bytes((at * 7 % 256,)) * 20)
        assert codec.checksum_address(address) == to_checksum_address(address)
