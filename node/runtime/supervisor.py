"""The node's tasks, and what happens when one ends badly.

One rule: a task that fails for a reason nobody foresaw stops the node. A node that limps is worse
than one that is down, because its operator is not called. The first failure is kept, told in one
line with its chain of causes, and decides the exit code. This is one of the two places that catch
every exception.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from node.log import Log
from node.primitives.errors import InvariantViolation, LedgerError

LOG = Log("runtime")


class Supervisor:
    """Runs named tasks until one fails or the node is told to stop."""

    def __init__(self) -> None:
        """Start with no tasks."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self.failure: BaseException | None = None

    @property
    def is_stopping(self) -> bool:
        """Tell whether the node was told to stop, or must."""
        return self._stopping.is_set()

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` as a task whose failure stops the node."""
        task = asyncio.create_task(self._watch(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Ask the node to stop, without a failure."""
        self._stopping.set()

    def fail(self, name: str, error: BaseException) -> None:
        """Stop the node because ``name`` failed; only the first failure is kept."""
        if self.failure is None:
            self.failure = error
            # What an operator can mend is a sentence; what we got wrong needs its traceback.
            is_ours = not isinstance(error, LedgerError) or isinstance(error, InvariantViolation)
            LOG.error(describe_failure(name, error), cause=error if is_ours else None)
        self._stopping.set()

    async def wait(self) -> None:
        """Wait until the node stops, then cancel every task and wait for their end."""
        await self._stopping.wait()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  (the task supervisor: see the module)
            self.fail(name, error)


def describe_failure(name: str, error: BaseException) -> str:
    """Say what stopped the node and whose turn it is."""
    if isinstance(error, InvariantViolation):
        return (
            f"{name} found the ledger contradicting itself; the node stops and signs nothing. "
            f"Keep the data directory, run `daicho db check`, and report: {error}"
        )
    if isinstance(error, LedgerError):
        return f"{name} stopped the node: {error}"
    return f"{name} failed with {type(error).__name__}: {error}; the node stops"
