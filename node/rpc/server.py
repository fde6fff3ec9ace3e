"""The RPC port: HTTP and WebSocket on one address, within bounds.

Ordinary requests are answered on ``plain``'s connections; every other one, and what follows it on
its connection, by aiohttp's low-level server: one handler, no routes. Browsers are held by CORS and
an origin check, rebinding of names by a list of host names on the operator's port. A connection
that sends no request, or does not take its answer, is closed in time; beyond the bounds of
connections and of requests in work new ones are turned away.

Spec: RPC-BOUNDS, RPC-CORS, RPC-SLOW-CLIENT, RPC-OVERLOAD.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from node.primitives.transaction import Transaction
from node.primitives.types import Height
from node.rpc.dispatch import encode, failure
from node.rpc.errors import LimitExceeded, Overloaded
from node.rpc.filters import ID_SIZE
from node.rpc.plain import PlainConnection, PlainPort, close_all, without_port
from node.rpc.plain_head import JSON_TYPES
from node.rpc.records import transaction_record
from node.rpc.service import RpcService
from node.rpc.subscriptions import build_head_event
from node.rpc.websocket import WebSocketSession

T = TypeVar("T")

Serve: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

LARGE_RESPONSE: Final = 65_536
"""Bytes beyond which an answer is sent under a deadline of its own."""

PENDING_EVENTS_MAX: Final = 10_000
"""Waiting transactions not yet told to subscribers; older ones are dropped."""

HEAD_EVENTS_MAX: Final = 1_024
"""New heads not yet told to subscribers; older ones are dropped."""

SHUTDOWN_S: Final = 5.0
"""Longest requests in work may take when the server stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """Where a server listens, and whom it lets in."""

    host: str = "127.0.0.1"
    """Address to bind."""
    port: int = 0
    """Port to bind; 0 takes a free one."""
    cors_origins: tuple[str, ...] = ()
    """Origins of web pages that may ask; ``*`` allows all."""
    host_names: tuple[str, ...] | None = None
    """Values of ``Host`` served; None serves all."""
    trusted_proxies: frozenset[str] = field(default_factory=frozenset)
    """Addresses whose ``X-Forwarded-For`` names the client."""


LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
"""Host names of an operator's port."""


def new_id() -> str:
    """Return an unguessable id for a filter or a subscription."""
    return "0x" + secrets.token_hex(ID_SIZE)


class RpcServer:
    """One port."""

    def __init__(self, service: RpcService, address: ServerAddress) -> None:
        """Hold the parts; ``start`` listens."""
        self._service = service
        self._limits = service.limits
        self._address = address
        self._sessions: dict[int, WebSocketSession] = {}
        self._request_count = 0
        self._heads: asyncio.Queue[Height] = asyncio.Queue(HEAD_EVENTS_MAX)
        self._pendings: asyncio.Queue[Transaction] = asyncio.Queue(PENDING_EVENTS_MAX)
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._http: _BoundedServer | None = None
        self._plain: dict[PlainConnection, None] = {}
        self._listener: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen, and return the port."""
        self._loop = loop = asyncio.get_running_loop()
        self._http = _BoundedServer(self._serve, self._service, self._plain)
        port_of_plain = PlainPort(
            service=self._service,
            hosts=self._address.host_names,
            proxies=self._address.trusted_proxies,
            begin=self._begin_request,
            end=self._end_request,
            connections=self._plain,
            library_connections=self._http.count,
            make_library_protocol=self._http,
        )
        self._listener = await loop.create_server(
            lambda: PlainConnection(port_of_plain),
            self._address.host,
            self._address.port,
            backlog=512,
        )
        self._tasks = [
            asyncio.create_task(self._tell_heads(), name="rpc heads"),
            asyncio.create_task(self._tell_pendings(), name="rpc pendings"),
        ]
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Stop listening, let requests in work end, say goodbye to WebSockets.

        Spec: RPC-SHUTDOWN.
        """
        if self._listener is None or self._http is None:
            return
        self._loop = None
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(session.close() for session in self._sessions.values()))
        self._http.pre_shutdown()
        await asyncio.gather(self._http.shutdown(SHUTDOWN_S), close_all(self._plain, SHUTDOWN_S))
        self._service.close()
        self._listener = None

    @property
    def connection_count(self) -> int:
        """Return how many connections are open."""
        return 0 if self._http is None else len(self._http.connections) + len(self._plain)

    @property
    def session_count(self) -> int:
        """Return how many WebSockets are open."""
        return len(self._sessions)

    def upon_head(self, at: Height) -> None:
        """Tell subscribers of a new head; returns at once and may be called from any thread."""
        if self._loop is not None and self._sessions:
            self._loop.call_soon_threadsafe(_put_newest, self._heads, at)

    def upon_pending(self, transaction: Transaction) -> None:
        """Tell filters and subscribers of a transaction that came to wait.

        Returns at once and may be called from any thread.
        """
        self._service.filters.upon_pending(transaction.hash)
        if self._loop is not None and self._sessions:
            self._loop.call_soon_threadsafe(_put_newest, self._pendings, transaction)

    def _begin_request(self) -> bool:
        """Count a request that waits; False when there are as many as may be.

        Spec: RPC-BOUNDS.
        """
        if self._request_count >= self._limits.request_count_max:
            return False
        self._request_count += 1
        return True

    def _end_request(self) -> None:
        self._request_count -= 1

    async def _tell_heads(self) -> None:
        while True:
            at = await self._heads.get()
            if not any(len(session.subscriptions) for session in self._sessions.values()):
                continue
            event = build_head_event(self._service.backends.ledger, at)
            for session in list(self._sessions.values()):
                if event is not None:
                    session.notify_head(event)
                await asyncio.sleep(0)

    async def _tell_pendings(self) -> None:
        while True:
            transaction = await self._pendings.get()
            for session in list(self._sessions.values()):
                if session.subscriptions.wants_pending:
                    record = transaction_record(transaction)
                    for message in session.subscriptions.upon_pending(record):
                        session.notify(message)
            await asyncio.sleep(0)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        refusal = self._refuse(request)
        if refusal is not None:
            return refusal
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_websocket(request)
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=self._cors(request))
        return await self._serve_http(request)

    def _refuse(self, request: web.BaseRequest) -> web.Response | None:
        """Return the answer to whom this port does not serve, or None."""
        names = self._address.host_names
        host = request.headers.get("Host", "").lower()
        if names is not None and without_port(host) not in names:
            return web.Response(status=403, text="host not allowed\n")
        is_upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        if is_upgrade:
            origin = request.headers.get("Origin")
            if origin is not None and not self._is_allowed_origin(origin):
                return web.Response(status=403, text="origin not allowed\n")
            return None
        if request.method == "OPTIONS":
            return None
        if request.method != "POST":
            return web.Response(
                status=405, text="JSON-RPC: POST a request\n", headers={"Allow": "POST, OPTIONS"}
            )
        if request.content_type not in JSON_TYPES or "Content-Encoding" in request.headers:
            return web.Response(status=415, text="expected an unencoded application/json body\n")
        return None

    async def _serve_http(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self._begin_request():
            error = Overloaded("the node is busy with other requests; try again")
            return self._response(request, encode(failure(None, error)), status=503)
        try:
            try:
                async with asyncio.timeout(self._limits.read_timeout_s):
                    body = await self._read_body(request)
            except TimeoutError:
                _cut(request)
                return web.Response(status=408)
            if body is None:
                limit = self._limits.body_size_max_bytes
                error_text = encode(
                    failure(None, LimitExceeded(f"request body over {limit} bytes", limit=limit))
                )
                response = self._response(request, error_text, status=413)
                response.force_close()
                return response
            text = await self._service.answer_body(body, self._source(request))
            response = self._response(request, text)
            await self._send_large(request, response)
            return response
        finally:
            self._end_request()

    async def _read_body(self, request: web.BaseRequest) -> bytes | None:
        """Return the body, or None when it is larger than it may be.

        Spec: RPC-BOUNDS.
        """
        limit = self._limits.body_size_max_bytes
        if request.content_length is not None and request.content_length > limit:
            return None
        parts: list[bytes] = []
        size = 0
        while True:
            part = await request.content.readany()
            if not part:
                return parts[0] if len(parts) == 1 else b"".join(parts)
            size += len(part)
            if size > limit:
                return None
            parts.append(part)

    async def _send_large(self, request: web.BaseRequest, response: web.Response) -> None:
        """Send a large answer here, so that a client that does not take it is cut off.

        Spec: RPC-SLOW-CLIENT.
        """
        if response.content_length is None or response.content_length < LARGE_RESPONSE:
            return
        try:
            async with asyncio.timeout(self._limits.write_timeout_s):
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:
            _cut(request)
        except ConnectionError:
            return

    async def _serve_websocket(self, request: web.BaseRequest) -> web.StreamResponse:
        if len(self._sessions) >= self._limits.websocket_count_max:
            return web.Response(status=503, text="too many WebSockets\n")
        session = WebSocketSession(self._service, self._source(request))
        self._sessions[id(session)] = session
        try:
            return await session.run(request)
        finally:
            del self._sessions[id(session)]

    def _response(
        self, request: web.BaseRequest, text: str | None, status: int = 200
    ) -> web.Response:
        return web.Response(
            body=b"" if text is None else text.encode(),
            status=status,
            content_type="application/json",
            headers=self._cors(request),
        )

    def _cors(self, request: web.BaseRequest) -> Mapping[str, str] | None:
        """Return the headers that let a web page of an allowed origin read the answer.

        Spec: RPC-CORS.
        """
        origin = request.headers.get("Origin")
        if origin is None or not self._is_allowed_origin(origin):
            return None
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "POST, OPTIONS",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": "600",
            "Vary": "Origin",
        }

    def _is_allowed_origin(self, origin: str) -> bool:
        allowed = self._address.cors_origins
        return "*" in allowed or origin in allowed

    def _source(self, request: web.BaseRequest) -> str:
        """Return who asks: the peer, or whom a trusted proxy names."""
        peer = request.remote or "unknown"
        if peer in self._address.trusted_proxies:
            forwarded = request.headers.get("X-Forwarded-For", "")
            return forwarded.rsplit(",", 1)[-1].strip()[:64] or peer
        return peer


class _BoundedServer(web.Server):
    """aiohttp's server with a bound on connections and on silent ones."""

    def __init__(
        self, serve: Serve, service: RpcService, plain: Mapping[PlainConnection, None]
    ) -> None:
        limits = service.limits
        super().__init__(
            serve,
            keepalive_timeout=limits.idle_timeout_s,
            access_log=None,
            auto_decompress=False,
            lingering_time=1.0,
        )
        self._limits = limits
        self._plain = plain

    def count(self) -> int:
        """Count the connections that are this server's."""
        return len(self.connections)

    def __call__(self) -> RequestHandler:
        """Return the protocol of a new connection."""
        handler = super().__call__()
        loop = asyncio.get_running_loop()
        loop.call_later(self._limits.read_timeout_s, _abort_silent, handler)
        return handler

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Count a connection, or end it when there are as many as may be.

        Spec: RPC-BOUNDS.
        """
        super().connection_made(handler, transport)
        if len(self.connections) + len(self._plain) > self._limits.connection_count_max:
            transport.abort()


def _abort_silent(handler: RequestHandler) -> None:
    """Close a connection on which no request has come.

    Spec: RPC-SLOW-CLIENT.
    """
    if handler.transport is not None and not handler._request_count:  # noqa: SLF001
        handler.transport.abort()


def _cut(request: web.BaseRequest) -> None:
    if request.transport is not None:
        with contextlib.suppress(ConnectionError):
            request.transport.abort()


def _put_newest(queue: asyncio.Queue[T], item: T) -> None:
    """Queue an item, dropping the oldest when there is no room."""
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(item)
