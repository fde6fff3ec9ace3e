"""REC-SIGNED, REC-LOST, REC-APPLY, REC-HANDSHAKE: two of four validators are gone for good.

The rehearsal of docs/operate/recover.md with real nodes and the commands an operator types.
"""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli.main import cli
from node.runtime.localnet import LocalNode
from tests.support.network import TrialNetwork, running, wait_until

pytestmark = pytest.mark.slow


def daicho(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def draft(first: LocalNode, kept: list[str], lost: list[str], out: Path) -> Result:
    keeps = [word for name in kept for word in ("--keep", name)]
    losses = [word for name in lost for word in ("--lost", name)]
    reason = ["--reason", "both sites burnt down", "--out", str(out)]
    return daicho(
        "recovery", "draft", "--config", str(first.settings_path), *keeps, *losses, *reason
    )


def sign(document: Path, node: LocalNode) -> Result:
    password = str(node.path / "password")
    keystore = str(node.governor_path)
    return daicho(
        "recovery", "sign", str(document), "--keystore", keystore, "--password-file", password
    )


def name_recovery(node: LocalNode, document: Path) -> None:
    text = node.settings_path.read_text(encoding="utf-8")
    node.settings_path.write_text(f'recoveries = ["{document}"]\n{text}', encoding="utf-8")


def halt(network: TrialNetwork) -> None:
    """Lose the third and fourth node, let the others settle, and stop them."""
    network.wait_for_mesh()
    network.wait_for_progress()
    network.kill(*network.nodes[2:])
    first, second = network.nodes[:2]
    wait_until(
        lambda: "quorum" in network.call(first, "daicho_consensusStatus")["waitsFor"],
        "the halt to be noticed",
    )
    wait_until(lambda: len(set(network.heights(first, second))) == 1, "equal heads")
    network.local.stop(first)
    network.local.stop(second)


def test_the_remaining_municipalities_restart_the_chain(tmp_path: Path) -> None:
    with running(tmp_path / "network") as network:
        halt(network)
        first, second, third, _fourth = network.nodes
        document = tmp_path / "recovery.json"

        drafted = draft(first, ["tsukuba", "goka"], ["Sakai", "Ibaraki"], document)
        assert drafted.exit_code == 0, drafted.output
        assert sign(document, first).exit_code == 0
        one_signature = daicho(
            "recovery", "apply", str(document), "--config", str(first.settings_path)
        )
        assert "signed by 1 of the 2 remaining" in str(one_signature.exception)
        assert sign(document, second).exit_code == 0
        for node in (first, second):
            applied = daicho(
                "recovery", "apply", str(document), "--config", str(node.settings_path)
            )
            assert applied.exit_code == 0, applied.exception
            name_recovery(node, document)

        network.start(first, second)
        height = network.wait_for_progress(first, second, blocks=3)
        found = network.call(first, "qbft_getValidatorsByBlockNumber", "latest")
        assert sorted(found) == sorted([first.address, second.address])

        network.start(third)
        wait_until(
            lambda: "fork_document_mismatch" in network.log_of(third), "the refusal to be named"
        )
        network.local.stop(third)
        name_recovery(third, document)
        network.start(third)
        network.wait_for_height(height, third)
        network.assert_same_chain(first, second, third)


def test_a_network_that_has_its_quorum_is_not_recovered(tmp_path: Path) -> None:
    network = TrialNetwork(tmp_path / "network")
    refused = draft(
        network.nodes[0], ["tsukuba", "goka", "sakai"], ["Ibaraki"], tmp_path / "recovery.json"
    )
    assert "vote with" in str(refused.exception)
