"""Operations: a handler and, in one decorator, everything the kit derives from it.

From ``@operation(...)`` come the route, who may call and for what purpose, what the request and the
answer look like, the entry in the OpenAPI document, and the audit of personal data that is read. A
handler is an ``async`` function or method that takes a ``Call`` and returns a model.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel

from node.primitives.errors import InvariantViolation, LedgerError
from services.kit.auth import Access, Caller, Delegation, Policy, TenantId
from services.kit.documents import find_unbounded
from services.kit.messages import Language

MARK: Final = "__daicho_operation__"

RESERVED_PATHS: Final = frozenset({"/liveness", "/readiness", "/metrics", "/openapi.json"})

Body = TypeVar("Body")
Query = TypeVar("Query")
Marked = TypeVar("Marked", bound=Callable[..., Awaitable[Any]])


class WrongOperation(InvariantViolation):
    """An operation is declared in a way that cannot work."""

    code = "kit.operation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that is more than a model."""

    body: BaseModel | None = None
    """The model."""
    status: int | None = None
    """Another status than the operation's own, one that it declares among ``more_statuses``."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers, as ``ETag``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Body, Query]):
    """One request, checked: what a handler knows."""

    request_id: str
    """Under which logs and audit tell of this call."""
    at: datetime
    """When it came."""
    tenant: TenantId
    """Municipality it is for."""
    caller: Caller
    """Who calls; meets the operation's policy."""
    purpose: str
    """The operation's purpose."""
    language: Language
    """The caller's language."""
    path: Mapping[str, str]
    """Parameters in the path."""
    body: Body
    """The request's model; None when the operation takes none."""
    query: Query
    """The query's model; None when the operation takes none."""
    idempotency_key: str | None
    """``Idempotency-Key`` header; never None where the operation requires one."""
    fingerprint: bytes | None = None
    """Of method, address and body, when there is an idempotency key."""
    address: str = field(default="", repr=False)
    """Network address of the caller, for counting attempts alone: never stored or logged as it is.
    Behind a reverse proxy on this host it is the one that the proxy names."""
    _subjects: list[str] = field(default_factory=list)

    def note_read(self, subject: str) -> None:
        """Say whose personal data the answer shows, by pairwise pseudonym.

        The kit writes the audit entry before the answer leaves.
        """
        self._subjects.append(subject)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Return whose data was read."""
        return tuple(self._subjects)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalRead:
    """That personal data was read; what the audit log is told."""

    operation: str
    """Which operation."""
    purpose: str
    """For what."""
    tenant: TenantId
    """Municipality."""
    caller: Caller
    """By whom."""
    subjects: tuple[str, ...]
    """Whose, by pairwise pseudonym."""
    request_id: str
    """In which request."""
    at: datetime
    """When."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSpec:
    """What the decorator was told."""

    method: str
    """HTTP method."""
    path: str
    """Path, with parameters as ``{name}``."""
    policy: Policy
    """Who may call, and for what."""
    request: type[BaseModel] | None
    """Model of the body."""
    query: type[BaseModel] | None
    """Model of the query."""
    response: type[BaseModel] | None
    """Model of the answer."""
    status: int
    """Status of success."""
    more_statuses: frozenset[int]
    """Other statuses a ``Reply`` may have."""
    is_personal: bool
    """Answers show personal data; each is recorded."""
    needs_idempotency_key: bool
    """Requests must carry an ``Idempotency-Key``."""
    refusals: tuple[type[LedgerError], ...]
    """Errors of its own that it may raise; they are documented."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A handler with its specification, as collected from a service."""

    id: str
    """The handler's name."""
    summary: str
    """First line of its docstring."""
    spec: OperationSpec
    """What the decorator was told."""
    handler: Callable[[Call[Any, Any]], Awaitable[BaseModel | Reply | None]]
    """The function, bound to its service."""


def operation(  # noqa: PLR0913  (a declaration, all by keyword)
    method: str,
    path: str,
    *,
    purpose: str,
    access: Iterable[Access] | None = None,
    proofing_level: int = 0,
    authentication_level: int = 0,
    roles: Iterable[str] = (),
    delegation: Delegation = Delegation.NONE,
    request: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    response: type[BaseModel] | None = None,
    status: int = HTTPStatus.OK,
    more_statuses: Iterable[int] = (),
    is_personal: bool = False,
    needs_idempotency_key: bool = False,
    refusals: Iterable[type[LedgerError]] = (),
) -> Callable[[Marked], Marked]:
    """Declare a handler.

    Args:
        method: HTTP method.
        path: Path, with parameters as ``{name}``.
        purpose: Purpose of use, which tokens must cover and audit entries name.
        access: Kinds of callers; staff when roles are given, else residents.
        proofing_level: Least proofing level of a resident.
        authentication_level: Least authentication level of a resident or staff.
        roles: Roles of staff, any of which is enough.
        delegation: Whether somebody may do it for a resident who let them.
        request: Model of the JSON body; none when left out.
        query: Model of the query.
        response: Model of the answer; no content when left out.
        status: Status of success.
        more_statuses: Other statuses a ``Reply`` may have.
        is_personal: Answers show personal data and are recorded.
        needs_idempotency_key: Refuse requests without an ``Idempotency-Key``.
        refusals: Errors of the service's own that the handler may raise.
    """
    roles = frozenset(roles)
    kinds = frozenset(access or ((Access.STAFF,) if roles else (Access.RESIDENT,)))
    spec = OperationSpec(
        method=method.upper(),
        path=path,
        policy=Policy(
            purpose=purpose,
            access=kinds,
            proofing_level=proofing_level,
            authentication_level=authentication_level,
            roles=roles,
            delegation=delegation,
        ),
        request=request,
        query=query,
        response=response,
        status=HTTPStatus.NO_CONTENT if response is None and status == HTTPStatus.OK else status,
        more_statuses=frozenset(more_statuses),
        is_personal=is_personal,
        needs_idempotency_key=needs_idempotency_key,
        refusals=tuple(refusals),
    )

    def mark(handler: Marked) -> Marked:
        setattr(handler, MARK, spec)
        return handler

    return mark


def collect_operations(sources: Iterable[object]) -> tuple[Operation, ...]:
    """Return the operations among ``sources`` (functions, or objects with marked methods).

    Raises:
        WrongOperation: Two share a route or name, or one is declared in a way that cannot work.
    """
    found: list[Operation] = []
    for source in sources:
        members = [source] if hasattr(source, MARK) else _marked_members(source)
        found += [_operation_of(member) for member in members]
    for name in ("route", "name"):
        keys = [(o.spec.method, o.spec.path) if name == "route" else (o.id,) for o in found]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise WrongOperation(f"operations share a {name}: {twice[0]}")
    return tuple(sorted(found, key=lambda each: (each.spec.path, each.spec.method)))


def _marked_members(source: object) -> list[Any]:
    names = [name for name in dir(type(source)) if hasattr(getattr(type(source), name), MARK)]
    return [getattr(source, name) for name in names]


def _operation_of(handler: Any) -> Operation:
    spec: OperationSpec = getattr(handler, MARK)
    name = handler.__name__
    if not inspect.iscoroutinefunction(handler):
        raise WrongOperation(f"operation {name}: not an async function")
    if spec.path in RESERVED_PATHS or not spec.path.startswith("/"):
        raise WrongOperation(f"operation {name}: path {spec.path} is the kit's or not absolute")
    if spec.request is not None and spec.method in ("GET", "HEAD", "DELETE"):
        raise WrongOperation(f"operation {name}: {spec.method} takes no body")
    for model in (spec.request, spec.query):
        unbounded = find_unbounded(model) if model is not None else []
        if unbounded:
            raise WrongOperation(f"operation {name}: {unbounded[0]} has no greatest length")
    return Operation(
        id=name,
        summary=(inspect.getdoc(handler) or name).partition("\n")[0],
        spec=spec,
        handler=handler,
    )
