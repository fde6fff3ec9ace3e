"""Passes admitted transactions on to peers, in batches and no faster than peers accept.

Peers count the frames and bytes they take of one node and drop it when it is too fast
(WIRE-RATE). A client's flood must not make this node the flooder: what is beyond the pace waits
here, and beyond the bound is left to be told when this node proposes it.

Spec: WIRE-GOSSIP.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from node.p2p.network import PeerNetwork
from node.primitives.types import Address
from node.runtime.clock import Clock

FLUSH_MS: Final = 50
"""Time between two batches."""

BYTES_PER_FLUSH: Final = 3 * 2**20 * FLUSH_MS // 1_000
"""Three quarters of what a peer accepts in that time."""

WAITING_MAX: Final = 20_000
"""Transactions waiting to be passed on; the newest beyond are not."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A transaction to be passed on."""

    raw: bytes
    """Its bytes."""
    source: Address | None
    """The peer that brought it, or None when a client did."""


class Sharing:
    """The queue between the pool and the network. ``add`` may be called from any thread."""

    def __init__(self, network: PeerNetwork, clock: Clock) -> None:
        """Start empty."""
        self._network = network
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._lock = threading.Lock()
        self.dropped_count = 0

    def add(self, raw: bytes, source: Address | None) -> None:
        """Queue a transaction, unless too many wait."""
        with self._lock:
            if len(self._waiting) >= WAITING_MAX:
                self.dropped_count += 1
            else:
                self._waiting.append(_Waiting(raw, source))

    async def run(self) -> None:
        """Pass on what waits, for ever."""
        while True:
            await self._clock.sleep_ms(FLUSH_MS)
            flush(self.take(), self._network.share_transactions)

    def take(self) -> list[_Waiting]:
        """Take what may leave now: at least one, at most the bytes of one batch."""
        taken: list[_Waiting] = []
        size = 0
        with self._lock:
            while self._waiting and (not taken or size < BYTES_PER_FLUSH):
                taken.append(self._waiting.popleft())
                size += len(taken[-1].raw)
        return taken


def flush(taken: list[_Waiting], share: Callable[..., None]) -> None:
    """Share transactions, one call for each peer that brought some and one for clients'."""
    by_source: dict[Address | None, list[bytes]] = {}
    for each in taken:
        by_source.setdefault(each.source, []).append(each.raw)
    for source, raws in by_source.items():
        share(raws, source=source)
