"""The door: accepts connections and lets none stay whose node key is not known in time.

Strangers are turned away by TLS. The number of connections not yet known is bounded, in all and
by source address, and one deadline covers TLS, HTTP and the handshake, so that half-open and
trickling connections cost little and end soon.

Spec: WIRE-TLS, WIRE-TIMEOUT, WIRE-PENDING.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from node.p2p.certificates import PeerCertificate, read_certificate
from node.p2p.wire import FRAME_SIZE_MAX
from node.primitives.errors import InvalidInput, Misconfigured

PEER_PATH: Final = "/daicho/peer"
"""Where nodes meet."""

PENDING_MAX: Final = 64
"""Most connections not yet known."""

PENDING_PER_SOURCE_MAX: Final = 16
"""Most of them from one address."""

BACKLOG: Final = 64

ACCEPT_AGAIN_S: Final = 0.1
"""Until connections are taken again when none could be."""

Visit: TypeAlias = Callable[
    [web.WebSocketResponse, PeerCertificate, str, Callable[[], None]], Awaitable[None]
]
"""Serves one connection; calls the last argument once the peer is known."""


class Listener:
    """An open port, and the connections on it."""

    def __init__(self, visit: Visit, context: ssl.SSLContext, handshake_ms: int) -> None:
        """Hold what ``start`` needs."""
        self._visit = visit
        self._context = context
        self._handshake_s = handshake_ms / 1_000
        self._pending: Counter[str] = Counter()
        self._known: dict[RequestHandler, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: web.Server | None = None
        self._socket: socket.socket | None = None
        self._is_open = True
        self.refused_count = 0

    @property
    def port(self) -> int:
        """Return the port listened on; 0 when not started."""
        return int(self._socket.getsockname()[1]) if self._socket is not None else 0

    @property
    def pending_count(self) -> int:
        """Return how many connections are not yet known."""
        return self._pending.total()

    async def start(self, host: str, port: int) -> None:
        """Open the port and accept in the background.

        Raises:
            Misconfigured: The address cannot be listened on.
        """
        self._server = web.Server(self._handle, access_log=None, lingering_time=0.0)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            family, _kind, _protocol, _name, address = found[0]
            self._socket = socket.create_server(
                address[:2], family=family, backlog=BACKLOG, reuse_port=False
            )
        except OSError as error:
            raise Misconfigured(
                f"cannot listen on {host}:{port} ({error.strerror}); choose p2p.host and p2p.port"
            ) from error
        self._socket.setblocking(False)
        self._accept_from(self._socket)

    async def stop(self) -> None:
        """Close the port and every connection on it."""
        if self._socket is not None:
            self._is_open = False
            asyncio.get_running_loop().remove_reader(self._socket)
        # A task that never ran could not close the connection it was given.
        await asyncio.sleep(0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
        if self._server is not None:
            await self._server.shutdown(1.0)

    def _accept_from(self, listening: socket.socket) -> None:
        """Take connections as they come.

        Each is taken and handed to its task at once: a connection that an awaited call returns is
        lost when the waiting task is cancelled just then.
        """
        if self._is_open:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            connection, address = listening.accept()
        except BlockingIOError:
            return
        except OSError:
            # Out of file descriptors, or the other end left already.
            loop.remove_reader(listening)
            loop.call_later(ACCEPT_AGAIN_S, self._accept_from, listening)
            return
        source = str(address[0])
        is_crowded = self._pending.total() >= PENDING_MAX
        if is_crowded or self._pending[source] >= PENDING_PER_SOURCE_MAX:
            self.refused_count += 1
            connection.close()
            return
        connection.setblocking(False)
        self._pending[source] += 1
        self._spawn(self._admit(connection, source))

    async def _admit(self, connection: socket.socket, source: str) -> None:
        """Take one connection through TLS and wait until its node is known, or cut it.

        Spec: WIRE-PENDING, WIRE-TIMEOUT.
        """
        loop = asyncio.get_running_loop()
        transport: asyncio.BaseTransport | None = None
        protocol: RequestHandler | None = None
        try:
            async with asyncio.timeout(self._handshake_s):
                assert self._server is not None
                transport, protocol = await loop.connect_accepted_socket(
                    self._server,
                    connection,
                    ssl=self._context,
                    ssl_handshake_timeout=self._handshake_s,
                )
                await self._known.setdefault(protocol, asyncio.Event()).wait()
        except (OSError, TimeoutError, ssl.SSLError):
            self.refused_count += 1
            if isinstance(transport, asyncio.Transport):
                transport.abort()
        finally:
            if protocol is not None:
                self._known.pop(protocol, None)
            self._pending[source] -= 1
            if not self._pending[source]:
                del self._pending[source]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        known = self._known.setdefault(request.protocol, asyncio.Event())
        answer = web.WebSocketResponse(
            autoping=False, compress=False, max_msg_size=FRAME_SIZE_MAX + 1, timeout=1.0
        )
        try:
            tls = request.get_extra_info("ssl_object")
            certificate = read_certificate((tls and tls.getpeercert(True)) or b"")
            if request.path != PEER_PATH or not answer.can_prepare(request).ok:
                return _turn_away(404)
            await answer.prepare(request)
            await self._visit(answer, certificate, str(request.remote), known.set)
        except InvalidInput:
            return _turn_away(403)
        finally:
            known.set()
            self._known.pop(request.protocol, None)
        return answer

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _turn_away(status: int) -> web.Response:
    """Answer something that is no peer, and close."""
    response = web.Response(status=status)
    response.force_close()
    return response
