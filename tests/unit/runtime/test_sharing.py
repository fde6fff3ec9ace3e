"""WIRE-GOSSIP: transactions leave in batches, by source, no faster than peers accept."""

import random

from node.p2p.limits import BYTE_RATES, FRAME_RATES, Lane
from node.primitives.transaction import TRANSACTION_SIZE_MAX
from node.primitives.types import Address
from node.runtime.sharing import BYTES_PER_FLUSH, FLUSH_MS, WAITING_MAX, Sharing, flush

PEER = Address(b"\x01" * 20)
OTHER_PEER = Address(b"\x02" * 20)


def sharing() -> Sharing:
    return Sharing(None, None)  # type: ignore[arg-type]  (only the queue is asked)


def test_the_pace_stays_below_what_a_peer_accepts() -> None:
    flushes_per_second = 1_000 // FLUSH_MS
    assert BYTES_PER_FLUSH * flushes_per_second < BYTE_RATES[Lane.TRANSACTIONS].per_second
    # One frame for clients' and one for each of six other peers'.
    assert 7 * flushes_per_second < FRAME_RATES[Lane.TRANSACTIONS].per_second


def test_a_batch_is_as_large_as_the_pace_and_one_transaction_always_leaves() -> None:
    queue = sharing()
    for _ in range(3):
        queue.add(b"x" * TRANSACTION_SIZE_MAX, None)
    sizes = [len(queue.take()) for _ in range(3)]
    assert sum(sizes) == 3
    assert sizes[0] >= 1
    assert max(sizes) * TRANSACTION_SIZE_MAX <= BYTES_PER_FLUSH + TRANSACTION_SIZE_MAX


def test_small_ones_leave_together_in_the_order_they_came() -> None:
    queue = sharing()
    raws = [random.Random(at).randbytes(100) for at in range(500)]
    for raw in raws:
        queue.add(raw, None)
    assert [each.raw for each in queue.take()] == raws
    assert queue.take() == []


def test_beyond_the_bound_nothing_more_waits() -> None:
    queue = sharing()
    for _ in range(WAITING_MAX + 5):
        queue.add(b"x", None)
    assert queue.dropped_count == 5
    assert len(queue.take()) == WAITING_MAX


def test_each_source_is_told_apart() -> None:
    queue = sharing()
    for raw, source in ((b"a", None), (b"b", PEER), (b"c", OTHER_PEER), (b"d", PEER)):
        queue.add(raw, source)
    shared: list[tuple[list[bytes], Address | None]] = []

    flush(queue.take(), lambda raws, source: shared.append((raws, source)))

    assert shared == [([b"a"], None), ([b"b", b"d"], PEER), ([b"c"], OTHER_PEER)]
