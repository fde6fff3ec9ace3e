"""Unix sockets of processes that hold a key: one that serves, and frames of bounded length.

A socket is closed to others from its first moment and removed at the end. A frame is its length in
four bytes, then that many bytes.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from node.primitives.errors import MalformedMessage, Misconfigured

SOCKET_MODE: Final = 0o660
"""Only the process's user and group may connect."""

SOCKET_PATH_MAX: Final = 100
"""Longest path of a Unix socket, in bytes, below the system's limit."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves one connection."""


@asynccontextmanager
async def listening(serve: Serve, path: Path) -> AsyncIterator[None]:
    """Serve at the socket ``path`` while the block runs.

    Raises:
        Misconfigured: The socket cannot be made.
    """
    running = await asyncio.start_unix_server(serve, sock=_bind(path))
    try:
        yield
    finally:
        running.close()
        _remove(path)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _bind(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > SOCKET_PATH_MAX:
        raise Misconfigured(f"{path}: too long for a socket; choose a path under 100 bytes")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~SOCKET_MODE)
    try:
        if path.is_socket():
            path.unlink()
        listener.bind(os.fspath(path))
    except OSError as error:
        listener.close()
        raise Misconfigured(
            f"{path}: no socket can be made here ({error.strerror}); choose another path"
        ) from error
    finally:
        os.umask(before)
    return listener


async def send_frame(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write one frame.

    Raises:
        OSError: The other end is gone.
    """
    writer.write(len(data).to_bytes(4, "big") + data)
    await writer.drain()


async def receive_frame(reader: asyncio.StreamReader, *, size_max: int, what: str) -> bytes:
    """Read one frame.

    Args:
        reader: Where from.
        size_max: Most bytes it may have.
        what: How errors name it.

    Raises:
        MalformedMessage: It is longer than any may be, or ends too early.
        OSError: The other end is gone.
    """
    try:
        size = int.from_bytes(await reader.readexactly(4), "big")
        if size > size_max:
            raise MalformedMessage(f"{what}: {size} bytes, at most {size_max}")
        return await reader.readexactly(size)
    except asyncio.IncompleteReadError as error:
        raise MalformedMessage(f"{what}: ends too early") from error
