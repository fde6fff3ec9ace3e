"""Arguments of calls and data of events, as contracts have them.

The library behind it is loaded with the first call: it is slow to load, and a program that starts
has nothing to encode yet.
"""

from collections.abc import Sequence
from typing import Any

from node.primitives.errors import MalformedMessage


class MalformedAbi(MalformedMessage):
    """Bytes that are not the values of the types that they should have."""

    code = "abi.malformed"


def encode(types: Sequence[str], values: Sequence[object]) -> bytes:
    """Return the encoding of ``values``, each of its type."""
    from eth_abi import abi  # noqa: PLC0415

    return abi.encode(types, values)


def decode(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Return the values that ``data`` encodes.

    Raises:
        MalformedAbi: It does not encode values of these types.
    """
    from eth_abi import abi  # noqa: PLC0415
    from eth_abi.exceptions import DecodingError  # noqa: PLC0415

    try:
        return tuple(abi.decode(types, data))
    except (DecodingError, OverflowError, ValueError) as error:
        raise MalformedAbi(f"expected {', '.join(types)}: {error}") from error
