"""JSON from outside cannot exhaust the stack: nesting is bounded before the parser runs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.primitives.errors import MalformedMessage
from node.primitives.json_text import NESTING_MAX, decode_json


def test_the_deepest_nesting_is_parsed_and_one_level_more_is_refused() -> None:
    assert decode_json(b"[" * NESTING_MAX + b"]" * NESTING_MAX) is not None
    with pytest.raises(MalformedMessage, match="nested deeper"):
        decode_json(b"[" * (NESTING_MAX + 1) + b"]" * (NESTING_MAX + 1))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"[" * 1_000_000, id="lists"),
        pytest.param(b'{"a":' * 1_000_000, id="objects"),
        pytest.param(b'["\\"",' * 200_000, id="behind escaped quotes"),
        pytest.param(b"[]" * 100 + b"[" * 1_000_000, id="after closed lists"),
        pytest.param(b'"' + b'\\"' * 500_000 + b"[" * 100, id="string without end"),
        pytest.param(b"\xff", id="not UTF-8"),
    ],
)
def test_hostile_text_is_refused_and_not_a_crash(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_json(data)


def test_brackets_within_strings_do_not_count() -> None:
    text = json.dumps(["[{" * 500, '\\"[' * 500])

    assert decode_json(text.encode()) == json.loads(text)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_ordinary_json_is_what_the_standard_parser_says(value: object) -> None:
    assert decode_json(json.dumps(value).encode()) == value
