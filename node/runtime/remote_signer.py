"""A node's end of a remote signer: the same duties as ``LocalSigner``, carried out elsewhere.

Answers are checked: a signature must recover to the signer's own address, so a confused signer
costs a vote, never a wrong one.

Spec: QBFT-SIGN-STATE.
"""

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from node.consensus.messages import CommitDraft, Draft, Message, sign_draft
from node.consensus.sign_state import SignState, decode_sign_state
from node.primitives.crypto import address_of_public_key, recover_address
from node.primitives.errors import InvalidInput, Unavailable
from node.primitives.types import Address, Hash32, Signature
from node.runtime.signer import VoteRefused, VotesNotDurable
from node.runtime.signer_wire import (
    Ask,
    AskIdentify,
    AskNewest,
    AskPublicKey,
    AskRecord,
    AskVote,
    decode_answer,
    encode_ask,
    receive_frame,
    send_frame,
)

ANSWER_TIMEOUT_S: Final = 5.0
"""Longest wait for the signer; a vote later than this is worthless."""


class RemoteSigner:
    """Signs through a socket; also the node key for the transport."""

    def __init__(self, path: Path, *, observe_s: Callable[[float], None]) -> None:
        """Connect and ask whose signer this is.

        Raises:
            Unavailable: No signer answers.
        """
        self._path = path
        self._observe_s = observe_s
        self._channel: socket.socket | None = None
        self._turn = threading.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="votes")
        self.public_key: bytes = self._ask(AskPublicKey())[0]
        self.address: Address = address_of_public_key(self.public_key)

    def load_newest(self) -> SignState | None:
        """Return the signer's newest record: the one that counts.

        Raises:
            Unavailable: The signer does not answer.
        """
        values = self._ask(AskNewest())
        return decode_sign_state(values[0]) if values else None

    def sign(self, message_hash: bytes) -> Signature:
        """Sign a hash of the transport.

        Raises:
            Unavailable: The signer does not answer, or answers wrongly.
        """
        values = self._ask(AskIdentify(message_hash=Hash32(message_hash)))
        return self._checked(Hash32(message_hash), values[0])

    async def sign_vote(self, sign_state: SignState, draft: Draft) -> Message:
        """Have ``sign_state`` made durable at the signer and ``draft`` signed.

        Raises:
            VoteRefused: The signer's record does not allow it.
            VotesNotDurable: The signer's disk refused the record.
            Unavailable: The signer does not answer; nothing counts as signed.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        message = await loop.run_in_executor(self._thread, self._vote, sign_state, draft)
        self._observe_s(loop.time() - started)
        return message

    async def record(self, sign_state: SignState) -> None:
        """Have ``sign_state`` made durable at the signer without signing anything.

        Raises:
            VoteRefused: The signer's record does not allow it.
            VotesNotDurable: The signer's disk refused the record.
            Unavailable: The signer does not answer.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._ask, AskRecord(sign_state=sign_state))

    def close(self) -> None:
        """Finish the vote at hand and hang up."""
        self._thread.shutdown()
        if self._channel is not None:
            self._channel.close()

    def close_channel(self) -> None:
        """Hang up; the next question connects anew."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _vote(self, sign_state: SignState, draft: Draft) -> Message:
        signatures = list(self._ask(AskVote(sign_state=sign_state, draft=draft)))
        if len(signatures) != (2 if isinstance(draft, CommitDraft) else 1):
            raise Unavailable("the signer answered with another number of signatures")

        def take(message_hash: Hash32) -> Signature:
            return self._checked(message_hash, signatures.pop(0))

        return sign_draft(draft, take, self.address)

    def _checked(self, message_hash: Hash32, signature: bytes) -> Signature:
        try:
            is_ours = recover_address(message_hash, signature) == self.address
        except InvalidInput:
            is_ours = False
        if not is_ours:
            raise Unavailable("the signer answered with a signature that is not its own")
        return Signature(signature)

    def _ask(self, ask: Ask) -> tuple[bytes, ...]:
        """Ask and wait; after a failure the next question connects anew."""
        with self._turn:
            try:
                channel = self._connect()
                send_frame(channel, encode_ask(ask))
                frame = receive_frame(channel)
                if frame is None:
                    raise Unavailable(f"{self._path}: the signer hung up")
                error, values = decode_answer(frame)
            except (Unavailable, InvalidInput):
                self.close_channel()
                raise
        if error.startswith(VoteRefused.code):
            raise VoteRefused(f"the signer refused: {error}")
        if error.startswith(VotesNotDurable.code):
            raise VotesNotDurable(f"at the signer: {error}")
        if error:
            raise Unavailable(f"the signer refused: {error}")
        return values

    def _connect(self) -> socket.socket:
        if self._channel is None:
            channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            channel.settimeout(ANSWER_TIMEOUT_S)
            try:
                channel.connect(os.fspath(self._path))
            except OSError as error:
                channel.close()
                raise Unavailable(
                    f"{self._path}: no signer answers ({error.strerror}); start `daicho key serve`"
                ) from error
            self._channel = channel
        return self._channel
