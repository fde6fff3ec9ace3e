"""A small real chain that services read and write: real RPC ports, contracts, time a test moves.

Every node shows the same chain. A test closes a port, alters answers, or holds blocks back.
"""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime

from clients.core.headers import TrustLimits
from clients.core.transport import Node, http_nodes
from clients.core.trust import Trust
from node.primitives.types import Address
from tests.support.clock import FakeClock
from tests.support.ledger import SERVICE_KEYS, deploy, encode_call
from tests.support.rpc import RpcChain, serving

TENANT = "sakai"
STREAM = b"\x01" * 32
LIMITS = TrustLimits(trusting_period_s=86_400, drift_s=10, staleness_s=120)


class TownClock(FakeClock):
    """A clock that is never behind the chain; a test moves it ahead."""

    def __init__(self, chain: RpcChain) -> None:
        """Stand at the newest block's time."""
        self._chain = chain
        super().__init__(self._head_time)

    @property
    def _head_time(self) -> datetime:
        return datetime.fromtimestamp(self._chain.ledger.head.timestamp_s, UTC)

    def now(self) -> datetime:
        """Return the later of the newest block's time and where a test moved the clock."""
        return max(super().now(), self._head_time)

    def move(self, seconds: float) -> None:
        """Move on from what it shows."""
        self._now = self.now()
        super().move(seconds)


class Town:
    """The chain with the contract Anchors on it."""

    def __init__(self) -> None:
        """Found the chain and let the governor create the contract."""
        self.chain = RpcChain()
        self.genesis = self.chain.ledger.genesis.header
        self.anchors: Address = deploy(self.chain.ledger, "Anchors")
        self.chain.mine()
        self.clock = TownClock(self.chain)

    @property
    def trust(self) -> Trust:
        """Trust the genesis block."""
        return Trust(genesis_hash=self.genesis.hash, origin=self.genesis, head=self.genesis)

    def heartbeat(self) -> None:
        """Make a block of what waits, at the time the clock shows."""
        ahead_s = int(self.clock.now().timestamp()) - self.chain.ledger.head.timestamp_s
        self.chain.mine(seconds=max(2, ahead_s))

    def anchor(self, operation: int, *, service: int = 1, root: bytes = b"\xaa" * 32) -> None:
        """Anchor a root by a transaction of another service, in a block of its own."""
        data = encode_call(
            "anchor(bytes32,bytes32,bytes32,uint256)",
            STREAM,
            operation.to_bytes(32, "big"),
            root,
            20,
        )
        ledger = self.chain.ledger
        raw = ledger.call(SERVICE_KEYS[service], self.anchors, data).raw
        self.chain.submit(raw, "test")


@asynccontextmanager
async def town_nodes(town: Town, count: int = 1) -> AsyncIterator[tuple[Node, ...]]:
    """Serve a town's chain on ports of its own."""
    with ExitStack() as stack:
        ports = [stack.enter_context(serving(town.chain)).port for _ in range(count)]
        addresses = [(f"node {at}", f"http://127.0.0.1:{port}") for at, port in enumerate(ports)]
        async with http_nodes(addresses) as nodes:
            yield nodes
