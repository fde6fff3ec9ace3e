"""Log filters and the search for what fits them.

A search asks the backend which blocks' blooms could fit and reads only those. Spans and results
are bounded.

Spec: RPC-LOGS.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from node.primitives.receipt import Log, bloom_bits
from node.primitives.types import Hash32, Height
from node.rpc.backend import Json, LedgerBackend
from node.rpc.blocks import parse_height
from node.rpc.errors import InvalidParams, LimitExceeded, NotFound
from node.rpc.hex import parse_address, parse_hash
from node.rpc.limits import RpcLimits
from node.rpc.params import parse_list, parse_object
from node.rpc.render import placed_logs, render_log

TOPIC_POSITIONS_MAX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """What logs a client wants."""

    addresses: frozenset[bytes] = frozenset()
    """Contracts; empty means any."""
    topics: tuple[frozenset[Hash32], ...] = ()
    """Choices by position; an empty choice means any."""

    def fits(self, log: Log) -> bool:
        """Tell whether ``log`` is wanted.

        Spec: RPC-LOGS.
        """
        if self.addresses and log.address not in self.addresses:
            return False
        if len(self.topics) > len(log.topics):
            return False
        return all(
            not wanted or have in wanted
            for wanted, have in zip(self.topics, log.topics, strict=False)
        )

    def may_be_in(self, bloom: bytes) -> bool:
        """Tell whether a block with this bloom can hold a wanted log.

        Spec: RPC-LOGS.
        """
        bits = int.from_bytes(bloom, "big")
        return all(
            any(bits & choice == choice for choice in map(bloom_bits, group))
            for group in (self.addresses, *self.topics)
            if group
        )


def parse_filter(value: Json, limits: RpcLimits) -> LogFilter:
    """Read the address and topic part of a filter object.

    Raises:
        InvalidParams: A field is of the wrong form.
        LimitExceeded: Too many choices.

    Spec: RPC-LOGS.
    """
    fields = parse_object(value)
    addresses = fields.get("address")
    topics = fields.get("topics")
    given = [] if topics is None else parse_list(topics, 64)
    if len(given) > TOPIC_POSITIONS_MAX:
        raise InvalidParams(f"exceed max topics: {len(given)}, at most {TOPIC_POSITIONS_MAX}")
    return LogFilter(
        addresses=frozenset(
            bytes(parse_address(address)) for address in _choices(addresses, limits)
        ),
        topics=tuple(
            frozenset(parse_hash(topic) for topic in _choices(choice, limits)) for choice in given
        ),
    )


def search_logs(ledger: LedgerBackend, value: Json, limits: RpcLimits) -> list[Json]:
    """Find the logs a filter object asks for.

    Raises:
        InvalidParams: A field is of the wrong form, or the range is.
        NotFound: No block has the hash named.
        LimitExceeded: The range or the result is beyond its bound.

    Spec: RPC-LOGS.
    """
    wanted = parse_filter(value, limits)
    start, stop = parse_range(ledger, value, limits)
    return collect_logs(ledger, wanted, start=start, stop=stop, limits=limits)


def collect_logs(
    ledger: LedgerBackend, wanted: LogFilter, *, start: Height, stop: Height, limits: RpcLimits
) -> list[Json]:
    """Return the wanted logs of the blocks in [start, stop], rendered.

    Raises:
        LimitExceeded: More than may be returned.
    """
    found: list[Json] = []
    heights = ledger.find_log_heights(
        start=start, stop=stop, addresses=wanted.addresses, topics=wanted.topics
    )
    for height in heights:
        found.extend(block_logs(ledger, height, wanted))
        if len(found) > limits.log_count_max:
            raise LimitExceeded(
                f"query returned more than {limits.log_count_max} results; narrow the block range",
                limit=limits.log_count_max,
            )
    return found


def block_logs(ledger: LedgerBackend, at: Height, wanted: LogFilter) -> Iterator[Json]:
    """Yield the wanted logs of one block, rendered."""
    block = ledger.load_block(at)
    if block is None:
        return
    for log, place in placed_logs(block, ledger.load_receipts(at)):
        if wanted.fits(log):
            yield render_log(log, place)


def parse_range(ledger: LedgerBackend, value: Json, limits: RpcLimits) -> tuple[Height, Height]:
    """Return the first and last height of a filter object.

    Raises:
        InvalidParams: Hash and range together, reversed, or beyond the head.
        NotFound: No block has the hash named.
        LimitExceeded: The span is beyond its bound.

    Spec: RPC-LOGS.
    """
    fields = parse_object(value)
    block_hash = fields.get("blockHash")
    ends = (fields.get("fromBlock"), fields.get("toBlock"))
    if block_hash is not None:
        if ends != (None, None):
            raise InvalidParams(
                "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other"
            )
        found = ledger.find_block(parse_hash(block_hash))
        if found is None:
            raise NotFound("unknown block")
        return found, found
    start, stop = (parse_height(ledger, "latest" if end is None else end) for end in ends)
    if start > stop:
        raise InvalidParams("invalid block range params")
    if stop > ledger.head().height:
        raise InvalidParams("block range extends beyond current head block")
    if stop - start >= limits.log_block_span_max:
        raise LimitExceeded(
            f"block range of {stop - start + 1}, at most {limits.log_block_span_max}",
            limit=limits.log_block_span_max,
        )
    return start, stop


def _choices(value: Json, limits: RpcLimits) -> Sequence[Json]:
    """Return a single value, a list, or nothing as a sequence.

    Raises:
        LimitExceeded: More than a filter may name.
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        return (value,)
    if len(value) > limits.topic_choice_max:
        raise LimitExceeded(
            f"filter with {len(value)} choices, at most {limits.topic_choice_max}",
            limit=limits.topic_choice_max,
        )
    return value
