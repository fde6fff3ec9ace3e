"""Recursive Length Prefix: the canonical byte form of everything hashed, signed or sent.

Our own codec because it lies on the path of every block and vote; the ``rlp`` library judges it in
the property tests. Decoding accepts canonical bytes only and bounds nesting, so that bytes from
outside cost no more than their length.

Spec: Ethereum yellow paper, appendix B.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

from node.primitives.errors import MalformedMessage

DEPTH_MAX: Final = 16
"""Deepest nesting decoded; the deepest of our own records is a Proposal, at 9."""

Item: TypeAlias = bytes | Sequence["Item"]
"""What is encoded: bytes, or a sequence of items."""

Decoded: TypeAlias = bytes | list["Decoded"]
"""What decoding yields."""


def encode(item: Item) -> bytes:
    """Encode ``item`` canonically."""
    if isinstance(item, (bytes, bytearray)):
        size = len(item)
        if size == 1 and item[0] < 0x80:
            return bytes(item)
        if size < 56:
            return bytes((0x80 + size,)) + item
        return _long_prefix(0xB7, size) + item
    body = b"".join([encode(part) for part in item])
    return wrap_list(body)


def wrap_list(body: bytes) -> bytes:
    """Prefix already encoded items, joined in ``body``, as one list."""
    size = len(body)
    if size < 56:
        return bytes((0xC0 + size,)) + body
    return _long_prefix(0xF7, size) + body


def encode_uint(value: int) -> bytes:
    """Return the minimal big-endian scalar: empty for zero.

    The result is an item still to be passed through ``encode``.
    """
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def decode(data: bytes) -> Decoded:
    """Decode exactly one item from ``data``.

    Raises:
        MalformedMessage: Trailing bytes, a non-canonical prefix, or nesting beyond ``DEPTH_MAX``.
    """
    try:
        item, end = _decode_at(data, 0, len(data), 0)
    except IndexError:
        raise MalformedMessage("rlp: input ends inside a prefix") from None
    if end != len(data):
        raise MalformedMessage(f"rlp: {len(data) - end} bytes after the item")
    return item


def decode_list(data: bytes) -> list[Decoded]:
    """Decode one item that must be a list.

    Raises:
        MalformedMessage: As ``decode``, or the item is a byte string.
    """
    return as_list(decode(data))


def decode_shallow(data: bytes, *, count_max: int) -> list[Decoded]:
    """Decode a list whose items are byte strings or lists of byte strings.

    For bytes of a stranger: no list may hold more than ``count_max`` items, so a long input of
    tiny items is refused before it is built.

    Raises:
        MalformedMessage: As ``decode``, a list is too long or nested deeper, or no list at all.
    """
    try:
        start, stop = _body_bounds(data, 0, len(data), 0xC0) if data[0] >= 0xC0 else (0, 0)
        if stop != len(data):
            raise MalformedMessage("rlp: expected exactly one list")
        return _decode_items(data, start, stop, count_max=count_max, is_outer=True)
    except IndexError:
        raise MalformedMessage("rlp: input ends inside a prefix") from None


def as_list(item: Decoded, length: int | None = None, what: str = "item") -> list[Decoded]:
    """Return ``item`` as a list, of ``length`` items when given.

    Raises:
        MalformedMessage: It is bytes, or of another length.
    """
    if isinstance(item, bytes):
        raise MalformedMessage(f"{what}: expected a list, found {len(item)} bytes")
    if length is not None and len(item) != length:
        raise MalformedMessage(f"{what}: expected {length} items, found {len(item)}")
    return item


def as_bytes(item: Decoded, length: int | None = None, what: str = "item") -> bytes:
    """Return ``item`` as bytes, of ``length`` bytes when given.

    Raises:
        MalformedMessage: It is a list, or of another length.
    """
    if not isinstance(item, bytes):
        raise MalformedMessage(f"{what}: expected bytes, found a list")
    if length is not None and len(item) != length:
        raise MalformedMessage(f"{what}: expected {length} bytes, found {len(item)}")
    return item


def as_uint(item: Decoded, size_max: int = 32, what: str = "item") -> int:
    """Return ``item`` as an unsigned integer of at most ``size_max`` bytes.

    Raises:
        MalformedMessage: It is a list, too long, or has a leading zero byte.
    """
    return int.from_bytes(as_scalar(item, size_max, what), "big")


def as_scalar(item: Decoded, size_max: int = 32, what: str = "item") -> bytes:
    """Return ``item`` as the bytes of an unsigned integer of at most ``size_max`` bytes.

    Raises:
        MalformedMessage: It is a list, too long, or has a leading zero byte.
    """
    if not isinstance(item, bytes):
        raise MalformedMessage(f"{what}: expected bytes, found a list")
    if len(item) > size_max:
        raise MalformedMessage(f"{what}: scalar of {len(item)} bytes, at most {size_max} allowed")
    if item and item[0] == 0:
        raise MalformedMessage(f"{what}: scalar with a leading zero byte")
    return item


def _long_prefix(offset: int, size: int) -> bytes:
    size_bytes = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((offset + len(size_bytes),)) + size_bytes


def _decode_at(data: bytes, start: int, end: int, depth: int) -> tuple[Decoded, int]:
    prefix = data[start]
    if prefix < 0x80:
        return data[start : start + 1], start + 1
    if prefix < 0xC0:
        body, stop = _body_bounds(data, start, end, 0x80)
        if stop - body == 1 and data[body] < 0x80:
            raise MalformedMessage("rlp: a single byte below 0x80 must stand for itself")
        return data[body:stop], stop
    if depth >= DEPTH_MAX:
        raise MalformedMessage(f"rlp: nested deeper than {DEPTH_MAX}")
    body, stop = _body_bounds(data, start, end, 0xC0)
    return _decode_body(data, body, stop, depth), stop


def _decode_body(data: bytes, start: int, stop: int, depth: int) -> list[Decoded]:
    """Decode the items of a list's body; the short forms, which are most, right here."""
    items: list[Decoded] = []
    at = start
    while at < stop:
        prefix = data[at]
        if prefix < 0x80:
            items.append(data[at : at + 1])
            at += 1
        elif prefix < 0xB8:
            body = at + 1
            at = body + prefix - 0x80
            if at > stop:
                raise MalformedMessage("rlp: an item reaches past its container")
            if prefix == 0x81 and data[body] < 0x80:
                raise MalformedMessage("rlp: a single byte below 0x80 must stand for itself")
            items.append(data[body:at])
        else:
            item, at = _decode_at(data, at, stop, depth + 1)
            items.append(item)
    return items


def _decode_items(
    data: bytes, start: int, stop: int, *, count_max: int, is_outer: bool
) -> list[Decoded]:
    """Decode the items of a list's body, going one list deeper from the outer one only."""
    items: list[Decoded] = []
    at = start
    while at < stop:
        if len(items) >= count_max:
            raise MalformedMessage(f"rlp: over {count_max} items in a list")
        if data[at] < 0xC0:
            item, at = _decode_at(data, at, stop, DEPTH_MAX)
        elif is_outer:
            body, at = _body_bounds(data, at, stop, 0xC0)
            item = _decode_items(data, body, at, count_max=count_max, is_outer=False)
        else:
            raise MalformedMessage("rlp: nested deeper than two lists")
        items.append(item)
    return items


def _body_bounds(data: bytes, start: int, end: int, offset: int) -> tuple[int, int]:
    """Return where the body of the item at ``start`` begins and stops."""
    short = data[start] - offset
    if short < 56:
        body, stop = start + 1, start + 1 + short
    else:
        body = start + 1 + short - 55
        size_bytes = data[start + 1 : body]
        size = int.from_bytes(size_bytes, "big")
        if body > end or size < 56 or size_bytes[0] == 0:
            raise MalformedMessage("rlp: non-canonical length")
        stop = body + size
    if stop > end:
        raise MalformedMessage("rlp: an item reaches past its container")
    return body, stop
