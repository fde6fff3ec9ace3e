"""The bytes of consensus messages: Besu 25.x layout behind one byte of message code.

``encode_message`` gives the code byte and then exactly the outer layout Besu puts on the wire.
Decoding bounds sizes and list lengths before it recovers any signature, accepts canonical RLP
only, and refuses signatures with a high s. ``peek_message`` reads height and round without decoding
the rest, so that a flood for the wrong height costs next to nothing.

Spec: QBFT-MESSAGES, QBFT-BOUNDS.
"""

from dataclasses import dataclass
from typing import Final

from node.consensus.messages import (
    Commit,
    CommitPayload,
    Message,
    MessageCode,
    P,
    Prepare,
    PreparedMetadata,
    PreparePayload,
    Proposal,
    ProposalPayload,
    RoundChange,
    RoundChangePayload,
    Signed,
    encode_payload,
    recover_signed,
)
from node.consensus.parameters import ROUND_MAX
from node.primitives import rlp
from node.primitives.block import BLOCK_SIZE_MAX, Block, block_from_items
from node.primitives.errors import MalformedMessage
from node.primitives.header import VALIDATOR_COUNT_MAX
from node.primitives.types import Digest, Hash32, Height, Round, Signature

VOTE_SIZE_MAX: Final = 512
"""Longest Prepare or Commit, in bytes."""

JUSTIFICATION_SIZE_MAX: Final = 64 * 1024
"""Room for what a Proposal or RoundChange holds besides its block, in bytes."""

MESSAGE_SIZE_MAX: Final = BLOCK_SIZE_MAX + JUSTIFICATION_SIZE_MAX
"""Longest message of any kind, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePeek:
    """What a message says it is about, before anything is verified."""

    code: MessageCode
    """Kind of message."""
    height: Height
    """Height it names."""
    round: Round
    """Round it names."""


def encode_message(message: Message) -> bytes:
    """Encode a message: its code in one byte, then Besu's outer layout.

    Spec: QBFT-MESSAGES.
    """
    match message:
        case Proposal():
            piggyback = rlp.wrap_list(
                encode_signed_list(message.round_changes) + encode_signed_list(message.prepares)
            )
            code, body = MessageCode.PROPOSAL, encode_signed(message.signed) + piggyback
            return bytes((code,)) + rlp.wrap_list(body)
        case Prepare():
            return bytes((MessageCode.PREPARE,)) + encode_signed(message.signed)
        case Commit():
            return bytes((MessageCode.COMMIT,)) + encode_signed(message.signed)
        case RoundChange():
            block = rlp.encode([]) if message.block is None else message.block.encode()
            body = encode_signed(message.signed) + block + encode_signed_list(message.prepares)
            return bytes((MessageCode.ROUND_CHANGE,)) + rlp.wrap_list(body)


def decode_message(data: bytes) -> Message:
    """Decode a message and recover the author of every signature in it.

    Raises:
        MalformedMessage: Not a message, or beyond a bound.
        InvalidSignature: A signature is not canonical or recovers no key.
        InvalidTransaction: A block in it holds a transaction of a refused type.

    Spec: QBFT-MESSAGES, QBFT-BOUNDS.
    """
    code = _check_size(data)
    items = rlp.decode_list(data[1:])
    match code:
        case MessageCode.PROPOSAL:
            return _decode_proposal(items)
        case MessageCode.PREPARE:
            return Prepare(signed=decode_signed_prepare(items))
        case MessageCode.COMMIT:
            return Commit(signed=decode_signed_commit(items))
        case MessageCode.ROUND_CHANGE:
            return _decode_round_change(items)


def peek_message(data: bytes) -> MessagePeek:
    """Read kind, height and round without decoding or verifying the rest.

    Raises:
        MalformedMessage: The bytes do not begin like a message, or are beyond a bound.

    Spec: QBFT-BOUNDS.
    """
    code = _check_size(data)
    is_nested = code in (MessageCode.PROPOSAL, MessageCode.ROUND_CHANGE)
    at = 1
    for _ in range(3 if is_nested else 2):
        at = _enter_list(data, at)
    height, at = _read_scalar(data, at, 8)
    at_round, _ = _read_scalar(data, at, 4)
    return MessagePeek(code=code, height=Height(height), round=Round(at_round))


def encode_signed(signed: Signed[P]) -> bytes:
    """Encode [payload, signature]."""
    return rlp.wrap_list(encode_payload(signed.payload) + rlp.encode(signed.signature))


def encode_signed_list(parts: tuple[Signed[P], ...]) -> bytes:
    """Encode a list of signed payloads."""
    return rlp.wrap_list(b"".join(encode_signed(part) for part in parts))


def decode_signed_proposal(item: rlp.Decoded) -> Signed[ProposalPayload]:
    """Decode a signed proposal payload.

    Raises:
        InvalidInput: Malformed, or the signature does not recover.
    """
    payload, signature = _split_signed(item, 3)
    block = block_from_items(rlp.as_list(payload[2], what="proposal.block"))
    height, at_round = _height_and_round(payload)
    return recover_signed(ProposalPayload(height=height, round=at_round, block=block), signature)


def decode_signed_prepare(item: rlp.Decoded) -> Signed[PreparePayload]:
    """Decode a signed prepare.

    Raises:
        InvalidInput: Malformed, or the signature does not recover.
    """
    payload, signature = _split_signed(item, 3)
    height, at_round = _height_and_round(payload)
    digest = _digest(payload[2])
    return recover_signed(PreparePayload(height=height, round=at_round, digest=digest), signature)


def decode_signed_commit(item: rlp.Decoded) -> Signed[CommitPayload]:
    """Decode a signed commit; its seal is checked against a digest elsewhere.

    Raises:
        InvalidInput: Malformed, or the signature does not recover.
    """
    payload, signature = _split_signed(item, 4)
    height, at_round = _height_and_round(payload)
    unsigned = CommitPayload(
        height=height,
        round=at_round,
        digest=_digest(payload[2]),
        seal=Signature(rlp.as_bytes(payload[3], 65, "commit.seal")),
    )
    return recover_signed(unsigned, signature)


def decode_signed_round_change(item: rlp.Decoded) -> Signed[RoundChangePayload]:
    """Decode a signed round change, without its block and prepares.

    Raises:
        InvalidInput: Malformed, or the signature does not recover.
    """
    payload, signature = _split_signed(item, 3)
    height, at_round = _height_and_round(payload)
    prepared = decode_prepared_metadata(payload[2])
    return recover_signed(
        RoundChangePayload(height=height, round=at_round, prepared=prepared), signature
    )


def decode_prepared_metadata(item: rlp.Decoded) -> PreparedMetadata | None:
    """Decode [] or [prepared round, prepared digest].

    Raises:
        MalformedMessage: Neither.
    """
    items = rlp.as_list(item, what="roundChange.prepared")
    if not items:
        return None
    rlp.as_list(item, 2, "roundChange.prepared")
    return PreparedMetadata(round=decode_round(items[0]), digest=_digest(items[1]))


def decode_round(item: rlp.Decoded) -> Round:
    """Decode a round within ``ROUND_MAX``.

    Raises:
        MalformedMessage: Not a scalar, or too high.
    """
    value = rlp.as_uint(item, 4, "round")
    if value > ROUND_MAX:
        raise MalformedMessage(f"round {value}, at most {ROUND_MAX}", rule="QBFT-BOUNDS")
    return Round(value)


def decode_prepares(item: rlp.Decoded) -> tuple[Signed[PreparePayload], ...]:
    """Decode a bounded list of signed prepares.

    Raises:
        InvalidInput: Malformed, over the bound, or a signature does not recover.
    """
    return tuple(decode_signed_prepare(part) for part in _bounded(item, "prepares"))


def _decode_proposal(items: list[rlp.Decoded]) -> Proposal:
    signed, piggyback = rlp.as_list(items, 2, "proposal")
    parts = rlp.as_list(piggyback, 2, "proposal.justification")
    round_changes, prepares = (_bounded(part, "proposal.justification") for part in parts)
    return Proposal(
        signed=decode_signed_proposal(signed),
        round_changes=tuple(decode_signed_round_change(part) for part in round_changes),
        prepares=tuple(decode_signed_prepare(part) for part in prepares),
    )


def _decode_round_change(items: list[rlp.Decoded]) -> RoundChange:
    signed, block_item, prepares_item = rlp.as_list(items, 3, "roundChange")
    block_items = rlp.as_list(block_item, what="roundChange.block")
    _bounded(prepares_item, "roundChange.prepares")
    block: Block | None = block_from_items(block_items) if block_items else None
    return RoundChange(
        signed=decode_signed_round_change(signed),
        block=block,
        prepares=decode_prepares(prepares_item),
    )


def _check_size(data: bytes) -> MessageCode:
    if not data or data[0] not in list(MessageCode):
        raise MalformedMessage("consensus message: unknown code")
    code = MessageCode(data[0])
    is_vote = code in (MessageCode.PREPARE, MessageCode.COMMIT)
    size_max = VOTE_SIZE_MAX if is_vote else MESSAGE_SIZE_MAX
    if len(data) > size_max:
        raise MalformedMessage(
            f"{code.name.lower()}: {len(data)} bytes, at most {size_max}", rule="QBFT-BOUNDS"
        )
    return code


def _split_signed(item: rlp.Decoded, length: int) -> tuple[list[rlp.Decoded], Signature]:
    payload, signature = rlp.as_list(item, 2, "signed payload")
    return (
        rlp.as_list(payload, length, "payload"),
        Signature(rlp.as_bytes(signature, 65, "signature")),
    )


def _height_and_round(payload: list[rlp.Decoded]) -> tuple[Height, Round]:
    return Height(rlp.as_uint(payload[0], 8, "height")), decode_round(payload[1])


def _digest(item: rlp.Decoded) -> Digest:
    return Digest(Hash32(rlp.as_bytes(item, 32, "digest")))


def _bounded(item: rlp.Decoded, what: str) -> list[rlp.Decoded]:
    items = rlp.as_list(item, what=what)
    if len(items) > VALIDATOR_COUNT_MAX:
        raise MalformedMessage(
            f"{what}: {len(items)} items, at most {VALIDATOR_COUNT_MAX}", rule="QBFT-BOUNDS"
        )
    return items


def _enter_list(data: bytes, at: int) -> int:
    prefix = data[at] if at < len(data) else 0
    if prefix < 0xC0:
        raise MalformedMessage("consensus message: expected a list")
    return at + 1 + max(0, prefix - 0xF7)


def _read_scalar(data: bytes, at: int, size_max: int) -> tuple[int, int]:
    prefix = data[at] if at < len(data) else 0xFF
    if prefix < 0x80:
        return prefix, at + 1
    stop = at + 1 + prefix - 0x80
    if prefix > 0x80 + size_max or stop > len(data):
        raise MalformedMessage("consensus message: expected a scalar")
    return int.from_bytes(data[at + 1 : stop], "big"), stop
