"""RPC-METHODS, RPC-FEES, RPC-REVERT, RPC-PROOF, RPC-SUBSCRIBE: ethers and viem, unchanged.

Each library runs in Node against a real port on a small real chain and reports what it saw. The
state proof is judged by @ethereumjs.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3

from tests.support.ledger import CHAIN_ID, GOVERNOR_KEY
from tests.support.rpc import RpcChain, ServerThread, book, serving

PEERS = Path(__file__).resolve().parents[1] / "peers"


@pytest.fixture
def served() -> Iterator[ServerThread]:
    with serving(RpcChain()) as thread:
        yield thread


def run_script(name: str, served: ServerThread, folder: Path, *more: str) -> dict[str, Any]:
    """Run a script of ``tests/peers`` and return its report."""
    node = shutil.which("node")
    if node is None or not (PEERS / "node_modules").is_dir():
        pytest.skip("needs Node and tests/peers/node_modules (npm ci in tests/peers)")
    contract = Web3().eth.contract(abi=book()["abi"])
    artifact = folder / "book.json"
    artifact.write_text(
        json.dumps(
            {
                "abi": book()["abi"],
                "bytecode": book()["bytecode"],
                "pagesSlot": hex(book()["layout"]["storage_layout"]["pages"]["slot"]),
                "noteCall": contract.encode_abi("note", [b"accessed"]),
            }
        )
    )
    url = f"127.0.0.1:{served.port}"
    key = "0x" + GOVERNOR_KEY.export_secret().hex()
    done = subprocess.run(
        [node, str(PEERS / name), f"http://{url}", f"ws://{url}", key, str(artifact), *more],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_ethers_sends_reads_listens_and_verifies(served: ServerThread, tmp_path: Path) -> None:
    report = run_script("rpc_ethers.mjs", served, tmp_path)

    assert report["chainId"] == str(CHAIN_ID)
    assert report["maxFeePerGas"] == "0"
    assert report["status"] == 1
    assert report["transactionType"] == 0  # a base fee of 0 makes ethers choose the legacy form
    assert report["text"] == "from ethers"
    assert report["logCount"] == 1
    assert report["revert"] == {"code": "CALL_EXCEPTION", "reason": "book: nothing to note"}
    assert report["nonceError"] == "NONCE_EXPIRED"
    assert report["isSameBlock"]
    assert report["proof"] == {
        "isUnderStateRoot": True,
        "isUnderStorageRoot": True,
        "storageRoot": True,
        "codeHash": True,
        "pages": 1,
    }
    assert report["heads"] >= 1
    assert [bytes.fromhex(event["text"][2:]) for event in report["events"]] == [b"from ethers"]


def test_viem_sends_reads_simulates_and_watches(served: ServerThread, tmp_path: Path) -> None:
    report = run_script("rpc_viem.mjs", served, tmp_path, str(CHAIN_ID))

    assert report["status"] == "success"
    assert report["effectiveGasPrice"] == report["gasPrice"] == "0"
    assert report["text"] == "from viem"
    assert report["pages"] == report["logCount"] == report["accessed"] == 1
    assert report["type"] == "eip1559"
    assert report["finalized"] == 2
    assert report["revert"] == "book: nothing to note"
    assert report["events"] == ["from viem"]
    assert report["blocks"] >= 1
