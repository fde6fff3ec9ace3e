"""Is the node alive, and is it ready? Answered over HTTP with reasons, beside the metrics.

`/liveness` says that the event loop turns. `/readiness` says that the node follows the chain and,
as a validator, could vote; each check is named and says what is wrong in a sentence. The checks
are pure functions of a ``Snapshot``, so that the same reasons appear in `daicho node status`.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

from aiohttp import web

from node.primitives.errors import Misconfigured
from node.runtime.clock import OFFSET_WARN_MS
from node.runtime.metrics import Metrics

CERTIFICATE_WARN_S: Final = 30 * 86_400
"""Remaining life of a certificate or membership file at which a warning begins."""

STALL_PERIODS: Final = 10
"""Heartbeats without a block after which the chain is called stalled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the checks look at, taken at one moment."""

    now_s: int
    """Our clock."""
    head_height: int
    """Latest final block."""
    head_timestamp_s: int
    """Its timestamp."""
    best_peer_height: int
    """Highest head a peer told of; 0 without peers."""
    peer_count: int
    """Connected peers."""
    is_syncing: bool
    """Blocks are being fetched."""
    stopped_reason: str
    """Why the node refuses to sign; empty when it does not."""
    heartbeat_s: int
    """Longest the chain is silent when it is healthy."""
    free_bytes: int
    """Free disk."""
    clock_offset_ms: int | None
    """Median of peers' clocks minus ours; None without peers."""
    certificate_expiry_s: int
    """When the TLS certificate expires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where the checks turn red, from the settings."""

    peer_count_min: int
    """Fewest peers."""
    lag_blocks_max: int
    """Most blocks behind."""
    free_bytes_min: int
    """Least free disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """One named check and its verdict."""

    name: str
    """Stable name."""
    is_ok: bool
    """False makes the node not ready."""
    is_warning: bool = False
    """True when it is fine now but will not stay so."""
    reason: str
    """One sentence."""


def check_health(at: Snapshot, limits: Limits) -> tuple[HealthCheck, ...]:
    """Judge a snapshot by every check."""
    return (
        _peers(at, limits),
        _lag(at, limits),
        _progress(at),
        _signing(at),
        _disk(at, limits),
        _clock(at),
        _certificate(at),
    )


def _peers(at: Snapshot, limits: Limits) -> HealthCheck:
    return HealthCheck(
        name="peers",
        is_ok=at.peer_count >= limits.peer_count_min,
        reason=f"{at.peer_count} connected, at least {limits.peer_count_min} wanted",
    )


def _lag(at: Snapshot, limits: Limits) -> HealthCheck:
    behind = max(0, at.best_peer_height - at.head_height)
    doing = ", fetching them" if at.is_syncing else ""
    return HealthCheck(
        name="sync",
        is_ok=behind <= limits.lag_blocks_max,
        reason=f"{behind} blocks behind the best peer{doing}, at most {limits.lag_blocks_max}",
    )


def _progress(at: Snapshot) -> HealthCheck:
    age_s = max(0, at.now_s - at.head_timestamp_s)
    limit_s = STALL_PERIODS * max(1, at.heartbeat_s)
    return HealthCheck(
        name="progress",
        is_ok=age_s <= limit_s or at.head_height == 0,
        reason=f"latest block {at.head_height} is {age_s} s old, at most {limit_s} s expected",
    )


def _signing(at: Snapshot) -> HealthCheck:
    return HealthCheck(
        name="signing",
        is_ok=not at.stopped_reason,
        reason=at.stopped_reason or "votes are signed and kept",
    )


def _disk(at: Snapshot, limits: Limits) -> HealthCheck:
    free, least = at.free_bytes // 2**20, limits.free_bytes_min // 2**20
    return HealthCheck(
        name="disk", is_ok=free >= least, reason=f"{free} MiB free, at least {least} MiB wanted"
    )


def _clock(at: Snapshot) -> HealthCheck:
    if at.clock_offset_ms is None:
        return HealthCheck(name="clock", is_ok=True, reason="no peer to compare with")
    is_off = abs(at.clock_offset_ms) > OFFSET_WARN_MS
    return HealthCheck(
        name="clock",
        is_ok=True,
        is_warning=is_off,
        reason=f"peers' clocks are {at.clock_offset_ms:+d} ms from ours"
        + ("; check the time service" if is_off else ""),
    )


def _certificate(at: Snapshot) -> HealthCheck:
    left_s = at.certificate_expiry_s - at.now_s
    if left_s <= 0:
        reason = "expired; install a new certificate and send SIGHUP"
    else:
        reason = f"valid for {left_s // 86_400} days more"
    return HealthCheck(
        name="certificate",
        is_ok=left_s > 0,
        is_warning=0 < left_s < CERTIFICATE_WARN_S,
        reason=reason,
    )


def render_readiness(checks: tuple[HealthCheck, ...]) -> tuple[int, str]:
    """Return the HTTP status and JSON body of `/readiness`."""
    is_ready = all(check.is_ok for check in checks)
    body = {"ready": is_ready, "checks": [asdict(check) for check in checks]}
    return (200 if is_ready else 503), json.dumps(body)


class HealthServer:
    """The small HTTP server of health and metrics, on the node's own loop.

    It answers from memory only: a node too busy to answer it is not healthy.
    """

    def __init__(
        self, take: Callable[[], tuple[HealthCheck, ...]], metrics: Metrics, host: str, port: int
    ) -> None:
        """Hold the parts; ``start`` listens."""
        self._runner = web.AppRunner(build_health_app(take, metrics), access_log=None)
        self._host = host
        self._port = port

    async def start(self) -> int:
        """Listen, and return the port.

        Raises:
            Misconfigured: The port is taken or may not be used.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port, shutdown_timeout=1.0).start()
        except OSError as error:
            raise Misconfigured(
                f"port {self._port} cannot be listened on ({error.strerror}); change metrics.port"
            ) from error
        port: int = self._runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()


def build_health_app(
    take: Callable[[], tuple[HealthCheck, ...]], metrics: Metrics
) -> web.Application:
    """Build the HTTP application of `/liveness`, `/readiness` and `/metrics`."""

    async def liveness(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readiness(_: web.Request) -> web.Response:
        status, body = render_readiness(take())
        return web.Response(status=status, text=body, content_type="application/json")

    async def expose(_: web.Request) -> web.Response:
        return web.Response(
            body=metrics.expose(), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    app = web.Application()
    app.router.add_get("/liveness", liveness)
    app.router.add_get("/readiness", readiness)
    app.router.add_get("/metrics", expose)
    return app
