"""RPC-JSON, RPC-BATCH, RPC-ERRORS, RPC-PARAMS: from bodies to answers, whatever is in them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.primitives.errors import InvariantViolation
from node.rpc.backend import Json, StateUnavailable
from node.rpc.dispatch import answer_text, decode_body, encode, encode_batch, encode_in_parts
from node.rpc.errors import ExecutionReverted, LimitExceeded, RpcError
from node.rpc.limits import RpcLimits
from node.rpc.method import Context, Method, MethodTable
from node.rpc.params import Params

LIMITS = RpcLimits(batch_count_max=3, response_size_max_bytes=400)


def echo(context: Context, params: Params) -> Json:
    del context
    params.at_most(1)
    return params.values[0] if params.has(0) else None


def failing(error: Exception) -> Method:
    def run(context: Context, params: Params) -> Json:
        raise error

    return Method(run=run)


TABLE: MethodTable = {
    "echo": Method(run=echo),
    "address": Method(run=lambda _, params: "0x" + params.address(0).hex()),
    "revert": failing(ExecutionReverted("execution reverted: no", b"\x01")),
    "pruned": failing(StateUnavailable("gone")),
    "wrong": failing(InvariantViolation("we are wrong", secret="never shown")),
    "unforeseen": failing(ZeroDivisionError("internals")),
    "values": failing(LimitExceeded("too much", rule="RPC-BOUNDS", limit=5)),
}
NOWHERE: Any = None


def ask(body: bytes | str, limits: RpcLimits = LIMITS) -> Any:
    """Answer a body as the service does, without its threads."""
    try:
        batch = decode_body(body if isinstance(body, bytes) else body.encode(), limits)
    except RpcError as error:
        return {"error": {"code": error.number}}
    answers = [answer_text(entry, TABLE, NOWHERE) for entry in batch.entries]
    text = encode_batch(answers, is_list=batch.is_list, limits=limits)
    return None if text is None else json.loads(text)


def request(method: str, *params: object, request_id: object = 1) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": list(params)}


def test_a_request_is_answered_with_its_id() -> None:
    assert ask(json.dumps(request("echo", "町", request_id="a"))) == {
        "jsonrpc": "2.0",
        "id": "a",
        "result": "町",
    }


def test_missing_parameters_are_an_empty_list() -> None:
    assert ask('{"jsonrpc":"2.0","id":1,"method":"echo"}')["result"] is None


@pytest.mark.parametrize(
    ("body", "number"),
    [
        pytest.param("", -32700, id="nothing"),
        pytest.param("{", -32700, id="half"),
        pytest.param(b"\xff\xfe", -32700, id="no text"),
        pytest.param("NaN", -32700, id="not a number"),
        pytest.param(
            '{"jsonrpc":"2.0","id":1,"method":"echo","params":[Infinity]}', -32700, id="∞"
        ),
        pytest.param("[" * 100_000, -32700, id="deep lists that never close"),
        pytest.param("[" * 5_000 + "]" * 5_000, -32700, id="deep lists"),
        pytest.param('{"a":' * 5_000 + "1" + "}" * 5_000, -32700, id="deep objects"),
        pytest.param("9" * 5_000, -32700, id="a number of 5,000 digits"),
        pytest.param("[]", -32600, id="empty batch"),
        pytest.param("1", -32600, id="a number"),
        pytest.param("{}", -32600, id="an empty object"),
        pytest.param('{"jsonrpc":"1.0","id":1,"method":"echo"}', -32600, id="another version"),
        pytest.param('{"jsonrpc":"2.0","id":{},"method":"echo"}', -32600, id="an object for an id"),
        pytest.param('{"jsonrpc":"2.0","id":1,"method":5}', -32600, id="a number for a method"),
        pytest.param(json.dumps(request("m" * 65)), -32600, id="a long method name"),
        pytest.param(json.dumps(request("nothing")), -32601, id="no such method"),
        pytest.param('{"jsonrpc":"2.0","id":1,"method":"echo","params":{}}', -32602, id="named"),
        pytest.param(json.dumps(request("echo", 1, 2)), -32602, id="too many"),
        pytest.param(json.dumps(request("address")), -32602, id="too few"),
        pytest.param(json.dumps([request("echo")] * 4), -32005, id="a batch of four"),
    ],
)
def test_what_is_no_request_is_answered_with_the_number_for_it(
    body: bytes | str, number: int
) -> None:
    assert ask(body)["error"]["code"] == number


def test_parameters_nested_too_deep_never_reach_a_method() -> None:
    deep: object = 1
    for _ in range(LIMITS.params_depth_max + 1):
        deep = [deep]

    assert ask(json.dumps(request("echo", deep)))["error"]["code"] == -32600


def test_a_batch_is_answered_in_order_and_bad_entries_alone() -> None:
    body = json.dumps([request("echo", 1, request_id=1), 5, request("echo", 2, request_id=2)])

    answers = ask(body)

    assert [each.get("result") for each in answers] == [1, None, 2]
    assert answers[1] == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {
            "code": -32600,
            "message": "invalid request: expected an object",
            "data": {"code": "rpc.invalid_request"},
        },
    }


def test_notifications_are_run_and_not_answered() -> None:
    silent = '{"jsonrpc":"2.0","method":"echo"}'

    assert ask(silent) is None
    assert ask(f"[{silent}]") is None
    assert ask(f"[{silent},{json.dumps(request('echo', 3))}]") == [
        {"jsonrpc": "2.0", "id": 1, "result": 3}
    ]


def test_a_response_over_the_bound_becomes_an_error_and_the_others_stay() -> None:
    body = json.dumps([request("echo", "x"), request("echo", "y" * 500), request("echo", "z")])

    short, long, _ = ask(body)

    assert short["result"] == "x"
    assert long["error"]["data"]["code"] == "rpc.limit_exceeded"
    assert long["id"] == 1


@pytest.mark.parametrize(
    ("method", "error"),
    [
        pytest.param(
            "revert", {"code": 3, "message": "execution reverted: no", "data": "0x01"}, id="revert"
        ),
        pytest.param(
            "pruned",
            {"code": 4444, "message": "gone", "data": {"code": "rpc.state_unavailable"}},
            id="pruned state",
        ),
        pytest.param(
            "values",
            {
                "code": -32005,
                "message": "too much",
                "data": {
                    "code": "rpc.limit_exceeded",
                    "rule": "RPC-BOUNDS",
                    "values": {"limit": 5},
                },
            },
            id="with rule and values",
        ),
        pytest.param(
            "wrong",
            {"code": -32603, "message": "internal error", "data": {"code": "rpc.internal"}},
            id="our fault",
        ),
        pytest.param(
            "unforeseen",
            {"code": -32603, "message": "internal error", "data": {"code": "rpc.internal"}},
            id="unforeseen",
        ),
    ],
)
def test_errors_tell_what_they_should_and_no_more(method: str, error: object) -> None:
    assert ask(json.dumps(request(method)))["error"] == error


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_whatever_escape_as_anything_but_an_answer(body: bytes) -> None:
    ask(body)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON_VALUES | st.lists(st.integers(), min_size=120, max_size=300))
def test_a_text_made_of_parts_is_the_same_text(value: Any) -> None:
    assert encode_in_parts({"result": {"steps": value}}) == encode({"result": {"steps": value}})


@given(JSON_VALUES, st.sampled_from((*TABLE, "missing")))
def test_no_parameters_whatever_escape_as_anything_but_an_answer(
    params: object, method: str
) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}

    assert ask(json.dumps(body)) is not None
