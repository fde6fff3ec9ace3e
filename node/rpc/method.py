"""What a method is: a function from context and parameters to a JSON value, and what it costs.

Spec: RPC-METHODS, RPC-OVERLOAD.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from node.rpc.backend import Backends, Json
from node.rpc.filters import FilterRegistry
from node.rpc.limits import RpcLimits
from node.rpc.params import Params
from node.rpc.subscriptions import Subscriptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a method may use."""

    backends: Backends
    """The node."""
    limits: RpcLimits
    """The server's bounds."""
    filters: FilterRegistry
    """Installed filters of all clients."""
    source: str
    """Who asks: the client's address."""
    subscriptions: Subscriptions | None = None
    """Those of this connection; None over HTTP."""

    @property
    def now_s(self) -> int:
        """Return the time in whole seconds."""
        return self.backends.clock_s()


class Lane(StrEnum):
    """Where a method runs, by how long it may take."""

    LOOP = "loop"
    """At once: well under a millisecond."""
    READ = "read"
    """On the threads that read blocks and proofs: milliseconds."""
    RUN = "run"
    """On the thread for calls, traces and searches: as long as its bounds allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method."""

    run: Callable[[Context, Params], Json]
    """Answers a request."""
    cost: int = 1
    """Units of a source's rate it spends."""
    lane: Lane = Lane.LOOP
    """Where it runs."""


MethodTable: TypeAlias = Mapping[str, Method]
