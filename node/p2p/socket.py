"""The socket of a connection: how long each stage may take, one message, ending in order.

Whatever goes wrong becomes a ``ConnectionEnded`` with an ``Ending``; what that means for the peer
is decided by the connection and the network.

Spec: WIRE-TIMEOUT, WIRE-FRAME-SIZE.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from socket import SHUT_RDWR
from typing import Final, TypeAlias

import aiohttp
from aiohttp import web

from node.p2p.frames import Goodbye
from node.p2p.handshake import HandshakeRefused, Refusal
from node.p2p.limits import Offence
from node.p2p.wire import encode_frame

WebSocket: TypeAlias = "web.WebSocketResponse | aiohttp.ClientWebSocketResponse"
"""Either end of a connection."""

_MESSAGE_TOO_BIG: Final = 1_009


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """How long each stage may take. Tests shorten them; operators do not."""

    handshake_ms: int = 5_000
    """From an accepted or dialled connection to a known peer, TLS included."""
    ping_ms: int = 5_000
    """Between two pings."""
    idle_ms: int = 20_000
    """Without one complete frame, the peer is lost; also the longest time for one frame."""
    send_ms: int = 20_000
    """For one frame to leave; longer means the peer does not read."""
    request_ms: int = 20_000
    """For one answer."""
    farewell_ms: int = 500
    """To say why, before closing."""
    fallback_ms: int = 10_000
    """How long the node with the higher key waits to be dialled before it dials itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why a connection ended."""

    reason: str
    """A word of ``Refusal`` or ``Offence``, or ``closed``."""
    detail: str
    """One sentence."""
    is_theirs: bool
    """The other end closed it or said so."""


class ConnectionEnded(Exception):
    """Carries an ``Ending`` out of a connection's tasks."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.detail)
        self.ending = ending


async def receive_bytes(socket: WebSocket, timeout_ms: int) -> bytes:
    """Wait for one binary message.

    Raises:
        ConnectionEnded: It took too long, was too long or not binary, or the other end closed.

    Spec: WIRE-TIMEOUT, WIRE-FRAME-SIZE.
    """
    try:
        async with asyncio.timeout(timeout_ms / 1_000):
            message = await socket.receive()
    except TimeoutError:
        raise ended(Offence.IDLE.value, f"no complete frame in {timeout_ms} ms") from None
    except (ConnectionError, aiohttp.ClientError, RuntimeError) as error:
        raise ended("closed", "the connection broke", is_theirs=True) from error
    if message.type is aiohttp.WSMsgType.BINARY:
        return bytes(message.data)
    if isinstance(message.data, aiohttp.WebSocketError) and message.data.code == _MESSAGE_TOO_BIG:
        raise ended(Offence.OVERSIZED_FRAME.value, "a frame longer than any may be")
    if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG):
        raise ended(Offence.UNEXPECTED_FRAME.value, "only binary messages are understood")
    if message.type is aiohttp.WSMsgType.ERROR:
        raise ended(Offence.MALFORMED_FRAME.value, "broken WebSocket framing")
    raise ended("closed", "the other end closed the connection", is_theirs=True)


async def say_goodbye(socket: WebSocket, ending: Ending, timings: Timings) -> None:
    """Tell the other end why, unless it said so itself, and close; cut it off when it stalls.

    The farewell runs as a task of its own: a write that was given up before leaves aiohttp's drain
    future cancelled, and the next write would pass that cancellation on to us.
    """
    farewell = asyncio.create_task(_say_and_close(socket, ending))
    done, _late = await asyncio.wait([farewell], timeout=timings.farewell_ms / 1_000)
    if done and not farewell.cancelled() and farewell.exception() is None:
        return
    farewell.cancel()
    await asyncio.gather(farewell, return_exceptions=True)
    await cut_off(socket, timings)


async def cut_off(socket: WebSocket, timings: Timings) -> None:
    """End a connection without a word, and let go of it; one already closed stays as it is.

    Shutting the raw socket is what ends it. The WebSocket is closed all the same, because aiohttp
    keeps what it dialled until it is told, and closing it then waits for nobody.
    """
    raw = socket.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.shutdown(SHUT_RDWR)
    closing = asyncio.create_task(socket.close())
    await asyncio.wait([closing], timeout=timings.farewell_ms / 1_000)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)


async def _say_and_close(socket: WebSocket, ending: Ending) -> None:
    if ending.reason == Offence.SLOW_READER.value:
        raise TimeoutError("a peer that does not read cannot be told")
    if not ending.is_theirs and not socket.closed:
        farewell = Goodbye(reason=ending.reason[:64], detail=ending.detail[:160])
        await socket.send_bytes(encode_frame(farewell))
    await socket.close()


def refusal_of(error: Exception) -> Ending:
    """Return the ending that an error during the handshake means.

    Spec: WIRE-HANDSHAKE.
    """
    if isinstance(error, ConnectionEnded):
        return error.ending
    if isinstance(error, HandshakeRefused):
        return Ending(reason=error.reason.value, detail=error.message, is_theirs=False)
    if isinstance(error, TimeoutError):
        return Ending(
            reason=Refusal.TIMEOUT.value, detail="the handshake took too long", is_theirs=False
        )
    return Ending(reason=Refusal.MALFORMED.value, detail=str(error), is_theirs=False)


def ended(reason: str, detail: str, *, is_theirs: bool = False) -> ConnectionEnded:
    """Return the exception that carries an ending."""
    return ConnectionEnded(Ending(reason=reason, detail=detail, is_theirs=is_theirs))
