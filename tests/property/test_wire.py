"""WIRE-FRAME, WIRE-FRAME-SIZE: frames round-trip, and no bytes raise anything but InvalidInput."""

import dataclasses
import json
import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.membership.document import decode_membership
from node.p2p import frames, wire
from node.p2p.certificates import read_certificate
from node.p2p.wire import FrameKind
from node.primitives import rlp
from node.primitives.errors import InvalidInput

IDS = st.integers(0, 2**64 - 1)
SIZES = {
    "genesis_hash": 32, "fork_document_hash": 32, "membership_hash": 32, "node": 20, "nonce": 32,
    "signature": 65, "block_hash": 32,
}  # fmt: skip
INTEGERS = {
    "protocol_version": 2**32 - 1, "membership_version": 2**64 - 1, "id": 2**64 - 1,
    "height": 2**64 - 1, "start": 2**64 - 1, "oldest_height": 2**64 - 1,
    "snapshot_height": 2**64 - 1, "clock_ms": 2**64 - 1, "index": wire.CHUNK_INDEX_MAX - 1,
}  # fmt: skip
TEXT = st.text(st.characters(codec="ascii", categories=("L", "N", "Zs")), max_size=40)


def fields_of(record: type) -> dict[str, st.SearchStrategy[object]]:
    """Return a strategy for each field of a frame."""
    drawn: dict[str, st.SearchStrategy[object]] = {}
    for field in dataclasses.fields(record):
        if field.name in SIZES:
            drawn[field.name] = st.binary(min_size=SIZES[field.name], max_size=SIZES[field.name])
        elif field.name in INTEGERS:
            drawn[field.name] = st.integers(0, INTEGERS[field.name])
        elif field.name == "count":
            drawn[field.name] = st.integers(1, wire.BLOCK_COUNT_MAX)
        elif field.name in ("agent", "reason", "detail"):
            drawn[field.name] = TEXT
        elif field.name == "hashes":
            drawn[field.name] = st.lists(st.binary(min_size=32, max_size=32), max_size=5).map(tuple)
        elif field.name in ("transactions", "blocks", "headers"):
            drawn[field.name] = st.lists(st.binary(max_size=80), max_size=5).map(tuple)
        else:
            drawn[field.name] = st.binary(max_size=80)
    return drawn


RECORDS: list[type] = [
    record
    for union in (frames.HandshakeFrame, frames.Request, frames.Response, frames.Gossip)
    for record in typing.get_args(union)
]
FRAMES = st.one_of([st.builds(record, **fields_of(record)) for record in RECORDS])


def test_every_kind_has_a_record() -> None:
    assert len(RECORDS) == len(FrameKind)


@given(FRAMES)
def test_a_frame_comes_back_as_it_was(frame: frames.Frame) -> None:
    assert wire.decode_frame(wire.encode_frame(frame)) == frame


@given(st.sampled_from(list(FrameKind)), st.binary(max_size=300))
def test_random_bodies_raise_only_invalid_input(kind: FrameKind, body: bytes) -> None:
    for data in (body, bytes((kind,)) + body, bytes((kind,)) + rlp.encode([body, body])):
        try:
            wire.decode_frame(data)
        except InvalidInput:
            continue


@given(FRAMES, st.data())
def test_a_damaged_frame_raises_only_invalid_input(
    frame: frames.Frame, data: st.DataObject
) -> None:
    encoded = bytearray(wire.encode_frame(frame))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] = data.draw(st.integers(0, 255))
    for damaged in (bytes(encoded), bytes(encoded[:at])):
        try:
            wire.decode_frame(damaged)
        except InvalidInput:
            continue


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_membership_and_certificates_raise_only_invalid_input(data: bytes) -> None:
    for decode in (decode_membership, read_certificate):
        with pytest.raises(InvalidInput):
            decode(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
KEYS = ["version", "genesis_hash", "issued_at_s", "valid_until_s", "governors", "members",
        "signatures"]  # fmt: skip


@given(st.fixed_dictionaries(dict.fromkeys(KEYS, JSON)))
def test_membership_of_the_right_keys_and_wrong_values_raises_only_invalid_input(
    record: dict[str, object],
) -> None:
    with pytest.raises(InvalidInput):
        decode_membership(json.dumps(record).encode())


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.name.lower()) for kind in FrameKind])
def test_a_frame_beyond_its_kinds_size_is_refused_unread(kind: FrameKind) -> None:
    limit = wire.frame_size_max(kind)

    with pytest.raises(InvalidInput, match="WIRE-FRAME-SIZE"):
        wire.decode_frame(bytes((kind,)) + b"\xc0" * limit)


@pytest.mark.parametrize(
    ("frame", "is_refused"),
    [
        pytest.param(
            frames.TransactionAnnouncement(hashes=(b"\x01" * 32,) * wire.HASH_COUNT_MAX), False,
            id="most hashes",
        ),
        pytest.param(
            frames.TransactionAnnouncement(hashes=(b"\x01" * 32,) * (wire.HASH_COUNT_MAX + 1)),
            True, id="one hash too many",
        ),
        pytest.param(
            frames.BlockResponse(id=1, blocks=(b"\xc0",) * wire.BLOCK_COUNT_MAX), False,
            id="most blocks",
        ),
        pytest.param(
            frames.BlockResponse(id=1, blocks=(b"\xc0",) * (wire.BLOCK_COUNT_MAX + 1)), True,
            id="one block too many",
        ),
        pytest.param(
            frames.TransactionBatch(transactions=(b"\xc0",) * wire.TRANSACTION_BATCH_MAX), False,
            id="most transactions",
        ),
        pytest.param(
            frames.TransactionBatch(transactions=(b"\xc0",) * (wire.TRANSACTION_BATCH_MAX + 1)),
            True, id="one transaction too many",
        ),
        pytest.param(
            frames.BlockRequest(id=1, start=1, count=wire.BLOCK_COUNT_MAX), False,
            id="longest range",
        ),
        pytest.param(
            frames.BlockRequest(id=1, start=1, count=wire.BLOCK_COUNT_MAX + 1), True,
            id="range too long",
        ),
    ],
)  # fmt: skip
def test_counts_are_bounded_at_the_bound(frame: frames.Frame, is_refused: bool) -> None:
    try:
        decoded = wire.decode_frame(wire.encode_frame(frame))
    except InvalidInput:
        assert is_refused
    else:
        assert not is_refused
        assert decoded == frame


def test_a_frame_of_millions_of_tiny_items_is_refused_early() -> None:
    body = rlp.wrap_list(b"\x01" * (wire.frame_size_max(FrameKind.BLOCK_RESPONSE) - 16))

    with pytest.raises(InvalidInput, match="items in a list"):
        wire.decode_frame(bytes((FrameKind.BLOCK_RESPONSE,)) + body)
