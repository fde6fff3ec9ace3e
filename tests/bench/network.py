"""Ballots committed end to end: RPC in, consensus, LevelDB with sync, final block out.

``python -m tests.bench network [--nodes 4 1] [--ballots 6000] [--rate 150 --name soak]``. Real
processes on this machine; every ballot comes from a sender of its own, as an open call, and is
checked, pooled, gossiped, proposed, executed on every node and final before it counts. At the
shipped gas limit the limit binds; a higher one shows what the software can do. The load comes from
this very machine and is part of the figures. Without ``--rate`` ballots are sent as fast as they
become final, which says how many a second there can be; with it they come at that pace, which says
how long each takes.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import vyper
from eth_abi import encode

from node.cli.client import RpcClient
from node.genesis.profile import PERMISSIONS_ADDRESS
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.transaction import Transaction, sign_transaction
from node.primitives.types import Address
from node.runtime.localnet import CHAIN_ID, NAMES, LocalPlan
from tests.bench.record import record
from tests.support.ballots import ELECTION, GAS_LIMIT, REGISTRAR, SOURCE, make_ballot
from tests.support.network import TrialNetwork, wait_until

BATCH: Final = 50
"""Ballots in one JSON-RPC batch, as a relay sends them."""

SENDERS: Final = 8
"""Batches under way at once."""

WAITING_MAX: Final = 4_000
"""Ballots sent and not yet final; more would only fill the pool."""

STALL_S: Final = 120.0
"""Without a final ballot for so long the run has failed."""


def main() -> None:
    """Measure the networks asked for, then the peers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="*", default=[4, 1])
    parser.add_argument("--ballots", type=int, default=6_000)
    parser.add_argument("--period", type=int, default=2, help="seconds between blocks")
    parser.add_argument("--gas-limit", type=int, nargs="*", default=[30_000_000, 300_000_000])
    parser.add_argument("--rate", type=int, help="ballots a second; as fast as it goes without")
    parser.add_argument("--name", default="network", help="of the file of results")
    given = parser.parse_args()
    figures: dict[str, object] = {}
    for count in given.nodes:
        for gas_limit in given.gas_limit:
            plan = LocalPlan(
                names=NAMES[:count],
                block_period_s=given.period,
                block_gas_limit=gas_limit,
                log_level="warning",
            )
            name = f"{count} nodes, {gas_limit // 1_000_000} M gas a block"
            figures[name] = measure_network(plan, given.ballots, rate=given.rate)
    record(given.name, figures)


def measure_network(plan: LocalPlan, ballots: int, *, rate: int | None = None) -> dict[str, object]:
    """Return rate and finality of ``ballots`` sent as fast as the network takes them."""
    with tempfile.TemporaryDirectory() as root:
        trial = TrialNetwork(Path(root), plan)
        try:
            trial.start()
            contract = prepare(trial)
            transactions = [
                make_ballot(number, key=_voter(number), to=contract, chain_id=CHAIN_ID)
                for number in range(ballots)
            ]
            ids = [trial.local.process_id(node) for node in trial.nodes]
            before_s = [_processor_s(process) for process in ids]
            flood = Flood([node.rpc_url for node in trial.nodes], rate=rate)
            figures = asyncio.run(flood.run(transactions))
            spent_s = [
                _processor_s(process) - then_s
                for process, then_s in zip(ids, before_s, strict=True)
            ]
            each_us = [round(seconds / ballots * 1e6) for seconds in spent_s]
            return {
                **figures,
                "processor_us_per_ballot_of_each_node": each_us,
                "resident_mib_of_each_node": [_resident_mib(process) for process in ids],
            }
        finally:
            trial.local.stop_all()


def prepare(trial: TrialNetwork) -> Address:
    """Deploy the contract and open its call to everyone, by a majority of the municipalities."""
    keys = [trial.local.governor_key(node) for node in trial.nodes]
    client = RpcClient(trial.nodes[0].rpc_url, timeout_s=30)
    out = vyper.compile_code(SOURCE.read_text(), output_formats=["bytecode", "method_identifiers"])
    init = bytes.fromhex(out["bytecode"][2:]) + encode(["address"], [REGISTRAR.address])
    receipt = send(client, keys[0], to=None, data=init, gas_limit=3_000_000)
    contract = Address(bytes.fromhex(receipt["contractAddress"][2:]))
    selector = keccak256(b"open_election(uint256)")[:4]
    send(client, keys[0], to=contract, data=selector + encode(["uint256"], [ELECTION]))
    cast = next(
        value for name, value in out["method_identifiers"].items() if name.startswith("cast(")
    )
    opening = keccak256(b"open_call(address,bytes4,uint256)")[:4] + encode(
        ["address", "bytes4", "uint256"], [contract, bytes.fromhex(cast[2:]), GAS_LIMIT]
    )
    for key in keys[: len(keys) // 2 + 1]:
        send(client, key, to=PERMISSIONS_ADDRESS, data=opening)
    return contract


def send(
    client: RpcClient,
    key: PrivateKey,
    *,
    to: Address | None,
    data: bytes,
    gas_limit: int = 1_000_000,
) -> dict[str, Any]:
    """Send one transaction and wait for its receipt, which must tell of success."""
    nonce = int(client.call("eth_getTransactionCount", "0x" + key.address.hex(), "latest"), 16)
    transaction = sign_transaction(
        key, chain_id=CHAIN_ID, nonce=nonce, gas_limit=gas_limit, to=to, data=data
    )
    name = client.call("eth_sendRawTransaction", "0x" + transaction.raw.hex())
    wait_until(lambda: client.call("eth_getTransactionReceipt", name), "a receipt")
    receipt: dict[str, Any] = client.call("eth_getTransactionReceipt", name)
    assert receipt["status"] == "0x1", receipt
    return receipt


def _voter(number: int) -> PrivateKey:
    return PrivateKey(keccak256(b"voter %d" % number))


def _processor_s(process: int | None) -> float:
    """Return the processor time a running process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mib(process: int | None) -> int:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


class Flood:
    """Sends ballots as fast as they become final, or at a pace, and notes when each is final."""

    def __init__(self, urls: list[str], *, rate: int | None = None) -> None:
        self._urls = urls
        self._pause_s = 0.0 if rate is None else BATCH / rate
        self._began_s = 0.0
        self._sent_s: dict[str, float] = {}
        self._final_s: dict[str, float] = {}
        self._blocks: list[int] = []
        self._progress = asyncio.Condition()

    async def run(self, transactions: list[Transaction]) -> dict[str, object]:
        """Send all, wait until all are final, and return the figures."""
        async with aiohttp.ClientSession() as session:
            began_s = self._began_s = time.monotonic()
            watching = asyncio.create_task(self._watch(session, len(transactions)))
            batches = iter(range(0, len(transactions), BATCH))
            senders = (self._keep_sending(session, transactions, batches) for _ in range(SENDERS))
            await asyncio.gather(*senders)
            sent_s = time.monotonic()
            await watching
        ended_s = max(self._final_s.values())
        delays = sorted(self._final_s[name] - self._sent_s[name] for name in self._sent_s)
        return {
            "ballots": len(transactions),
            "final_per_s": round(len(transactions) / (ended_s - began_s), 1),
            "sent_in_s": round(sent_s - began_s, 1),
            "all_final_in_s": round(ended_s - began_s, 1),
            "finality_median_s": round(statistics.median(delays), 2),
            "finality_p95_s": round(delays[int(len(delays) * 0.95)], 2),
            "blocks": len(self._blocks),
            "largest_block": max(self._blocks),
        }

    async def _keep_sending(
        self,
        session: aiohttp.ClientSession,
        transactions: list[Transaction],
        batches: Iterator[int],
    ) -> None:
        """Take the next batch and send it, until none is left."""
        for at in batches:
            await self._wait_for_room()
            due_s = self._began_s + at // BATCH * self._pause_s
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            await self._send(session, transactions[at : at + BATCH], at // BATCH)

    async def _wait_for_room(self) -> None:
        """Wait until fewer than ``WAITING_MAX`` ballots are under way."""
        async with self._progress:
            await self._progress.wait_for(
                lambda: len(self._sent_s) - len(self._final_s) < WAITING_MAX
            )

    async def _send(
        self, session: aiohttp.ClientSession, transactions: list[Transaction], at: int
    ) -> None:
        """Send one batch to the node whose turn it is, again for what was not taken."""
        waiting = {f"0x{each.hash.hex()}": f"0x{each.raw.hex()}" for each in transactions}
        while waiting:
            names = list(waiting)
            now_s = time.monotonic()
            calls = [("eth_sendRawTransaction", [waiting[name]]) for name in names]
            answers = await _call(session, self._urls[at % len(self._urls)], calls)
            for name, answer in zip(names, answers, strict=True):
                if "result" in answer:
                    self._sent_s[name] = now_s
                    del waiting[name]
            if waiting:
                await asyncio.sleep(0.2)

    async def _watch(self, session: aiohttp.ClientSession, total: int) -> None:
        """Follow the first node's head and note which ballots each block holds."""
        head = await self._head(session)
        heard_s = time.monotonic()
        while len(self._final_s) < total:
            await asyncio.sleep(0.05)
            newest = await self._head(session)
            for height in range(head + 1, newest + 1):
                calls = [("eth_getBlockByNumber", [hex(height), False])]
                block = (await _call(session, self._urls[0], calls))[0]["result"]
                heard_s = time.monotonic()
                self._blocks.append(len(block["transactions"]))
                self._final_s |= dict.fromkeys(block["transactions"], heard_s)
            head = newest
            async with self._progress:
                self._progress.notify_all()
            if time.monotonic() - heard_s > STALL_S:
                raise RuntimeError(f"no block for {STALL_S:.0f} s at height {head}")

    async def _head(self, session: aiohttp.ClientSession) -> int:
        return int(
            (await _call(session, self._urls[0], [("eth_blockNumber", [])]))[0]["result"], 16
        )


async def _call(
    session: aiohttp.ClientSession, url: str, calls: list[tuple[str, list[Any]]]
) -> list[dict[str, Any]]:
    """Make calls in one batch and return their answers in order."""
    body = [
        {"jsonrpc": "2.0", "id": at, "method": method, "params": params}
        for at, (method, params) in enumerate(calls)
    ]
    async with session.post(url, json=body) as response:
        answers: list[dict[str, Any]] = await response.json()
    return sorted(answers, key=lambda answer: answer["id"])


if __name__ == "__main__":
    main()
