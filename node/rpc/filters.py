"""Installed filters: cursors over the chain and over the stream of waiting transactions.

The chain is final, so a log or block filter is no more than the next height to look at; nothing is
collected for it. Waiting transactions pass once and are kept in one bounded ring that all filters
share.

Spec: RPC-FILTER.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import Final

from node.primitives.types import Height, TransactionHash
from node.rpc.backend import Json, LedgerBackend
from node.rpc.errors import LimitExceeded, NotFound
from node.rpc.hex import data
from node.rpc.limits import RpcLimits
from node.rpc.logs import LogFilter, collect_logs

ID_SIZE: Final = 16
"""Bytes of a filter's or subscription's id; ids are capabilities, so they are not guessable."""


class FilterKind(StrEnum):
    """What a filter follows."""

    LOGS = "logs"
    """Logs of new blocks."""
    BLOCKS = "blocks"
    """Hashes of new blocks."""
    PENDING = "pending"
    """Hashes of transactions that came to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledFilter:
    """One filter and how far it was read."""

    kind: FilterKind
    """What it follows."""
    cursor: int
    """Next height, or next place in the stream of waiting transactions."""
    asked_s: int
    """When it was last asked."""
    wanted: LogFilter = LogFilter()
    """Which logs; of a log filter only."""
    start: Height = Height(0)
    """First height of the filter's own range, for ``eth_getFilterLogs``."""
    stop: Height | None = None
    """Last height of it; None is the head."""


class FilterRegistry:
    """The filters of one server, usable from several threads at once.

    It has no clock and draws no ids of its own. The lock is never held while the chain is read.
    """

    def __init__(self, limits: RpcLimits, new_id: Callable[[], str]) -> None:
        """Start without filters; ``new_id`` returns an unguessable id."""
        self._limits = limits
        self._new_id = new_id
        self._filters: OrderedDict[str, InstalledFilter] = OrderedDict()
        self._stream: deque[TransactionHash] = deque(maxlen=limits.filter_backlog_max)
        self._stream_end = 0
        self._lock = threading.RLock()

    def __len__(self) -> int:
        """Count the filters."""
        return len(self._filters)

    @property
    def stream_end(self) -> int:
        """Return the place after the last waiting transaction seen."""
        return self._stream_end

    def upon_pending(self, transaction_hash: TransactionHash) -> None:
        """Note a transaction that came to wait."""
        with self._lock:
            self._stream.append(transaction_hash)
            self._stream_end += 1

    def install(self, new: InstalledFilter) -> str:
        """Install a filter and return its id.

        Raises:
            LimitExceeded: As many as may be are installed and in use.

        Spec: RPC-FILTER.
        """
        with self._lock:
            self.expire(new.asked_s)
            if len(self._filters) >= self._limits.filter_count_max:
                raise LimitExceeded(
                    f"{self._limits.filter_count_max} filters are installed; uninstall some"
                )
            name = self._new_id()
            self._filters[name] = new
            return name

    def uninstall(self, name: str) -> bool:
        """Remove a filter and tell whether it was there."""
        with self._lock:
            return self._filters.pop(name, None) is not None

    def expire(self, now_s: int) -> None:
        """Remove filters that nobody asked for too long.

        Spec: RPC-FILTER.
        """
        limit = now_s - self._limits.filter_idle_max_s
        with self._lock:
            while self._filters:
                name, oldest = next(iter(self._filters.items()))
                if oldest.asked_s >= limit:
                    return
                del self._filters[name]

    def changes(self, name: str, ledger: LedgerBackend, now_s: int) -> list[Json]:
        """Return what came since the filter was last asked, at most a bounded part of it.

        Raises:
            NotFound: No such filter, or it expired.
            LimitExceeded: More logs than one answer holds.

        Spec: RPC-FILTER.
        """
        installed = self.find(name, now_s)
        if installed.kind is FilterKind.PENDING:
            found, cursor = self._pending_since(installed.cursor)
        else:
            found, cursor = self._chain_since(installed, ledger)
        with self._lock:
            if name in self._filters:
                self._filters[name] = replace(installed, cursor=cursor, asked_s=now_s)
                self._filters.move_to_end(name)
        return found

    def find(self, name: str, now_s: int) -> InstalledFilter:
        """Return a filter.

        Raises:
            NotFound: No such filter, or it expired.
        """
        with self._lock:
            self.expire(now_s)
            installed = self._filters.get(name)
        if installed is None:
            raise NotFound("filter not found")
        return installed

    def _pending_since(self, cursor: int) -> tuple[list[Json], int]:
        with self._lock:
            lost = self._stream_end - len(self._stream)
            found = list(islice(self._stream, max(0, cursor - lost), None))
            end = self._stream_end
        return [data(item) for item in found], end

    def _chain_since(
        self, installed: InstalledFilter, ledger: LedgerBackend
    ) -> tuple[list[Json], int]:
        head = ledger.head().height
        span = self._limits.log_block_span_max
        stop = Height(min(head, installed.cursor + span - 1))
        if installed.stop is not None:
            stop = Height(min(stop, installed.stop))
        start = Height(installed.cursor)
        if start > stop:
            return [], installed.cursor
        if installed.kind is FilterKind.LOGS:
            found = collect_logs(
                ledger, installed.wanted, start=start, stop=stop, limits=self._limits
            )
            return found, stop + 1
        stop = Height(min(stop, start + self._limits.filter_backlog_max - 1))
        headers = (ledger.load_header(Height(at)) for at in range(start, stop + 1))
        return [data(header.hash) for header in headers if header is not None], stop + 1
