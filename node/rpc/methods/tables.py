"""The methods of the public port and of the operator's.

Spec: RPC-METHODS, RPC-ADMIN.
"""

from typing import Final

from node.rpc.backend import Json
from node.rpc.method import Context, Method, MethodTable
from node.rpc.methods import admin, daicho, debug, eth, filters, net, qbft, txpool
from node.rpc.params import Params


def modules(context: Context, params: Params) -> Json:
    """Answer ``rpc_modules``."""
    params.at_most(0)
    names = {name.split("_", 1)[0] for name in PUBLIC_METHODS}
    return dict.fromkeys(sorted(names), "1.0")


PUBLIC_METHODS: Final[MethodTable] = {
    **eth.METHODS,
    **filters.METHODS,
    **net.METHODS,
    **txpool.METHODS,
    **debug.METHODS,
    **qbft.READ_METHODS,
    **daicho.METHODS,
    "rpc_modules": Method(run=modules),
}
"""Served to clients."""

OPERATOR_METHODS: Final[MethodTable] = {
    **PUBLIC_METHODS,
    **qbft.VOTE_METHODS,
    **admin.METHODS,
}
"""Served on the loopback port, to whoever operates the node."""


def without_debug(table: MethodTable) -> MethodTable:
    """Return the table without traces, for a port open to strangers."""
    return {name: method for name, method in table.items() if not name.startswith("debug_trace")}
