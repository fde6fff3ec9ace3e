"""QBFT-SYNC-GATE, SYNC-RANGE, SYNC-BLAME: a node catches up, and nobody's boast silences it.

Scripted peers stand for the network: one serves a real chain of five blocks, one boasts of a
height it does not have, one forges. Import and execution are real.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from node.consensus.parameters import parameters_of_chain
from node.consensus.validators import tally_at_base
from node.p2p.limits import Offence
from node.primitives.block import Block
from node.primitives.errors import Unavailable
from node.primitives.types import Address, Height
from node.runtime.blocks import Blocks, Waiting
from node.runtime.clock import SystemClock
from node.runtime.commit import Importer
from node.runtime.metrics import Metrics
from node.runtime.sync import Sync, SyncParts
from tests.support.ledger import Ledger, reclaim

SERVER, BOASTER, FORGER = (Address(bytes([at]) * 20) for at in (1, 2, 3))


@dataclass(frozen=True)
class Told:
    """What a peer's status says."""

    node: Address
    height: Height
    oldest_height: Height = Height(0)
    is_connected: bool = True


class ScriptedPeers:
    """Peers that serve the blocks given to them."""

    def __init__(self) -> None:
        self.served: dict[Address, Sequence[Block]] = {}
        self.told: dict[Address, Height] = {}
        self.blamed: list[tuple[Address, Offence]] = []

    def add(self, node: Address, blocks: Sequence[Block], *, says: int | None = None) -> None:
        self.served[node] = blocks
        self.told[node] = Height(len(blocks) if says is None else says)

    def peers(self) -> list[Told]:
        return [Told(node, height) for node, height in self.told.items()]

    async def request_blocks(self, node: Address, start: Height, count: int) -> tuple[bytes, ...]:
        await asyncio.sleep(0)
        if node == BOASTER:
            raise Unavailable("no answer")
        return tuple(block.encode() for block in self.served[node][start - 1 : start - 1 + count])

    def report(self, node: Address, offence: Offence) -> None:
        self.blamed.append((node, offence))


class Joiner:
    """A node at genesis and its sync."""

    def __init__(self, peers: ScriptedPeers) -> None:
        self.ledger = Ledger()
        self.syncing: list[bool] = []
        metrics, clock = Metrics(), SystemClock()
        blocks = Blocks(
            self.ledger.chain,
            profile=self.ledger.profile,
            build_time_ms=1,
            waiting=Waiting(
                candidates=tuple, drop_skipped=lambda _: None, lend_senders=lambda _: None
            ),
            clock=clock,
            metrics=metrics,
        )
        parameters = parameters_of_chain(self.ledger.genesis.profile)
        self.importer = Importer(
            blocks,
            head=self.ledger.head,
            tally=tally_at_base(self.ledger.head),
            epoch_length=parameters.epoch_length,
            recoveries=(),
            announce=lambda _: None,
        )
        self.sync = Sync(
            SyncParts(
                network=peers,  # type: ignore[arg-type]
                importer=self.importer,
                parameters=parameters,
                recoveries=(),
                tell_syncing=self.syncing.append,
                clock=clock,
                metrics=metrics,
            )
        )

    async def run_until(self, height: int, timeout_s: float = 10) -> None:
        """Run the sync until the head is at ``height`` and the core is told that it is over."""
        task = asyncio.create_task(self.sync.run())
        async with asyncio.timeout(timeout_s):
            while self.importer.head.height < height or self.sync.is_syncing:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def honest_blocks() -> list[Block]:
    ledger = Ledger()
    return [ledger.make().block for _ in range(5)]


async def test_a_node_at_genesis_fetches_executes_and_votes_again() -> None:
    peers, blocks = ScriptedPeers(), honest_blocks()
    peers.add(SERVER, blocks)
    joiner = Joiner(peers)

    await joiner.run_until(5)

    assert joiner.ledger.head.hash == blocks[-1].hash
    assert joiner.syncing == [True, False]
    assert joiner.sync.progress is None
    assert peers.blamed == []


async def test_a_boast_alone_silences_nobody() -> None:
    peers = ScriptedPeers()
    peers.add(BOASTER, [], says=1_000_000)
    joiner = Joiner(peers)
    task = asyncio.create_task(joiner.sync.run())
    await asyncio.sleep(0.8)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert joiner.syncing == []
    assert joiner.importer.head.height == 0


async def test_a_forger_is_blamed_and_the_honest_chain_is_taken() -> None:
    peers, blocks = ScriptedPeers(), honest_blocks()
    forged = [*blocks[:2], reclaim(blocks[2], gas_used=1), *blocks[3:]]
    peers.add(FORGER, forged)
    peers.add(SERVER, blocks)
    joiner = Joiner(peers)

    await joiner.run_until(5)

    assert joiner.ledger.head.hash == blocks[-1].hash
    assert {node for node, _ in peers.blamed} <= {FORGER}
