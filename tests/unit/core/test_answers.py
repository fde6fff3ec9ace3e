"""LIGHT-BOUNDS: nodes' answers are checked for form before anything in them is decoded."""

from collections.abc import Callable

import pytest

from clients.core.answers import (
    DATA_SIZE_MAX,
    HEADER_SIZE_MAX,
    account_proof_of,
    block_of,
    data_of,
    header_of,
    quantity_of,
    raw_header_of,
    receipt_place_of,
    receipt_proof_of,
    receipts_of,
)
from node.primitives.errors import InvalidInput, MalformedMessage
from node.primitives.trie import PROOF_NODES_MAX
from tests.support.consensus import BLOCK
from tests.support.light import raw

STRANGE: list[object] = [
    None, True, 7, -1, 1.5, "", "0x", "0xzz", "0x123", "12", "0x 1", [], {}, ["0x"], [None],
    {"header": 3}, {"header": "0x"}, {"accountProof": [], "storageProof": {}},
    {"accountProof": {}, "storageProof": []}, {"blockNumber": None}, {"blockNumber": "0x"},
]  # fmt: skip


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(header_of, id="header"),
        pytest.param(raw_header_of, id="raw header"),
        pytest.param(block_of, id="block"),
        pytest.param(receipt_place_of, id="place"),
        pytest.param(receipt_proof_of, id="receipt proof"),
        pytest.param(lambda value: account_proof_of(value, (1,)), id="account proof"),
    ],
)
def test_strange_answers_raise_nothing_but_invalid_input(read: Callable[[object], object]) -> None:
    for value in STRANGE:
        with pytest.raises(InvalidInput):
            read(value)


def test_lists_of_receipts_are_read_and_bounded() -> None:
    assert receipts_of(["0x01", "0x"]) == (b"\x01", b"")
    assert receipts_of([]) == ()
    for value in (None, {}, "0x", [1], ["0x1"], ["0x"] * 10_001):
        with pytest.raises(MalformedMessage):
            receipts_of(value)


def test_a_header_is_read_up_to_its_bound() -> None:
    assert raw_header_of(raw(BLOCK.header)).hash == BLOCK.hash
    assert header_of({"header": raw(BLOCK.header)}).hash == BLOCK.hash
    with pytest.raises(MalformedMessage, match="LIGHT-BOUNDS"):
        raw_header_of("0x" + "00" * (HEADER_SIZE_MAX + 1))


def test_data_is_read_up_to_its_bound() -> None:
    assert len(data_of("0x" + "00" * 9, "x", size_max=9)) == 9
    with pytest.raises(MalformedMessage, match="LIGHT-BOUNDS"):
        data_of("0x" + "00" * 10, "x", size_max=9)
    with pytest.raises(MalformedMessage, match="LIGHT-BOUNDS"):
        data_of("0x" + "00" * (DATA_SIZE_MAX + 1), "x")


def test_a_proof_has_at_most_the_nodes_that_a_key_can_need() -> None:
    def answer(count: int) -> dict[str, object]:
        return {"accountProof": ["0x80"] * count, "storageProof": []}

    assert len(account_proof_of(answer(PROOF_NODES_MAX), ()).account) == PROOF_NODES_MAX
    with pytest.raises(MalformedMessage, match="LIGHT-BOUNDS"):
        account_proof_of(answer(PROOF_NODES_MAX + 1), ())


@pytest.mark.parametrize("count", [pytest.param(0, id="fewer"), pytest.param(2, id="more")])
def test_other_slots_than_asked_for_are_refused(count: int) -> None:
    answer = {"accountProof": [], "storageProof": [{"proof": []}] * count}

    with pytest.raises(MalformedMessage):
        account_proof_of(answer, (1,))


def test_quantities_hold_64_bits() -> None:
    assert quantity_of("0x" + "f" * 16, "x") == 2**64 - 1
    with pytest.raises(MalformedMessage):
        quantity_of("0x" + "f" * 17, "x")
