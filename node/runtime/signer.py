"""Who signs votes: a key in this process, or a signer in another one that keeps its own record.

Either way the order is the same: the sign-state is checked against the one before, made durable,
and only then is anything signed. ``Ballotbook`` is that guard; the local signer holds one over the
node's database, the signer process (``signer_server``) holds one over a file of its own, so that a
node restored from an old backup cannot make it contradict itself.

Spec: QBFT-SIGN-STATE, QBFT-LOCK.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol

from node.consensus.messages import (
    CommitDraft,
    Draft,
    Message,
    PreparePayload,
    ProposalDraft,
    RoundChangeDraft,
    sign_draft,
)
from node.consensus.sign_state import (
    SignState,
    check_follows,
    decode_sign_state,
    encode_sign_state,
    position_of,
)
from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput, InvariantViolation, Misconfigured, Unavailable
from node.primitives.types import Address, Hash32, Signature
from node.settings import check_private

SIGN_STATE_SIZE_MAX: Final = 32 * 1024 * 1024
"""Longest record: a block and its prepares."""


class VotesNotDurable(Unavailable):
    """The disk refused a vote; the node must not sign, and stops."""

    code = "consensus.votes_not_durable"


class VoteRefused(Misconfigured):
    """This key has signed something else already: its record is ahead of the node's memory."""

    code = "consensus.vote_refused"


class SignStateLog(Protocol):
    """Keeps the newest sign-state of one validator."""

    def load(self) -> SignState | None:
        """Return the newest record, or None if there never was one."""
        ...

    def save(self, record: SignState) -> None:
        """Make ``record`` durable; it replaces the one before.

        Raises:
            Unavailable: The disk refused it; the record before still stands.
        """
        ...


class SignStateFile:
    """A ``SignStateLog`` in one file, replaced whole."""

    def __init__(self, path: Path) -> None:
        """Name the file; its directory exists."""
        self._path = path

    def load(self) -> SignState | None:
        """Return the newest record, or None if there never was one.

        Raises:
            Misconfigured: The file is damaged; signing on would be dangerous.
        """
        if not self._path.exists():
            return None
        check_private(self._path)
        try:
            return decode_sign_state(self._path.read_bytes())
        except InvalidInput as error:
            raise Misconfigured(
                f"{self._path}: damaged sign-state ({error}); do not delete it: restore the node "
                "with `daicho backup restore`, which stays silent until it is safe to vote"
            ) from error

    def save(self, record: SignState) -> None:
        """Make ``record`` durable; it replaces the one before.

        Raises:
            Unavailable: The disk refused it; the record before still stands.
        """
        draft = self._path.with_suffix(".new")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(encode_sign_state(record))
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self._path)
            directory = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise Unavailable(f"{self._path}: cannot be written ({error.strerror})") from error


class Ballotbook:
    """The guard before a key: checks, records, signs; in that order."""

    def __init__(self, key: PrivateKey, log: SignStateLog) -> None:
        """Load the newest record from ``log``."""
        self._key = key
        self._log = log
        self.newest = log.load()

    @property
    def address(self) -> Address:
        """Return the validator's address."""
        return self._key.address

    def record(self, sign_state: SignState) -> None:
        """Make a record durable if it may follow the newest.

        Raises:
            VoteRefused: It contradicts the newest record; nothing was written.
            VotesNotDurable: The disk refused it.

        Spec: QBFT-SIGN-STATE.
        """
        try:
            check_follows(self.newest, sign_state)
        except InvariantViolation as error:
            raise VoteRefused(
                f"{error.message}; this key has signed further than this node remembers. Never "
                "run one key on two nodes; after a restore use `daicho backup restore`",
                rule=error.rule,
            ) from error
        try:
            self._log.save(sign_state)
        except Unavailable as error:
            raise VotesNotDurable(
                f"the vote at height {sign_state.height}, round {sign_state.round} cannot be made "
                f"durable ({error.message}); nothing was signed. Free or repair the disk, then "
                "start the node again"
            ) from error
        self.newest = sign_state

    def sign(self, sign_state: SignState, draft: Draft) -> Message:
        """Record ``sign_state``, then sign ``draft``.

        Raises:
            VoteRefused: The record contradicts the newest, or does not hold this vote.
            VotesNotDurable: The disk refused the record.

        Spec: QBFT-SIGN-STATE.
        """
        check_recorded(sign_state, draft)
        self.record(sign_state)
        return sign_draft(draft, self._sign_hash, self.address)

    def _sign_hash(self, message_hash: Hash32) -> Signature:
        return self._key.sign(message_hash)


def check_recorded(record: SignState, draft: Draft) -> None:
    """Refuse to sign a vote that the record does not hold.

    Raises:
        VoteRefused: Another height, round, digest or lock.

    Spec: QBFT-SIGN-STATE.
    """
    is_held = False
    is_here = position_of(draft) == (record.height, record.round)
    match draft:
        case ProposalDraft():
            is_held = record.proposal == draft.payload.block.digest
        case PreparePayload():
            is_held = record.prepare == draft.digest
        case CommitDraft():
            is_held = record.commit == draft.digest
        case RoundChangeDraft():
            is_held = (
                record.has_round_change and record.round_change_prepared == draft.payload.prepared
            )
    if not is_here or not is_held or record.is_silent:
        raise VoteRefused(
            f"the record at height {record.height}, round {record.round} does not hold this vote",
            rule="QBFT-SIGN-STATE",
        )


class LocalSigner:
    """Signs with a key in this process, off the event loop and one vote at a time."""

    def __init__(self, book: Ballotbook, *, observe_s: Callable[[float], None]) -> None:
        """Hold the guarded key.

        Args:
            book: The guard and its key.
            observe_s: Told how long each vote took.
        """
        self._book = book
        self._observe_s = observe_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="votes")

    @property
    def address(self) -> Address:
        """Return the validator's address."""
        return self._book.address

    async def sign_vote(self, sign_state: SignState, draft: Draft) -> Message:
        """Make ``sign_state`` durable, then sign ``draft``.

        Raises:
            VoteRefused: It would contradict an earlier vote.
            VotesNotDurable: The record cannot be written; nothing was signed.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        message = await loop.run_in_executor(self._thread, self._book.sign, sign_state, draft)
        self._observe_s(loop.time() - started)
        return message

    async def record(self, sign_state: SignState) -> None:
        """Make ``sign_state`` durable without signing anything.

        Raises:
            VoteRefused: It would contradict an earlier record.
            VotesNotDurable: The record cannot be written.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._book.record, sign_state)

    def close(self) -> None:
        """Finish the vote at hand and end the thread."""
        self._thread.shutdown()
