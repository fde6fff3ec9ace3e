"""WIRE-RATE, WIRE-SCORE, WIRE-BACKOFF, WIRE-QUEUE, WIRE-GOSSIP: bounds, each tried at the bound."""

import asyncio
import random

import pytest

from node.p2p import limits, outbound
from node.p2p.limits import Lane, Offence, RateLimiter, Score, backoff_ms
from node.p2p.network import batches
from node.p2p.outbound import Outbound
from node.p2p.queues import FairQueue, QueueBounds, RecentSet
from node.p2p.wire import TRANSACTION_BATCH_MAX, TRANSACTION_BATCH_SIZE_MAX
from node.primitives.types import Address

A, B, C = (Address(bytes((mark,)) * 20) for mark in (1, 2, 3))


@pytest.mark.parametrize("lane", list(limits.FRAME_RATES), ids=str)
def test_a_lane_admits_its_burst_and_then_its_rate(lane: Lane) -> None:
    limiter = RateLimiter(0)
    rate = limits.FRAME_RATES[lane]
    admitted = sum(limiter.admits(lane, 1, 0) for _ in range(rate.burst + 10))
    later = sum(limiter.admits(lane, 1, 1_000) for _ in range(rate.per_second + 10))

    assert (admitted, later) == (rate.burst, rate.per_second)


@pytest.mark.parametrize("lane", list(limits.BYTE_RATES), ids=str)
def test_a_lane_admits_its_bytes_and_no_more(lane: Lane) -> None:
    limiter = RateLimiter(0)
    burst = limits.BYTE_RATES[lane].burst

    assert limiter.admits(lane, burst, 0)
    assert not limiter.admits(lane, 1, 0)
    assert limiter.admits(lane, limits.BYTE_RATES[lane].per_second, 1_000)


def test_responses_have_no_rate_of_their_own() -> None:
    limiter = RateLimiter(0)

    assert all(limiter.admits(Lane.RESPONSES, 1 << 20, 0) for _ in range(10_000))


def test_a_clock_that_jumps_back_gives_no_tokens() -> None:
    limiter = RateLimiter(10_000)
    for _ in range(limits.FRAME_RATES[Lane.CONTROL].burst):
        assert limiter.admits(Lane.CONTROL, 1, 10_000)

    assert not limiter.admits(Lane.CONTROL, 1, 0)
    assert not limiter.admits(Lane.CONTROL, 1, 1)


@pytest.mark.parametrize("offence", list(Offence), ids=str)
def test_offences_add_up_to_the_limit_and_no_sooner(offence: Offence) -> None:
    points = limits.POINTS[offence]
    score = Score()
    verdicts = [score.add(offence, 0) for _ in range(-(-limits.SCORE_MAX // max(points, 1)))]

    assert verdicts[-1] is (points > 0)
    assert not any(verdicts[:-1])


def test_points_fade_and_counts_do_not() -> None:
    score = Score()
    score.add(Offence.UNSOLICITED_RESPONSE, 0)

    assert [score.at(at) for at in (0, 5_000, 60_000)] == [20, 15, 0]
    assert score.counts == {Offence.UNSOLICITED_RESPONSE: 1}


def test_backoff_doubles_up_to_its_cap_and_is_jittered() -> None:
    dice = random.Random(1)
    for failures in range(1, 40):
        whole = min(limits.BACKOFF_MAX_MS, limits.BACKOFF_FIRST_MS << min(failures - 1, 16))
        waits = {backoff_ms(failures, dice) for _ in range(20)}
        assert whole // 2 <= min(waits) <= max(waits) <= whole
        assert len(waits) > 1


async def test_peers_are_served_in_turn_however_much_one_sends() -> None:
    queue = FairQueue[int](QueueBounds(count_max=100, size_max=1_000))
    for number in range(100):
        queue.put(A, number, 1)
    queue.put(B, 1_000, 1)
    queue.put(C, 2_000, 1)
    order = [(await queue.get()).peer for _ in range(4)]

    assert order == [A, B, C, A]


def test_a_full_share_refuses_the_newest_of_that_peer_only() -> None:
    queue = FairQueue[int](QueueBounds(count_max=3, size_max=10))

    assert [queue.put(A, number, 1) for number in range(4)] == [True, True, True, False]
    assert [queue.put(B, number, 5) for number in range(3)] == [True, True, False]
    assert queue.put(C, 0, 11), "a single item longer than the share still passes"
    assert queue.dropped_count == 2
    queue.forget(A)
    assert len(queue) == 3


async def test_a_waiting_reader_is_woken() -> None:
    queue = FairQueue[str](QueueBounds(count_max=3, size_max=10))
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put(A, "word", 1)

    assert (await asyncio.wait_for(waiting, 1)).item == "word"
    assert queue.get_nowait() is None


def test_memory_of_what_was_seen_is_bounded() -> None:
    seen = RecentSet[int](3)
    assert [seen.add(number) for number in (1, 2, 1, 3, 4)] == [True, True, False, True, True]
    assert [number in seen for number in (1, 2, 3, 4)] == [True, False, True, True]
    assert len(seen) == 3


async def test_votes_leave_before_transactions_and_answers() -> None:
    waiting = Outbound()
    for lane in (Lane.TRANSACTIONS, Lane.RESPONSES, Lane.CONSENSUS, Lane.CONTROL):
        waiting.put(lane, lane.value.encode())

    order = [await waiting.get() for _ in range(4)]
    assert order == [b"control", b"consensus", b"responses", b"transactions"]


@pytest.mark.parametrize("lane", list(outbound.BOUNDS), ids=str)
async def test_what_waits_to_leave_is_bounded(lane: Lane) -> None:
    waiting = Outbound()
    bounds = outbound.BOUNDS[lane]
    results = [waiting.put(lane, b"%d" % number) for number in range(bounds.count_max + 1)]
    first = await waiting.get()

    assert results == [True] * bounds.count_max + [False]
    assert first == (b"1" if bounds.keeps_newest else b"0")
    assert waiting.dropped_count == 1


async def test_bytes_that_wait_to_leave_are_bounded() -> None:
    waiting = Outbound()
    size = outbound.BOUNDS[Lane.TRANSACTIONS].size_max // 2

    assert waiting.put(Lane.TRANSACTIONS, bytes(size))
    assert waiting.put(Lane.TRANSACTIONS, bytes(size))
    assert not waiting.put(Lane.TRANSACTIONS, b"1")


async def test_an_answer_waits_for_room_instead_of_being_dropped() -> None:
    waiting = Outbound()
    for _ in range(outbound.BOUNDS[Lane.RESPONSES].count_max):
        waiting.put(Lane.RESPONSES, b"x")
    late = asyncio.create_task(waiting.put_when_room(Lane.RESPONSES, b"late"))
    await asyncio.sleep(0)
    assert not late.done()
    await waiting.get()
    await asyncio.wait_for(late, 1)

    assert waiting.dropped_count == 0


def test_transactions_are_batched_within_a_frame() -> None:
    many = batches([b"x"] * (TRANSACTION_BATCH_MAX + 1))
    long = batches([bytes(1 << 17)] * 40)

    assert [len(batch) for batch in many] == [TRANSACTION_BATCH_MAX, 1]
    assert all(sum(map(len, batch)) < TRANSACTION_BATCH_SIZE_MAX for batch in long)
    assert sum(map(len, long)) == 40
    assert batches([]) == []
