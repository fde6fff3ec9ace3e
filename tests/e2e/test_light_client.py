"""LIGHT-START, LIGHT-WITNESS, LIGHT-FRESH, LIGHT-RECEIPT, WALLET-COMMANDS: on a real network.

Four real nodes; a resident starts from a checkpoint of two municipalities with `daicho resident`,
proves a transaction and roles, and sees one node down and then the network standing still.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.primitives.crypto import PrivateKey
from node.runtime.localnet import CHAIN_ID
from tests.support.network import TrialNetwork, running, transaction_of, wait_until

STALENESS_S = 15
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrialNetwork]:
    with running(tmp_path_factory.mktemp("light")) as made:
        made.wait_for_mesh()
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("resident")


def daicho(*words: object, ok: bool = True) -> Any:
    """Run a command; return its JSON, or the JSON of its error."""
    done = subprocess.run(
        [sys.executable, "-m", "node", "--json", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode == 0) is ok, done.stderr + done.stdout
    return json.loads(done.stdout if ok else done.stderr.splitlines()[-1])


def describe(network: TrialNetwork, folder: Path) -> Path:
    """Write the description that a resident's application would ship with."""
    genesis = network.call(network.nodes[0], "eth_getBlockByNumber", "0x0", False)["hash"]
    lines = [
        f"chain_id = {CHAIN_ID}",
        f'genesis_hash = "{genesis}"',
        f"staleness_s = {STALENESS_S}",
    ]
    for node in network.nodes:
        key: PrivateKey = network.governor(node)
        lines += [
            "[[municipalities]]",
            f'name = "{node.name}"',
            f'governors = ["0x{key.address.hex()}"]',
            f'node = "{node.rpc_url}"',
        ]
    path = folder / "network.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def sign(network: TrialNetwork, file: Path, at: int) -> None:
    """Let one municipality sign the checkpoint, comparing it with its own node."""
    node = network.nodes[at]
    daicho(
        "chain", "checkpoint", file, "--genesis", network.local.root / "genesis.json",
        "--keystore", node.governor_path, "--password-file", node.path / "password",
        "--rpc", node.rpc_url,
    )  # fmt: skip


def test_a_resident_verifies_a_real_network(network: TrialNetwork, folder: Path) -> None:
    first = network.nodes[0]
    key = network.governor(first)
    description = describe(network, folder)
    checkpoint = folder / "checkpoint.json"
    home = ("resident", "--home", folder / "home")
    start = (*home, "init", "--network", description, "--checkpoint", checkpoint)
    network.wait_for_height(2)

    sign(network, checkpoint, 0)
    assert daicho(*start, ok=False)["error"]["code"] == "light.no_verified_answer"
    sign(network, checkpoint, 1)
    assert len(daicho(*start)["signed_by"]) == 2

    sent = transaction_of(key, 0)
    name = network.call(first, "eth_sendRawTransaction", "0x" + sent.raw.hex())
    wait_until(
        lambda: network.call(first, "eth_getTransactionReceipt", name) is not None, "a receipt"
    )
    network.wait_for_progress()
    proven = daicho(*home, "proof", "transaction", name)
    assert proven["outcome"] == "succeeded"
    assert proven["from"] == "0x" + key.address.hex()

    account = daicho(*home, "proof", "account", "0x" + key.address.hex())
    assert (account["exists"], account["nonce"]) == (True, 1)

    status = daicho(*home, "status", "--account", "0x" + key.address.hex())
    assert status["account"]["is_governor"]
    assert {each["verdict"] for each in status["nodes"]} <= {"agrees", "behind"}
    assert status["height"] >= proven["height"]

    network.kill(network.nodes[3])
    network.wait_for_progress(*network.nodes[:3])
    verdicts = [each["verdict"] for each in daicho(*home, "status")["nodes"]]
    assert verdicts[:3] == ["agrees"] * 3
    assert verdicts[3] == "unavailable"

    network.kill(network.nodes[2])
    wait_until(lambda: _is_stale(home), "the head to be stale")


def _is_stale(home: tuple[object, ...]) -> bool:
    done = subprocess.run(
        [sys.executable, "-m", "node", "--json", *map(str, home), "status"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode != 0 and "light.stale_head" in done.stderr
