"""WIRE-MATCH, SYNC-RANGE, STORE-SNAPSHOT, QBFT-STALE: nodes that come late, or from elsewhere.

Rows 7, 19, 20 and 24 of the fault catalogue with real processes. One network for all; the fourth
node is the one that comes and goes.
"""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli.main import cli
from node.p2p.certificates import TlsFiles, create_tls_identity, save_tls_identity
from node.runtime.keystore import load_keystore
from node.settings import read_secret
from tests.support.network import PLAN, TrialNetwork, running, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrialNetwork]:
    root: Path = tmp_path_factory.mktemp("joining")
    plan = replace(PLAN, extra_settings="[storage]\nsnapshot_interval = 4\n")
    with running(root, plan) as network:
        network.wait_for_progress(blocks=3)
        network.kill(network.nodes[3])
        yield network


def daicho(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def test_a_node_with_an_empty_database_catches_up_and_votes(network: TrialNetwork) -> None:
    joiner = network.nodes[3]
    shutil.rmtree(joiner.path / "data")
    height = network.wait_for_progress(*network.nodes[:3])

    network.start(joiner)

    network.wait_for_height(height, joiner)
    network.assert_same_chain()
    wait_until(lambda: has_sealed(network, joiner.address, after=height), "the joiner's seal")
    network.kill(joiner)


def test_another_genesis_is_refused_with_the_reason_named(network: TrialNetwork) -> None:
    stranger = network.nodes[3]
    other = TrialNetwork(network.local.root / "other")
    settings = stranger.settings_path.read_text(encoding="utf-8")
    ours, theirs = network.local.root / "genesis.json", other.local.root / "genesis.json"
    foreign = settings.replace(str(ours), str(theirs)).replace('"data"', '"other-data"')
    stranger.settings_path.write_text(foreign, encoding="utf-8")

    network.local.start(stranger)
    wait_until(lambda: network.local.process_id(stranger) is None, "the node to refuse to start")

    assert "this network is" in network.log_of(stranger)
    stranger.settings_path.write_text(settings, encoding="utf-8")


def test_another_protocol_version_is_refused_with_the_reason_named(network: TrialNetwork) -> None:
    newer = network.nodes[3]
    network.start_with(newer, "import node.runtime.node as n; n.PROTOCOL_VERSION = 2")
    wait_until(lambda: "protocol_mismatch" in network.log_of(newer), "the refusal at the newcomer")
    wait_until(
        lambda: "protocol_mismatch" in network.log_of(network.nodes[0]), "the refusal at the others"
    )

    peers = network.admin(network.nodes[0], "admin_peers")
    why = {peer["municipality"]: peer["whyNot"] for peer in peers}
    assert "protocol" in why[newer.name]
    network.kill(newer)


def test_a_restored_backup_stays_silent_until_it_may_vote(
    network: TrialNetwork, tmp_path: Path
) -> None:
    node = network.nodes[3]
    config = node.settings_path
    backup = tmp_path / "node.backup"
    created = daicho("backup", "create", backup, "--config", config)
    assert created.exit_code == 0, created.exception
    shutil.rmtree(node.path / "data")
    network.wait_for_progress(*network.nodes[:3])

    assert daicho("backup", "verify", backup).exit_code == 0
    restored = daicho("backup", "restore", backup, "--config", config)
    assert restored.exit_code == 0, restored.exception
    assert not (node.path / "data" / "votes").exists()
    network.start(node)

    height = network.wait_for_progress()
    wait_until(lambda: has_sealed(network, node.address, after=height), "the node to vote again")
    network.assert_same_chain(*network.nodes[:3])
    network.kill(node)


@pytest.mark.nightly
def test_a_snapshot_with_a_checked_hash_joins(network: TrialNetwork, tmp_path: Path) -> None:
    giver, joiner = network.nodes[2], network.nodes[3]
    snapshot = tmp_path / "state.snapshot"
    network.local.stop(giver)
    made = daicho("--json", "db", "snapshot", snapshot, "--config", giver.settings_path)
    assert made.exit_code == 0, made.exception
    network.start(giver)
    head = network.call(network.nodes[0], "eth_getBlockByNumber", hex(height_in(made)), False)
    shutil.rmtree(joiner.path / "data")
    (joiner.path / "data").mkdir()

    restored = daicho(
        "db", "restore", snapshot, "--trusted-hash", head["hash"], "--config", joiner.settings_path
    )
    assert restored.exit_code == 0, restored.exception
    network.start(joiner)

    network.wait_for_progress()
    wait_until(
        lambda: has_sealed(network, joiner.address, after=height_in(made)), "the joiner's seal"
    )
    network.kill(joiner)


def test_an_expired_certificate_is_renewed_by_its_own_node(network: TrialNetwork) -> None:
    node = network.nodes[3]
    password = read_secret(node.path / "password")
    key = load_keystore(node.path / "node.development-only.key.json", password)
    files = TlsFiles(certificate=node.path / "data" / "tls.crt", key=node.path / "data" / "tls.key")
    a_year_ago = int(time.time()) - 400 * 86_400
    save_tls_identity(files, create_tls_identity(key, now_s=a_year_ago, lifetime_days=30))

    network.start(node)

    network.wait_for_progress()
    assert "renew" in network.log_of(node)
    _, ready = network.health(node, "readiness")
    certificate = next(check for check in ready["checks"] if check["name"] == "certificate")
    assert certificate["is_ok"]
    assert not certificate["is_warning"]


def test_a_checkpoint_of_two_municipalities_is_joined_over_the_network(
    network: TrialNetwork, tmp_path: Path
) -> None:
    joiner = network.nodes[3]
    if network.local.process_id(joiner) is not None:
        network.kill(joiner)
    taken = network.wait_for_progress(*network.nodes[:3], blocks=5)
    height = taken - taken % 4
    checkpoint = tmp_path / "checkpoint.json"
    join = ("node", "join", "--config", joiner.settings_path, "--checkpoint", checkpoint)
    assert sign_checkpoint(network, 0, checkpoint, height).exit_code == 0
    assert "two municipalities" in str(daicho(*join).exception)
    assert sign_checkpoint(network, 1, checkpoint, height).exit_code == 0

    shutil.rmtree(joiner.path / "data")
    joined = daicho("--json", *join)
    assert joined.exit_code == 0, joined.exception
    network.start(joiner)

    network.wait_for_progress()
    wait_until(lambda: has_sealed(network, joiner.address, after=height), "the joiner's seal")
    assert network.call(joiner, "eth_getBlockByNumber", hex(height + 1), False) is not None


def sign_checkpoint(network: TrialNetwork, which: int, file: Path, height: int) -> Result:
    node = network.nodes[which]
    words = ["chain", "checkpoint", file, "--rpc", node.rpc_url, "--height", height]
    words += ["--keystore", node.governor_path, "--password-file", node.path / "password"]
    return daicho(*words, "--genesis", network.local.root / "genesis.json")


def height_in(result: Result) -> int:
    return int(json.loads(result.stdout)["height"])


def has_sealed(network: TrialNetwork, address: str, *, after: int) -> bool:
    status = network.call(network.nodes[0], "daicho_consensusStatus")
    for validator in status["validators"]:
        if validator["address"] == address:
            return int(validator["lastSealed"] or "0x0", 16) > after
    return False
