"""Looks after the node every few seconds: gauges, warnings, and garbage between blocks.

What it finds ends in metrics, in the health checks' ``Snapshot`` and, when an operator should act,
in the log. It decides nothing.
"""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from node.log import Log
from node.p2p.network import PeerNetwork
from node.primitives.types import Height
from node.runtime.blocks import Blocks
from node.runtime.clock import OFFSET_WARN_MS, Clock, compute_offset_ms, load_kernel_clock
from node.runtime.health import HealthCheck, Limits, Snapshot, check_health
from node.runtime.metrics import Metrics
from node.settings import Settings
from node.storage.chain import ChainStore

LOG = Log("watch")

LOOK_MS: Final = 2_000
"""Time between two looks."""

SLOW_LOOKS: Final = 15
"""Every so many looks the disk is measured and standing warnings are repeated."""

LAG_WARN_MS: Final = 250
"""Delay of the event loop at which an operator is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchParts:
    """What is looked at."""

    settings: Settings
    """Limits and places."""
    chain: ChainStore
    """The committed chain."""
    network: PeerNetwork
    """Who is connected."""
    blocks: Blocks
    """Collects its garbage between blocks."""
    clock: Clock
    """Time."""
    metrics: Metrics
    """Where figures go."""
    heartbeat_s: int
    """Longest silence of a healthy chain."""
    is_syncing: Callable[[], bool]
    """Whether blocks are being fetched."""
    best_height: Callable[[], Height]
    """Highest head a peer tells of."""
    snapshot_height: Callable[[], Height]
    """Height of our newest snapshot; 0 without one."""
    stopped_reason: Callable[[], str]
    """Why the node refuses to sign."""


class Watch:
    """Keeps figures fresh."""

    def __init__(self, parts: WatchParts) -> None:
        """Hold the parts; ``run`` begins."""
        self._parts = parts
        self._free_bytes = shutil.disk_usage(parts.settings.data_dir).free
        self._refusals: dict[str, int] = {}

    async def run(self) -> None:
        """Look for ever."""
        looks = 0
        while True:
            due_ms = self._parts.clock.monotonic_ms() + LOOK_MS
            await self._parts.clock.sleep_ms(LOOK_MS)
            self._measure_lag(self._parts.clock.monotonic_ms() - due_ms)
            self._look_at_peers()
            if looks % SLOW_LOOKS == 0:
                await self._look_at_machine()
                self._warn()
            await self._parts.blocks.collect_garbage()
            looks += 1

    def snapshot(self) -> Snapshot:
        """Return what the health checks look at."""
        parts = self._parts
        head = parts.chain.head
        return Snapshot(
            now_s=parts.clock.now_ms() // 1_000,
            head_height=head.height,
            head_timestamp_s=head.timestamp_s,
            best_peer_height=parts.best_height(),
            peer_count=len(parts.network.connected()),
            is_syncing=parts.is_syncing(),
            stopped_reason=parts.stopped_reason(),
            heartbeat_s=parts.heartbeat_s,
            free_bytes=self._free_bytes,
            clock_offset_ms=self._offset_ms(),
            certificate_expiry_s=parts.network.certificate.not_after_s,
        )

    def checks(self) -> tuple[HealthCheck, ...]:
        """Judge the node as it is now."""
        settings = self._parts.settings
        limits = Limits(
            peer_count_min=settings.metrics.peer_count_min,
            lag_blocks_max=settings.metrics.lag_blocks_max,
            free_bytes_min=settings.storage.free_mb_min * 2**20,
        )
        return check_health(self.snapshot(), limits)

    def _measure_lag(self, late_ms: int) -> None:
        self._parts.metrics.loop_lag.set(max(0, late_ms) / 1_000)
        if late_ms > LAG_WARN_MS:
            LOG.warning("the event loop was held up", late_ms=late_ms)

    def _look_at_peers(self) -> None:
        metrics, network = self._parts.metrics, self._parts.network
        metrics.peers.set(len(network.connected()))
        metrics.signing_stopped.set(bool(self._parts.stopped_reason()))
        head = self._parts.chain.head.height
        metrics.checkpoint_age.set(head - self._parts.snapshot_height())
        for peer in network.peers():
            if peer.height is not None:
                metrics.peer_height.labels(peer.name).set(peer.height)
            if peer.clock_offset_ms is not None:
                metrics.peer_offset.labels(peer.name).set(peer.clock_offset_ms / 1_000)
            metrics.config_mismatch.labels(peer.name).set(bool(peer.membership_mismatch))
        for reason, count in network.refusals.items():
            metrics.peer_refusals.labels(reason).inc(count - self._refusals.get(reason, 0))
            self._refusals[reason] = count
        offset = self._offset_ms()
        if offset is not None:
            metrics.clock_offset.set(offset / 1_000)
            if abs(offset) > OFFSET_WARN_MS:
                LOG.warning("clock differs from the peers'; check the time service", ms=offset)

    def _offset_ms(self) -> int | None:
        told = (peer.clock_offset_ms for peer in self._parts.network.peers() if peer.is_connected)
        return compute_offset_ms(each for each in told if each is not None)

    async def _look_at_machine(self) -> None:
        metrics, settings = self._parts.metrics, self._parts.settings
        used, self._free_bytes = await asyncio.to_thread(_measure_disk, settings)
        metrics.database_bytes.set(used)
        metrics.disk_free_bytes.set(self._free_bytes)
        metrics.certificate_expiry.set(self._parts.network.certificate.not_after_s)
        metrics.membership_expiry.set(self._parts.network.membership.valid_until_s)
        kernel = load_kernel_clock()
        if kernel is not None:
            metrics.clock_synchronised.set(kernel.is_synchronised)
            metrics.clock_kernel_offset.set(kernel.offset_ms / 1_000)

    def _warn(self) -> None:
        for sentence in self._parts.network.warnings():
            LOG.warning(sentence)
        for check in self.checks():
            if not check.is_ok or check.is_warning:
                LOG.warning("health", check=check.name, reason=check.reason)


def _measure_disk(settings: Settings) -> tuple[int, int]:
    """Return the bytes the data directory takes, and the bytes free beside it."""
    used = 0
    for file in settings.data_dir.rglob("*"):
        try:
            used += file.stat().st_size
        except OSError:
            continue
    return used, shutil.disk_usage(settings.data_dir).free
