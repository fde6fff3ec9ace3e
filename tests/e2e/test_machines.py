"""QBFT-SIGN-STATE, RPC-OVERLOAD, WIRE-GOSSIP: full disks, floods, bursts, and a remote signer.

Rows 6 and 21 of the fault catalogue with real processes. The disk fills by a limit on the size of
one file, which the system enforces as it does a full disk.
"""

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

import pytest

from node.cli.client import RpcClient
from node.runtime.localnet import LocalNode
from tests.support.network import Load, TrialNetwork, running, transaction_of, wait_until

pytestmark = pytest.mark.slow

FULL_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"


def test_a_full_disk_stops_the_node_with_a_clear_error(tmp_path: Path) -> None:
    with running(tmp_path) as network:
        victim = network.nodes[3]
        network.kill(victim)
        with Load(network, network.nodes[0], per_second=20):
            network.start_with(victim, FULL_DISK.format(60_000))
            wait_until(lambda: network.local.process_id(victim) is None, "the node to stop")

        log = network.log_of(victim)
        assert "File too large" in log or "no space" in log
        assert "Traceback" not in log.splitlines()[-1]
        network.wait_for_progress(*network.nodes[:3])
        network.start(victim)
        network.wait_for_progress()
        network.assert_same_chain()


def test_a_flood_of_requests_leaves_consensus_undisturbed(tmp_path: Path) -> None:
    with running(tmp_path) as network:
        network.wait_for_mesh()
        target = network.nodes[0]
        start = network.wait_for_progress(blocks=1)
        with Flood(target) as flood:
            began = time.monotonic()
            network.wait_for_height(start + 5, *network.nodes[1:])
            took = time.monotonic() - began

        network.wait_for_height(start + 5, target)
        assert flood.count > 100
        # Five heartbeats of two seconds each, with room for two slow cores.
        assert took < 5 * 2 * 3
        rounds = [
            int(network.call(target, "daicho_getFinality", hex(at))["round"], 16)
            for at in range(start + 1, start + 6)
        ]
        assert sum(rounds) <= 2


def test_a_burst_of_transactions_stays_within_what_peers_accept(tmp_path: Path) -> None:
    with running(tmp_path) as network:
        network.wait_for_mesh()
        target = network.nodes[0]
        sent = [
            [transaction_of(network.governor(node), nonce) for nonce in range(150)]
            for node in network.nodes
        ]
        for transactions in sent:
            client = RpcClient(target.rpc_url, timeout_s=30)
            for transaction in transactions:
                client.call("eth_sendRawTransaction", f"0x{transaction.raw.hex()}")

        for transactions in sent:
            last = f"0x{transactions[-1].hash.hex()}"
            for node in network.nodes:
                wait_until(
                    partial(is_final, network, node, last), f"{last} to be final at {node.name}"
                )
        assert not any("rate_exceeded" in network.log_of(node) for node in network.nodes)


def is_final(network: TrialNetwork, node: LocalNode, name: str) -> bool:
    return network.call(node, "eth_getTransactionReceipt", name) is not None


def test_a_validator_with_a_remote_signer_votes_and_survives_its_restart(tmp_path: Path) -> None:
    network = TrialNetwork(tmp_path)
    node = network.nodes[0]
    socket = tmp_path / "signer"
    text = node.settings_path.read_text(encoding="utf-8")
    keyless = text.replace(
        'keystore = "node.development-only.key.json"\npassword_file = "password"',
        f'signer_socket = "{socket}"',
    )
    node.settings_path.write_text(keyless, encoding="utf-8")
    signer = start_signer(node, socket, tmp_path)
    try:
        wait_until(socket.exists, "the signer")
        network.start()
        network.wait_for_progress()
        wait_until(lambda: has_proposed(network, node), "the node's own block")

        signer.terminate()
        assert signer.wait(timeout=10) == 0
        network.wait_for_progress(*network.nodes[1:])
        assert network.local.process_id(node) is not None
        signer = start_signer(node, socket, tmp_path)
        wait_until(socket.exists, "the signer again")
        sealed = last_sealed(network, node)
        wait_until(lambda: last_sealed(network, node) > sealed, "votes again")
    finally:
        signer.terminate()
        signer.wait(timeout=10)
        network.close()


def start_signer(node: LocalNode, socket: Path, root: Path) -> subprocess.Popen[bytes]:
    keystore = node.path / "node.development-only.key.json"
    command = [sys.executable, "-m", "node", "key", "serve", "--keystore", str(keystore)]
    command += ["--password-file", str(node.path / "password"), "--socket", str(socket)]
    command += ["--state-dir", str(root / "signer-state")]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def has_proposed(network: TrialNetwork, node: LocalNode) -> bool:
    latest = network.call(network.nodes[1], "eth_getBlockByNumber", "latest", False)
    return str(latest["miner"]) == node.address


def last_sealed(network: TrialNetwork, node: LocalNode) -> int:
    status = network.call(network.nodes[1], "daicho_consensusStatus")
    found = {each["address"]: each["lastSealed"] for each in status["validators"]}
    return int(found[node.address] or "0x0", 16)


class Flood:
    """Eight clients that ask one node for costly things without pause."""

    REQUESTS = (
        {"method": "eth_getLogs", "params": [{"fromBlock": "0x0", "toBlock": "latest"}]},
        {"method": "eth_call", "params": [{"data": "0x5b600056", "gas": "0x1c9c380"}, "latest"]},
        {"method": "debug_traceCall", "params": [{"data": "0x5b600056"}, "latest", {}]},
        {"method": "eth_getBlockByNumber", "params": ["latest", True]},
    )

    def __init__(self, node: LocalNode) -> None:
        self.count = 0
        self._url = node.rpc_url
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(at,)) for at in range(8)]

    def __enter__(self) -> "Flood":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self, at: int) -> None:
        request = {"jsonrpc": "2.0", "id": 1, **self.REQUESTS[at % len(self.REQUESTS)]}
        body = json.dumps(request).encode()
        headers = {"Content-Type": "application/json"}
        while not self._stopped.is_set():
            asked = urllib.request.Request(self._url, data=body, headers=headers)
            try:
                with urllib.request.urlopen(asked, timeout=5) as answer:
                    answer.read()
            except (OSError, urllib.error.HTTPError):
                continue
            finally:
                self.count += 1
