"""Hold a simulated card into a reader: the socket protocol of vpcd, one thread for each card.

A message is two bytes of length, then that many bytes. One byte is a control: off, on, reset, or a
question for the answer to reset; anything longer is a command. vpcd has no timeouts, so a silent
card blocks whoever asked until it is taken away.
"""

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Final, Self

from node.primitives.errors import Unavailable
from services.sim.card.card import Fault, SimulatedCard

CONNECT_TIMEOUT_S: Final = 10.0
"""How long to wait for the reader to listen."""

PAUSE_AFTER_FAULT_S: Final = 1.0
"""The daemon looks for cards every 0.4 s; one that failed and is replaced faster is taken for the
same one, and never powered again."""

_OFF_ON_RESET: Final = (b"\x00", b"\x01", b"\x02")
_GET_ATR: Final = b"\x04"


class ReaderUnreachable(Unavailable):
    """No virtual reader listens where the card is held."""

    code = "card.reader_unreachable"


class HeldCard:
    """A card in a reader's slot, from entering the block until leaving it or ``remove``."""

    def __init__(self, card: SimulatedCard, *, port: int) -> None:
        self._card = card
        self._port = port
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._has_failed = False

    def __enter__(self) -> Self:
        """Insert the card."""
        self.insert()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the card away."""
        self.remove()

    def insert(self) -> None:
        """Connect to the reader and answer it from a thread.

        Raises:
            ReaderUnreachable: Nothing listens there.
        """
        self._card.reset()
        self._socket = _connect(self._port)
        self._thread = threading.Thread(target=self._serve, args=(self._socket,), daemon=True)
        self._thread.start()

    def remove(self) -> None:
        """Take the card away, also while it is silent."""
        if self._socket is not None:
            _close(self._socket)
            self._socket = None
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._has_failed:
            time.sleep(PAUSE_AFTER_FAULT_S)
            self._has_failed = False

    def _serve(self, link: socket.socket) -> None:
        try:
            while (message := _receive(link)) is not None:
                reply = self._reply(message)
                self._has_failed |= isinstance(reply, Fault)
                if reply is Fault.TORN_AWAY:
                    break
                if isinstance(reply, bytes):
                    link.sendall(len(reply).to_bytes(2, "big") + reply)
                # Without it the reader's acknowledgement of each answer takes 40 ms.
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except OSError:
            return
        finally:
            _close(link)

    def _reply(self, message: bytes) -> bytes | Fault | None:
        if len(message) > 1:
            return self._card.transmit(message)
        if message in _OFF_ON_RESET:
            self._card.reset()
        return self._card.atr if message == _GET_ATR else None


def _connect(port: int) -> socket.socket:
    deadline = time.monotonic() + CONNECT_TIMEOUT_S
    while True:
        try:
            link = socket.create_connection(("127.0.0.1", port), timeout=CONNECT_TIMEOUT_S)
        except ConnectionRefusedError as error:
            if time.monotonic() > deadline:
                raise ReaderUnreachable(
                    f"virtual reader: nothing listens on port {port} of this machine"
                ) from error
            time.sleep(0.02)
            continue
        link.settimeout(None)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return link


def _receive(link: socket.socket) -> bytes | None:
    header = _receive_exactly(link, 2)
    return None if header is None else _receive_exactly(link, int.from_bytes(header, "big"))


def _receive_exactly(link: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        part = link.recv(size - len(data))
        if not part:
            return None
        data += part
    return data or None


def _close(link: socket.socket) -> None:
    with contextlib.suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)
    link.close()
