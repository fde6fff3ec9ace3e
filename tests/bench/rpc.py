"""Intake and latency of RPC: ``python -m tests.bench.rpc [COUNT]``.

A client process sends signed calls of a service to a server process, one per request over several
keep-alive connections and in batches of 50. What counts is processor time of the server per
transaction, decoding, recovery of the sender and every admission rule included: on a shared machine
the wall clock says little. Then the latency of common reads, one after the other.
"""

import asyncio
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence

import aiohttp

from node.pool.limits import PoolLimits
from node.primitives.transaction import sign_transaction
from node.rpc.limits import RpcLimits
from tests.bench.record import record
from tests.support.ledger import CHAIN_ID, GOVERNOR_KEY, SERVICE_KEYS
from tests.support.rpc import RpcChain, serving

COUNT = 4_000
BATCH_SIZE = 50
CONNECTIONS = 8
DATA_SIZE = 420
READ_COUNT = 300

ROOMY = PoolLimits(
    count_max=10**6,
    size_max_bytes=2**32,
    per_sender_max=10**6,
    per_source_max=10**6,
    nonce_gap_max=10**6,
)
GENEROUS = RpcLimits(rate_per_s=10**8, rate_burst=10**8)


def main() -> None:
    """Measure and record."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    figures = {
        "million_additions_ms": measure_machine(),
        "single": measure_intake(count, 1),
        f"batches_of_{BATCH_SIZE}": measure_intake(count, BATCH_SIZE),
        "read_latency_ms": measure_reads(),
    }
    record("rpc", figures)


def measure_machine() -> float:
    """Return the milliseconds of a fixed loop, by which figures of a busy machine are read."""
    began_s = time.process_time()
    total = 0
    for at in range(1_000_000):
        total += at
    return round((time.process_time() - began_s) * 1e3, 1)


def measure_intake(count: int, batch_size: int) -> dict[str, object]:
    """Send ``count`` transactions and return what one cost the server."""
    chain = RpcChain(ROOMY)
    chain.is_mining = False
    bodies = make_bodies(count, batch_size)
    with serving(chain, limits=GENEROUS) as served:
        context = multiprocessing.get_context("spawn")
        queue: multiprocessing.Queue[float] = context.Queue()
        client = context.Process(target=send, args=(served.port, bodies, queue))
        client.start()
        queue.get()
        cpu_s = time.process_time()
        wall_s = queue.get()
        cpu_s = time.process_time() - cpu_s
        client.join()
    assert len(chain.pool) == count
    return {
        "server_cpu_us_per_transaction": round(cpu_s / count * 1e6, 1),
        "transactions_per_cpu_second": round(count / cpu_s),
        "transactions_per_second_wall": round(count / wall_s),
    }


def make_bodies(count: int, batch_size: int) -> list[bytes]:
    """Return request bodies of signed transactions of the services, in turns."""
    target = GOVERNOR_KEY.address
    requests = []
    for at in range(count):
        key = SERVICE_KEYS[at % len(SERVICE_KEYS)]
        sent = sign_transaction(
            key,
            chain_id=CHAIN_ID,
            nonce=at // len(SERVICE_KEYS),
            gas_limit=100_000,
            to=target,
            data=at.to_bytes(DATA_SIZE, "big"),
        )
        params = ["0x" + sent.raw.hex()]
        requests.append(
            {"jsonrpc": "2.0", "id": at, "method": "eth_sendRawTransaction", "params": params}
        )
    if batch_size == 1:
        return [json.dumps(request).encode() for request in requests]
    return [
        json.dumps(requests[at : at + batch_size]).encode() for at in range(0, count, batch_size)
    ]


def send(port: int, bodies: Sequence[bytes], queue: "multiprocessing.Queue[float]") -> None:
    """Send the bodies over a few connections; report the start, then the seconds taken."""
    asyncio.run(_send(port, bodies, queue))


async def _send(port: int, bodies: Sequence[bytes], queue: "multiprocessing.Queue[float]") -> None:
    url = f"http://127.0.0.1:{port}/"
    headers = {"Content-Type": "application/json"}
    waiting = iter(bodies)

    async def work(session: aiohttp.ClientSession) -> None:
        for body in waiting:
            async with session.post(url, data=body, headers=headers) as response:
                text = await response.text()
                assert '"error"' not in text, text[:300]

    async with aiohttp.ClientSession() as session:
        queue.put(0.0)
        began_s = time.perf_counter()
        await asyncio.gather(*(work(session) for _ in range(CONNECTIONS)))
        queue.put(time.perf_counter() - began_s)


def measure_reads() -> dict[str, object]:
    """Return median and 95th percentile of common reads, one after the other."""
    chain = RpcChain()
    for at in range(20):
        chain.submit(
            chain.ledger.call(SERVICE_KEYS[0], GOVERNOR_KEY.address, bytes((at,))).raw, "bench"
        )
    transaction = (
        "0x" + chain.ledger.chain.load_transactions(chain.ledger.head.height)[0].hash.hex()
    )
    address = "0x" + SERVICE_KEYS[0].address.hex()
    reads: dict[str, list[object]] = {
        "eth_blockNumber": [],
        "eth_getBalance": [address, "latest"],
        "eth_getBlockByNumber": ["latest", True],
        "eth_getTransactionReceipt": [transaction],
        "eth_call": [{"to": address}, "latest"],
        "eth_getProof": [address, [], "latest"],
        "eth_getLogs": [{"fromBlock": "0x1"}],
    }
    with serving(chain, limits=GENEROUS) as served:
        return asyncio.run(_time_reads(served.port, reads))


async def _time_reads(port: int, reads: dict[str, list[object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    async with aiohttp.ClientSession() as session:
        for method, params in reads.items():
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            times_ms = []
            for _ in range(READ_COUNT):
                began_s = time.perf_counter()
                async with session.post(f"http://127.0.0.1:{port}/", json=body) as response:
                    assert "result" in await response.json()
                times_ms.append((time.perf_counter() - began_s) * 1e3)
            times_ms.sort()
            found[method] = {
                "median": round(times_ms[READ_COUNT // 2], 2),
                "p95": round(times_ms[READ_COUNT * 95 // 100], 2),
            }
    return found


if __name__ == "__main__":
    main()
