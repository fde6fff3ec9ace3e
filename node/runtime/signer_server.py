"""The signer process: holds the validator key and its own record of votes, behind a Unix socket.

Run by `daicho key serve` under its own user. One node talks to it at a time. It signs votes that
follow its record and nothing else; whoever copies the node's database, or starts a second node,
cannot make it contradict itself.

Spec: QBFT-SIGN-STATE, QBFT-TWIN.
"""

import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from node.consensus.messages import Commit, Message
from node.consensus.sign_state import encode_sign_state
from node.log import Log
from node.primitives.crypto import PrivateKey
from node.primitives.errors import LedgerError, Misconfigured, Unavailable
from node.runtime.signer import Ballotbook, SignStateFile
from node.runtime.signer_wire import (
    Ask,
    AskIdentify,
    AskNewest,
    AskPublicKey,
    AskRecord,
    AskVote,
    decode_ask,
    encode_answer,
    receive_frame,
    send_frame,
)

LOG = Log("signer")

STATE_FILE: Final = "sign-state"
LOCK_FILE: Final = "lock"
SOCKET_PATH_MAX: Final = 100
"""Longest path of a Unix socket, in bytes, below the system's limit."""


class SignerServer:
    """Serves one key over one socket."""

    def __init__(self, key: PrivateKey, *, socket_path: Path, state_dir: Path) -> None:
        """Open the record, alone, and listen.

        Raises:
            Misconfigured: Another signer has the record, or socket or directory cannot be made.
        """
        self._key = key
        self._lock = _lock(state_dir)
        self._book = Ballotbook(key, SignStateFile(state_dir / STATE_FILE))
        self._socket_path = socket_path
        self._listener = _listen(socket_path)
        self._channel: socket.socket | None = None

    def serve(self) -> None:
        """Serve nodes, one after the other, until ``close``."""
        while True:
            try:
                channel, _ = self._listener.accept()
            except OSError:
                return
            LOG.info("a node connected", address=self._key.address)
            self._channel = channel
            with channel:
                self._serve_node(channel)
            self._channel = None

    def close(self) -> None:
        """Stop listening and give the record free."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._channel is not None:
            with suppress(OSError):
                self._channel.shutdown(socket.SHUT_RDWR)
        self._socket_path.unlink(missing_ok=True)
        os.close(self._lock)

    def _serve_node(self, channel: socket.socket) -> None:
        while True:
            try:
                frame = receive_frame(channel)
                if frame is None:
                    return
                send_frame(channel, self._answer(frame))
            except LedgerError as error:
                LOG.warning("the node's connection ended", reason=str(error))
                return

    def _answer(self, frame: bytes) -> bytes:
        try:
            return encode_answer(values=self._carry_out(decode_ask(frame)))
        except LedgerError as error:
            LOG.error("refused to sign", reason=str(error))
            return encode_answer(error=f"{error.code}: {error.message}")

    def _carry_out(self, ask: Ask) -> tuple[bytes, ...]:
        match ask:
            case AskPublicKey():
                return (self._key.public_key,)
            case AskNewest():
                newest = self._book.newest
                return () if newest is None else (encode_sign_state(newest),)
            case AskRecord():
                self._book.record(ask.sign_state)
                return ()
            case AskVote():
                return _signatures(self._book.sign(ask.sign_state, ask.draft))
            case AskIdentify():
                return (self._key.sign(ask.message_hash),)


def _signatures(message: Message) -> tuple[bytes, ...]:
    """Return a commit's seal and signature, or another message's signature."""
    if isinstance(message, Commit):
        return message.signed.payload.seal, message.signed.signature
    return (message.signed.signature,)


def _lock(state_dir: Path) -> int:
    """Take the record for this process alone.

    Raises:
        Misconfigured: Another signer has it, or the directory cannot be made.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Misconfigured(f"{state_dir}: another signer runs here; stop it first") from error
    except OSError as error:
        raise Misconfigured(
            f"{state_dir}: cannot be used ({error.strerror}); let the signer's user own it"
        ) from error
    return descriptor


def _listen(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > SOCKET_PATH_MAX:
        raise Misconfigured(f"{path}: too long for a socket; choose a path under 100 bytes")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        listener.bind(os.fspath(path))
        path.chmod(0o660)
        listener.listen(1)
    except OSError as error:
        listener.close()
        raise Unavailable(f"{path}: cannot listen ({error.strerror})") from error
    return listener
