"""Logs: one readable line, or one JSON object; repeats held back and counted; no secrets."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from node.log import (
    FIELDS,
    REPEAT_WINDOW_S,
    REPEATS_MAX,
    Log,
    RepeatFilter,
    set_log_level,
    start_log,
)
from node.primitives.crypto import PrivateKey
from node.settings import LogFormat, LogLevel

LOG = Log("trial")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level


def lines(form: LogFormat, level: LogLevel = LogLevel.INFO) -> tuple[io.StringIO, object]:
    stream = io.StringIO()
    return stream, start_log(level, form, stream)


def test_a_line_for_people_has_time_level_part_sentence_and_fields() -> None:
    stream, writer = lines(LogFormat.HUMAN)
    LOG.info("block final", height=5, hash=b"\xab" * 32, why="two words")
    writer.stop()  # type: ignore[attr-defined]
    line = stream.getvalue()
    assert line[8:].split()[:4] == ["INFO", "trial", "block", "final"]
    assert 'height=5 hash=0xabababababababab… why="two words"' in line


def test_a_line_for_collectors_is_one_object() -> None:
    stream, writer = lines(LogFormat.JSON)
    LOG.warning("peer left", peer="goka", height=7)
    writer.stop()  # type: ignore[attr-defined]
    found = json.loads(stream.getvalue())
    assert found["level"] == "warning"
    assert (found["message"], found["peer"], found["height"]) == ("peer left", "goka", 7)
    assert found["time"].endswith("Z")


def test_an_error_carries_its_chain_of_causes() -> None:
    stream, writer = lines(LogFormat.HUMAN)
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("outer") from inner
    except ValueError as error:
        LOG.error("failed", cause=error)
    writer.stop()  # type: ignore[attr-defined]
    assert "inner" in stream.getvalue()
    assert "outer" in stream.getvalue()


def test_the_level_changes_while_running() -> None:
    stream, writer = lines(LogFormat.HUMAN)
    LOG.debug("unseen")
    set_log_level(LogLevel.DEBUG)
    LOG.debug("seen")
    writer.stop()  # type: ignore[attr-defined]
    assert stream.getvalue().count("seen") == 1


def record(sentence: str, created: float) -> logging.LogRecord:
    made = logging.LogRecord("daicho.trial", logging.INFO, "", 0, "%s", (sentence,), None)
    made.created = created
    return made


def test_a_repeating_sentence_is_held_back_and_then_counted() -> None:
    repeats = RepeatFilter()
    passed = [repeats.filter(record("again", 0.0)) for _ in range(REPEATS_MAX + 3)]
    assert passed == [True] * REPEATS_MAX + [False] * 3
    assert repeats.filter(record("another", 0.0))

    later = record("again", REPEAT_WINDOW_S)
    assert repeats.filter(later)
    assert getattr(later, FIELDS) == {"held_back": 3}


def test_a_key_shows_its_address_only() -> None:
    stream, writer = lines(LogFormat.HUMAN)
    key = PrivateKey(b"\x11" * 32)
    LOG.info("opened", key=key)
    writer.stop()  # type: ignore[attr-defined]
    assert key.export_secret().hex() not in stream.getvalue()
    assert key.address.hex() in stream.getvalue()
