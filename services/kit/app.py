"""A service's HTTP application: every request on one path from bytes to an answer.

Request id, room, time, caller, tenant, policy, body, handler, audit, answer: in this order, for
each operation alike, so that no handler can forget one. Whatever goes wrong becomes a problem
document here. TLS and the public address are a reverse proxy's.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError

from node.log import Log
from services.kit.auth import (
    Access,
    Anyone,
    Caller,
    TenantId,
    TokenMissing,
    check_policy,
    choose_tenant,
)
from services.kit.clock import Clock
from services.kit.documents import property_names
from services.kit.health import (
    ReadinessCheck,
    examine_readiness,
    readiness_document,
)
from services.kit.logs import describe_failure
from services.kit.messages import KIT_LOCALE, Catalogue, choose_language, load_catalogue
from services.kit.metrics import CONTENT_TYPE, Metrics
from services.kit.openapi import (
    IDEMPOTENCY_HEADER,
    PATH_PARAMETER,
    TENANT_HEADER,
    build_document,
)
from services.kit.operations import (
    RESERVED_PATHS,
    Call,
    Operation,
    PersonalRead,
    WrongOperation,
    collect_operations,
)
from services.kit.problems import (
    MEDIA_TYPE,
    HandlerTimeout,
    MethodNotAllowed,
    Overloaded,
    Problem,
    RequestTooSlow,
    UnknownTenant,
    UnsupportedMediaType,
    describe_problem,
)
from services.kit.requests import (
    caller_address,
    compute_request_fingerprint,
    read_idempotency_key,
    read_query,
    refuse_values,
    respond,
    single_header,
    translate_http,
)
from services.kit.settings import KitSettings
from services.kit.supervision import BackgroundTask, Supervisor
from services.kit.tokens import IncomingRequest, Trust, identify

REQUEST_ID: Final = re.compile(r"[0-9a-f-]{16,64}")
"""A request id that is taken over from the caller: hexadecimal, so that it can say nothing."""

REQUEST_ID_HEADER: Final = "X-Request-Id"
PREFLIGHT_AGE_S: Final = 600

METRICS: Final = web.AppKey("metrics", Metrics)
SUPERVISOR: Final = web.AppKey("supervisor", Supervisor)

_REQUEST_ID: Final = web.RequestKey("request_id", str)
_OPERATION: Final = web.RequestKey("operation", str)

_log = Log("http")

RawHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDefinition:
    """A service, ready to be served."""

    name: str
    """Its name in metrics and logs, as ``hub``."""
    title: str
    """Its name for people."""
    version: str
    """Version of its interface."""
    settings: KitSettings
    """The ``[kit]`` table."""
    trust: Trust
    """Whom it believes."""
    clock: Clock
    """Where the present comes from."""
    sources: tuple[object, ...]
    """Functions and objects with methods marked by ``@operation``."""
    catalogue: Catalogue = field(default_factory=lambda: load_catalogue([KIT_LOCALE]))
    """The kit's texts and its own."""
    checks: tuple[ReadinessCheck, ...] = ()
    """What must be there to serve."""
    tasks: tuple[BackgroundTask, ...] = ()
    """What runs beside the requests: dispatchers, followers, jobs."""
    record_read: Callable[[PersonalRead], Awaitable[None]] | None = None
    """Writes the audit entry of personal data read; needed when an operation is personal."""
    pages: tuple[web.RouteDef, ...] = ()
    """Plain aiohttp routes, as OpenID Connect's, that decide themselves who may use them."""
    measure: Callable[[Metrics], None] | None = None
    """Adds the service's own figures to the kit's."""


class _Server:
    """What the handlers of one application share."""

    def __init__(self, service: ServiceDefinition, metrics: Metrics) -> None:
        self.service = service
        self.metrics = metrics
        self.server = service.settings.server
        self.tenants = tuple(TenantId(tenant.id) for tenant in service.settings.tenants)
        self.hosts = {
            host.lower(): TenantId(tenant.id)
            for tenant in service.settings.tenants
            for host in tenant.hosts
        }
        self.running = 0

    @web.middleware
    async def observe(self, request: web.Request, handler: RawHandler) -> web.StreamResponse:
        """Name the request, answer it or its failure, and count it."""
        asked = request.headers.get(REQUEST_ID_HEADER, "")
        request_id = asked if REQUEST_ID.fullmatch(asked) else str(uuid.uuid4())
        request[_REQUEST_ID] = request_id
        started = time.monotonic()
        response = await self._answer_or_explain(request, handler)
        seconds = time.monotonic() - started
        name = request.get(_OPERATION, "none")
        self.metrics.count_request(name, response.status, seconds)
        _log.debug(
            "request answered",
            operation=name,
            status=response.status,
            ms=int(seconds * 1_000),
            request_id=request_id,
        )
        return response

    async def _answer_or_explain(
        self, request: web.Request, handler: RawHandler
    ) -> web.StreamResponse:
        try:
            response = await self._within_bounds(request, handler)
        except Exception as error:  # noqa: BLE001  (the dispatcher: every failure gets an answer)
            response = self._explain(request, error)
        if not response.prepared:
            self._add_headers(request, response)
        return response

    async def _within_bounds(self, request: web.Request, handler: RawHandler) -> web.StreamResponse:
        if request.path in RESERVED_PATHS:
            return await handler(request)
        if self.running >= self.server.concurrent_max:
            raise Overloaded("as many requests are running as may; try again")
        self.running += 1
        self.metrics.set_running(self.running)
        try:
            async with asyncio.timeout(self.server.request_timeout_s):
                return await handler(request)
        except TimeoutError as error:
            raise HandlerTimeout("no answer in the time the service gives itself") from error
        finally:
            self.running -= 1
            self.metrics.set_running(self.running)

    def _explain(self, request: web.Request, error: Exception) -> web.StreamResponse:
        if isinstance(error, web.HTTPException):
            if error.status < HTTPStatus.BAD_REQUEST:
                return error
            error = translate_http(error, self.server.body_kb_max)
        language = choose_language(request.headers.get(hdrs.ACCEPT_LANGUAGE))
        problem = describe_problem(
            error,
            catalogue=self.service.catalogue,
            language=language,
            request_id=request[_REQUEST_ID],
        )
        self.metrics.count_problem(problem.code)
        self._log_problem(request, problem, error)
        response = web.json_response(
            problem.document(), status=problem.status, content_type=MEDIA_TYPE
        )
        response.headers[hdrs.CONTENT_LANGUAGE] = language.tag
        if problem.retry_after_s is not None:
            response.headers[hdrs.RETRY_AFTER] = str(problem.retry_after_s)
        if problem.status == HTTPStatus.UNAUTHORIZED:
            schemes = 'DPoP algs="ES256 Ed25519", Bearer'
            response.headers[hdrs.WWW_AUTHENTICATE] = schemes
        return response

    def _log_problem(self, request: web.Request, problem: Problem, error: Exception) -> None:
        fields: dict[str, Any] = {
            "operation": request.get(_OPERATION, "none"),
            "status": problem.status,
            "code": problem.code,
            "request_id": problem.request_id,
        }
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("request failed", **fields, **describe_failure(error))
        else:
            fault = getattr(error, "fault", None)
            _log.debug("request refused", **fields, **({"fault": fault} if fault else {}))

    def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers[REQUEST_ID_HEADER] = request[_REQUEST_ID]
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
        origin = request.headers.get(hdrs.ORIGIN)
        if self.server.cors_origins:
            response.headers[hdrs.VARY] = "Origin"
        if origin is not None and origin in self.server.cors_origins:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin

    def handler_of(self, operation: Operation) -> RawHandler:
        """Return the aiohttp handler that serves ``operation``."""
        known = property_names(operation.spec.request) if operation.spec.request else frozenset()

        async def handle(request: web.Request) -> web.StreamResponse:
            request[_OPERATION] = operation.id
            return await self._serve(operation, known, request)

        return handle

    async def _serve(
        self, operation: Operation, known: frozenset[str], request: web.Request
    ) -> web.StreamResponse:
        spec = operation.spec
        now = self.service.clock.now()
        caller = await self._identify(operation, request, now)
        tenant = choose_tenant(
            caller,
            named=single_header(request, TENANT_HEADER),
            host_tenant=self.hosts.get(request.host.partition(":")[0].lower()),
            served=self.tenants,
        )
        if tenant is None:
            raise UnknownTenant("the request is for no municipality served here")
        check_policy(spec.policy, caller, tenant)
        body = await self._read_body(spec.request, known, request)
        key = read_idempotency_key(request, is_needed=spec.needs_idempotency_key)
        call: Call[Any, Any] = Call(
            request_id=request[_REQUEST_ID],
            at=now,
            tenant=tenant,
            caller=caller,
            purpose=spec.policy.purpose,
            language=choose_language(request.headers.get(hdrs.ACCEPT_LANGUAGE)),
            path=dict(request.match_info),
            query=read_query(spec.query, request),
            body=body,
            idempotency_key=key,
            fingerprint=None if key is None else await compute_request_fingerprint(request),
            address=caller_address(request),
        )
        answer = await operation.handler(call)
        if spec.is_personal:
            await self._record(operation, call)
        return respond(operation, answer)

    async def _identify(self, operation: Operation, request: web.Request, now: datetime) -> Caller:
        if Access.PUBLIC in operation.spec.policy.access:
            return Anyone()
        incoming = IncomingRequest(
            method=request.method,
            path=request.rel_url.raw_path,
            authorization=single_header(request, hdrs.AUTHORIZATION),
            proof=single_header(request, "DPoP"),
        )
        caller = await identify(incoming, self.service.trust, now)
        if isinstance(caller, Anyone):
            raise TokenMissing("the operation needs a token")
        return caller

    async def _record(self, operation: Operation, call: Call[Any, Any]) -> None:
        """Write the audit entry before anything is shown; what cannot be recorded is not shown."""
        assert self.service.record_read is not None
        await self.service.record_read(
            PersonalRead(
                operation=operation.id,
                purpose=call.purpose,
                tenant=call.tenant,
                caller=call.caller,
                subjects=call.subjects,
                request_id=call.request_id,
                at=call.at,
            )
        )

    async def _read_body(
        self, model: type[BaseModel] | None, known: frozenset[str], request: web.Request
    ) -> BaseModel | None:
        if model is None:
            return None
        if request.content_type != "application/json":
            raise UnsupportedMediaType("the body is not declared to be JSON")
        try:
            async with asyncio.timeout(self.server.body_timeout_s):
                data = await request.read()
        except TimeoutError as error:
            raise RequestTooSlow("the body did not arrive in time") from error
        try:
            return model.model_validate_json(data)
        except ValidationError as error:
            raise refuse_values(error, known) from error

    async def preflight(self, request: web.Request) -> web.StreamResponse:
        """Tell a browser whether a page of another origin may call, and how."""
        origin = request.headers.get(hdrs.ORIGIN, "")
        if origin not in self.server.cors_origins:
            raise MethodNotAllowed("pages of other origins may not call")
        allowed = f"Authorization, Content-Type, DPoP, {IDEMPOTENCY_HEADER}, {TENANT_HEADER}"
        headers = {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST, PUT, PATCH, DELETE",
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: allowed,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_AGE_S),
        }
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=headers)


def build_app(service: ServiceDefinition) -> web.Application:
    """Build the application of ``service``; its tasks start and stop with it.

    Raises:
        WrongOperation: An operation is declared in a way that cannot work.
    """
    operations = collect_operations(service.sources)
    personal = [each.id for each in operations if each.spec.is_personal]
    if personal and service.record_read is None:
        raise WrongOperation(f"operation {personal[0]} shows personal data; give record_read")
    metrics = Metrics(service.name)
    if service.measure is not None:
        service.measure(metrics)
    shared = _Server(service, metrics)
    app = web.Application(
        client_max_size=service.settings.server.body_kb_max * 1_024, middlewares=[shared.observe]
    )
    app[METRICS] = metrics
    app[SUPERVISOR] = Supervisor(service.tasks, service.clock)
    for each in operations:
        app.router.add_route(
            each.spec.method, _aiohttp_path(each.spec.path), shared.handler_of(each)
        )
    app.router.add_routes(service.pages)
    if service.settings.server.cors_origins:
        app.router.add_route("OPTIONS", "/{path:.*}", shared.preflight)
    _add_kit_routes(app, service, operations)
    app.cleanup_ctx.append(_run_tasks)
    return app


def _add_kit_routes(
    app: web.Application, service: ServiceDefinition, operations: Iterable[Operation]
) -> None:
    document = build_document(tuple(operations), title=service.title, version=service.version)
    checks = (*service.checks, *app[SUPERVISOR].checks())

    async def liveness(request: web.Request) -> web.Response:
        del request
        return web.json_response({"alive": True})

    async def readiness(request: web.Request) -> web.Response:
        del request
        results = await examine_readiness(checks)
        is_ready = all(result.is_ok for result in results)
        app[METRICS].set_ready(is_ready)
        status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return web.json_response(readiness_document(results), status=status)

    async def metrics(request: web.Request) -> web.Response:
        del request
        return web.Response(body=app[METRICS].render(), headers={"Content-Type": CONTENT_TYPE})

    async def openapi(request: web.Request) -> web.Response:
        del request
        return web.json_response(document)

    for path, handler in (
        ("/liveness", liveness),
        ("/readiness", readiness),
        ("/metrics", metrics),
        ("/openapi.json", openapi),
    ):
        app.router.add_get(path, handler, allow_head=False)


async def _run_tasks(app: web.Application) -> Any:
    supervisor = app[SUPERVISOR]
    supervisor.start()
    yield
    await supervisor.stop()


def _aiohttp_path(path: str) -> str:
    return re.sub(r"{(\w+)}", lambda name: f"{{{name[1]}:{PATH_PARAMETER}}}", path)
