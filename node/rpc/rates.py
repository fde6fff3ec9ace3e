"""How much each source may ask: a bucket of cost units per source, refilled with time.

Pure: the time is passed in, in milliseconds. The least recently seen source is forgotten first, so
that many sources cost bounded memory; being forgotten means a full bucket.

Spec: RPC-RATE.
"""

from collections import OrderedDict

from node.rpc.limits import RpcLimits


class RateLimiter:
    """Buckets of cost units by source."""

    def __init__(self, limits: RpcLimits) -> None:
        """Start with every bucket full."""
        self._rate_per_s = limits.rate_per_s
        self._full_milli = limits.rate_burst * 1_000
        self._sources_max = limits.rate_sources_max
        self._buckets: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        """Count the sources remembered."""
        return len(self._buckets)

    def spend(self, source: str, cost: int, now_ms: int) -> bool:
        """Take ``cost`` units of ``source``, or take none and return False.

        Spec: RPC-RATE.
        """
        left_milli, then_ms = self._buckets.get(source, (self._full_milli, now_ms))
        refilled = left_milli + max(0, now_ms - then_ms) * self._rate_per_s
        left_milli = min(self._full_milli, refilled) - cost * 1_000
        if left_milli < 0:
            self._remember(source, left_milli + cost * 1_000, now_ms)
            return False
        self._remember(source, left_milli, now_ms)
        return True

    def _remember(self, source: str, left_milli: int, now_ms: int) -> None:
        self._buckets[source] = (left_milli, now_ms)
        self._buckets.move_to_end(source)
        while len(self._buckets) > self._sources_max:
            self._buckets.popitem(last=False)
