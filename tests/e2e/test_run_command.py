"""The one command: `scripts/run` brings a network up, shows that it works, and stops cleanly.

Nodes, a relay and a service: what is shown is a transaction, and a resident's notice that a light
client finds on the ledger.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from node.runtime.localnet import LocalNetwork
from node.runtime.localprocess import stop_all
from node.runtime.localservices import find_services
from tests.support.network import wait_until
from tests.support.source import ROOT

pytestmark = pytest.mark.slow

SERVICES = [f"{name}@tsukuba" for name in ("authorities", "example", "hub", "relay")]


@contextmanager
def command(root: Path, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run `scripts/run` with its output in a file, and leave no node behind."""
    told = root / "told"
    where = ["--dir", str(root / "network"), "--rpc-port", "0", "--period", "1", "--voters", "0"]
    with told.open("wb") as output:
        process = subprocess.Popen(
            [str(ROOT / "scripts" / "run"), *where, *words],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        yield process, told
    finally:
        process.kill()
        process.wait()
        if (root / "network" / "network.json").exists():
            stop_all(find_services(root / "network"))
            LocalNetwork.load(root / "network").stop_all()


def running_nodes(root: Path) -> int:
    network = LocalNetwork.load(root / "network")
    return sum(network.process_id(node) is not None for node in network.nodes)


def running_services(root: Path) -> list[str]:
    services = find_services((root / "network").absolute())
    return [each.program.name for each in services if each.id is not None]


def test_the_check_sends_proves_and_ends(tmp_path: Path) -> None:
    with command(tmp_path, "--exit") as (process, told):
        assert process.wait(timeout=420) == 0
        text = told.read_text(encoding="utf-8")

    assert "a transaction, final and proven" in text
    assert "status       success" in text
    assert all(name in text for name in ("Tsukuba", "Goka", "Sakai", "Ibaraki"))
    assert "a resident's notice, on the ledger and proven" in text
    assert "proven by       a light client from genesis: " in text
    assert "token of        urn:daicho:tsukuba:hub" in text
    assert running_nodes(tmp_path) == 0
    assert running_services(tmp_path) == []


def test_an_interrupt_stops_everything_and_chain_and_services_continue(tmp_path: Path) -> None:
    with command(tmp_path) as (process, told):
        wait_until(lambda: b"Ctrl-C stops" in told.read_bytes(), "the network", timeout_s=420)
        assert running_nodes(tmp_path) == 4
        assert running_services(tmp_path) == SERVICES
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    assert running_nodes(tmp_path) == 0
    assert running_services(tmp_path) == []
    contracts = LocalNetwork.load(tmp_path / "network").contracts

    with command(tmp_path, "--exit") as (process, told):
        assert process.wait(timeout=420) == 0
        assert "a resident's notice" in told.read_text(encoding="utf-8")
    assert LocalNetwork.load(tmp_path / "network").contracts == contracts


def test_it_holds_a_mock_election_and_prints_the_verified_result() -> None:
    # Paths of Unix sockets are short, shorter than pytest's own folders.
    with TemporaryDirectory(prefix="daicho-") as folder:
        root = Path(folder)
        with command(root, "--exit", "--voters", "6") as (process, told):
            assert process.wait(timeout=1_800) == 0, told.read_text(encoding="utf-8")
            text = told.read_text(encoding="utf-8")
        assert running_nodes(root) == 0
        assert running_services(root) == []

    assert "6 enrolled, 1 voted again, 0 on another device, 1 on paper in the end" in text
    assert "2 of 2 results" in text
    assert "checks passed; equal to the choices made" in text
