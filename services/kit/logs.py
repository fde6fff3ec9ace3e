"""Logs of services without personal values.

Sentences are fixed and fields are chosen by the code. What remains dangerous is a failure nobody
foresaw: its message may quote a name or an address, and so may the causes chained to it and the
statement of a database error. Such failures are told by their types and places in the code alone.
So is what libraries log: of their sentences the fixed part is kept, without the values.
"""

import logging
import sys
import traceback
from dataclasses import dataclass
from typing import Any, Final, Generic, TextIO, TypeVar

from node.log import FIELDS, LogWriter, start_log
from node.primitives.errors import LedgerError
from node.settings import LogSettings

Value = TypeVar("Value")

CAUSES_MAX: Final = 5
FRAMES_MAX: Final = 6

OURS: Final = ("daicho", "services", "clients", "node")
"""Loggers whose sentences are ours."""

FOREIGN_LENGTH_MAX: Final = 100
"""Characters kept of a library's sentence."""


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


class ValuesFilter(logging.Filter):
    """Take from log records the values that may be personal; drops no record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Strip ``record`` of messages of exceptions and of what libraries put in."""
        fields = dict(getattr(record, FIELDS, {}))
        if record.exc_info and record.exc_info[1] is not None:
            fields |= describe_failure(record.exc_info[1])
        record.exc_info = record.exc_text = record.stack_info = None
        if record.name.partition(".")[0] not in OURS:
            sentence = str(record.msg).partition("\n")[0][:FOREIGN_LENGTH_MAX]
            record.msg, record.args = sentence, ()
        setattr(record, FIELDS, fields)
        return True


def start_service_log(settings: LogSettings, stream: TextIO = sys.stderr) -> LogWriter:
    """Send all logs of this process to ``stream``, without personal values."""
    writer = start_log(settings.level, settings.format, stream)
    for handler in logging.getLogger().handlers:
        handler.addFilter(ValuesFilter())
    return writer


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
