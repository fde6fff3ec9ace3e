"""RLP: what may be decoded, and what must not.

Published examples of the yellow paper's appendix B, then each way bytes can be non-canonical.
"""

import pytest

from node.primitives import rlp
from node.primitives.errors import MalformedMessage


@pytest.mark.parametrize(
    ("item", "encoded"),
    [
        pytest.param(b"dog", "83646f67", id="short string"),
        pytest.param([b"cat", b"dog"], "c88363617483646f67", id="list"),
        pytest.param(b"", "80", id="empty string"),
        pytest.param([], "c0", id="empty list"),
        pytest.param(b"\x0f", "0f", id="single byte"),
        pytest.param(b"\x04\x00", "820400", id="two bytes"),
        pytest.param([[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0", id="set of three"),
        pytest.param(b"a" * 56, "b838" + "61" * 56, id="first long string"),
    ],
)
def test_published_examples_encode_and_decode(item: rlp.Item, encoded: str) -> None:
    assert rlp.encode(item).hex() == encoded
    assert rlp.decode(bytes.fromhex(encoded)) == item


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("", id="empty input"),
        pytest.param("8100", id="single byte with a prefix"),
        pytest.param("b800", id="long form of a short string"),
        pytest.param("b90038" + "61" * 56, id="length with a leading zero"),
        pytest.param("83646f", id="string reaches past the input"),
        pytest.param("c883636174", id="list reaches past the input"),
        pytest.param("c28363", id="item reaches past its list"),
        pytest.param("8080", id="trailing bytes"),
        pytest.param("bf", id="prefix cut short"),
        pytest.param("f8", id="list prefix cut short"),
        pytest.param("bfffffffffffffffff", id="length beyond memory"),
        pytest.param("c1" * 17 + "c0", id="nested too deep"),
    ],
)
def test_non_canonical_bytes_are_refused(data: str) -> None:
    with pytest.raises(MalformedMessage):
        rlp.decode(bytes.fromhex(data))


def test_nesting_is_decoded_up_to_its_bound() -> None:
    item: rlp.Item = b"x"
    for _ in range(rlp.DEPTH_MAX):
        item = [item]

    assert rlp.decode(rlp.encode(item)) == item


@pytest.mark.parametrize(
    "item",
    [
        pytest.param([], id="a list"),
        pytest.param(b"\x00", id="a leading zero"),
        pytest.param(b"\x01" * 33, id="too long"),
    ],
)
def test_scalars_are_minimal_and_bounded(item: rlp.Decoded) -> None:
    with pytest.raises(MalformedMessage):
        rlp.as_uint(item)
