"""What a service measures of itself, for Prometheus at ``/metrics``.

Labels are names from the code: operations, methods, statuses, error codes. Nothing a caller sends
becomes a label, so metrics hold no personal value and their number is bounded.
"""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

SECONDS_BUCKETS: Final = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4


class Metrics:
    """One service's measurements; services add their own to ``registry``."""

    def __init__(self, service: str) -> None:
        """Start at zero."""
        self.registry = CollectorRegistry()
        self._service = service
        self._requests = Counter(
            "daicho_service_requests",
            "Requests answered.",
            ("service", "operation", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "daicho_service_request_seconds",
            "Time to answer.",
            ("service", "operation"),
            buckets=SECONDS_BUCKETS,
            registry=self.registry,
        )
        self._refusals = Counter(
            "daicho_service_problems",
            "Requests answered with a problem, by its code.",
            ("service", "code"),
            registry=self.registry,
        )
        self._running = Gauge(
            "daicho_service_requests_running",
            "Requests being answered.",
            ("service",),
            registry=self.registry,
        )
        self._ready = Gauge(
            "daicho_service_ready",
            "1 when the last look at readiness found nothing missing.",
            ("service",),
            registry=self.registry,
        )

    def count_request(self, operation: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._requests.labels(self._service, operation, str(status)).inc()
        self._seconds.labels(self._service, operation).observe(seconds)

    def count_problem(self, code: str) -> None:
        """Count one answer that was a problem."""
        self._refusals.labels(self._service, code).inc()

    def set_running(self, count: int) -> None:
        """Tell how many requests are being answered."""
        self._running.labels(self._service).set(count)

    def set_ready(self, is_ready: bool) -> None:
        """Tell how the last look at readiness came out."""
        self._ready.labels(self._service).set(1 if is_ready else 0)

    def watch(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Show what ``read`` returns as the gauge ``daicho_service_<name>``."""
        gauge = Gauge(f"daicho_service_{name}", help_text, ("service",), registry=self.registry)
        gauge.labels(self._service).set_function(read)

    def render(self) -> bytes:
        """Return all measurements in Prometheus' text form."""
        return generate_latest(self.registry)
