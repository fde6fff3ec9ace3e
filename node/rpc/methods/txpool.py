"""``txpool_*``: what waits, per sender and nonce, and why something does not.

Spec: RPC-METHODS, POOL-REASONS.
"""

from collections.abc import Iterable
from typing import Final, TypeAlias

from node.pool.queue import Entry
from node.primitives.types import Address
from node.rpc.backend import Json
from node.rpc.errors import LimitExceeded
from node.rpc.hex import checksum_address, data, quantity
from node.rpc.method import Context, Lane, Method, MethodTable
from node.rpc.params import Params
from node.rpc.records import transaction_record
from node.rpc.render import render_transaction

Entries: TypeAlias = tuple[Entry, ...]

SHOWN_MAX: Final = 5_000
"""Most transactions in one view of the whole pool; beyond it ask by sender."""


def content(context: Context, params: Params) -> Json:
    """Answer ``txpool_content``."""
    params.at_most(0)
    pending, queued = _snapshot(context)
    return {
        "pending": {sender: _by_nonce(entries) for sender, entries in pending.items()},
        "queued": {sender: _by_nonce(entries) for sender, entries in queued.items()},
    }


def content_from(context: Context, params: Params) -> Json:
    """Answer ``txpool_contentFrom``."""
    params.at_most(1)
    sender = params.address(0)
    with context.backends.ledger.open_pool() as pool:
        pending, queued = pool.pending_of(sender), pool.queued_of(sender)
    return {"pending": _by_nonce(pending), "queued": _by_nonce(queued)}


def inspect(context: Context, params: Params) -> Json:
    """Answer ``txpool_inspect``: one line per transaction."""
    params.at_most(0)
    pending, queued = _snapshot(context)
    return {
        "pending": {sender: _lines(entries) for sender, entries in pending.items()},
        "queued": {sender: _lines(entries) for sender, entries in queued.items()},
    }


def status(context: Context, params: Params) -> Json:
    """Answer ``txpool_status``."""
    params.at_most(0)
    with context.backends.ledger.open_pool() as pool:
        pending, count = pool.pending_count(), len(pool)
    return {"pending": quantity(pending), "queued": quantity(count - pending)}


def pool_status(context: Context, params: Params) -> Json:
    """Answer ``daicho_poolStatus``: how full the pool is, and of whom."""
    params.at_most(0)
    with context.backends.ledger.open_pool() as pool:
        pending = pool.pending_count()
        sources = pool.source_counts()
        return {
            "isPaused": pool.is_paused,
            "pendingCount": pending,
            "queuedCount": len(pool) - pending,
            "sizeBytes": pool.size_bytes,
            "countMax": pool.limits.count_max,
            "sizeMaxBytes": pool.limits.size_max_bytes,
            "senderCount": len(pool.senders()),
            "sources": [{"source": source, "count": count} for source, count in sources[:100]],
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
    with ledger.open_pool() as pool:
        entry, drop = pool.find(wanted), pool.find_drop(wanted)
        next_nonce = 0 if entry is None else pool.next_nonce(entry.transaction.sender) or 0
    if entry is not None:
        return {"status": "waiting", **_place_in_pool(entry, next_nonce)}
    if drop is None:
        return {"status": "unknown"}
    return {
        "status": "dropped",
        "code": drop.reason.code,
        "reason": drop.reason.message,
        "isRetryable": drop.reason.is_retryable,
        "at": quantity(drop.at_s),
    }


def _place_in_pool(entry: Entry, next_nonce: int) -> dict[str, Json]:
    """Tell whether a waiting transaction can run, and if not which nonce is missing."""
    shown: dict[str, Json] = {
        "from": data(entry.transaction.sender),
        "nonce": quantity(entry.transaction.nonce),
        "arrived": quantity(entry.arrived_s),
    }
    if entry.transaction.nonce > next_nonce:
        shown["waitsForNonce"] = quantity(next_nonce)
    return shown


def _snapshot(context: Context) -> tuple[dict[str, Entries], dict[str, Entries]]:
    """Return everything pending and everything queued, by sender."""
    with context.backends.ledger.open_pool() as pool:
        _check_size(len(pool))
        senders = pool.senders()
        pending = {checksum_address(sender): pool.pending_of(sender) for sender in senders}
        queued = {checksum_address(sender): pool.queued_of(sender) for sender in senders}
    return _without_empty(pending), _without_empty(queued)


def _without_empty(found: dict[str, Entries]) -> dict[str, Entries]:
    return {sender: entries for sender, entries in found.items() if entries}


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
    "txpool_content": Method(run=content, cost=200, lane=Lane.READ),
    "txpool_contentFrom": Method(run=content_from, cost=20, lane=Lane.READ),
    "txpool_inspect": Method(run=inspect, cost=200, lane=Lane.READ),
    "txpool_status": Method(run=status, cost=10),
    "daicho_poolStatus": Method(run=pool_status, cost=10),
    "daicho_transactionStatus": Method(run=transaction_status, cost=4),
}
