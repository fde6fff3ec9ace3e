"""Frames to bytes and back: one kind byte, then one RLP list. Every frame has its own size limit.

A frame is one binary WebSocket message. Whatever the bytes, decoding raises nothing but
``InvalidInput``, and costs no more than the frame's length.

Spec: WIRE-FRAME, WIRE-FRAME-SIZE.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from node.p2p import frames
from node.p2p.frames import Frame
from node.primitives import rlp
from node.primitives.block import BLOCK_SIZE_MAX
from node.primitives.errors import MalformedMessage
from node.primitives.transaction import TRANSACTION_SIZE_MAX
from node.primitives.types import (
    Address,
    BlockHash,
    Hash32,
    Height,
    Signature,
    TransactionHash,
)

KIBIBYTE: Final = 1_024
MEBIBYTE: Final = 1_024 * KIBIBYTE

FRAME_SIZE_MAX: Final = BLOCK_SIZE_MAX + MEBIBYTE
"""Longest frame of any kind: a block and what justifies it."""

HANDSHAKE_FRAME_SIZE_MAX: Final = 2 * KIBIBYTE
"""Longest frame before a peer is known."""

BLOCK_COUNT_MAX: Final = 128
"""Most blocks asked for, or sent, at once."""

HEADER_COUNT_MAX: Final = 512
"""Most headers asked for, or sent, at once."""

HASH_COUNT_MAX: Final = 4_096
"""Most transaction hashes in one announcement or request."""

TRANSACTION_BATCH_MAX: Final = 1_024
"""Most transactions in one batch."""

TRANSACTION_BATCH_SIZE_MAX: Final = 2 * MEBIBYTE
"""Longest batch of transactions, in bytes."""

CHUNK_INDEX_MAX: Final = 1 << 20
"""Most chunks of one snapshot."""

NONCE_SIZE: Final = 32
AGENT_SIZE_MAX: Final = 64
REASON_SIZE_MAX: Final = 64
DETAIL_SIZE_MAX: Final = 512


class FrameKind(IntEnum):
    """First byte of a frame."""

    HELLO = 0x01
    PROOF = 0x02
    WELCOME = 0x03
    GOODBYE = 0x04
    CONSENSUS = 0x10
    EVIDENCE = 0x11
    TRANSACTION_ANNOUNCEMENT = 0x20
    TRANSACTION_REQUEST = 0x21
    TRANSACTION_BATCH = 0x22
    STATUS = 0x30
    PING = 0x31
    PONG = 0x32
    BLOCK_REQUEST = 0x40
    BLOCK_RESPONSE = 0x41
    HEADER_REQUEST = 0x42
    HEADER_RESPONSE = 0x43
    MANIFEST_REQUEST = 0x44
    MANIFEST_RESPONSE = 0x45
    CHUNK_REQUEST = 0x46
    CHUNK_RESPONSE = 0x47


Items: TypeAlias = list[rlp.Decoded]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How one kind of frame is written and read."""

    record: type[Frame]
    """Its record."""
    size_max: int
    """Longest encoding, kind byte included."""
    length: int
    """Items of its list."""
    read: Callable[[Items], Frame]
    """Build the record from the items."""


def encode_frame(frame: Frame) -> bytes:
    """Encode one frame.

    Raises:
        MalformedMessage: It is longer than its kind may be.

    Spec: WIRE-FRAME.
    """
    kind = _KINDS[type(frame)]
    data = bytes((kind,)) + rlp.encode(_items(frame))
    _check_size(kind, len(data))
    return data


def decode_frame(data: bytes) -> Frame:
    """Decode one frame.

    Raises:
        MalformedMessage: Unknown kind, too long for its kind, or not the fields it must have.

    Spec: WIRE-FRAME, WIRE-FRAME-SIZE.
    """
    kind = frame_kind(data)
    _check_size(kind, len(data))
    form = _FORMS[kind]
    items = rlp.decode_shallow(data[1:], count_max=HASH_COUNT_MAX)
    return form.read(rlp.as_list(items, form.length, kind.name.lower()))


def frame_kind(data: bytes) -> FrameKind:
    """Return the kind a frame claims, before it is decoded.

    Raises:
        MalformedMessage: Empty, or an unknown kind.
    """
    if not data:
        raise MalformedMessage("frame: empty", rule="WIRE-FRAME")
    try:
        return FrameKind(data[0])
    except ValueError:
        raise MalformedMessage(f"frame: unknown kind 0x{data[0]:02x}", rule="WIRE-FRAME") from None


def frame_size_max(kind: FrameKind) -> int:
    """Return the longest encoding of a kind.

    Spec: WIRE-FRAME-SIZE.
    """
    return _FORMS[kind].size_max


def _check_size(kind: FrameKind, size: int) -> None:
    limit = _FORMS[kind].size_max
    if size > limit:
        raise MalformedMessage(
            f"frame: {kind.name.lower()} of {size} bytes, at most {limit}", rule="WIRE-FRAME-SIZE"
        )


def _items(frame: Frame) -> rlp.Item:  # noqa: C901, PLR0911, PLR0912  (a case per kind)
    uint = rlp.encode_uint
    match frame:
        case frames.Hello():
            return [
                uint(frame.protocol_version),
                frame.genesis_hash,
                frame.fork_document_hash,
                frame.membership_hash,
                uint(frame.membership_version),
                frame.node,
                frame.nonce,
                frame.agent.encode(),
            ]
        case frames.Proof():
            return [frame.signature]
        case frames.Welcome():
            return []
        case frames.Goodbye():
            return [frame.reason.encode(), frame.detail.encode()]
        case frames.Status():
            return [
                uint(frame.height),
                frame.block_hash,
                uint(frame.oldest_height),
                uint(frame.snapshot_height),
                frame.membership_hash,
                uint(frame.membership_version),
            ]
        case frames.Ping():
            return [uint(frame.id)]
        case frames.Pong():
            return [uint(frame.id), uint(frame.clock_ms)]
        case frames.ConsensusMessage() | frames.EvidenceReport():
            return [frame.payload]
        case frames.TransactionAnnouncement() | frames.TransactionRequest():
            return [frame.hashes]
        case frames.TransactionBatch():
            return [frame.transactions]
        case frames.BlockRequest() | frames.HeaderRequest():
            return [uint(frame.id), uint(frame.start), uint(frame.count)]
        case frames.BlockResponse():
            return [uint(frame.id), frame.blocks]
        case frames.HeaderResponse():
            return [uint(frame.id), frame.headers]
        case frames.ManifestRequest():
            return [uint(frame.id), uint(frame.height)]
        case frames.ManifestResponse():
            return [uint(frame.id), frame.manifest]
        case frames.ChunkRequest():
            return [uint(frame.id), uint(frame.height), uint(frame.index)]
        case frames.ChunkResponse():
            return [uint(frame.id), frame.chunk]


def _read_hello(items: Items) -> Frame:
    return frames.Hello(
        protocol_version=rlp.as_uint(items[0], 4, "hello.protocol_version"),
        genesis_hash=BlockHash(_hash(items[1], "hello.genesis_hash")),
        fork_document_hash=_hash(items[2], "hello.fork_document_hash"),
        membership_hash=_hash(items[3], "hello.membership_hash"),
        membership_version=rlp.as_uint(items[4], 8, "hello.membership_version"),
        node=Address(rlp.as_bytes(items[5], 20, "hello.node")),
        nonce=rlp.as_bytes(items[6], NONCE_SIZE, "hello.nonce"),
        agent=_text(items[7], AGENT_SIZE_MAX, "hello.agent"),
    )


def _read_status(items: Items) -> Frame:
    return frames.Status(
        height=_height(items[0]),
        block_hash=BlockHash(_hash(items[1], "status.block_hash")),
        oldest_height=_height(items[2]),
        snapshot_height=_height(items[3]),
        membership_hash=_hash(items[4], "status.membership_hash"),
        membership_version=rlp.as_uint(items[5], 8, "status.membership_version"),
    )


def _read_goodbye(items: Items) -> Frame:
    return frames.Goodbye(
        reason=_text(items[0], REASON_SIZE_MAX, "goodbye.reason"),
        detail=_text(items[1], DETAIL_SIZE_MAX, "goodbye.detail"),
    )


def _read_chunk_request(items: Items) -> Frame:
    index = rlp.as_uint(items[2], 4, "chunk index")
    if index >= CHUNK_INDEX_MAX:
        raise MalformedMessage(f"chunk index {index}, below {CHUNK_INDEX_MAX} expected")
    return frames.ChunkRequest(id=_id(items[0]), height=_height(items[1]), index=index)


def _hash(item: rlp.Decoded, what: str) -> Hash32:
    return Hash32(rlp.as_bytes(item, 32, what))


def _height(item: rlp.Decoded) -> Height:
    return Height(rlp.as_uint(item, 8, "height"))


def _id(item: rlp.Decoded) -> int:
    return rlp.as_uint(item, 8, "request id")


def _count(item: rlp.Decoded, most: int) -> int:
    count = rlp.as_uint(item, 4, "count")
    if not 0 < count <= most:
        raise MalformedMessage(f"count {count}, expected 1 to {most}", rule="WIRE-FRAME-SIZE")
    return count


def _text(item: rlp.Decoded, most: int, what: str) -> str:
    data = rlp.as_bytes(item, what=what)
    if len(data) > most:
        raise MalformedMessage(f"{what}: {len(data)} bytes, at most {most}")
    text = data.decode("utf-8", errors="replace")
    return "".join(mark if mark.isprintable() else "?" for mark in text)


def _bytes_list(item: rlp.Decoded, *, most: int, each_max: int, what: str) -> tuple[bytes, ...]:
    items = rlp.as_list(item, what=what)
    if len(items) > most:
        raise MalformedMessage(f"{what}: {len(items)}, at most {most}", rule="WIRE-FRAME-SIZE")
    found = tuple(rlp.as_bytes(each, what=what) for each in items)
    if any(len(each) > each_max for each in found):
        raise MalformedMessage(f"{what}: one over {each_max} bytes", rule="WIRE-FRAME-SIZE")
    return found


def _transaction_hashes(items: Items) -> tuple[TransactionHash, ...]:
    found = rlp.as_list(items[0], what="transaction hashes")
    if len(found) > HASH_COUNT_MAX:
        raise MalformedMessage(
            f"transaction hashes: {len(found)}, at most {HASH_COUNT_MAX}", rule="WIRE-FRAME-SIZE"
        )
    return tuple(TransactionHash(_hash(each, "transaction hash")) for each in found)


def _raw(item: rlp.Decoded) -> bytes:
    return rlp.as_bytes(item, what="payload")


_FORMS: Final[dict[FrameKind, _Form]] = {
    FrameKind.HELLO: _Form(
        record=frames.Hello, size_max=HANDSHAKE_FRAME_SIZE_MAX, length=8, read=_read_hello
    ),
    FrameKind.PROOF: _Form(
        record=frames.Proof,
        size_max=HANDSHAKE_FRAME_SIZE_MAX,
        length=1,
        read=lambda items: frames.Proof(
            signature=Signature(rlp.as_bytes(items[0], 65, "proof.signature"))
        ),
    ),
    FrameKind.WELCOME: _Form(
        record=frames.Welcome, size_max=2, length=0, read=lambda _items: frames.Welcome()
    ),
    FrameKind.GOODBYE: _Form(
        record=frames.Goodbye, size_max=HANDSHAKE_FRAME_SIZE_MAX, length=2, read=_read_goodbye
    ),
    FrameKind.CONSENSUS: _Form(
        record=frames.ConsensusMessage,
        size_max=FRAME_SIZE_MAX,
        length=1,
        read=lambda items: frames.ConsensusMessage(payload=_raw(items[0])),
    ),
    FrameKind.EVIDENCE: _Form(
        record=frames.EvidenceReport,
        size_max=FRAME_SIZE_MAX,
        length=1,
        read=lambda items: frames.EvidenceReport(payload=_raw(items[0])),
    ),
    FrameKind.TRANSACTION_ANNOUNCEMENT: _Form(
        record=frames.TransactionAnnouncement,
        size_max=33 * HASH_COUNT_MAX + 16,
        length=1,
        read=lambda items: frames.TransactionAnnouncement(hashes=_transaction_hashes(items)),
    ),
    FrameKind.TRANSACTION_REQUEST: _Form(
        record=frames.TransactionRequest,
        size_max=33 * HASH_COUNT_MAX + 16,
        length=1,
        read=lambda items: frames.TransactionRequest(hashes=_transaction_hashes(items)),
    ),
    FrameKind.TRANSACTION_BATCH: _Form(
        record=frames.TransactionBatch,
        size_max=TRANSACTION_BATCH_SIZE_MAX,
        length=1,
        read=lambda items: frames.TransactionBatch(
            transactions=_bytes_list(
                items[0],
                most=TRANSACTION_BATCH_MAX,
                each_max=TRANSACTION_SIZE_MAX,
                what="transactions",
            )
        ),
    ),
    FrameKind.STATUS: _Form(record=frames.Status, size_max=128, length=6, read=_read_status),
    FrameKind.PING: _Form(
        record=frames.Ping, size_max=32, length=1, read=lambda items: frames.Ping(id=_id(items[0]))
    ),
    FrameKind.PONG: _Form(
        record=frames.Pong,
        size_max=32,
        length=2,
        read=lambda items: frames.Pong(
            id=_id(items[0]), clock_ms=rlp.as_uint(items[1], 8, "pong.clock_ms")
        ),
    ),
    FrameKind.BLOCK_REQUEST: _Form(
        record=frames.BlockRequest,
        size_max=32,
        length=3,
        read=lambda items: frames.BlockRequest(
            id=_id(items[0]), start=_height(items[1]), count=_count(items[2], BLOCK_COUNT_MAX)
        ),
    ),
    FrameKind.BLOCK_RESPONSE: _Form(
        record=frames.BlockResponse,
        size_max=FRAME_SIZE_MAX,
        length=2,
        read=lambda items: frames.BlockResponse(
            id=_id(items[0]),
            blocks=_bytes_list(
                items[1], most=BLOCK_COUNT_MAX, each_max=BLOCK_SIZE_MAX, what="blocks"
            ),
        ),
    ),
    FrameKind.HEADER_REQUEST: _Form(
        record=frames.HeaderRequest,
        size_max=32,
        length=3,
        read=lambda items: frames.HeaderRequest(
            id=_id(items[0]), start=_height(items[1]), count=_count(items[2], HEADER_COUNT_MAX)
        ),
    ),
    FrameKind.HEADER_RESPONSE: _Form(
        record=frames.HeaderResponse,
        size_max=FRAME_SIZE_MAX,
        length=2,
        read=lambda items: frames.HeaderResponse(
            id=_id(items[0]),
            headers=_bytes_list(
                items[1], most=HEADER_COUNT_MAX, each_max=32 * KIBIBYTE, what="headers"
            ),
        ),
    ),
    FrameKind.MANIFEST_REQUEST: _Form(
        record=frames.ManifestRequest,
        size_max=32,
        length=2,
        read=lambda items: frames.ManifestRequest(id=_id(items[0]), height=_height(items[1])),
    ),
    FrameKind.MANIFEST_RESPONSE: _Form(
        record=frames.ManifestResponse,
        size_max=FRAME_SIZE_MAX,
        length=2,
        read=lambda items: frames.ManifestResponse(id=_id(items[0]), manifest=_raw(items[1])),
    ),
    FrameKind.CHUNK_REQUEST: _Form(
        record=frames.ChunkRequest, size_max=32, length=3, read=_read_chunk_request
    ),
    FrameKind.CHUNK_RESPONSE: _Form(
        record=frames.ChunkResponse,
        size_max=FRAME_SIZE_MAX,
        length=2,
        read=lambda items: frames.ChunkResponse(id=_id(items[0]), chunk=_raw(items[1])),
    ),
}

_KINDS: Final[dict[type[Frame], FrameKind]] = {form.record: kind for kind, form in _FORMS.items()}
