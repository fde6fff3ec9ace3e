"""The independent JavaScript implementations under ``tests/peers``, as commands."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

PEERS = Path(__file__).resolve().parents[1] / "peers"


def run_peer(script: str, *arguments: str, timeout_s: float = 120) -> object:
    """Run ``tests/peers/<script>`` and return the JSON it prints; skip where it cannot run.

    Standard error goes into the failure when the script exits with another code than 0.
    """
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node command; install Node.js 20 or later")
    if not (PEERS / "node_modules").is_dir():
        pytest.skip("tests/peers/node_modules is absent; run scripts/setup-peers")
    finished = subprocess.run(
        [node, str(PEERS / script), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert finished.returncode == 0, f"{script}: {finished.stderr[-4000:]}"
    return json.loads(finished.stdout)
