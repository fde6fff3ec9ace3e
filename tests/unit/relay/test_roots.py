"""RELAY-ROOTS: a root becomes one call of the contract, in the stream of its subject."""

import pytest
from eth_abi import decode

from contracts.artifact import load_artifact
from node.primitives.crypto import keccak256
from node.primitives.errors import InvalidInput
from node.primitives.types import Address
from services.relay.operations import compute_word
from services.relay.roots import (
    LEAF_COUNT_MAX,
    build_anchor,
    compute_stream,
    parse_root,
    read_root,
)
from tests.support.events import make_event

ANCHORS = Address(b"\xac" * 20)
ROOT = "0x" + "5a" * 32


def request(**data: object):
    return make_event("root-1", subject="audit", data={"root": ROOT, "count": 20, **data})


def test_the_call_is_the_contract_s_and_names_stream_operation_root_and_count() -> None:
    operation = build_anchor(parse_root(request()), tenant="sakai", service="hub", to=ANCHORS)

    entry = next(item for item in load_artifact("Anchors").abi if item.get("name") == "anchor")
    types = [argument["type"] for argument in entry["inputs"]]  # type: ignore[attr-defined]
    assert operation.data[:4] == keccak256(f"anchor({','.join(types)})".encode())[:4]
    assert decode(types, operation.data[4:]) == (
        compute_stream("sakai", "hub", "audit"),
        compute_word("sakai", "hub", "root-1"),
        b"\x5a" * 32,
        20,
    )
    assert read_root(operation, ANCHORS) == b"\x5a" * 32
    assert read_root(operation, Address(b"\x01" * 20)) is None


def test_streams_of_different_subjects_services_and_municipalities_differ() -> None:
    streams = {
        compute_stream("sakai", "hub", "audit"),
        compute_stream("sakai", "hub", "bookings"),
        compute_stream("sakai", "library", "audit"),
        compute_stream("goka", "hub", "audit"),
    }

    assert len(streams) == 4


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"root": "0x" + "5a" * 31}, id="short root"),
        pytest.param({"root": "0x" + "zz" * 32}, id="no digits"),
        pytest.param({"root": None}, id="no root"),
        pytest.param({"count": 0}, id="no leaves"),
        pytest.param({"count": LEAF_COUNT_MAX + 1}, id="too many leaves"),
        pytest.param({"count": True}, id="no number"),
    ],
)
def test_what_is_no_root_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        parse_root(request(**data))
