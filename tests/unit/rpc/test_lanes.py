"""RPC-OVERLOAD: threads with bounded queues, shares and deadlines."""

import asyncio
import threading

import pytest

from node.rpc.errors import MethodTimeout, Overloaded, TooManyRequests
from node.rpc.lanes import ThreadLane
from node.rpc.limits import RpcLimits
from tests.support.rpc import until


class Gate:
    """Work that waits until the test lets it go."""

    def __init__(self) -> None:
        """Start closed."""
        self.opened = threading.Event()

    def __call__(self) -> str:
        """Wait, at most a few seconds."""
        assert self.opened.wait(10)
        return "done"


async def test_work_runs_on_a_thread_of_its_own() -> None:
    lane = ThreadLane("test", 1, RpcLimits())

    name = await lane.run(lambda: threading.current_thread().name, "client")

    assert name.startswith("rpc-test")
    assert lane.count == 0
    lane.close()


async def test_a_full_lane_refuses_at_once() -> None:
    gate, lane = Gate(), ThreadLane("test", 1, RpcLimits(lane_queue_max=2))
    first = [asyncio.create_task(lane.run(gate, f"client {at}")) for at in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(Overloaded):
        await lane.run(gate, "third client")

    gate.opened.set()
    assert await asyncio.gather(*first) == ["done", "done"]
    lane.close()


async def test_one_source_has_a_share_only() -> None:
    gate, lane = Gate(), ThreadLane("test", 1, RpcLimits(lane_share_max=1))
    first = asyncio.create_task(lane.run(gate, "greedy"))
    await asyncio.sleep(0)

    with pytest.raises(TooManyRequests):
        await lane.run(gate, "greedy")
    second = asyncio.create_task(lane.run(gate, "modest"))

    gate.opened.set()
    assert await asyncio.gather(first, second) == ["done", "done"]
    lane.close()


async def test_what_takes_too_long_is_answered_and_what_waits_behind_never_begins() -> None:
    gate, lane = Gate(), ThreadLane("test", 1, RpcLimits(method_timeout_s=0.05))
    begun: list[str] = []
    running = asyncio.create_task(lane.run(gate, "slow"))
    waiting = asyncio.create_task(lane.run(lambda: begun.append("late"), "next"))

    outcomes = await asyncio.gather(running, waiting, return_exceptions=True)
    gate.opened.set()
    await until(lambda: lane.count == 0)
    await lane.run(lambda: begun.append("marker"), "after")
    lane.close()

    assert [type(outcome) for outcome in outcomes] == [MethodTimeout, MethodTimeout]
    assert begun == ["marker"]


async def test_a_request_that_timed_out_keeps_its_place_until_its_thread_is_free() -> None:
    gate, lane = Gate(), ThreadLane("test", 1, RpcLimits(method_timeout_s=0.05, lane_queue_max=1))
    with pytest.raises(MethodTimeout):
        await lane.run(gate, "slow")

    with pytest.raises(Overloaded):
        await lane.run(gate, "another")

    gate.opened.set()
    lane.close()
