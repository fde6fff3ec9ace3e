"""QBFT-VOTE-TALLY, QBFT-DRY-RUN, WIRE-RELOAD: validators and members change under way.

Row 17 of the fault catalogue with real processes, through the commands an operator uses.
"""

import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli.main import cli
from node.membership.document import decode_membership
from node.runtime.localnet import LocalNode, save_membership
from tests.support.network import TrialNetwork, others, running, wait_until

pytestmark = pytest.mark.slow


def propose(network: TrialNetwork, voter: int, address: str, *words: str) -> Result:
    admin = f"http://127.0.0.1:{network.nodes[voter].admin_port}"
    command = ["validator", "propose", address, *words, "--admin", admin]
    return CliRunner().invoke(cli, command)


def validators(network: TrialNetwork) -> list[str]:
    found: list[str] = network.call(network.nodes[0], "qbft_getValidatorsByBlockNumber", "latest")
    return found


def test_a_validator_is_dropped_and_added_again(tmp_path: Path) -> None:
    with running(tmp_path) as network:
        network.wait_for_mesh()
        leaver = network.nodes[3]
        for voter in range(3):
            dropped = propose(network, voter, leaver.address, "--drop")
            assert dropped.exit_code == 0, dropped.output
        wait_until(lambda: leaver.address not in validators(network), "the set to shrink")

        network.kill(leaver)
        network.wait_for_progress(*others(network, leaver), blocks=3)
        halting = propose(network, 0, network.nodes[2].address, "--drop", "--dry-run")
        assert "quorum survives" in halting.output
        assert "2, of whom 2 are connected now" in halting.output
        network.start(leaver)
        network.wait_for_progress()

        for voter in range(2):
            assert propose(network, voter, leaver.address, "--add").exit_code == 0
        wait_until(lambda: leaver.address in validators(network), "the set to grow")
        network.wait_for_progress(blocks=4)
        network.assert_same_chain()
        assert network.admin(network.nodes[0], "qbft_getPendingVotes") == {}


def test_a_new_membership_document_is_read_on_a_hangup(tmp_path: Path) -> None:
    with running(tmp_path) as network:
        path = network.local.root / "membership.json"
        current = decode_membership(path.read_bytes())
        unsigned = replace(current, version=2, signatures=())
        save_membership(path, unsigned, [network.governor(node) for node in network.nodes])
        for node in network.nodes:
            network.local.send_signal(node, signal.SIGHUP)
        for node in network.nodes:
            wait_until(partial(has_version_two, network, node), f"version 2 at {node.name}")

        save_membership(path, replace(unsigned, version=3), [network.governor(network.nodes[0])])
        network.local.send_signal(network.nodes[0], signal.SIGHUP)
        wait_until(
            lambda: "the old one stays" in network.log_of(network.nodes[0]),
            "a document of one governor to be refused",
        )
        assert has_version_two(network, network.nodes[0])
        network.wait_for_progress()


def has_version_two(network: TrialNetwork, node: LocalNode) -> bool:
    return bool(network.call(node, "daicho_configHashes")["membershipVersion"] == 2)


def test_a_change_that_would_halt_the_chain_is_refused_on_paper(tmp_path: Path) -> None:
    with running(tmp_path) as network:
        network.wait_for_mesh()
        stranger = "0x" + "77" * 20
        network.kill(network.nodes[3])
        network.wait_for_progress(*network.nodes[:3], blocks=1)
        refused = propose(network, 0, stranger, "--add")
        assert refused.exit_code != 0
        assert "the chain would halt" in str(refused.exception)
        assert network.admin(network.nodes[0], "qbft_getPendingVotes") == {}
