"""Logs of services without personal values.

Sentences are fixed and fields are chosen by the code. What remains dangerous is a failure nobody
foresaw: its message may quote a name or an address, and so may the causes chained to it and the
statement of a database error. Such failures are told by their types and places in the code alone.
"""

import traceback
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from node.primitives.errors import LedgerError

Value = TypeVar("Value")

CAUSES_MAX: Final = 5
FRAMES_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Redacted(Generic[Value]):
    """A value that does not show itself in ``repr``, ``str`` or a log line."""

    value: Value
    """What it is; name it only where it is needed."""

    def __repr__(self) -> str:
        """Return the same for every value."""
        return "Redacted(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """Return the same for every value and format."""
        return repr(self)


def describe_failure(error: BaseException) -> dict[str, Any]:
    """Return log fields that tell where ``error`` arose, without its message.

    Errors of the ledger keep their code.
    """
    chain: list[str] = []
    current: BaseException | None = error
    while current is not None and len(chain) < CAUSES_MAX:
        chain.append(_name(current))
        current = current.__cause__ or current.__context__
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    places = [f"{_short(frame.filename)}:{frame.lineno}:{frame.name}" for frame in frames]
    return {"failure": " < ".join(chain), "at": " > ".join(places)}


def _name(error: BaseException) -> str:
    return error.code if isinstance(error, LedgerError) else type(error).__qualname__


def _short(filename: str) -> str:
    return "/".join(filename.rsplit("/", 3)[-3:])
