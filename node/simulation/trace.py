"""The record of a run: one line per thing that happened, and a digest over all of them.

Two runs are the same run exactly when their digests agree. Lines hold integers, names and short
hexadecimal only, never a ``repr`` of a set or a mapping, so that the digest does not depend on the
process that computed it. A campaign keeps no lines; a replay keeps and prints them.
"""

import hashlib
from functools import lru_cache

from node.consensus.messages import Commit, Message, Prepare, Proposal, RoundChange
from node.simulation.frames import BlockAnswer, BlockRequest, Frame, Gossip, Said, Status


class Trace:
    """Lines of one run, counted and hashed, and kept when asked for."""

    def __init__(self, *, is_kept: bool) -> None:
        """Start empty."""
        self._hash = hashlib.sha256()
        self._is_kept = is_kept
        self.lines: list[str] = []
        self.line_count = 0

    def note(self, now_ms: int, actor: str, what: str) -> None:
        """Record that ``actor`` did or met ``what`` at ``now_ms``."""
        line = f"{now_ms // 1000:>5}.{now_ms % 1000:03} {actor:<3} {what}"
        self._hash.update(line.encode())
        self.line_count += 1
        if self._is_kept:
            self.lines.append(line)

    @property
    def digest(self) -> str:
        """Return the digest over all lines so far, in hexadecimal."""
        return self._hash.hexdigest()


def describe_frame(frame: Frame | None) -> str:
    """Say in a few words what a frame is."""
    match frame:
        case Said():
            return describe_message(frame.message)
        case Status():
            return f"status {frame.height}"
        case BlockRequest():
            return f"asks for blocks from {frame.first}"
        case BlockAnswer():
            return f"{len(frame.blocks)} blocks from {frame.blocks[0].height}"
        case Gossip():
            return f"transaction {frame.transaction.nonce}"
        case None:
            return "garbage"


def describe_message(message: Message) -> str:
    """Say in a few words what a message is: kind, height/round, digest, author."""
    payload = message.signed.payload
    named = ""
    match message:
        case Proposal():
            named = _short(message.signed.payload.block.digest)
            named += f" on {len(message.round_changes)}+{len(message.prepares)}"
        case Prepare() | Commit():
            named = _short(message.signed.payload.digest)
        case RoundChange():
            prepared = message.signed.payload.prepared
            named = f"{prepared.round}:{_short(prepared.digest)}" if prepared else "unprepared"
    kind = type(message).__name__
    return f"{kind} {payload.height}/{payload.round} {named} by {_short(message.signed.author)}"


@lru_cache(maxsize=4096)
def _short(data: bytes) -> str:
    return data[:3].hex()
