"""How long to wait, in integers of milliseconds.

Spec: QBFT-TIMEOUT, QBFT-BLOCK-TIME.
"""

from typing import Final

from node.consensus.parameters import ConsensusParameters
from node.primitives.header import Header
from node.primitives.types import Round

DOUBLINGS_MAX: Final = 32
"""Doublings after which any base has passed any cap; keeps the shift small."""


def round_timeout_ms(parameters: ConsensusParameters, at: Round) -> int:
    """Return how long round ``at`` may last before it is abandoned.

    Doubling lets the timeout outgrow any network delay, so that honest validators come to share a
    round long enough to decide; the cap keeps a halted network from sleeping for hours.

    Spec: QBFT-TIMEOUT.
    """
    grown = parameters.round_timeout_base_ms << min(at, DOUBLINGS_MAX)
    return min(grown, parameters.round_timeout_cap_ms)


def block_due_ms(parameters: ConsensusParameters, head: Header) -> int:
    """Return when round 0 after ``head`` may begin.

    Spec: QBFT-BLOCK-TIME.
    """
    return (head.timestamp_s + parameters.period_s) * 1000


def heartbeat_due_ms(parameters: ConsensusParameters, head: Header) -> int:
    """Return when a block must follow ``head`` though nothing waits.

    Spec: QBFT-HEARTBEAT.
    """
    return (head.timestamp_s + parameters.heartbeat_s) * 1000


def block_timestamp_s(parameters: ConsensusParameters, head: Header, now_ms: int) -> int:
    """Return the timestamp of a block built now: the clock's second, never before it is due.

    Spec: QBFT-BLOCK-TIME.
    """
    return max(now_ms // 1000, head.timestamp_s + parameters.period_s)
