"""QBFT-HASH, QBFT-EXTRA, EXEC-ROOT: @ethereumjs replays the chain of a network of real processes.

One of four nodes is killed on the way, so some heights are decided in later rounds, with three
seals.
The export is the one an auditor gets.
"""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from node.cli.main import cli
from node.runtime.chain_file import read_chain
from tests.support.javascript import run_peer
from tests.support.network import Load, others, running

pytestmark = pytest.mark.slow


def test_an_export_of_a_network_that_lost_a_node_replays_to_the_same_roots(tmp_path: Path) -> None:
    with running(tmp_path / "network") as network:
        first, *_, victim = network.nodes
        survivors = others(network, victim)
        with Load(network, first):
            network.wait_for_progress(blocks=2)
            network.kill(victim)
            network.wait_for_progress(*survivors, blocks=5)
        known = network.hashes(first, min(network.heights(*survivors)))
        network.kill(*survivors)
    exported = tmp_path / "chain.rlp"
    words = ["chain", "export", str(exported), "--config", str(first.settings_path)]

    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    report: Any = run_peer("replay.mjs", str(tmp_path / "network" / "genesis.json"), str(exported))

    assert result.exit_code == 0
    assert report["failure"] is None
    hashes = [report["genesis_hash"], *(block["hash"] for block in report["blocks"])]
    assert hashes[: len(known)] == known
    assert all(block["sealCount"] >= 3 for block in report["blocks"])
    assert sum(len(block["receipts"]) for block in report["blocks"]) > 10
    headers = [block.header for block in read_chain(exported)]
    rounds = [header.extra_data.round for header in headers if header.height > 0]
    assert max(rounds) > 0, "some height should have needed a second round"
    assert headers[-1].height == report["blocks"][-1]["height"]
