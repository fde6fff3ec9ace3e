"""``txpool_*``: what waits, per sender and nonce, and why something does not.

Spec: RPC-METHODS, POOL-REASONS.
"""

from collections.abc import Iterable
from typing import Final

from node.pool.queue import Entry
from node.primitives.types import Address
from node.rpc.backend import Json
from node.rpc.errors import LimitExceeded
from node.rpc.hex import checksum_address, data, quantity
from node.rpc.method import Context, Method, MethodTable
from node.rpc.params import Params
from node.rpc.records import transaction_record
from node.rpc.render import render_transaction

SHOWN_MAX: Final = 5_000
"""Most transactions in one view of the whole pool; beyond it ask by sender."""


def content(context: Context, params: Params) -> Json:
    """Answer ``txpool_content``."""
    params.at_most(0)
    pool = context.backends.ledger.pool
    _check_size(len(pool))
    senders = pool.senders()
    return {
        "pending": {
            checksum_address(sender): _by_nonce(entries)
            for sender in senders
            if (entries := pool.pending_of(sender))
        },
        "queued": {
            checksum_address(sender): _by_nonce(entries)
            for sender in senders
            if (entries := pool.queued_of(sender))
        },
    }


def content_from(context: Context, params: Params) -> Json:
    """Answer ``txpool_contentFrom``."""
    params.at_most(1)
    sender = params.address(0)
    pool = context.backends.ledger.pool
    return {
        "pending": _by_nonce(pool.pending_of(sender)),
        "queued": _by_nonce(pool.queued_of(sender)),
    }


def inspect(context: Context, params: Params) -> Json:
    """Answer ``txpool_inspect``: one line per transaction."""
    params.at_most(0)
    pool = context.backends.ledger.pool
    _check_size(len(pool))
    senders = pool.senders()
    return {
        "pending": {
            checksum_address(sender): _lines(entries)
            for sender in senders
            if (entries := pool.pending_of(sender))
        },
        "queued": {
            checksum_address(sender): _lines(entries)
            for sender in senders
            if (entries := pool.queued_of(sender))
        },
    }


def status(context: Context, params: Params) -> Json:
    """Answer ``txpool_status``."""
    params.at_most(0)
    pool = context.backends.ledger.pool
    pending = pool.pending_count()
    return {"pending": quantity(pending), "queued": quantity(len(pool) - pending)}


def pool_status(context: Context, params: Params) -> Json:
    """Answer ``daicho_poolStatus``: how full the pool is, and of whom."""
    params.at_most(0)
    pool = context.backends.ledger.pool
    pending = pool.pending_count()
    return {
        "isPaused": pool.is_paused,
        "pendingCount": pending,
        "queuedCount": len(pool) - pending,
        "sizeBytes": pool.size_bytes,
        "countMax": pool.limits.count_max,
        "sizeMaxBytes": pool.limits.size_max_bytes,
        "senderCount": len(pool.senders()),
        "sources": [
            {"source": source, "count": count} for source, count in pool.source_counts()[:100]
        ],
    }


def transaction_status(context: Context, params: Params) -> Json:
    """Answer ``daicho_transactionStatus``: final, waiting, dropped with the reason, or unknown.

    Spec: POOL-REASONS.
    """
    params.at_most(1)
    wanted = params.hash(0)
    ledger = context.backends.ledger
    place = ledger.find_transaction(wanted)
    if place is not None:
        return {"status": "final", "blockNumber": quantity(place[0]), "index": quantity(place[1])}
    entry = ledger.pool.find(wanted)
    if entry is not None:
        return {"status": "waiting", **_place_in_pool(context, entry)}
    drop = ledger.pool.find_drop(wanted)
    if drop is None:
        return {"status": "unknown"}
    return {
        "status": "dropped",
        "code": drop.reason.code,
        "reason": drop.reason.message,
        "isRetryable": drop.reason.is_retryable,
        "at": quantity(drop.at_s),
    }


def _place_in_pool(context: Context, entry: Entry) -> dict[str, Json]:
    """Tell whether a waiting transaction can run, and if not which nonce is missing."""
    sender = entry.transaction.sender
    next_nonce = context.backends.ledger.pool.next_nonce(sender) or 0
    shown: dict[str, Json] = {
        "from": data(sender),
        "nonce": quantity(entry.transaction.nonce),
        "arrived": quantity(entry.arrived_s),
    }
    if entry.transaction.nonce > next_nonce:
        shown["waitsForNonce"] = quantity(next_nonce)
    return shown


def _check_size(count: int) -> None:
    """Refuse to show more than a bounded part of the pool at once."""
    if count > SHOWN_MAX:
        raise LimitExceeded(
            f"{count} transactions wait, at most {SHOWN_MAX} are shown; ask txpool_contentFrom",
            limit=SHOWN_MAX,
        )


def _by_nonce(entries: Iterable[Entry]) -> dict[str, Json]:
    return {
        str(entry.transaction.nonce): render_transaction(
            transaction_record(entry.transaction), None, None
        )
        for entry in entries
    }


def _lines(entries: Iterable[Entry]) -> dict[str, Json]:
    return {str(entry.transaction.nonce): _line(entry) for entry in entries}


def _line(entry: Entry) -> str:
    tx = entry.transaction
    to = "contract creation" if tx.to is None else checksum_address(Address(tx.to))
    return f"{to}: {tx.value_wei} wei + {tx.gas_limit} gas × {tx.max_fee_wei} wei"


METHODS: Final[MethodTable] = {
    "txpool_content": Method(run=content, cost=200),
    "txpool_contentFrom": Method(run=content_from, cost=20),
    "txpool_inspect": Method(run=inspect, cost=200),
    "txpool_status": Method(run=status, cost=10),
    "daicho_poolStatus": Method(run=pool_status, cost=10),
    "daicho_transactionStatus": Method(run=transaction_status, cost=4),
}
