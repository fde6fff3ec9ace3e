"""One spelling for every JSON value, so that what is hashed or signed can be written again.

RFC 8785 over the values we exchange: objects, lists, strings, booleans, null and integers
that a double holds exactly. Fractions are refused: write them as integers of a smaller unit or as
strings. Parsing is ``node.primitives.json_text``'s.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final, cast

from node.primitives.errors import InvalidInput

INTEGER_MAX: Final = 2**53 - 1
"""Largest integer that every JSON reader keeps exactly."""

NESTING_MAX: Final = 32
"""Deepest nesting written."""


class NotCanonical(InvalidInput):
    """A value that has no single spelling in JSON."""

    code = "canonical.invalid"


def encode_canonical(value: object) -> bytes:
    """Write ``value`` as RFC 8785 does: keys sorted by UTF-16, no spaces, UTF-8.

    Raises:
        NotCanonical: A fraction, a large integer, a lone surrogate, a key that is no string, a
            type JSON has not, or nesting beyond ``NESTING_MAX``.
    """
    ordered = _order(value, NESTING_MAX)
    try:
        return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise NotCanonical("text holds half of a surrogate pair") from error


def _order(value: object, levels_left: int) -> object:
    match value:
        case None | bool() | str():
            return value
        case int():
            if abs(value) > INTEGER_MAX:
                raise NotCanonical("an integer beyond 2^53 - 1; write it as a string")
            return value
        case Mapping() | list() | tuple() if levels_left == 0:
            raise NotCanonical(f"nested deeper than {NESTING_MAX}")
        case Mapping():
            return _order_object(cast("Mapping[object, object]", value), levels_left)
        case list() | tuple():
            items = cast("Sequence[object]", value)
            return [_order(item, levels_left - 1) for item in items]
        case _:
            raise NotCanonical(f"{type(value).__name__} has no canonical form")


def _order_object(value: Mapping[object, object], levels_left: int) -> dict[str, object]:
    names: Sequence[object] = list(value)
    if not all(isinstance(name, str) for name in names):
        raise NotCanonical("an object's keys are strings")
    try:
        ordered = sorted((str(name) for name in names), key=lambda name: name.encode("utf-16-be"))
    except UnicodeEncodeError as error:
        raise NotCanonical("a key holds half of a surrogate pair") from error
    return {name: _order(value[name], levels_left - 1) for name in ordered}
