"""The RPC servers on a thread and an event loop of their own, so that overload stays there.

The public port serves the ledger; the operator's port, on loopback, also `admin_*` and `debug_*`.
Starting and stopping happen from the node's own loop.

Spec: RPC-OVERLOAD, RPC-SHUTDOWN.
"""

import asyncio
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from node.log import Log
from node.primitives.errors import Misconfigured
from node.primitives.transaction import Transaction
from node.primitives.types import Height
from node.rpc.backend import Backends
from node.rpc.limits import RpcLimits
from node.rpc.methods.tables import OPERATOR_METHODS, PUBLIC_METHODS
from node.rpc.server import LOOPBACK_NAMES, RpcServer, ServerAddress, new_id
from node.rpc.service import RpcService
from node.runtime.clock import Clock
from node.runtime.metrics import Metrics
from node.settings import Settings

LOG = Log("rpc")

START_TIMEOUT_S: Final = 10.0

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcPorts:
    """Where the servers listen."""

    public: int | None
    """Port of JSON-RPC; None when it is switched off."""
    admin: int
    """Port of the operator's methods."""


class RpcThread:
    """The servers and their thread."""

    def __init__(
        self, settings: Settings, backends: Backends, *, clock: Clock, metrics: Metrics
    ) -> None:
        """Hold the parts; ``start`` begins the thread."""
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="rpc", daemon=True)
        limits = RpcLimits(
            rate_per_s=settings.rpc.rate_per_s,
            rate_burst=3 * settings.rpc.rate_per_s,
            read_thread_count=settings.rpc.worker_count,
        )
        self._public: RpcServer | None = None
        if settings.rpc.is_enabled:
            self._public = RpcServer(
                RpcService(
                    backends=replace(backends, operator=None),
                    table=PUBLIC_METHODS,
                    limits=limits,
                    new_id=new_id,
                    monotonic_s=self._monotonic_s,
                    observe=self._observe,
                ),
                ServerAddress(
                    host=settings.rpc.host,
                    port=settings.rpc.port,
                    cors_origins=settings.rpc.cors_origins,
                ),
            )
        self._admin = RpcServer(
            RpcService(
                backends=backends,
                table=OPERATOR_METHODS,
                limits=RpcLimits(),
                new_id=new_id,
                monotonic_s=self._monotonic_s,
                observe=self._observe,
            ),
            ServerAddress(
                host=settings.admin.host, port=settings.admin.port, host_names=LOOPBACK_NAMES
            ),
        )

    async def start(self) -> RpcPorts:
        """Begin the thread and listen.

        Raises:
            Misconfigured: A port is taken or may not be used.
        """
        self._thread.start()
        public = None
        if self._public is not None:
            public = await self._listen(self._public, "rpc", self._settings.rpc.port)
        return RpcPorts(
            public=public,
            admin=await self._listen(self._admin, "admin", self._settings.admin.port),
        )

    async def stop(self) -> None:
        """Let requests in work end, then end the thread."""
        if not self._thread.is_alive():
            return
        for server in (self._public, self._admin):
            if server is not None:
                try:
                    await self._there(server.stop())
                except TimeoutError:
                    LOG.warning("requests in work were cut off")
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)

    def upon_head(self, at: Height) -> None:
        """Tell subscribers of a new head."""
        for server in (self._public, self._admin):
            if server is not None:
                server.upon_head(at)

    def upon_pending(self, transaction: Transaction) -> None:
        """Tell subscribers of a transaction that came to wait."""
        for server in (self._public, self._admin):
            if server is not None:
                server.upon_pending(transaction)

    async def _listen(self, server: RpcServer, section: str, port: int) -> int:
        try:
            return await self._there(server.start())
        except OSError as error:
            raise Misconfigured(
                f"port {port} cannot be listened on ({error.strerror}); change {section}.port"
            ) from error

    async def _there(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Run ``work`` on the RPC thread's loop and return what it returns."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        return await asyncio.wait_for(asyncio.wrap_future(future), START_TIMEOUT_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _monotonic_s(self) -> float:
        return self._clock.monotonic_ms() / 1_000

    def _observe(self, method: str, seconds: float, is_success: bool) -> None:
        self._metrics.saw_call(method, seconds)
        if not is_success:
            self._metrics.rpc_refusals.labels(method).inc()
