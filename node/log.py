"""Logs a tired person can read at three in the morning, or a collector can parse.

A line is a time, a level, the part of the program, a short sentence and named fields. Repeats of
one sentence are limited and their number told. Writing happens on its own thread behind a bounded
queue: a slow terminal or a full pipe loses lines, never time on the consensus path. Secrets do not
reach here, because the records that hold them do not show them.
"""

import json
import logging
import logging.handlers
import queue
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TextIO

from node.settings import LogFormat, LogLevel

QUEUE_LINES_MAX: Final = 10_000
"""Lines waiting to be written before further ones are dropped."""

REPEATS_MAX: Final = 5
"""Times one sentence is logged in a window before it is held back."""

REPEAT_WINDOW_S: Final = 10.0
REPEAT_SENTENCES_MAX: Final = 512
"""Sentences whose repeats are counted at once."""

FIELDS: Final = "ledger_fields"
"""Attribute of a log record that carries its named fields."""

_LEVELS: Final = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARNING: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
}


class Log:
    """A named part of the program that logs sentences with fields."""

    __slots__ = ("_logger",)

    def __init__(self, part: str) -> None:
        """Name the part, as ``consensus`` or ``sync``."""
        self._logger = logging.getLogger(f"daicho.{part}")

    def debug(self, sentence: str, **fields: object) -> None:
        """Log what only someone searching for a fault wants."""
        self._log(logging.DEBUG, sentence, fields)

    def info(self, sentence: str, **fields: object) -> None:
        """Log what normally happens, once per block at most."""
        self._log(logging.INFO, sentence, fields)

    def warning(self, sentence: str, **fields: object) -> None:
        """Log what an operator should look at by day."""
        self._log(logging.WARNING, sentence, fields)

    def error(self, sentence: str, *, cause: BaseException | None = None, **fields: object) -> None:
        """Log what an operator must look at now, with the whole chain of causes."""
        self._log(logging.ERROR, sentence, fields, cause)

    def _log(
        self,
        level: int,
        sentence: str,
        fields: dict[str, object],
        cause: BaseException | None = None,
    ) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", sentence, extra={FIELDS: fields}, exc_info=cause)


class RepeatFilter(logging.Filter):
    """Hold back a sentence that repeats too often, and tell how often once it may speak again."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        super().__init__()
        self._windows: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether ``record`` is written."""
        if record.levelno < logging.INFO:
            return True
        key = (record.name, record.getMessage() if record.msg == "%s" else str(record.msg))
        started, count = self._windows.pop(key, (record.created, 0))
        if record.created - started >= REPEAT_WINDOW_S:
            if count > REPEATS_MAX:
                held = count - REPEATS_MAX
                setattr(record, FIELDS, {**getattr(record, FIELDS, {}), "held_back": held})
            started, count = record.created, 0
        self._windows[key] = (started, count + 1)
        if len(self._windows) > REPEAT_SENTENCES_MAX:
            self._windows.popitem(last=False)
        return count < REPEATS_MAX


class HumanFormatter(logging.Formatter):
    """``16:20:31 INFO  consensus  block final  height=5 round=0``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for ``record``."""
        at = datetime.fromtimestamp(record.created, tz=UTC).strftime("%H:%M:%S")
        part = record.name.removeprefix("daicho.")
        fields = " ".join(
            f"{name}={readable(value)}" for name, value in getattr(record, FIELDS, {}).items()
        )
        line = f"{at} {record.levelname:<7} {part:<10} {record.getMessage()}"
        line = f"{line}  {fields}" if fields else line
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, part, message, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for ``record``."""
        at = datetime.fromtimestamp(record.created, tz=UTC)
        document: dict[str, object] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "part": record.name.removeprefix("daicho."),
            "message": record.getMessage(),
        }
        for name, value in getattr(record, FIELDS, {}).items():
            plain = isinstance(value, (int, float, bool)) or value is None
            document[name] = value if plain else readable(value)
        if record.exc_info:
            document["error"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False)


def readable(value: object) -> str:
    """Return a field's value as a person reads it: bytes in hex, fractions short."""
    if isinstance(value, bytes):
        text = value.hex()
        return f"0x{text}" if len(value) <= 20 else f"0x{text[:16]}…"
    if isinstance(value, float):
        return f"{value:.3g}"
    text = str(value)
    return f'"{text}"' if " " in text else text


class _DroppingQueueHandler(logging.handlers.QueueHandler):
    """Pass records to the writing thread; drop them when it is too far behind."""

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue ``record`` unless the queue is full."""
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Leave formatting to the writing thread, which is in this process."""
        return record


@dataclass(frozen=True, slots=True)
class LogWriter:
    """The running log output; stop it last."""

    listener: logging.handlers.QueueListener
    """Thread that writes."""

    def stop(self) -> None:
        """Write what is queued and end the thread."""
        self.listener.stop()


def start_log(level: LogLevel, form: LogFormat, stream: TextIO = sys.stderr) -> LogWriter:
    """Send all logs of this process to ``stream`` in the chosen form."""
    lines: queue.Queue[logging.LogRecord] = queue.Queue(maxsize=QUEUE_LINES_MAX)
    sink = logging.StreamHandler(stream)
    sink.setFormatter(JsonFormatter() if form is LogFormat.JSON else HumanFormatter())
    sink.addFilter(RepeatFilter())
    listener = logging.handlers.QueueListener(lines, sink)
    root = logging.getLogger()
    root.handlers = [_DroppingQueueHandler(lines)]
    for noisy in ("asyncio", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    set_log_level(level)
    listener.start()
    threading.excepthook = _log_thread_death
    return LogWriter(listener=listener)


def set_log_level(level: LogLevel, part: str | None = None) -> None:
    """Change the least severity logged, of one part or of all, while running."""
    logging.getLogger(f"daicho.{part}" if part else None).setLevel(_LEVELS[level])


def _log_thread_death(gone: threading.ExceptHookArgs) -> None:
    name = gone.thread.name if gone.thread else "unknown"
    Log("runtime").error("a thread died", cause=gone.exc_value, thread=name)
