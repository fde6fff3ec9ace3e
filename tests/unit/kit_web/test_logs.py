"""Failures are told by type and place; redacted values show themselves nowhere."""

import io
import json
import logging
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.log import FIELDS, HumanFormatter, JsonFormatter
from node.primitives.errors import Unavailable
from node.settings import LogFormat, LogSettings
from services.kit.logs import (
    CAUSES_MAX,
    Redacted,
    ValuesFilter,
    describe_failure,
    start_service_log,
)

PLANTED = "五霞花子 0280-84-1111"


@given(st.text(min_size=3).filter(lambda text: text not in "Redacted(…)"))
def test_a_redacted_value_shows_itself_nowhere(value: str) -> None:
    hidden = Redacted(value)

    shown = {repr(hidden), str(hidden), f"{hidden}", f"{hidden!r:>30}".strip(), str([hidden])[1:-1]}

    assert shown == {"Redacted(…)"}
    assert hidden.value == value


def failed() -> BaseException:
    """Return a failure that quotes a person thrice."""
    try:
        try:
            try:
                raise KeyError(PLANTED)
            except KeyError as error:
                raise Unavailable(f"no {PLANTED}", name=PLANTED) from error
        except Unavailable as error:
            raise RuntimeError(PLANTED) from error
    except RuntimeError as error:
        return error


def test_a_failure_is_told_by_its_types_and_places() -> None:
    told = describe_failure(failed())

    assert told["failure"] == "RuntimeError < world.unavailable < KeyError"
    assert "test_logs.py" in told["at"]
    assert PLANTED not in str(told)


def test_a_long_chain_of_causes_is_cut() -> None:
    error: BaseException = ValueError()
    for _ in range(20):
        error, error.__cause__ = RuntimeError(), error

    assert len(describe_failure(error)["failure"].split(" < ")) == CAUSES_MAX


def test_both_forms_of_a_log_line_hold_no_planted_value() -> None:
    record = logging.LogRecord("daicho.http", logging.ERROR, "", 0, "request failed", (), None)
    setattr(record, FIELDS, {"person": Redacted(PLANTED), **describe_failure(failed())})

    lines = [HumanFormatter().format(record), JsonFormatter().format(record)]

    assert all(PLANTED not in line and "花子" not in line for line in lines)
    assert json.loads(lines[1])["person"] == "Redacted(…)"


@pytest.mark.parametrize(
    ("name", "message", "arguments", "line"),
    [
        pytest.param("aiohttp.server", "refused %s", (PLANTED,), "refused %s", id="a value"),
        pytest.param("asyncio", f"task failed\n{PLANTED}", (), "task failed", id="further lines"),
        pytest.param("services.kit", "sent %d", (3,), "sent 3", id="our own"),
        pytest.param("daicho.http", "100%", (), "100%", id="a percent sign"),
    ],
)
def test_of_what_libraries_say_the_fixed_part_is_kept(
    name: str, message: str, arguments: tuple[object, ...], line: str
) -> None:
    error = failed()
    record = logging.LogRecord(
        name, logging.ERROR, "", 0, message, arguments, (type(error), error, error.__traceback__)
    )

    assert ValuesFilter().filter(record)
    told = HumanFormatter().format(record)

    assert f" {line}  failure=" in told
    assert PLANTED not in told


def test_a_services_log_is_written_without_values() -> None:
    root = logging.getLogger()
    before, level, hook = root.handlers, root.level, threading.excepthook
    lines = io.StringIO()
    writer = start_service_log(LogSettings(format=LogFormat.JSON), lines)
    try:
        logging.getLogger("library").error("no %s", PLANTED, exc_info=failed())
    finally:
        writer.stop()
        root.handlers, threading.excepthook = before, hook
        root.setLevel(level)

    assert json.loads(lines.getvalue())["failure"].startswith('"RuntimeError')
    assert "花子" not in lines.getvalue()
