"""What other development chains take over RPC on this machine, for comparison with ours.

``python -m tests.bench peers`` installs anvil and hardhat (``tests/bench/peers``, locked), sends
each the very bodies of the ``rpc`` benchmark from the same client, and ours in the same run. Wall
clock: peers are judged by what a client sees. They keep everything in memory, admit every sender
and agree with nobody.
"""

import multiprocessing
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from node.cli.client import NodeUnreachable, RpcClient
from tests.bench.record import record
from tests.bench.rpc import BATCH_SIZE, make_bodies, measure_intake, send
from tests.support.ledger import CHAIN_ID

FOLDER: Final = Path(__file__).parent / "peers"
INSTALL: Final = ["npm", "install", "--no-save", "--no-audit", "--no-fund"]
"""Not `npm ci`: it wants the binaries of every other platform in the lock file too."""

COUNT: Final = 3_000
START_S: Final = 60.0


def main() -> None:
    """Measure every peer and ours, and record the ratios."""
    subprocess.run(INSTALL, cwd=FOLDER, check=True)
    figures: dict[str, object] = {}
    for size in (1, BATCH_SIZE):
        ours = measure_intake(COUNT, size)["transactions_per_second_wall"]
        assert isinstance(ours, int)
        row: dict[str, object] = {"ours_per_s": ours}
        for name in ("anvil", "hardhat"):
            theirs = measure_peer(name, size)
            row |= {f"{name}_per_s": theirs, f"ours_times_{name}": round(ours / theirs, 2)}
        figures["single" if size == 1 else f"batches_of_{size}"] = row
    record("peers", figures)


def measure_peer(name: str, batch_size: int) -> int:
    """Return the transactions a peer takes each second."""
    with running(name) as port:
        context = multiprocessing.get_context("spawn")
        queue: multiprocessing.Queue[float] = context.Queue()
        bodies = make_bodies(COUNT, batch_size)
        client = context.Process(target=send, args=(port, bodies, queue))
        client.start()
        queue.get()
        seconds = queue.get()
        client.join()
    return round(COUNT / seconds)


@contextmanager
def running(name: str) -> Iterator[int]:
    """Run a peer on a free loopback port and yield the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        _command(name, port), cwd=FOLDER, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_answering(port)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _command(name: str, port: int) -> list[str]:
    binary = str(FOLDER / "node_modules" / ".bin" / name)
    if name == "hardhat":
        return [binary, "node", "--hostname", "127.0.0.1", "--port", str(port)]
    limits = ["--gas-limit", "300000000", "--gas-price", "0", "--base-fee", "0"]
    return [
        *(binary, "--port", str(port), "--chain-id", str(CHAIN_ID), "--block-time", "2"),
        *(*limits, "--hardfork", "shanghai", "--silent"),
    ]


def _wait_until_answering(port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            RpcClient(f"http://127.0.0.1:{port}").call("eth_chainId")
        except NodeUnreachable:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(f"nothing answers on port {port}")


if __name__ == "__main__":
    main()
