"""One WebSocket: requests in, answers and notifications out, both bounded.

Answers wait for the client, notifications do not: a client that does not keep up with what it
subscribed to is cut off rather than remembered.

Spec: RPC-SUBSCRIBE, RPC-SLOW-CLIENT.
"""

import asyncio
import contextlib
from collections import deque
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from node.rpc.backend import Json
from node.rpc.dispatch import encode
from node.rpc.service import RpcService
from node.rpc.subscriptions import HeadEvent, Subscriptions

HEARTBEAT_S: Final = 30.0
"""Seconds between pings; a client that answers none is gone."""

FRAME_OVERHEAD: Final = 64
"""Bytes a queued text costs beyond its length."""


class WebSocketSession:
    """One connection and its subscriptions."""

    def __init__(self, service: RpcService, source: str) -> None:
        """Hold the parts; ``run`` begins."""
        limits = service.limits
        self._service = service
        self._source = source
        self._limits = limits
        self._socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S,
            max_msg_size=limits.body_size_max_bytes,
            autoclose=True,
            compress=False,
        )
        self._outbox: deque[str] = deque()
        self._outbox_size = 0
        self._has_mail = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self.subscriptions = Subscriptions(limits, service.new_id)

    async def run(self, request: web.BaseRequest) -> web.WebSocketResponse:
        """Serve the connection until it ends.

        Spec: RPC-SUBSCRIBE.
        """
        await self._socket.prepare(request)
        self._transport = request.transport
        writer = asyncio.create_task(self._write())
        try:
            async for message in self._socket:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    break
                text = await self._service.answer_body(
                    message.data, self._source, self.subscriptions
                )
                if text is not None and not await self._send(text):
                    break
        finally:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
        return self._socket

    def notify_head(self, event: HeadEvent) -> None:
        """Queue the notifications of a new head."""
        for message in self.subscriptions.upon_head(event):
            self._queue(message)

    def notify(self, message: Json) -> None:
        """Queue one notification."""
        self._queue(message)

    async def close(self) -> None:
        """Say goodbye: the server stops."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"shutdown")

    def cut(self) -> None:
        """End the connection at once, without waiting for the client."""
        if self._transport is not None:
            self._transport.abort()

    def _queue(self, message: Json) -> None:
        """Queue a notification, or cut off a client that is too far behind.

        Spec: RPC-SLOW-CLIENT.
        """
        text = encode(message)
        self._outbox_size += len(text) + FRAME_OVERHEAD
        self._outbox.append(text)
        self._has_mail.set()
        if (
            len(self._outbox) > self._limits.notification_backlog_max
            or self._outbox_size > self._limits.response_size_max_bytes
        ):
            self._outbox.clear()
            self._outbox_size = 0
            self.cut()

    async def _write(self) -> None:
        """Send queued notifications in order."""
        while True:
            await self._has_mail.wait()
            self._has_mail.clear()
            while self._outbox:
                text = self._outbox.popleft()
                self._outbox_size -= len(text) + FRAME_OVERHEAD
                if not await self._send(text):
                    return

    async def _send(self, text: str) -> bool:
        """Send a text; cut off a client that does not take it in time.

        Spec: RPC-SLOW-CLIENT.
        """
        try:
            async with asyncio.timeout(self._limits.write_timeout_s):
                await self._socket.send_str(text)
        except TimeoutError:
            self.cut()
            return False
        except (ConnectionError, RuntimeError):
            return False
        return True
