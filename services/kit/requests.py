"""What stands in an HTTP request, checked, and what is answered: the leaves of ``app``.

Faults name only places that our own models name, never what was there.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel, ValidationError

from node.primitives.errors import LedgerError
from services.kit.documents import property_names
from services.kit.idempotency import compute_fingerprint
from services.kit.openapi import IDEMPOTENCY_HEADER, IDEMPOTENCY_KEY
from services.kit.operations import Operation, Reply, WrongOperation
from services.kit.problems import (
    Fault,
    InvalidRequest,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    Refusal,
    RequestTooLarge,
)


def single_header(request: web.Request, name: str) -> str | None:
    """Return a header; None when it is missing.

    Raises:
        MalformedRequest: It is sent twice.
    """
    values = request.headers.getall(name, [])
    if len(values) > 1:
        raise MalformedRequest("a header is sent twice")
    return values[0] if values else None


def read_idempotency_key(request: web.Request, *, is_needed: bool) -> str | None:
    """Return the idempotency key; None when there is none and none is needed.

    Raises:
        InvalidRequest: It is missing or malformed.
    """
    key = single_header(request, IDEMPOTENCY_HEADER)
    if key is None and not is_needed:
        return None
    if key is None or not re.fullmatch(IDEMPOTENCY_KEY, key):
        fault = Fault(pointer=IDEMPOTENCY_HEADER, kind="missing" if key is None else "pattern")
        raise InvalidRequest("Idempotency-Key missing or malformed", faults=(fault,))
    return key


async def compute_request_fingerprint(request: web.Request) -> bytes:
    """Return what tells a repeated request from another under the same key."""
    body = await request.read() if request.can_read_body else b""
    return compute_fingerprint(request.method, request.rel_url.raw_path_qs, body)


def caller_address(request: web.Request) -> str:
    """Return the network address of the caller, as far as it can be known.

    A caller on this host is the reverse proxy: it appends the address it saw, which is the last.
    """
    remote = request.remote or ""
    named = request.headers.getall("X-Forwarded-For", [])
    if remote in ("127.0.0.1", "::1") and named:
        return named[-1].rpartition(",")[2].strip()[:64]
    return remote


def read_query(model: type[BaseModel] | None, request: web.Request) -> BaseModel | None:
    """Return the checked parameters of the address.

    Raises:
        InvalidRequest: A value is not allowed, or a parameter is sent twice.
    """
    if model is None:
        return None
    fields: Mapping[str, str] = request.query
    if len(set(fields)) != len(fields):
        raise InvalidRequest("a parameter is sent twice")
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        raise refuse_values(error, property_names(model)) from error


def refuse_values(error: ValidationError, known: frozenset[str]) -> Refusal:
    """Say where a request is wrong, naming only places that our own models name."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    if any(detail["type"] == "json_invalid" for detail in details):
        return MalformedRequest("the body is not JSON")
    faults = tuple(
        Fault(
            pointer="".join(
                f"/{part}" for part in detail["loc"] if isinstance(part, int) or part in known
            ),
            kind=detail["type"],
        )
        for detail in details
    )
    return InvalidRequest("values are not allowed", faults=faults)


def translate_http(error: web.HTTPException, limit_kb: int) -> LedgerError:
    """Return our error for one that aiohttp raised by itself."""
    match error.status:
        case HTTPStatus.NOT_FOUND:
            return NotFound("no such address")
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return MethodNotAllowed("this address does not answer that method")
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return RequestTooLarge("the body is too large", limit_kb=limit_kb)
        case _:
            return MalformedRequest("aiohttp could not read the request")


def respond(operation: Operation, answer: BaseModel | Reply | None) -> web.Response:
    """Return the response for what a handler answered.

    Raises:
        WrongOperation: It is not what the operation declares.
    """
    spec = operation.spec
    reply = answer if isinstance(answer, Reply) else Reply(body=answer)
    status = spec.status if reply.status is None else reply.status
    if status not in {spec.status, *spec.more_statuses}:
        raise WrongOperation(f"operation {operation.id}: status {status} is not declared")
    if reply.body is None:
        if spec.response is not None and status < HTTPStatus.MULTIPLE_CHOICES:
            raise WrongOperation(f"operation {operation.id}: answers nothing")
        return web.Response(status=status, headers=reply.headers)
    if spec.response is None or not isinstance(reply.body, spec.response):
        raise WrongOperation(f"operation {operation.id}: answers another model than declared")
    return web.Response(
        body=reply.body.model_dump_json(by_alias=True).encode(),
        status=status,
        headers=reply.headers,
        content_type="application/json",
    )
