"""``admin_*``: what the operator's loopback port may ask and do.

Spec: RPC-ADMIN.
"""

from typing import Final

from node.pool.refusals import DroppedByOperator
from node.rpc.backend import Json, OperatorBackend
from node.rpc.errors import InvalidParams, NotSupported
from node.rpc.method import Context, Method, MethodTable
from node.rpc.params import Params, parse_bool, parse_text

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")


def operator_of(context: Context) -> OperatorBackend:
    """Return the operator's side of the node.

    Raises:
        NotSupported: This port has none.
    """
    operator = context.backends.operator
    if operator is None:
        raise NotSupported("this port does not serve the operator")
    return operator


def node_info(context: Context, params: Params) -> Json:
    """Answer ``admin_nodeInfo``."""
    params.at_most(0)
    return operator_of(context).node_info()


def peers(context: Context, params: Params) -> Json:
    """Answer ``admin_peers``."""
    params.at_most(0)
    return list(operator_of(context).peers())


def change_log_level(context: Context, params: Params) -> Json:
    """Answer ``admin_changeLogLevel``: level first, then optionally one logger's name."""
    params.at_most(2)
    level = params.read(0, parse_text).upper()
    if level not in LEVELS:
        raise InvalidParams(f"invalid argument 0: level must be one of {', '.join(LEVELS)}")
    logger = params.read(1, parse_text) if params.has(1) else None
    operator_of(context).change_log_level(level, logger)
    return True


def reload_membership(context: Context, params: Params) -> Json:
    """Answer ``admin_reloadMembership``."""
    params.at_most(0)
    return operator_of(context).reload_membership()


def pause_pool(context: Context, params: Params) -> Json:
    """Answer ``admin_pausePool``: stop, or allow again, the intake of transactions."""
    params.at_most(1)
    is_paused = params.optional(0, parse_bool, default=True)
    with context.backends.ledger.open_pool() as pool:
        pool.is_paused = is_paused
    return True


def drop_transaction(context: Context, params: Params) -> Json:
    """Answer ``admin_dropTransaction``: remove one waiting transaction."""
    params.at_most(1)
    reason = DroppedByOperator("dropped by the operator")
    wanted = params.hash(0)
    with context.backends.ledger.open_pool() as pool:
        return pool.drop(wanted, reason, now_s=context.now_s)


def clear_pool(context: Context, params: Params) -> Json:
    """Answer ``admin_clearPool``: remove every waiting transaction; how many there were."""
    params.at_most(0)
    with context.backends.ledger.open_pool() as pool:
        return pool.clear(now_s=context.now_s)


METHODS: Final[MethodTable] = {
    "admin_nodeInfo": Method(run=node_info),
    "admin_peers": Method(run=peers),
    "admin_changeLogLevel": Method(run=change_log_level),
    "admin_reloadMembership": Method(run=reload_membership),
    "admin_pausePool": Method(run=pause_pool),
    "admin_dropTransaction": Method(run=drop_transaction),
    "admin_clearPool": Method(run=clear_pool),
}
