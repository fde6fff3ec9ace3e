"""``eth_*`` filters and subscriptions.

Spec: RPC-FILTER, RPC-SUBSCRIBE.
"""

from typing import Final

from node.primitives.types import Height
from node.rpc.backend import Json
from node.rpc.blocks import HEAD_TAGS, parse_height
from node.rpc.errors import InvalidParams, NotSupported
from node.rpc.filters import FilterKind, InstalledFilter
from node.rpc.logs import collect_logs, parse_filter
from node.rpc.method import Context, Lane, Method, MethodTable
from node.rpc.params import Params, parse_object, parse_text
from node.rpc.subscriptions import Subscriptions


def new_filter(context: Context, params: Params) -> Json:
    """Answer ``eth_newFilter``: follow logs from now on, within the range given.

    Spec: RPC-FILTER.
    """
    params.at_most(1)
    ledger = context.backends.ledger
    wanted = params.read(0, lambda value: parse_filter(value, context.limits))
    fields = params.read(0, parse_object)
    if fields.get("blockHash") is not None:
        raise InvalidParams("a filter follows new blocks; use eth_getLogs for one block")
    head = ledger.head().height
    given_start, given_stop = fields.get("fromBlock"), fields.get("toBlock")
    start = Height(head + 1) if given_start is None else parse_height(ledger, given_start)
    is_open = given_stop is None or given_stop in HEAD_TAGS
    stop = None if is_open else parse_height(ledger, given_stop)
    if stop is not None and start > stop:
        raise InvalidParams("invalid block range params")
    return context.filters.install(
        InstalledFilter(
            kind=FilterKind.LOGS,
            cursor=max(start, head + 1),
            asked_s=context.now_s,
            wanted=wanted,
            start=start,
            stop=stop,
        )
    )


def new_block_filter(context: Context, params: Params) -> Json:
    """Answer ``eth_newBlockFilter``.

    Spec: RPC-FILTER.
    """
    params.at_most(0)
    cursor = context.backends.ledger.head().height + 1
    return context.filters.install(
        InstalledFilter(kind=FilterKind.BLOCKS, cursor=cursor, asked_s=context.now_s)
    )


def new_pending_transaction_filter(context: Context, params: Params) -> Json:
    """Answer ``eth_newPendingTransactionFilter``.

    Spec: RPC-FILTER.
    """
    params.at_most(1)
    cursor = context.filters.stream_end
    return context.filters.install(
        InstalledFilter(kind=FilterKind.PENDING, cursor=cursor, asked_s=context.now_s)
    )


def get_filter_changes(context: Context, params: Params) -> Json:
    """Answer ``eth_getFilterChanges``.

    Spec: RPC-FILTER.
    """
    params.at_most(1)
    name = params.read(0, parse_text)
    return context.filters.changes(name, context.backends.ledger, context.now_s)


def get_filter_logs(context: Context, params: Params) -> Json:
    """Answer ``eth_getFilterLogs``: everything in a log filter's range so far.

    Spec: RPC-FILTER.
    """
    params.at_most(1)
    installed = context.filters.find(params.read(0, parse_text), context.now_s)
    if installed.kind is not FilterKind.LOGS:
        raise InvalidParams("filter not found: it follows no logs")
    ledger = context.backends.ledger
    head = ledger.head().height
    stop = head if installed.stop is None else Height(min(head, installed.stop))
    if installed.start > stop:
        return []
    return collect_logs(
        ledger, installed.wanted, start=installed.start, stop=stop, limits=context.limits
    )


def uninstall_filter(context: Context, params: Params) -> Json:
    """Answer ``eth_uninstallFilter``."""
    params.at_most(1)
    return context.filters.uninstall(params.read(0, parse_text))


def subscribe(context: Context, params: Params) -> Json:
    """Answer ``eth_subscribe``, over WebSocket only.

    Spec: RPC-SUBSCRIBE.
    """
    params.at_most(2)
    return _subscriptions(context).subscribe(params)


def unsubscribe(context: Context, params: Params) -> Json:
    """Answer ``eth_unsubscribe``."""
    params.at_most(1)
    return _subscriptions(context).unsubscribe(params.read(0, parse_text))


def _subscriptions(context: Context) -> Subscriptions:
    if context.subscriptions is None:
        raise NotSupported("notifications not supported: subscribe over WebSocket")
    return context.subscriptions


METHODS: Final[MethodTable] = {
    "eth_newFilter": Method(run=new_filter, cost=10),
    "eth_newBlockFilter": Method(run=new_block_filter, cost=10),
    "eth_newPendingTransactionFilter": Method(run=new_pending_transaction_filter, cost=10),
    "eth_getFilterChanges": Method(run=get_filter_changes, cost=20, lane=Lane.READ),
    "eth_getFilterLogs": Method(run=get_filter_logs, cost=100, lane=Lane.RUN),
    "eth_uninstallFilter": Method(run=uninstall_filter),
    "eth_subscribe": Method(run=subscribe, cost=10),
    "eth_unsubscribe": Method(run=unsubscribe),
}
