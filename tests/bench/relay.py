"""Relay throughput to finality, and a follower's catch-up: ``python -m tests.bench relay``.

Blocks come as soon as the relay has sent, so the figure is the relay's own work and the node's
execution; on a network with a period of two seconds the window bounds it to 16 a second.
``DAICHO_BENCH_EVENTS`` changes the number of events, 100,000 by default.
"""

import asyncio
import os
import tempfile
import time
from pathlib import Path

import vyper
from sqlalchemy.ext.asyncio import AsyncConnection

from node.execution.evm import compute_contract_address
from services.kit.follower import FinalBlock, FollowerParts, Watch, open_follower
from services.relay.machine import WINDOW
from services.relay.tables import CURSORS
from tests.bench.record import record
from tests.support.followed import LIMITS, TENANT, Town, town_nodes
from tests.support.ledger import GOVERNOR_KEY, SERVICE_KEYS, encode_call
from tests.support.relay import pair_of, settle, start

OPERATIONS = 320
EVENTS = int(os.environ.get("DAICHO_BENCH_EVENTS", "100000"))
EVENTS_PER_CALL = 250

SOURCE = """
# pragma version 0.4.3
event Rung:
    number: uint256

@external
def ring(count: uint256):
    for number: uint256 in range(count, bound=1000):
        log Rung(number=number)
"""


async def measure_throughput(folder: Path) -> dict[str, object]:
    """Time ``OPERATIONS`` operations from the relay's inbox to final."""
    town = Town()
    async with pair_of(town, folder) as pair, town_nodes(town) as nodes:
        pair.intake = type(pair.intake)(
            tenant=TENANT,
            source=pair.intake.source,
            unsettled_max=OPERATIONS,
            anchors=town.anchors,
            clock=town.clock,
        )
        relay = await pair.open(nodes)
        await start(town, relay)
        town.chain.is_mining = False
        for number in range(OPERATIONS):
            await pair.ask(number)
        await pair.carry_to_relay()
        while await pair.carry_to_relay():
            pass
        begin = time.perf_counter()
        await settle(town, relay, OPERATIONS // WINDOW + 2)
        seconds = time.perf_counter() - begin
        assert len(pair.anchored()) == OPERATIONS
    return {
        "operations": OPERATIONS,
        "seconds": round(seconds, 2),
        "operations_per_s": round(OPERATIONS / seconds, 1),
    }


def ring(town: Town) -> bytes:
    """Put ``EVENTS`` events on chain; return the contract's address."""
    output = vyper.compile_code(
        SOURCE,
        output_formats=["bytecode"],
        settings=vyper.compiler.settings.Settings(evm_version="shanghai"),
    )
    ledger = town.chain.ledger
    creation = ledger.call(
        GOVERNOR_KEY, None, bytes.fromhex(output["bytecode"][2:]), gas_limit=2_000_000
    )
    ledger.make(creation)
    bell = compute_contract_address(GOVERNOR_KEY.address, creation.nonce)
    data = encode_call("ring(uint256)", EVENTS_PER_CALL)
    left = EVENTS
    while left > 0:
        calls = [
            ledger.call(SERVICE_KEYS[0], bell, data, gas_limit=2_000_000, nonce_ahead=at)
            for at in range(4)
        ]
        made = ledger.make(*calls)
        assert all(receipt.is_success for receipt in made.result.receipts)
        left -= EVENTS_PER_CALL * len(made.result.receipts)
    return bell


async def measure_catch_up(folder: Path) -> dict[str, object]:
    """Time a new follower over every event."""
    town = Town()
    bell = ring(town)
    town.chain._refresh()
    seen = 0

    async def count(_tx: AsyncConnection, block: FinalBlock) -> None:
        nonlocal seen
        seen += sum(1 for _ in block.logs_of(bell))

    async with pair_of(town, folder) as pair, town_nodes(town) as nodes:
        follower = await open_follower(
            FollowerParts(
                database=pair.database,
                cursors=CURSORS,
                tenant=TENANT,
                name="bench",
                watch=Watch(contracts=frozenset({bell})),
                nodes=nodes,
                limits=LIMITS,
                clock=town.clock,
            ),
            town.trust,
        )
        begin = time.perf_counter()
        await follower.follow_to_head(count)
        seconds = time.perf_counter() - begin
    assert seen >= EVENTS
    return {
        "blocks": town.chain.ledger.head.height,
        "events": seen,
        "seconds": round(seconds, 2),
        "events_per_s": round(seen / seconds),
    }


def main() -> None:
    """Measure both and record them."""
    with tempfile.TemporaryDirectory() as throughput, tempfile.TemporaryDirectory() as catch_up:
        record(
            "relay",
            {
                "to finality": asyncio.run(measure_throughput(Path(throughput))),
                "follower": asyncio.run(measure_catch_up(Path(catch_up))),
            },
        )
