"""``net_*`` and ``web3_*``: who answers, and keccak as a service.

Spec: RPC-METHODS.
"""

import platform
from typing import Final

from node.primitives.crypto import keccak256
from node.rpc.backend import Json
from node.rpc.hex import data, quantity
from node.rpc.method import Context, Method, MethodTable
from node.rpc.params import Params
from node.version import VERSION

CLIENT_VERSION: Final = (
    f"daicho/v{VERSION}/{platform.system().lower()}-{platform.machine()}"
    f"/python{platform.python_version()}"
)
"""Name, version, platform and language, in the order other clients have them."""


def version(context: Context, params: Params) -> Json:
    """Answer ``net_version``: the network id in decimal."""
    params.at_most(0)
    return str(context.backends.ledger.chain_id)


def listening(context: Context, params: Params) -> Json:
    """Answer ``net_listening``."""
    del context
    params.at_most(0)
    return True


def peer_count(context: Context, params: Params) -> Json:
    """Answer ``net_peerCount``."""
    params.at_most(0)
    return quantity(context.backends.ledger.peer_count())


def client_version(context: Context, params: Params) -> Json:
    """Answer ``web3_clientVersion``."""
    del context
    params.at_most(0)
    return CLIENT_VERSION


def sha3(context: Context, params: Params) -> Json:
    """Answer ``web3_sha3``: keccak of the data given."""
    del context
    params.at_most(1)
    return data(keccak256(params.data(0)))


METHODS: Final[MethodTable] = {
    "net_version": Method(run=version),
    "net_listening": Method(run=listening),
    "net_peerCount": Method(run=peer_count),
    "web3_clientVersion": Method(run=client_version),
    "web3_sha3": Method(run=sha3, cost=2),
}
