"""How much a peer may ask of us, and when it has gone too far. Pure; time comes as an argument.

Token buckets bound what each kind of frame may cost in a second; a score adds up offences and
fades with time; a back-off decides when a lost peer is dialled again.

Spec: WIRE-RATE, WIRE-SCORE, WIRE-BACKOFF.
"""

import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from node.p2p.wire import FRAME_SIZE_MAX, MEBIBYTE, FrameKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A bucket's size and how fast it fills."""

    burst: int
    """Tokens of a full bucket."""
    per_second: int
    """Tokens that come back each second."""


class TokenBucket:
    """Counts down what is used and fills up with time."""

    def __init__(self, rate: Rate, now_ms: int) -> None:
        """Start full."""
        self._rate = rate
        self._thousandths = rate.burst * 1_000
        self._at_ms = now_ms

    def take(self, tokens: int, now_ms: int) -> bool:
        """Take ``tokens``, or nothing when there are too few.

        Spec: WIRE-RATE.
        """
        elapsed_ms = max(0, now_ms - self._at_ms)
        self._at_ms = now_ms
        full = self._rate.burst * 1_000
        self._thousandths = min(full, self._thousandths + elapsed_ms * self._rate.per_second)
        if self._thousandths < tokens * 1_000:
            return False
        self._thousandths -= tokens * 1_000
        return True


class Lane(StrEnum):
    """Kinds of frames that share a rate and a queue."""

    CONSENSUS = "consensus"
    EVIDENCE = "evidence"
    TRANSACTIONS = "transactions"
    CONTROL = "control"
    REQUESTS = "requests"
    RESPONSES = "responses"


LANES: Final[dict[FrameKind, Lane]] = {
    FrameKind.CONSENSUS: Lane.CONSENSUS,
    FrameKind.EVIDENCE: Lane.EVIDENCE,
    FrameKind.TRANSACTION_ANNOUNCEMENT: Lane.TRANSACTIONS,
    FrameKind.TRANSACTION_REQUEST: Lane.TRANSACTIONS,
    FrameKind.TRANSACTION_BATCH: Lane.TRANSACTIONS,
    FrameKind.STATUS: Lane.CONTROL,
    FrameKind.PING: Lane.CONTROL,
    FrameKind.PONG: Lane.CONTROL,
    FrameKind.BLOCK_REQUEST: Lane.REQUESTS,
    FrameKind.HEADER_REQUEST: Lane.REQUESTS,
    FrameKind.MANIFEST_REQUEST: Lane.REQUESTS,
    FrameKind.CHUNK_REQUEST: Lane.REQUESTS,
    FrameKind.BLOCK_RESPONSE: Lane.RESPONSES,
    FrameKind.HEADER_RESPONSE: Lane.RESPONSES,
    FrameKind.MANIFEST_RESPONSE: Lane.RESPONSES,
    FrameKind.CHUNK_RESPONSE: Lane.RESPONSES,
}
"""Lane of every kind that may follow the handshake."""

FRAME_RATES: Final[dict[Lane, Rate]] = {
    Lane.CONSENSUS: Rate(burst=1_000, per_second=200),
    Lane.EVIDENCE: Rate(burst=20, per_second=1),
    Lane.TRANSACTIONS: Rate(burst=600, per_second=200),
    Lane.CONTROL: Rate(burst=60, per_second=20),
    Lane.REQUESTS: Rate(burst=100, per_second=50),
}
"""Frames of one peer. Responses have no rate: each answers a request of ours."""

BYTE_RATES: Final[dict[Lane, Rate]] = {
    Lane.CONSENSUS: Rate(burst=4 * FRAME_SIZE_MAX, per_second=8 * MEBIBYTE),
    Lane.EVIDENCE: Rate(burst=FRAME_SIZE_MAX, per_second=MEBIBYTE),
    Lane.TRANSACTIONS: Rate(burst=16 * MEBIBYTE, per_second=4 * MEBIBYTE),
}
"""Bytes of one peer, for the lanes whose frames may be long."""


class RateLimiter:
    """The buckets of one peer."""

    def __init__(self, now_ms: int) -> None:
        """Start with full buckets."""
        self._frames = {lane: TokenBucket(rate, now_ms) for lane, rate in FRAME_RATES.items()}
        self._bytes = {lane: TokenBucket(rate, now_ms) for lane, rate in BYTE_RATES.items()}

    def admits(self, lane: Lane, size: int, now_ms: int) -> bool:
        """Tell whether a frame of ``size`` bytes may be read, and count it.

        Spec: WIRE-RATE.
        """
        frames, sizes = self._frames.get(lane), self._bytes.get(lane)
        if frames is not None and not frames.take(1, now_ms):
            return False
        return sizes is None or sizes.take(size, now_ms)


class Offence(StrEnum):
    """What a peer can do wrong; shown to operators and sent in the farewell."""

    MALFORMED_FRAME = "malformed_frame"
    OVERSIZED_FRAME = "oversized_frame"
    UNEXPECTED_FRAME = "unexpected_frame"
    RATE_EXCEEDED = "rate_exceeded"
    UNSOLICITED_RESPONSE = "unsolicited_response"
    REQUEST_TIMEOUT = "request_timeout"
    SHORT_RESPONSE = "short_response"
    INVALID_TRANSACTION = "invalid_transaction"
    INVALID_CONSENSUS_MESSAGE = "invalid_consensus_message"
    FORGED_BLOCK = "forged_block"
    FORGED_SNAPSHOT = "forged_snapshot"
    SLOW_READER = "slow_reader"
    IDLE = "idle"


POINTS: Final[dict[Offence, int]] = {
    Offence.MALFORMED_FRAME: 100,
    Offence.OVERSIZED_FRAME: 100,
    Offence.UNEXPECTED_FRAME: 100,
    Offence.RATE_EXCEEDED: 1,
    Offence.UNSOLICITED_RESPONSE: 20,
    Offence.REQUEST_TIMEOUT: 10,
    Offence.SHORT_RESPONSE: 10,
    Offence.INVALID_TRANSACTION: 2,
    Offence.INVALID_CONSENSUS_MESSAGE: 20,
    Offence.FORGED_BLOCK: 100,
    Offence.FORGED_SNAPSHOT: 100,
    Offence.SLOW_READER: 0,
    Offence.IDLE: 0,
}
"""Weight of each offence; ``SCORE_MAX`` points disconnect."""

SCORE_MAX: Final = 100
"""At this score a peer is disconnected."""

SCORE_FADE_PER_SECOND: Final = 1
"""Points forgiven each second."""


@dataclass(slots=True)
class Score:
    """Offences of one node, kept across its connections."""

    points: int = 0
    """Current points."""
    at_ms: int = 0
    """When ``points`` was last brought up to date."""
    counts: dict[Offence, int] = field(default_factory=dict)
    """How often each offence was seen since the node started."""

    def add(self, offence: Offence, now_ms: int) -> bool:
        """Count an offence and tell whether the peer must go.

        Spec: WIRE-SCORE.
        """
        self.points = self.at(now_ms) + POINTS[offence]
        self.at_ms = now_ms
        self.counts[offence] = self.counts.get(offence, 0) + 1
        return self.points >= SCORE_MAX

    def at(self, now_ms: int) -> int:
        """Return the points left at ``now_ms``."""
        faded = max(0, now_ms - self.at_ms) * SCORE_FADE_PER_SECOND // 1_000
        return max(0, self.points - faded)


BACKOFF_FIRST_MS: Final = 500
"""Wait after the first lost or refused connection."""

BACKOFF_MAX_MS: Final = 30_000
"""Longest wait between two attempts; short, because a quorum may hang on it."""

BAN_MS: Final = 60_000
"""How long a node that misbehaved is neither dialled nor let in."""


def backoff_ms(failures: int, dice: random.Random) -> int:
    """Return how long to wait after ``failures`` attempts in a row: doubled, capped, jittered.

    The jitter is between half and all of it, so that nodes do not dial in step.

    Spec: WIRE-BACKOFF.
    """
    whole = min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS << min(max(failures - 1, 0), 16))
    return whole // 2 + dice.randrange(whole // 2 + 1)
