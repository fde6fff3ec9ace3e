"""What a service answers when it does not do what was asked: problem documents of RFC 9457.

Every refusal is an error class with a stable ``code`` and an HTTP status. The words a caller reads
come from the message catalogue by that code, never from the exception's own message, which may
carry what was found; so an answer shows no value that its catalogue text does not name. Failures
that are ours (5xx) say only that, and the request id under which the log tells more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import ClassVar, Final

from node.primitives.errors import (
    InvalidInput,
    LedgerError,
    PeerMisbehaviour,
    Unavailable,
)
from services.kit.event_signatures import InvalidEventSignature
from services.kit.idempotency import KeyReused, RequestInProgress
from services.kit.inbox import EventTooOld
from services.kit.messages import Catalogue, Language
from services.kit.outbox import EventConflict

MEDIA_TYPE: Final = "application/problem+json"

TYPE_PREFIX: Final = "urn:daicho:problem:"
"""A problem's ``type`` is this and its code."""

FAULTS_MAX: Final = 20
"""Faults of one request that are listed."""

RETRY_AFTER_S: Final = 5
"""When to try again what failed because something else is down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One place in a request that is wrong; where and how, never what was there."""

    pointer: str
    """JSON pointer into the body, or the name of a parameter."""
    kind: str
    """Stable word for what is wrong, as ``missing`` or ``string_too_long``."""


class Refusal(InvalidInput):
    """A request that a service turns down; ``status`` says how."""

    code = "request.refused"
    status: ClassVar[int] = HTTPStatus.BAD_REQUEST


class MalformedRequest(Refusal):
    """The body is not the JSON it should be."""

    code = "request.malformed"


class InvalidRequest(Refusal):
    """The request is well formed, but values in it are not allowed."""

    code = "request.invalid"
    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(
        self,
        message: str,
        *,
        rule: str | None = None,
        faults: tuple[Fault, ...] = (),
        **values: object,
    ) -> None:
        """Hold where the faults are."""
        super().__init__(message, rule=rule, **values)
        self.faults = faults


class NotFound(Refusal):
    """There is no such thing here, or this caller may not know that there is."""

    code = "request.not_found"
    status = HTTPStatus.NOT_FOUND


class MethodNotAllowed(Refusal):
    """This address does not answer that method."""

    code = "request.method"
    status = HTTPStatus.METHOD_NOT_ALLOWED


class Conflict(Refusal):
    """What is asked does not fit the present state."""

    code = "request.conflict"
    status = HTTPStatus.CONFLICT


class RequestTooLarge(Refusal):
    """The body is larger than this service takes."""

    code = "request.too_large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class RequestTooSlow(Refusal):
    """The body did not arrive in time."""

    code = "request.too_slow"
    status = HTTPStatus.REQUEST_TIMEOUT


class UnsupportedMediaType(Refusal):
    """The body is not declared to be JSON."""

    code = "request.media_type"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class TooManyRequests(Refusal):
    """This caller asks more often than it may."""

    code = "request.too_many"
    status = HTTPStatus.TOO_MANY_REQUESTS


class UnknownTenant(Refusal):
    """The request is for a municipality that this service does not serve."""

    code = "request.tenant"
    status = HTTPStatus.NOT_FOUND


class Overloaded(Unavailable):
    """The service answers as many requests as it can."""

    code = "service.overloaded"


class HandlerTimeout(Unavailable):
    """The service did not finish in the time it gives itself."""

    code = "service.timeout"


_FAMILY_STATUSES: Final[tuple[tuple[type[LedgerError], int], ...]] = (
    (RequestInProgress, HTTPStatus.CONFLICT),
    (KeyReused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (InvalidEventSignature, HTTPStatus.UNAUTHORIZED),
    (EventConflict, HTTPStatus.CONFLICT),
    (EventTooOld, HTTPStatus.GONE),
    (InvalidInput, HTTPStatus.BAD_REQUEST),
    (PeerMisbehaviour, HTTPStatus.BAD_GATEWAY),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem document before it is written."""

    code: str
    """The error's stable code."""
    status: int
    """HTTP status."""
    title: str
    """What is wrong, and what to do, in the caller's language."""
    request_id: str
    """Under which the log tells more."""
    faults: tuple[Fault, ...] = ()
    """Where the request is wrong."""
    retry_after_s: int | None = None
    """When trying again may help."""

    def document(self) -> dict[str, object]:
        """Return the JSON object."""
        document: dict[str, object] = {
            "type": TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "instance": f"urn:daicho:request:{self.request_id}",
        }
        if self.faults:
            document["faults"] = [
                {"pointer": fault.pointer, "kind": fault.kind} for fault in self.faults[:FAULTS_MAX]
            ]
        return document


def status_of(kind: type[BaseException]) -> int:
    """Return the HTTP status that tells whose turn it is to act after an error of ``kind``."""
    if issubclass(kind, Refusal):
        return kind.status
    for family, status in _FAMILY_STATUSES:
        if issubclass(kind, family):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def describe_problem(
    error: BaseException, *, catalogue: Catalogue, language: Language, request_id: str
) -> Problem:
    """Return what the caller is told about ``error``.

    A code without a text of its own, or without the values that its text names, is told by its
    status.
    """
    status = status_of(type(error))
    code = error.code if isinstance(error, LedgerError) else "service.internal"
    values = _presentable(error.values) if isinstance(error, LedgerError) else {}
    key = code if catalogue.can_say(code, values) else f"status.{status}"
    return Problem(
        code=code,
        status=status,
        title=catalogue.text(key, language, **values),
        request_id=request_id,
        faults=error.faults if isinstance(error, InvalidRequest) else (),
        retry_after_s=RETRY_AFTER_S if isinstance(error, Unavailable | TooManyRequests) else None,
    )


def _presentable(values: Mapping[str, object]) -> dict[str, object]:
    """Keep numbers and fixed words; free text never reaches an answer."""
    return {name: value for name, value in values.items() if isinstance(value, int | StrEnum)}
