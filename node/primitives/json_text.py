"""JSON from outside, bounded in nesting before it is parsed.

The EVM's libraries raise Python's recursion limit far above what the C stack bears, so the standard
parser would crash the process on deeply nested text instead of raising. Whoever parses JSON that
came from a file, a peer or a client goes through here.

Spec: EXEC-GENESIS-FORM.
"""

import json
import re
from collections.abc import Callable
from typing import Final, TypeGuard

from node.primitives.errors import MalformedMessage

NESTING_MAX: Final = 64
"""Deepest nesting of objects and lists parsed."""

_TOKENS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL)
"""A string whole, also one that never ends, or one bracket. Possessive, hence linear."""

_FLAT_LEVELS: Final = 6
"""Levels taken off before brackets are counted one by one."""

_NEITHER_BRACKET_NOR_QUOTE: Final = bytes(set(range(256)) - set(b'[]{}"'))
"""What decides nothing about nesting as long as no quote is escaped."""


def decode_json(
    data: bytes,
    *,
    object_pairs_hook: Callable[[list[tuple[str, object]]], object] | None = None,
    parse_float: Callable[[str], object] | None = None,
    parse_constant: Callable[[str], object] | None = None,
) -> object:
    """Decode JSON text in UTF-8; the caller has bounded its size.

    Raises:
        MalformedMessage: Not JSON, or nested deeper than ``NESTING_MAX``.
    """
    check_nesting(data)
    try:
        value: object = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=object_pairs_hook,
            parse_float=parse_float,
            parse_constant=parse_constant,
        )
    except ValueError as error:
        raise MalformedMessage(f"not JSON: {error}") from error
    return value


def is_object(value: object) -> TypeGuard[dict[str, object]]:
    """Tell whether a decoded JSON value is an object; its keys are then text."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[object]]:
    """Tell whether a decoded JSON value is a list."""
    return isinstance(value, list)


def check_nesting(data: bytes) -> None:
    """Refuse text whose brackets nest too deeply, whatever else is wrong with it.

    Raises:
        MalformedMessage: Nested deeper than ``NESTING_MAX``.
    """
    if data.count(b"[") + data.count(b"{") <= NESTING_MAX:
        return
    if b"\\" not in data:
        data = data.translate(None, _NEITHER_BRACKET_NOR_QUOTE).replace(b'""', b"")
        if _is_flat(data):
            return
    depth = 0
    for token in _TOKENS.finditer(data):
        first = token[0][:1]
        if first in b"[{":
            depth += 1
            if depth > NESTING_MAX:
                raise MalformedMessage(f"JSON nested deeper than {NESTING_MAX}")
        elif first in b"]}":
            depth -= 1


def _is_flat(brackets: bytes) -> bool:
    """Tell whether brackets without quotes between them pair off within a few levels.

    The common case, such as a batch of requests, in a few passes instead of one by one.
    """
    for _ in range(_FLAT_LEVELS):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return not brackets
