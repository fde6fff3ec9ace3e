"""Readers through PC/SC: the one module that calls libpcsclite, by ctypes.

A card is taken exclusively and reset when let go, so that no other program finds a verified code.
PC/SC sets no limit to how long a card may take; a command runs in a thread of its own, and a card
that stays silent is given up together with the connection. The daemon resets it when this process
ends.

Spec: CARD-RESET, CARD-ANSWER.
"""

import ctypes
import ctypes.util
import functools
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from clients.card.errors import (
    CardDaemonMissing,
    CardLost,
    CardSilent,
    NoCard,
    NoReader,
    ReaderBusy,
    SeveralCards,
    UnknownReader,
)
from node.primitives.errors import LedgerError

ANSWER_TIMEOUT_S: Final = 10.0
"""Longest a card may take for one command; a signature takes well under one."""

WAIT_S: Final = 3.0
"""How long to wait for a card by default; a daemon sees one after about a second."""

READERS_MAX: Final = 16
"""As many as the daemon can have."""

_POLL_S: Final = 0.1
_SCOPE_SYSTEM: Final = 2
_EXCLUSIVE: Final = 1
_ANY_PROTOCOL: Final = 3
_RESET_CARD: Final = 1
_STATE_PRESENT: Final = 0x20
_NAMES_SIZE_MAX: Final = 4096
_ANSWER_BUFFER: Final = 264

_NO_SERVICE: Final = frozenset({0x8010001D, 0x8010001E, 0x80100013})
_NO_READERS: Final = 0x8010002E
_SHARING: Final = 0x8010000B
_NO_SMARTCARD: Final = frozenset({0x8010000C, 0x80100069, 0x80100066, 0x80100067})

_Handle = ctypes.c_long


class _ReaderState(ctypes.Structure):
    _fields_ = (
        ("reader", ctypes.c_char_p),
        ("user_data", ctypes.c_void_p),
        ("current", ctypes.c_ulong),
        ("event", ctypes.c_ulong),
        ("atr_size", ctypes.c_ulong),
        ("atr", ctypes.c_ubyte * 33),
    )


class _Protocol(ctypes.Structure):
    _fields_ = (("protocol", ctypes.c_ulong), ("size", ctypes.c_ulong))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A connected reader."""

    name: str
    """As the daemon calls it."""
    has_card: bool
    """Whether a card is in it."""


@dataclass(slots=True, kw_only=True)
class _Exchange:
    """What a thread that waits for a card leaves behind."""

    status: int = 0
    answer: bytes = field(default=b"", repr=False)


class PcscContext:
    """A connection to the daemon."""

    def __init__(self) -> None:
        self._handle = _Handle()
        self._channels: list[PcscChannel] = []

    def __enter__(self) -> Self:
        """Connect to the daemon.

        Raises:
            CardDaemonMissing: The library or the daemon is not there.
        """
        status = _call(
            "SCardEstablishContext", _SCOPE_SYSTEM, None, None, ctypes.byref(self._handle)
        )
        _check(status, "connecting to the daemon")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the daemon go, unless a silent card holds the connection."""
        if not any(channel.is_stuck for channel in self._channels):
            _call("SCardReleaseContext", self._handle)

    def readers(self) -> tuple[Reader, ...]:
        """List the readers in the daemon's order."""
        names = ctypes.create_string_buffer(_NAMES_SIZE_MAX)
        size = ctypes.c_ulong(_NAMES_SIZE_MAX)
        status = _call("SCardListReaders", self._handle, None, names, ctypes.byref(size))
        if status == _NO_READERS:
            return ()
        _check(status, "listing readers")
        found = [name for name in names.raw[: size.value].split(b"\0") if name][:READERS_MAX]
        return tuple(
            Reader(name=name.decode(errors="replace"), has_card=self._has_card(name))
            for name in found
        )

    def wait_for_card(self, name: str | None = None, *, wait_s: float = WAIT_S) -> Reader:
        """Return the reader with a card, waiting for one a while.

        Args:
            name: Which reader, wholly or in part; None takes the only one with a card.
            wait_s: How long to wait.

        Raises:
            NoReader, UnknownReader, NoCard, SeveralCards: As they say.
        """
        deadline = time.monotonic() + wait_s
        while True:
            try:
                return choose_reader(self.readers(), name)
            except (NoCard, NoReader):
                if time.monotonic() >= deadline:
                    raise
            time.sleep(_POLL_S)

    def connect(self, reader: Reader, *, timeout_s: float = ANSWER_TIMEOUT_S) -> "PcscChannel":
        """Take the card in a reader for ourselves.

        Raises:
            ReaderBusy: Another program holds it.
            NoCard: It is gone.

        Spec: CARD-RESET.
        """
        card = _Handle()
        protocol = ctypes.c_ulong()
        status = _call(
            "SCardConnect",
            self._handle,
            reader.name.encode(),
            _EXCLUSIVE,
            _ANY_PROTOCOL,
            ctypes.byref(card),
            ctypes.byref(protocol),
        )
        _check(status, "taking the card")
        channel = PcscChannel(card, protocol.value, timeout_s)
        self._channels.append(channel)
        return channel

    def _has_card(self, name: bytes) -> bool:
        state = _ReaderState(reader=name)
        status = _call("SCardGetStatusChange", self._handle, 0, ctypes.byref(state), 1)
        return status == 0 and bool(state.event & _STATE_PRESENT)


class PcscChannel:
    """A card held exclusively."""

    def __init__(self, card: _Handle, protocol: int, timeout_s: float) -> None:
        self._card = card
        self._protocol = protocol
        self._timeout_s = timeout_s
        self.is_stuck = False

    def transmit(self, command: bytes) -> bytes:
        """Send a command; the answer is empty when the card is torn away in its middle.

        Raises:
            CardSilent: No answer in time; the channel is of no more use.
            CardLost: The card is gone.

        Spec: CARD-ANSWER.
        """
        if self.is_stuck:
            raise _silent(self._timeout_s)
        exchange = _Exchange()
        thread = threading.Thread(target=self._transmit, args=(command, exchange), daemon=True)
        thread.start()
        thread.join(self._timeout_s)
        if thread.is_alive():
            self.is_stuck = True
            raise _silent(self._timeout_s)
        if exchange.status != 0:
            raise CardLost(
                f"card: PC/SC status {exchange.status:08X} in the middle of a command",
                rule="CARD-ANSWER",
            )
        return exchange.answer

    def close(self) -> None:
        """Reset the card and let it go.

        Spec: CARD-RESET.
        """
        if not self.is_stuck:
            _call("SCardDisconnect", self._card, _RESET_CARD)

    def _transmit(self, command: bytes, exchange: _Exchange) -> None:
        protocol = _Protocol(protocol=self._protocol, size=ctypes.sizeof(_Protocol))
        buffer = ctypes.create_string_buffer(_ANSWER_BUFFER)
        size = ctypes.c_ulong(_ANSWER_BUFFER)
        exchange.status = _call(
            "SCardTransmit",
            self._card,
            ctypes.byref(protocol),
            command,
            len(command),
            None,
            buffer,
            ctypes.byref(size),
        )
        if exchange.status == 0:
            exchange.answer = buffer.raw[: size.value]


def choose_reader(readers: tuple[Reader, ...], name: str | None) -> Reader:
    """Return the reader that is meant.

    Raises:
        NoReader: None is connected.
        UnknownReader: None has this name.
        NoCard: None of those meant holds a card.
        SeveralCards: More than one does; ``values`` name them.

    Spec: CARD-READER.
    """
    if not readers:
        raise NoReader("card: no reader is connected", rule="CARD-READER")
    meant = [reader for reader in readers if name is None or name in reader.name]
    if not meant:
        raise UnknownReader(
            "card: no reader has this name", rule="CARD-READER", readers=[r.name for r in readers]
        )
    holding = [reader for reader in meant if reader.has_card]
    if not holding:
        raise NoCard("card: no reader holds a card", rule="CARD-READER")
    exact = [reader for reader in holding if reader.name == name]
    if len(holding) > 1 and not exact:
        raise SeveralCards(
            "card: more than one reader holds a card; name one",
            rule="CARD-READER",
            readers=[reader.name for reader in holding],
        )
    return (exact or holding)[0]


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(ctypes.util.find_library("pcsclite") or "libpcsclite.so.1")
    except OSError as error:
        raise _no_daemon() from error
    word, text, out = ctypes.c_ulong, ctypes.c_char_p, ctypes.c_void_p
    for name, arguments in (
        ("SCardEstablishContext", (word, out, out, out)),
        ("SCardReleaseContext", (_Handle,)),
        ("SCardListReaders", (_Handle, text, out, out)),
        ("SCardGetStatusChange", (_Handle, word, out, word)),
        ("SCardConnect", (_Handle, text, word, word, out, out)),
        ("SCardDisconnect", (_Handle, word)),
        ("SCardTransmit", (_Handle, out, text, word, out, out, out)),
    ):
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, ctypes.c_long
    return library


def _call(name: str, *arguments: object) -> int:
    """Call the library and return its status as it is printed in manuals."""
    status: int = getattr(_library(), name)(*arguments)
    return status & 0xFFFFFFFF


def _check(status: int, doing: str) -> None:
    if status == 0:
        return
    error: LedgerError
    if status in _NO_SERVICE:
        error = _no_daemon()
    elif status == _SHARING:
        error = ReaderBusy("card: another program holds it", rule="CARD-RESET")
    elif status in _NO_SMARTCARD:
        error = NoCard("card: it is no longer in the reader")
    else:
        error = CardLost(f"card: {doing} gave PC/SC status {status:08X}")
    raise error


def _no_daemon() -> CardDaemonMissing:
    return CardDaemonMissing(
        "card: the PC/SC daemon does not answer; install pcscd and libpcsclite1 and start pcscd"
    )


def _silent(timeout_s: float) -> CardSilent:
    return CardSilent(f"card: no answer within {timeout_s:g} s", rule="CARD-ANSWER")
