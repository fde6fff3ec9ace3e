"""The subscriptions of one WebSocket and the notifications a new head or transaction gives.

Spec: RPC-SUBSCRIBE.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.primitives.receipt import Log
from node.primitives.types import Height
from node.rpc.backend import Json, LedgerBackend
from node.rpc.errors import InvalidParams, LimitExceeded
from node.rpc.hex import data
from node.rpc.limits import RpcLimits
from node.rpc.logs import LogFilter, parse_filter
from node.rpc.params import Params, parse_bool, parse_text
from node.rpc.records import TransactionRecord
from node.rpc.render import (
    LogPlace,
    placed_logs,
    render_header,
    render_log,
    render_transaction,
)


class Topic(StrEnum):
    """What can be subscribed to."""

    NEW_HEADS = "newHeads"
    """Every new head's header."""
    LOGS = "logs"
    """Logs of new blocks."""
    PENDING = "newPendingTransactions"
    """Transactions that come to wait."""


TOPICS: Final = {topic.value: topic for topic in Topic}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One subscription."""

    topic: Topic
    """What it follows."""
    wanted: LogFilter = LogFilter()
    """Which logs."""
    is_full: bool = False
    """Whole transactions instead of hashes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadEvent:
    """A new head, read once for all connections."""

    header: Json
    """The header, rendered."""
    bloom: bytes
    """Its bloom."""
    logs: tuple[tuple[Log, LogPlace], ...]
    """All logs of the block."""


def build_head_event(ledger: LedgerBackend, at: Height) -> HeadEvent | None:
    """Read a new head, or return None when there is no such block."""
    block = ledger.load_block(at)
    if block is None:
        return None
    return HeadEvent(
        header=render_header(block.header),
        bloom=block.header.bloom,
        logs=tuple(placed_logs(block, ledger.load_receipts(at))),
    )


class Subscriptions:
    """The subscriptions of one connection; they end with it."""

    def __init__(self, limits: RpcLimits, new_id: Callable[[], str]) -> None:
        """Start without any; ``new_id`` returns an unguessable id."""
        self._limits = limits
        self._new_id = new_id
        self._held: dict[str, Subscription] = {}

    def __len__(self) -> int:
        """Count the subscriptions."""
        return len(self._held)

    def subscribe(self, params: Params) -> str:
        """Subscribe as the parameters of ``eth_subscribe`` say; return the id.

        Raises:
            InvalidParams: No such topic, or a malformed filter.
            LimitExceeded: This connection has as many as it may.

        Spec: RPC-SUBSCRIBE.
        """
        if len(self._held) >= self._limits.subscription_count_max:
            raise LimitExceeded(
                f"{self._limits.subscription_count_max} subscriptions on this connection"
            )
        new = self._parse(params)
        name = self._new_id()
        self._held[name] = new
        return name

    def unsubscribe(self, name: str) -> bool:
        """End a subscription and tell whether there was one."""
        return self._held.pop(name, None) is not None

    def upon_head(self, event: HeadEvent) -> Iterator[Json]:
        """Yield the notifications of a new block.

        Spec: RPC-SUBSCRIBE.
        """
        for name, held in self._held.items():
            if held.topic is Topic.NEW_HEADS:
                yield notification(name, event.header)
            elif held.topic is Topic.LOGS and held.wanted.may_be_in(event.bloom):
                for log, place in event.logs:
                    if held.wanted.fits(log):
                        yield notification(name, render_log(log, place))

    @property
    def wants_pending(self) -> bool:
        """Tell whether waiting transactions are followed."""
        return any(held.topic is Topic.PENDING for held in self._held.values())

    def upon_pending(self, transaction: TransactionRecord) -> Iterator[Json]:
        """Yield the notifications of a transaction that came to wait.

        Spec: RPC-SUBSCRIBE.
        """
        for name, held in self._held.items():
            if held.topic is Topic.PENDING:
                shown: Json = data(transaction.hash)
                if held.is_full:
                    shown = render_transaction(transaction, None, None)
                yield notification(name, shown)

    def _parse(self, params: Params) -> Subscription:
        name = params.read(0, parse_text)
        topic = TOPICS.get(name)
        if topic is None:
            raise InvalidParams(f"no {name!r} subscription in eth namespace")
        if topic is Topic.LOGS:
            wanted = params.optional(
                1, lambda value: parse_filter(value, self._limits), LogFilter()
            )
            return Subscription(topic=topic, wanted=wanted)
        if topic is Topic.PENDING:
            return Subscription(topic=topic, is_full=params.optional(1, parse_bool, default=False))
        return Subscription(topic=topic)


def notification(name: str, result: Json) -> Json:
    """Return an ``eth_subscription`` notification."""
    return {
        "jsonrpc": "2.0",
        "method": "eth_subscription",
        "params": {"subscription": name, "result": result},
    }
