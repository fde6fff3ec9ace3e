"""The threads on which methods run that may take long, with bounded queues and a deadline.

Consensus has the event loop; what runs here only competes for the interpreter, a few milliseconds
at a time. A lane takes a bounded number of requests in all and a bounded share of them from one
source. A request that waited too long is answered with a timeout and, if it has not begun, never
begins; one that has begun is bounded by the backend (gas, steps, time).

Spec: RPC-OVERLOAD.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from node.rpc.errors import MethodTimeout, Overloaded, TooManyRequests
from node.rpc.limits import RpcLimits
from node.rpc.method import Lane

T = TypeVar("T")


class ThreadLane:
    """One kind of work on its own few threads."""

    def __init__(self, name: str, thread_count: int, limits: RpcLimits) -> None:
        """Hold the bounds; threads start with the first work."""
        self._threads = ThreadPoolExecutor(thread_count, thread_name_prefix=f"rpc-{name}")
        self._limits = limits
        self._count = 0
        self._count_by_source: dict[str, int] = {}

    @property
    def count(self) -> int:
        """Return how many requests wait or run."""
        return self._count

    async def run(self, work: Callable[[], T], source: str) -> T:
        """Run ``work`` on a thread and return what it returns.

        Raises:
            Overloaded: The lane is full.
            TooManyRequests: This source has its share of it.
            MethodTimeout: It took too long.

        Spec: RPC-OVERLOAD.
        """
        mine = self._count_by_source.get(source, 0)
        if self._count >= self._limits.lane_queue_max:
            raise Overloaded("the node is busy with other requests; try again")
        if mine >= self._limits.lane_share_max:
            raise TooManyRequests(f"{mine} of your requests are in work; wait for their answers")
        self._count += 1
        self._count_by_source[source] = mine + 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(lambda _: self._release(source))
        try:
            async with asyncio.timeout(self._limits.method_timeout_s):
                return await asyncio.shield(future)
        except TimeoutError:
            future.cancel()
            raise MethodTimeout(
                f"request timed out after {self._limits.method_timeout_s} s"
            ) from None

    def close(self) -> None:
        """Begin no more work; what runs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _release(self, source: str) -> None:
        self._count -= 1
        left = self._count_by_source[source] - 1
        if left:
            self._count_by_source[source] = left
        else:
            del self._count_by_source[source]


class Lanes:
    """The lanes of one server."""

    def __init__(self, limits: RpcLimits) -> None:
        """Make a lane for reads and one for runs."""
        self._lanes = {
            Lane.READ: ThreadLane("read", limits.read_thread_count, limits),
            Lane.RUN: ThreadLane("run", limits.run_thread_count, limits),
        }

    async def run(self, lane: Lane, work: Callable[[], T], source: str) -> T:
        """Run ``work`` where its lane says.

        Raises:
            Overloaded: The lane is full.
            TooManyRequests: This source has its share of it.
            MethodTimeout: It took too long.
        """
        threads = self._lanes.get(lane)
        return work() if threads is None else await threads.run(work, source)

    def close(self) -> None:
        """Begin no more work."""
        for lane in self._lanes.values():
            lane.close()
