"""RELAY-TAIL, RELAY-REPLACE: every transaction names its operation, and nothing else does."""

import pytest

from node.primitives.types import Address
from services.relay.operations import (
    DATA_SIZE_MAX,
    FENCE,
    GAS_LIMIT_MAX,
    TAIL_MARK,
    InvalidOperation,
    Operation,
    add_tail,
    compute_void,
    compute_word,
    read_tail,
)

WORD = compute_word("sakai", "urn:daicho:sakai:library", "loan-1")


def operation(**changes: object) -> Operation:
    fields: dict[str, object] = {
        "tenant": "sakai",
        "service": "urn:daicho:sakai:library",
        "operation_id": "loan-1",
        "to": Address(b"\x11" * 20),
        "data": b"\xaa",
        "gas_limit": 100_000,
    }
    return Operation(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_tail_follows_the_call_and_is_read_back() -> None:
    data = add_tail(b"call", WORD)

    assert data.startswith(b"call")
    assert read_tail(data) == WORD


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xaa" * 200, id="no mark"),
        pytest.param((TAIL_MARK + WORD)[1:], id="one byte short"),
        pytest.param(TAIL_MARK + WORD + b"\x00", id="not at the end"),
    ],
)
def test_data_without_a_tail_names_nothing(data: bytes) -> None:
    assert read_tail(data) is None


def test_words_differ_in_tenant_service_and_id_and_wherever_their_parts_are_cut() -> None:
    words = {
        WORD,
        compute_word("goka", "urn:daicho:sakai:library", "loan-1"),
        compute_word("sakai", "urn:daicho:sakai:hub", "loan-1"),
        compute_word("sakai", "urn:daicho:sakai:library", "loan-2"),
        compute_word("sakaiu", "rn:daicho:sakai:library", "loan-1"),
        compute_void(WORD),
        FENCE,
    }

    assert len(words) == 7


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"operation_id": ""}, id="no id"),
        pytest.param({"operation_id": "a" * 129}, id="id too long"),
        pytest.param({"operation_id": "a b"}, id="space in the id"),
        pytest.param({"to": Address(b"\x11" * 19)}, id="short address"),
        pytest.param({"data": bytes(DATA_SIZE_MAX + 1)}, id="one byte too many"),
        pytest.param({"gas_limit": 20_999}, id="too little gas"),
        pytest.param({"gas_limit": GAS_LIMIT_MAX + 1}, id="too much gas"),
    ],
)
def test_what_no_transaction_can_hold_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidOperation):
        operation(**changes)


def test_bounds_themselves_are_taken() -> None:
    operation(operation_id="a" * 128, data=bytes(DATA_SIZE_MAX), gas_limit=GAS_LIMIT_MAX)
    operation(gas_limit=21_000)


def test_the_fingerprint_covers_all_that_is_asked() -> None:
    others = [
        operation(to=Address(b"\x12" * 20)),
        operation(data=b"\xab"),
        operation(gas_limit=100_001),
    ]

    assert operation().fingerprint == operation().fingerprint
    assert len({operation().fingerprint, *(other.fingerprint for other in others)}) == 4
