"""Log search: an inverted index from addresses and topics to heights.

Blocks with many transactions fill their blooms, so that searching by bloom reads every block. Here
each term of a log (its address, its topic at a position) leads to the heights that hold it. A
search walks the rarest criterion and asks the others by key; what it finds is compared with the
real logs, since terms are short hashes.

Spec: STORE-LOGS.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Final, TypeAlias

from node.primitives.receipt import Log, Receipt
from node.primitives.types import Address, Hash32, Height
from node.storage import schema
from node.storage.kv import KeyValueStore

PROBE_COUNT: Final = 256
"""Heights read of each criterion to see which is rarest."""

ANY_LOG: Final = schema.log_term(0, b"")
"""Term of every block that holds a log."""

Criterion: TypeAlias = tuple[bytes, ...]
"""Terms of which a block must hold at least one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Which logs are wanted."""

    addresses: tuple[Address, ...] = ()
    """Emitted by one of these; empty for any."""
    topics: tuple[tuple[Hash32, ...], ...] = ()
    """For each position the topics accepted; empty for any that is present."""

    def is_match(self, log: Log) -> bool:
        """Tell whether ``log`` is wanted."""
        if self.addresses and log.address not in self.addresses:
            return False
        if len(self.topics) > len(log.topics):
            return False
        return all(
            not wanted or found in wanted
            for wanted, found in zip(self.topics, log.topics, strict=False)
        )


def stage_logs(
    receipts: Iterable[Receipt], height: Height, batch: dict[bytes, bytes | None]
) -> None:
    """Add the index entries of a block's logs to ``batch``."""
    terms: set[tuple[int, bytes]] = set()
    for receipt in receipts:
        for log in receipt.logs:
            terms.add((1, log.address))
            terms.update((2 + at, topic) for at, topic in enumerate(log.topics))
    for position, value in sorted(terms):
        batch[schema.log_key(schema.log_term(position, value), height)] = b""
    if terms:
        batch[schema.log_key(ANY_LOG, height)] = b""


def find_log_heights(
    store: KeyValueStore, wanted: LogFilter, *, start: Height, stop: Height
) -> Iterator[Height]:
    """Yield the heights in [start, stop] that may hold a wanted log, ascending.

    Spec: STORE-LOGS.
    """
    criteria = _criteria_of(wanted)
    rarest = min(
        range(len(criteria)),
        key=lambda at: sum(1 for _ in islice(_walk(store, criteria[at], start, stop), PROBE_COUNT)),
    )
    others = criteria[:rarest] + criteria[rarest + 1 :]
    last = -1
    for height in _walk(store, criteria[rarest], start, stop):
        if height != last and all(_holds(store, terms, height) for terms in others):
            yield height
        last = height


def _criteria_of(wanted: LogFilter) -> list[Criterion]:
    criteria: list[Criterion] = []
    if wanted.addresses:
        criteria.append(tuple(schema.log_term(1, address) for address in wanted.addresses))
    for at, topics in enumerate(wanted.topics):
        if topics:
            criteria.append(tuple(schema.log_term(2 + at, topic) for topic in topics))
    return criteria or [(ANY_LOG,)]


def _walk(store: KeyValueStore, terms: Criterion, start: Height, stop: Height) -> Iterator[Height]:
    found = [
        store.iterate(start=schema.log_key(term, start), stop=schema.log_key(term, stop + 1))
        for term in terms
    ]
    return merge(*(map(_height_of, entries) for entries in found))


def _height_of(entry: tuple[bytes, bytes]) -> Height:
    return schema.decode_height(entry[0][-8:])


def _holds(store: KeyValueStore, terms: Criterion, height: Height) -> bool:
    return any(store.get(schema.log_key(term, height)) is not None for term in terms)
