"""``qbft_*``: validators and votes, under Besu's names.

Spec: RPC-QBFT.
"""

from typing import Final

from node.primitives.types import Height
from node.rpc.backend import ConsensusBackend, Json
from node.rpc.blocks import find_height, parse_height
from node.rpc.errors import InvalidParams, LimitExceeded, NotSupported
from node.rpc.hex import data, quantity
from node.rpc.method import Context, Lane, Method, MethodTable
from node.rpc.params import Params, parse_bool

METRICS_SPAN_DEFAULT: Final = 100
"""Blocks counted by ``qbft_getSignerMetrics`` without a range, as in Besu."""

METRICS_SPAN_MAX: Final = 10_000
"""Most blocks counted."""


def consensus_of(context: Context) -> ConsensusBackend:
    """Return the node's consensus.

    Raises:
        NotSupported: It only follows the chain.
    """
    consensus = context.backends.consensus
    if consensus is None:
        raise NotSupported("this node does not run consensus")
    return consensus


def get_validators(context: Context, params: Params) -> Json:
    """Answer ``qbft_getValidatorsByBlockNumber`` and ``...ByBlockHash``.

    Spec: RPC-QBFT.
    """
    params.at_most(1)
    at = params.read(0, lambda value: find_height(context.backends.ledger, value))
    validators = None if at is None else consensus_of(context).validators_at(at)
    return None if validators is None else [data(address) for address in validators]


def get_pending_votes(context: Context, params: Params) -> Json:
    """Answer ``qbft_getPendingVotes``: our own, not yet carried by enough blocks."""
    params.at_most(0)
    votes = consensus_of(context).pending_votes()
    return {data(address): votes[address] for address in sorted(votes)}


def propose_vote(context: Context, params: Params) -> Json:
    """Answer ``qbft_proposeValidatorVote``."""
    params.at_most(2)
    address = params.address(0)
    consensus_of(context).propose_vote(address, is_add=params.read(1, parse_bool))
    return True


def discard_vote(context: Context, params: Params) -> Json:
    """Answer ``qbft_discardValidatorVote``."""
    params.at_most(1)
    consensus_of(context).discard_vote(params.address(0))
    return True


def get_signer_metrics(context: Context, params: Params) -> Json:
    """Answer ``qbft_getSignerMetrics``: who proposed how many of the last, or the given, blocks."""
    params.at_most(2)
    ledger = context.backends.ledger
    head = ledger.head().height
    first = Height(max(0, head - METRICS_SPAN_DEFAULT + 1))
    start = params.optional(0, lambda value: parse_height(ledger, value), first)
    stop = params.optional(1, lambda value: parse_height(ledger, value), head)
    if start > stop or stop > head:
        raise InvalidParams("invalid block range params")
    if stop - start >= METRICS_SPAN_MAX:
        raise LimitExceeded(f"block range, at most {METRICS_SPAN_MAX}", limit=METRICS_SPAN_MAX)
    return [
        {
            "address": data(metric.address),
            "proposedBlockCount": quantity(metric.proposed_count),
            "lastProposedBlockNumber": quantity(metric.last_proposed),
        }
        for metric in consensus_of(context).signer_metrics(start, stop)
    ]


def get_request_timeout(context: Context, params: Params) -> Json:
    """Answer ``qbft_getRequestTimeoutSeconds``."""
    params.at_most(0)
    return consensus_of(context).request_timeout_s()


READ_METHODS: Final[MethodTable] = {
    "qbft_getValidatorsByBlockNumber": Method(run=get_validators, cost=4),
    "qbft_getValidatorsByBlockHash": Method(run=get_validators, cost=4),
    "qbft_getPendingVotes": Method(run=get_pending_votes),
    "qbft_getSignerMetrics": Method(run=get_signer_metrics, cost=100, lane=Lane.READ),
    "qbft_getRequestTimeoutSeconds": Method(run=get_request_timeout),
}
"""What anyone may ask."""

VOTE_METHODS: Final[MethodTable] = {
    "qbft_proposeValidatorVote": Method(run=propose_vote),
    "qbft_discardValidatorVote": Method(run=discard_vote),
}
"""What only the operator's port may do: they change what our blocks say."""
