"""A connection on which ordinary requests are answered with little ado.

Most requests are a POST of JSON over a connection kept open. The HTTP library spends more on one
than checking a transaction does, so they are read and answered here. At the first request that is
not of this kind the connection passes to the library for good, with every byte not yet used.

One request is in work at a time and what a client sends meanwhile is left in the socket; so much is
held of a client as one body may have. Whoever is slow to send or to take is cut off.

Spec: RPC-HTTP, RPC-BOUNDS, RPC-SLOW-CLIENT, RPC-OVERLOAD.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from math import inf

from node.rpc.dispatch import encode, failure
from node.rpc.errors import Overloaded
from node.rpc.plain_head import HEAD_SIZE_MAX, PlainHead, read_plain_head
from node.rpc.service import RpcService


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainPort:
    """What the connections of one port share."""

    service: RpcService
    """Answers."""
    hosts: tuple[str, ...] | None
    """Values of ``Host`` served, without port; None serves all."""
    proxies: frozenset[str]
    """Addresses that speak for others, whose requests are never ordinary."""
    begin: Callable[[], bool]
    """Counts a request that will wait; False when there are too many."""
    end: Callable[[], None]
    """Counts it off."""
    connections: "dict[PlainConnection, None]"
    """Those that are open."""
    library_connections: Callable[[], int]
    """Counts those that passed to the library."""
    make_library_protocol: Callable[[], asyncio.Protocol]
    """Makes the HTTP library's protocol, for a connection that passes to it."""


class PlainConnection(asyncio.Protocol):
    """One connection, as long as its requests are ordinary."""

    def __init__(self, port: PlainPort) -> None:
        """Hold the port; the event loop says when the connection is made."""
        self._port = port
        self._limits = port.service.limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._source = "unknown"
        self._buffer = b""
        self._parts: list[bytes] = []
        self._missing = 0
        self._is_request_begun = False
        self._is_full = False
        self._task: asyncio.Task[str | None] | None = None
        self._deadline_s = inf
        self._watch: asyncio.TimerHandle | None = None

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read, within the bound on connections.

        Spec: RPC-BOUNDS.
        """
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        connections = self._port.connections
        connections[self] = None
        if len(connections) + self._port.library_connections() > self._limits.connection_count_max:
            transport.abort()
            return
        peer = transport.get_extra_info("peername")
        self._source = str(peer[0]) if peer else "unknown"
        self._wait_at_most(self._limits.read_timeout_s)
        if self._source in self._port.proxies:
            self._pass_on()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and answer the request they complete."""
        if self._missing > len(data):
            self._missing -= len(data)
            self._parts.append(data)
            return
        if self._parts:
            data = b"".join((*self._parts, data))
            self._parts.clear()
            self._missing = 0
        self._buffer = self._buffer + data if self._buffer else data
        self._work()

    def pause_writing(self) -> None:
        """Work no more until the client takes its answer.

        Spec: RPC-SLOW-CLIENT.
        """
        self._is_full = True
        self._wait_at_most(self._limits.write_timeout_s)

    def resume_writing(self) -> None:
        """Go on: the client took its answer."""
        self._is_full = False
        self._wait_at_most(self._limits.idle_timeout_s)
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        del exc
        self._leave()

    # What the port asks

    @property
    def task(self) -> asyncio.Task[str | None] | None:
        """Return the request in work."""
        return self._task

    def close(self) -> None:
        """Close once what was answered is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # Requests

    def _go_on(self) -> None:
        """Read on, or work on what was read already; never both, so that little is held."""
        if self._transport is None or self._transport.is_closing():
            return
        if not (self._buffer or self._task or self._is_full):
            self._transport.resume_reading()
            return
        self._transport.pause_reading()
        if self._buffer:
            self._loop.call_soon(self._work)

    def _work(self) -> None:
        """Answer the first request that was read, if it is whole; others have their turn then.

        Spec: RPC-OVERLOAD.
        """
        data = self._buffer
        if not data or self._task or self._is_full or self._transport is None:
            return
        if b"\r\n\r\n" not in data and len(data) < HEAD_SIZE_MAX:
            self._read_more()
            return
        head = read_plain_head(data)
        if head is None or not self._is_served(head):
            self._pass_on()
            return
        end = head.size + head.length
        if len(data) < end:
            self._missing = end - len(data)
            self._parts, self._buffer = [data], b""
            self._read_more()
            return
        self._buffer = data[end:]
        self._is_request_begun = False
        self._answer(data[head.size : end])
        self._go_on()

    def _is_served(self, head: PlainHead) -> bool:
        hosts = self._port.hosts
        is_host_served = hosts is None or without_port(head.host) in hosts
        return is_host_served and head.length <= self._limits.body_size_max_bytes

    def _read_more(self) -> None:
        """Wait for the rest of a request, all in all not longer than one may take."""
        assert self._transport is not None
        if not self._is_request_begun:
            self._is_request_begun = True
            self._wait_at_most(self._limits.read_timeout_s)
        self._transport.resume_reading()

    def _answer(self, body: bytes) -> None:
        """Answer a request at once, or let it wait."""
        service = self._port.service
        asked = service.read(body, self._source)
        if asked.is_immediate:
            self._send(service.answer_now(asked))
        elif self._port.begin():
            self._wait_at_most(inf)
            self._task = self._loop.create_task(service.answer(asked))
            self._task.add_done_callback(self._finish)
        else:
            error = Overloaded("the node is busy with other requests; try again")
            self._send(encode(failure(None, error)), HTTPStatus.SERVICE_UNAVAILABLE)

    def _finish(self, task: asyncio.Task[str | None]) -> None:
        """Send the answer of a request that waited."""
        self._port.end()
        self._task = None
        try:
            text = task.result()
        except BaseException:
            self.abort()
            raise
        self._send(text)
        self._go_on()

    def _send(self, text: str | None, status: HTTPStatus = HTTPStatus.OK) -> None:
        if self._transport is None:
            return
        body = b"" if text is None else text.encode()
        date = _format_date(self._port.service.backends.clock_s())
        self._wait_at_most(self._limits.idle_timeout_s)
        self._transport.write(
            b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
            b"Date: %b\r\n\r\n%b" % (status, status.phrase.encode(), len(body), date, body)
        )

    def _pass_on(self) -> None:
        """Give the connection to the HTTP library, with every byte of the request at hand.

        Spec: RPC-HTTP.
        """
        transport, data = self._transport, self._buffer
        assert transport is not None
        self._leave()
        protocol = self._port.make_library_protocol()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        transport.resume_reading()
        if data:
            protocol.data_received(data)

    def _leave(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._transport = None
        self._port.connections.pop(self, None)

    # Time

    def _wait_at_most(self, seconds: float) -> None:
        """Cut the client off unless something happens within ``seconds``.

        One timer serves all deadlines: when it ends it looks whether the deadline has moved.

        Spec: RPC-SLOW-CLIENT.
        """
        self._deadline_s = self._loop.time() + seconds
        if self._watch is None or self._deadline_s < self._watch.when():
            self._watch_deadline()

    def _watch_deadline(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = None
        if self._deadline_s != inf:
            self._watch = self._loop.call_at(self._deadline_s, self._look_at_deadline)

    def _look_at_deadline(self) -> None:
        if self._loop.time() >= self._deadline_s:
            self.abort()
        else:
            self._watch_deadline()


async def close_all(connections: Iterable[PlainConnection], timeout_s: float) -> None:
    """Close connections, those with a request in work once it is answered or time is up.

    Spec: RPC-SHUTDOWN.
    """
    held = list(connections)
    tasks = [connection.task for connection in held if connection.task is not None]
    if tasks:
        await asyncio.wait(tasks, timeout=timeout_s)
        await asyncio.sleep(0)
    for connection in held:
        connection.close()


def without_port(host: str) -> str:
    """Return a value of ``Host`` without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


@lru_cache(maxsize=4)
def _format_date(now_s: int) -> bytes:
    return formatdate(now_s, usegmt=True).encode()
