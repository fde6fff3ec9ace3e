"""What a node and its remote signer say to each other over a Unix socket: bytes and bounds.

A frame is a length in four bytes and an RLP list. Votes travel as records and drafts, never as
bare hashes, so that the signer itself sees what it signs and computes the hash.

Spec: QBFT-SIGN-STATE.
"""

import socket
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from node.consensus.codec import decode_prepared_metadata, decode_round
from node.consensus.messages import (
    CommitDraft,
    CommitPayload,
    Draft,
    MessageCode,
    PreparePayload,
    ProposalDraft,
    ProposalPayload,
    RoundChangeDraft,
    RoundChangePayload,
    encode_payload,
)
from node.consensus.sign_state import SignState, decode_sign_state, encode_sign_state
from node.primitives import rlp
from node.primitives.block import block_from_items
from node.primitives.errors import MalformedMessage, Unavailable
from node.primitives.types import Digest, Hash32, Height, Signature

FRAME_SIZE_MAX: Final = 64 * 1024 * 1024
"""Longest frame: two blocks, one locked and one proposed, with room."""

STATEMENT_SIZE_MAX: Final = 65_536
"""Longest statement signed for the transport, in bytes."""


class Request(IntEnum):
    """First item of a request."""

    PUBLIC_KEY = 1
    LOAD = 2
    RECORD = 3
    VOTE = 4
    IDENTIFY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AskPublicKey:
    """Whose signer are you?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskNewest:
    """What is your newest record?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRecord:
    """Make this durable without signing anything."""

    sign_state: SignState
    """The record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskVote:
    """Make the record durable, then sign the draft."""

    sign_state: SignState
    """The record that holds the vote."""
    draft: Draft
    """The vote; justification is left out, it is not signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskIdentify:
    """Sign a hash that ties a TLS session or certificate to the node key."""

    message_hash: Hash32
    """What is signed."""


Ask: TypeAlias = AskPublicKey | AskNewest | AskRecord | AskVote | AskIdentify


def encode_ask(ask: Ask) -> bytes:
    """Encode a request."""
    match ask:
        case AskPublicKey():
            return rlp.encode([bytes((Request.PUBLIC_KEY,))])
        case AskNewest():
            return rlp.encode([bytes((Request.LOAD,))])
        case AskRecord():
            return rlp.encode([bytes((Request.RECORD,)), encode_sign_state(ask.sign_state)])
        case AskVote():
            return rlp.encode(
                [
                    bytes((Request.VOTE,)),
                    encode_sign_state(ask.sign_state),
                    _encode_draft(ask.draft),
                ]
            )
        case AskIdentify():
            return rlp.encode([bytes((Request.IDENTIFY,)), ask.message_hash])


def decode_ask(data: bytes) -> Ask:
    """Decode a request.

    Raises:
        InvalidInput: Not one of the requests.
    """
    items = [rlp.as_bytes(item, what="signer request") for item in rlp.decode_list(data)]
    kind = items[0] if items else b""
    match kind, len(items):
        case b"\x01", 1:
            return AskPublicKey()
        case b"\x02", 1:
            return AskNewest()
        case b"\x03", 2:
            return AskRecord(sign_state=decode_sign_state(items[1]))
        case b"\x04", 3:
            return AskVote(sign_state=decode_sign_state(items[1]), draft=_decode_draft(items[2]))
        case b"\x05", 2:
            return AskIdentify(message_hash=Hash32(rlp.as_bytes(items[1], 32, "identify")))
        case _:
            raise MalformedMessage("signer request: unknown kind or length")


def encode_answer(*, error: str = "", values: tuple[bytes, ...] = ()) -> bytes:
    """Encode an answer: an error's code and sentence, or values."""
    return rlp.encode([error.encode(), values])


def decode_answer(data: bytes) -> tuple[str, tuple[bytes, ...]]:
    """Decode an answer into its error (empty when fine) and values.

    Raises:
        MalformedMessage: Of another form.
    """
    error, values = rlp.as_list(rlp.decode(data), 2, "signer answer")
    parts = rlp.as_list(values, what="signer answer values")
    return (
        rlp.as_bytes(error, what="signer answer error").decode(errors="replace"),
        tuple(rlp.as_bytes(part, what="signer answer value") for part in parts),
    )


def send_frame(channel: socket.socket, data: bytes) -> None:
    """Write one frame.

    Raises:
        Unavailable: The other end is gone.
    """
    try:
        channel.sendall(len(data).to_bytes(4, "big") + data)
    except OSError as error:
        raise Unavailable(f"signer socket: {error}") from error


def receive_frame(channel: socket.socket) -> bytes | None:
    """Read one frame, or None at the end of the stream.

    Raises:
        Unavailable: The other end is gone in the middle of a frame.
        MalformedMessage: The frame is longer than any may be.
    """
    head = _receive(channel, 4)
    if not head:
        return None
    size = int.from_bytes(head, "big")
    if size > FRAME_SIZE_MAX:
        raise MalformedMessage(f"signer frame: {size} bytes, at most {FRAME_SIZE_MAX}")
    body = _receive(channel, size)
    if body is None:
        raise Unavailable("signer socket: closed inside a frame")
    return body


def _receive(channel: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        try:
            part = channel.recv(min(65_536, size - len(parts)))
        except OSError as error:
            raise Unavailable(f"signer socket: {error}") from error
        if not part:
            if parts:
                raise Unavailable("signer socket: closed inside a frame")
            return None
        parts += part
    return bytes(parts)


def _encode_draft(draft: Draft) -> bytes:
    match draft:
        case PreparePayload():
            return bytes((MessageCode.PREPARE,)) + encode_payload(draft)
        case CommitDraft():
            unsealed = CommitPayload(
                height=draft.height,
                round=draft.round,
                digest=draft.digest,
                seal=Signature(b""),
            )
            return bytes((MessageCode.COMMIT,)) + encode_payload(unsealed)
        case ProposalDraft():
            return bytes((MessageCode.PROPOSAL,)) + encode_payload(draft.payload)
        case RoundChangeDraft():
            return bytes((MessageCode.ROUND_CHANGE,)) + encode_payload(draft.payload)


def _decode_draft(data: bytes) -> Draft:
    items = rlp.decode_list(data[1:])
    if len(items) < 3:
        raise MalformedMessage("signer draft: expected height, round and what is voted on")
    height = Height(rlp.as_uint(items[0], 8, "draft.height"))
    at = decode_round(items[1])
    match data[0]:
        case MessageCode.PREPARE:
            return PreparePayload(height=height, round=at, digest=_digest(items[2]))
        case MessageCode.COMMIT:
            return CommitDraft(height=height, round=at, digest=_digest(items[2]))
        case MessageCode.PROPOSAL:
            block = block_from_items(rlp.as_list(items[2], what="draft.block"))
            return ProposalDraft(payload=ProposalPayload(height=height, round=at, block=block))
        case MessageCode.ROUND_CHANGE:
            prepared = decode_prepared_metadata(items[2])
            payload = RoundChangePayload(height=height, round=at, prepared=prepared)
            return RoundChangeDraft(payload=payload, certificate=None)
        case _:
            raise MalformedMessage(f"signer draft: unknown code 0x{data[0]:02x}")


def _digest(item: rlp.Decoded) -> Digest:
    return Digest(Hash32(rlp.as_bytes(item, 32, "draft.digest")))
