"""What travels on the simulated wire: one byte of kind, then the bytes of the thing itself.

Consensus messages and blocks travel in their real encodings, so that a run exercises the codecs.
Decoding is cached across nodes: the records are immutable and equal bytes mean equal records, so a
message that reaches six validators is decoded and its signatures are recovered once.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from node.consensus.codec import decode_message, encode_message
from node.consensus.messages import Message
from node.primitives import rlp
from node.primitives.block import Block, decode_block
from node.primitives.errors import MalformedMessage
from node.primitives.transaction import Transaction, decode_transaction
from node.primitives.types import Height

BLOCKS_PER_ANSWER_MAX: Final = 8
"""Most blocks sent in answer to one request."""

_CACHE_SIZE: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where the sender stands."""

    height: Height
    """Its head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRequest:
    """Asks for blocks."""

    first: Height
    """The lowest one wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockAnswer:
    """Answers a request."""

    blocks: tuple[Block, ...]
    """Ascending, from the height asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A consensus message."""

    message: Message
    """Decoded, signatures recovered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gossip:
    """A transaction on its way to every pool."""

    transaction: Transaction
    """Decoded."""


Frame: TypeAlias = Said | Status | BlockRequest | BlockAnswer | Gossip

_SAID, _STATUS, _REQUEST, _ANSWER, _GOSSIP = range(1, 6)


def encode_frame(frame: Frame) -> bytes:
    """Encode a frame."""
    match frame:
        case Said():
            return bytes((_SAID,)) + encode_message(frame.message)
        case Status():
            return bytes((_STATUS,)) + frame.height.to_bytes(8, "big")
        case BlockRequest():
            return bytes((_REQUEST,)) + frame.first.to_bytes(8, "big")
        case BlockAnswer():
            return bytes((_ANSWER,)) + rlp.encode([block.encode() for block in frame.blocks])
        case Gossip():
            return bytes((_GOSSIP,)) + frame.transaction.raw


@lru_cache(maxsize=_CACHE_SIZE)
def decode_frame(data: bytes) -> Frame:
    """Decode a frame.

    Raises:
        InvalidInput: The bytes are none.
    """
    kind, body = (data[0], data[1:]) if data else (0, b"")
    match kind:
        case 1:
            return Said(message=decode_message(body))
        case 2 | 3 if len(body) == 8:
            height = Height(int.from_bytes(body, "big"))
            return Status(height=height) if kind == _STATUS else BlockRequest(first=height)
        case 4:
            items = rlp.decode_list(body)
            if len(items) > BLOCKS_PER_ANSWER_MAX:
                raise MalformedMessage(f"answer of {len(items)} blocks")
            blocks = tuple(load_block(rlp.as_bytes(item)) for item in items)
            return BlockAnswer(blocks=blocks)
        case 5:
            return Gossip(transaction=decode_transaction(body))
        case _:
            raise MalformedMessage("frame of unknown kind or length")


@lru_cache(maxsize=_CACHE_SIZE)
def load_block(data: bytes) -> Block:
    """Decode a block, from the wire or from a disk.

    Raises:
        InvalidInput: The bytes are no block.
    """
    return decode_block(data)
