"""Tasks beside the requests: started with the service, started again when they fail, then stopped.

A task that ends or fails is started again after a pause that grows; while it is down, readiness
says so. A failure of ours (``InvariantViolation``) is not tried again: it stays down until someone
has looked.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from node.log import Log
from node.primitives.errors import InvariantViolation, Unavailable
from services.kit.clock import Clock
from services.kit.health import ReadinessCheck
from services.kit.logs import describe_failure

PAUSE_FIRST_S: Final = 1.0
PAUSE_MAX_S: Final = 60.0

STOP_TIMEOUT_S: Final = 10.0
"""How long a task may take to end when it is asked to."""

_log = Log("tasks")


class TaskDown(Unavailable):
    """A background task does not run."""

    code = "service.task_down"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundTask:
    """Work that goes on as long as the service runs."""

    name: str
    """Stable name, as ``dispatcher``."""
    run: Callable[[], Awaitable[None]]
    """The work; it ends only by cancellation."""


class Supervisor:
    """The running tasks of a service."""

    def __init__(self, tasks: Iterable[BackgroundTask], clock: Clock) -> None:
        """Hold the tasks; none is started."""
        self._tasks = tuple(tasks)
        self._clock = clock
        self._running: list[asyncio.Task[None]] = []
        self._down: dict[str, str] = {task.name: "not started" for task in self._tasks}

    def start(self) -> None:
        """Start every task."""
        self._running = [
            asyncio.create_task(self._keep(task), name=task.name) for task in self._tasks
        ]

    async def stop(self) -> None:
        """Cancel every task and wait for its end."""
        for task in self._running:
            task.cancel()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=STOP_TIMEOUT_S)
            for task in late:
                _log.error("a task does not end", task=task.get_name())
        self._running = []

    def checks(self) -> tuple[ReadinessCheck, ...]:
        """Return a readiness check for each task."""
        return tuple(
            ReadinessCheck(name=f"task {task.name}", run=self._check_of(task.name))
            for task in self._tasks
        )

    def _check_of(self, name: str) -> Callable[[], Awaitable[str]]:
        async def check() -> str:
            reason = self._down.get(name)
            if reason is not None:
                raise TaskDown(f"{name}: {reason}; the log tells why")
            return "runs"

        return check

    async def _keep(self, task: BackgroundTask) -> None:
        pause_s = PAUSE_FIRST_S
        while True:
            self._down.pop(task.name, None)
            started = self._clock.now()
            try:
                await task.run()
                self._down[task.name] = "ended by itself"
                _log.error("a task ended by itself", task=task.name)
            except InvariantViolation as error:
                self._down[task.name] = error.code
                _log.error("a task stopped for good", task=task.name, **describe_failure(error))
                return
            except Exception as error:  # noqa: BLE001  (the task supervisor)
                failure = describe_failure(error)
                self._down[task.name] = str(failure["failure"])
                _log.error("a task failed", task=task.name, again_in_s=pause_s, **failure)
            if (self._clock.now() - started).total_seconds() > PAUSE_MAX_S:
                pause_s = PAUSE_FIRST_S
            await self._clock.sleep(pause_s)
            pause_s = min(pause_s * 2, PAUSE_MAX_S)
