"""The independent JavaScript implementations under ``tests/peers``, as commands."""

import atexit
import json
import os
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

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


WEB = Path(__file__).resolve().parents[2] / "clients" / "web"


@lru_cache(maxsize=1)
def build_web() -> Path:
    """Build ``clients/web`` and return where the commands are; skip where it cannot be built.

    Each process builds into a folder of its own, beside the packages that the commands import: a
    build empties its folder, and other processes run theirs meanwhile.
    """
    npm = shutil.which("npm")
    if npm is None or not (WEB / "node_modules").is_dir():
        pytest.skip("clients/web/node_modules is absent; run scripts/setup-web")
    target = WEB / "build" / str(os.getpid())
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    compiler = [npm, "exec", "--", "tsc", "-p", "tsconfig.node.json", "--outDir", str(target)]
    subprocess.run(compiler, cwd=WEB, check=True, timeout=300)
    return target / "node"


def verify_election(
    record: Path, *, chain: tuple[Path, Path] | None = None, timeout_s: float = 600
) -> tuple[int, dict[str, Any]]:
    """Run ``verify-election`` and return its exit code and every answer by the check's name.

    Args:
        record: The published record.
        chain: Bundle and genesis file, where the chain is to be walked.
        timeout_s: How long it may take.
    """
    more = [] if chain is None else ["--chain", str(chain[0]), "--genesis", str(chain[1])]
    script = build_web() / "verifyElection.js"
    finished = subprocess.run(
        ["node", str(script), str(record), "--json", *more],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert finished.stdout, finished.stderr[-4000:]
    answers = json.loads(finished.stdout)["checks"]
    return finished.returncode, {each["check"]: each for each in answers}
