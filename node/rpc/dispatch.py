"""JSON-RPC 2.0: bytes to requests, requests to responses, responses to bytes.

Pure: the server decides where and when each request runs. One of the two places where
``except Exception`` stands: an unforeseen failure of one method is logged with its chain and
answered as an internal error, and the server lives on.

Spec: RPC-JSON, RPC-BATCH, RPC-ERRORS.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Final, TypeAlias

from node.primitives.errors import InvalidInput, LedgerError, MalformedMessage, Unavailable
from node.primitives.json_text import check_nesting
from node.rpc.backend import Json, StateUnavailable
from node.rpc.errors import (
    UNAVAILABLE_NUMBER,
    ExecutionReverted,
    InvalidParams,
    InvalidRequest,
    LimitExceeded,
    MethodNotFound,
    ParseError,
    RpcError,
)
from node.rpc.hex import data
from node.rpc.limits import RpcLimits
from node.rpc.method import Context, MethodTable
from node.rpc.params import Params

LOG: Final = logging.getLogger(__name__)

INTERNAL_NUMBER: Final = -32603

PART_COUNT: Final = 128
"""Items of a long list written at once."""

_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)

METHOD_NAME_SIZE_MAX: Final = 64
ID_SIZE_MAX: Final = 256

RequestId: TypeAlias = "int | float | str | None"


@dataclass(frozen=True, slots=True)
class Request:
    """One well-formed request."""

    method: str
    """Name of the method."""
    params: Params
    """Positional parameters."""
    id: RequestId
    """Given back with the answer."""
    is_notification: bool = False
    """It has no id, so nobody waits for an answer."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """One entry that is no request."""

    error: RpcError
    """Why."""
    id: RequestId = None
    """Its id, as far as it has one."""


Entry: TypeAlias = Request | Malformed


@dataclass(frozen=True, slots=True)
class Batch:
    """What one body holds."""

    entries: tuple[Entry, ...]
    """Requests in order; exactly one unless ``is_list``."""
    is_list: bool
    """The body was a list, so the answer is one."""


def decode_body(body: bytes | str, limits: RpcLimits) -> Batch:
    """Read a body.

    Raises:
        ParseError: It is not JSON, or nested too deep.
        InvalidRequest: An empty list.
        LimitExceeded: More requests than one batch may hold.

    Spec: RPC-JSON, RPC-BATCH.
    """
    try:
        check_nesting(body if isinstance(body, bytes) else body.encode(errors="replace"))
        value = json.loads(body, parse_constant=_refuse_constant)
    except (MalformedMessage, ValueError, RecursionError) as error:
        raise ParseError("parse error") from error
    if not isinstance(value, list):
        return Batch((decode_entry(value, limits),), is_list=False)
    if not value:
        raise InvalidRequest("empty batch")
    if len(value) > limits.batch_count_max:
        raise LimitExceeded(
            f"batch too large: {len(value)} requests, at most {limits.batch_count_max}",
            limit=limits.batch_count_max,
        )
    return Batch(tuple(decode_entry(item, limits) for item in value), is_list=True)


def decode_entry(value: object, limits: RpcLimits) -> Entry:
    """Read one request; what is wrong with it becomes its answer.

    Spec: RPC-JSON.
    """
    if not isinstance(value, dict):
        return Malformed(InvalidRequest("invalid request: expected an object"))
    request_id = value.get("id")
    if isinstance(request_id, (dict, list, bool)) or (
        isinstance(request_id, str) and len(request_id) > ID_SIZE_MAX
    ):
        return Malformed(InvalidRequest("invalid request: id must be a number or a short string"))
    method = value.get("method")
    if value.get("jsonrpc") != "2.0" or not isinstance(method, str):
        return Malformed(InvalidRequest("invalid request"), request_id)
    if len(method) > METHOD_NAME_SIZE_MAX:
        return Malformed(InvalidRequest("invalid request: method name too long"), request_id)
    params = value.get("params")
    if params is None:
        params = []
    if not isinstance(params, list):
        return Malformed(InvalidParams("non-array args"), request_id)
    if not is_shallow(params, limits.params_depth_max):
        return Malformed(InvalidRequest("invalid request: nested too deep"), request_id)
    return Request(method, Params(params), request_id, is_notification="id" not in value)


def is_shallow(value: object, depth_max: int) -> bool:
    """Tell whether lists and objects nest at most ``depth_max`` deep."""
    if not isinstance(value, (list, dict)):
        return True
    if depth_max == 0:
        return False
    items = value.values() if isinstance(value, dict) else value
    return all(is_shallow(item, depth_max - 1) for item in items if isinstance(item, (list, dict)))


def answer(entry: Entry, table: MethodTable, context: Context) -> Mapping[str, Json] | None:
    """Run one entry and return its response, or None for a notification.

    Spec: RPC-ERRORS.
    """
    if isinstance(entry, Malformed):
        return failure(entry.id, entry.error)
    method = table.get(entry.method)
    try:
        if method is None:
            raise MethodNotFound(
                f"the method {entry.method} does not exist/is not available",
                method=entry.method,
            )
        result = method.run(context, entry.params)
    except LedgerError as error:
        return None if entry.is_notification else failure(entry.id, error)
    except Exception:
        LOG.exception("method %s failed unforeseen", entry.method)
        return None if entry.is_notification else internal_failure(entry.id)
    if entry.is_notification:
        return None
    return {"jsonrpc": "2.0", "id": entry.id, "result": result}


@dataclass(frozen=True, slots=True)
class Answered:
    """The text that answers one request."""

    id: RequestId
    """The request's id."""
    text: str
    """The response as JSON."""
    is_success: bool
    """It holds a result, not an error."""


def answer_text(entry: Entry, table: MethodTable, context: Context) -> Answered | None:
    """Run one entry and return its response as text, or None for a notification.

    What may be large is written in parts, so that other threads get their turn.
    """
    response = answer(entry, table, context)
    if response is None:
        return None
    return Answered(entry.id, encode_in_parts(response), "error" not in response)


def answer_here(entry: Request, table: MethodTable, context: Context) -> Answered | None:
    """Run one entry of a quick method and return its response as text, or None if notified."""
    response = answer(entry, table, context)
    if response is None:
        return None
    result = response.get("result")
    if isinstance(result, str):
        name = entry.id
        shown = encode_text(name) if isinstance(name, str) else encode(name)
        text = f'{{"jsonrpc":"2.0","id":{shown},"result":{encode_text(result)}}}'
        return Answered(name, text, is_success=True)
    return written(response)


def written(response: Mapping[str, Json]) -> Answered:
    """Return a small response as text."""
    request_id = response["id"]
    assert request_id is None or isinstance(request_id, (int, float, str))
    return Answered(request_id, encode(response), "error" not in response)


def failure(request_id: RequestId, error: LedgerError) -> Mapping[str, Json]:
    """Return the response that tells of an error; the sender's errors tell all, ours nothing.

    Spec: RPC-ERRORS.
    """
    if not isinstance(error, (InvalidInput, Unavailable)):
        LOG.error("request failed: %s", error, exc_info=error)
        return internal_failure(request_id)
    shown: dict[str, Json] = {"code": number_of(error), "message": error.message}
    if isinstance(error, ExecutionReverted):
        shown["data"] = data(error.output)
    else:
        details: dict[str, Json] = {"code": error.code}
        if error.rule is not None:
            details["rule"] = error.rule
        if error.values:
            details["values"] = _plain(error.values)
        shown["data"] = details
    return {"jsonrpc": "2.0", "id": request_id, "error": shown}


def number_of(error: InvalidInput | Unavailable) -> int:
    """Return the JSON-RPC number of an error."""
    if isinstance(error, StateUnavailable):
        return UNAVAILABLE_NUMBER
    return error.number if isinstance(error, RpcError) else -32000


def internal_failure(request_id: RequestId) -> Mapping[str, Json]:
    """Return the response to a request that failed by our fault; the log holds why."""
    error: Json = {
        "code": INTERNAL_NUMBER,
        "message": "internal error",
        "data": {"code": "rpc.internal"},
    }
    return {"jsonrpc": "2.0", "id": request_id, "error": error}


def encode(value: Json) -> str:
    """Return a JSON text without spaces."""
    return _ENCODER.encode(value)


def encode_text(value: str) -> str:
    """Return a string as JSON has it."""
    return encode_basestring(value)


def encode_in_parts(value: Json, depth: int = 3) -> str:
    """Return the same text, made of parts small enough to leave other threads their turn.

    The encoder holds the interpreter for a whole call; a trace in one call would hold it long
    enough for consensus to notice.

    Spec: RPC-OVERLOAD.
    """
    if isinstance(value, dict) and depth:
        items = (
            f"{encode(name)}:{encode_in_parts(item, depth - 1)}" for name, item in value.items()
        )
        return "{" + ",".join(items) + "}"
    if isinstance(value, list) and len(value) > PART_COUNT:
        parts = (value[at : at + PART_COUNT] for at in range(0, len(value), PART_COUNT))
        return "[" + ",".join(encode(part)[1:-1] for part in parts) + "]"
    return encode(value)


def encode_batch(
    answers: Sequence[Answered | None], *, is_list: bool, limits: RpcLimits
) -> str | None:
    """Return the text that answers a body, or None when only notifications were asked.

    A response that would exceed the bound is replaced by an error; clients ask for less.

    Spec: RPC-BATCH.
    """
    left = limits.response_size_max_bytes
    texts: list[str] = []
    for answered in answers:
        if answered is None:
            continue
        text = answered.text
        if len(text) > left:
            error = LimitExceeded(
                f"response too large: over {limits.response_size_max_bytes} bytes in all",
                limit=limits.response_size_max_bytes,
            )
            text = encode(failure(answered.id, error))
        left -= min(left, len(text))
        texts.append(text)
    if not texts:
        return None
    return f"[{','.join(texts)}]" if is_list else texts[0]


def _plain(values: Mapping[str, object]) -> Json:
    """Return values as JSON: bytes as hex, what is no JSON as text."""
    return {name: _plain_value(value) for name, value in values.items()}


def _plain_value(value: object) -> Json:
    if isinstance(value, bytes):
        return data(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
