"""Values of contracts: there and back, and bytes that are none are refused."""

import pytest

from node.primitives.abi import MalformedAbi, decode, encode

TYPES = ["bytes32", "uint256", "(string,bytes)[]"]
VALUES = (b"\x01" * 32, 2**256 - 1, (("五霞町", b"\x02"), ("", b"")))


def test_what_is_encoded_decodes() -> None:
    assert decode(TYPES, encode(TYPES, VALUES)) == VALUES


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(encode(TYPES, VALUES)[:-32], id="cut off"),
        pytest.param(b"\xff" * 256, id="an offset beyond the end"),
    ],
)
def test_bytes_that_are_no_such_values_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedAbi):
        decode(TYPES, data)
