"""QBFT-RESUME, STORE-COMMIT, QBFT-SIGN-STATE: real processes are killed, the chain is not.

Rows 1 to 4 of the fault catalogue, with kill -9 under load. One network of four is used
throughout; each test leaves it whole.
"""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from node.cli.main import cli
from tests.support.network import Load, TrialNetwork, others, running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrialNetwork]:
    root: Path = tmp_path_factory.mktemp("crashes")
    with running(root) as network:
        yield network


@pytest.mark.parametrize(
    "which",
    [
        pytest.param(0, id="first"),
        pytest.param(1, id="second", marks=pytest.mark.nightly),
        pytest.param(2, id="third", marks=pytest.mark.nightly),
        pytest.param(3, id="fourth", marks=pytest.mark.nightly),
    ],
)
def test_three_go_on_when_any_one_is_killed_under_load(network: TrialNetwork, which: int) -> None:
    victim = network.nodes[which]
    survivors = others(network, victim)
    with Load(network, network.nodes[which - 1]) as load:
        network.wait_for_progress(blocks=1)
        network.kill(victim)
        network.wait_for_progress(*survivors, blocks=3)
        network.start(victim)
        network.wait_for_progress()

    load.wait_until_final(victim)
    network.assert_same_chain()


def test_two_down_stop_the_chain_and_one_back_resumes_it(network: TrialNetwork) -> None:
    first, second, third, fourth = network.nodes
    network.kill(third, fourth)
    network.wait_for_height(max(network.heights(first, second)), first, second)
    stalled = max(network.heights(first, second))
    status = network.call(first, "daicho_consensusStatus")

    assert "quorum of 3" in status["waitsFor"]
    assert third.name in status["waitsFor"]
    assert max(network.heights(first, second)) <= stalled + 1
    told = CliRunner().invoke(cli, ["node", "status", "--rpc", first.rpc_url])
    assert told.exit_code == 1
    assert "NO" in told.output

    network.start(third)
    network.wait_for_progress(first, second, third)
    network.start(fourth)
    network.wait_for_progress()
    network.assert_same_chain()
    assert CliRunner().invoke(cli, ["node", "status", "--rpc", first.rpc_url]).exit_code == 0


def test_all_four_killed_at_once_lose_nothing_final(network: TrialNetwork) -> None:
    with Load(network, network.nodes[0], per_second=20):
        network.wait_for_progress(blocks=2)
        finals = {
            node.name: network.hashes(node, network.heights(node)[0]) for node in network.nodes
        }
        network.kill(*network.nodes)

    network.start()
    network.wait_for_progress()

    for node in network.nodes:
        for known in finals.values():
            assert network.hashes(node, len(known) - 1) == known


def test_a_rolling_restart_never_stops_the_chain(network: TrialNetwork) -> None:
    with Load(network, network.nodes[0]) as load:
        for node in network.nodes:
            assert network.local.stop(node, signal.SIGTERM) == 0
            network.wait_for_progress(*others(network, node), blocks=1)
            network.start(node)
            network.wait_for_progress()

    load.wait_until_final(network.nodes[0])
    network.assert_same_chain()
