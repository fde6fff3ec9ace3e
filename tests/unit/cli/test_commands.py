"""Commands on files: keys, settings, doctor, chain files and backups, as an operator calls them."""

import json
import shutil
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli.main import cli
from node.runtime.localnet import LocalNetwork, LocalNode, LocalPlan


def daicho(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> LocalNetwork:
    root: Path = tmp_path_factory.mktemp("network")
    return LocalNetwork.create(root, LocalPlan())


@pytest.fixture
def node(network: LocalNetwork) -> LocalNode:
    return network.nodes[0]


def test_a_key_is_made_and_shown_without_its_secret(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("long enough for a test\n")
    password.chmod(0o600)
    out = tmp_path / "trial.development-only.key.json"
    made = daicho(
        "--json", "key", "new", "--development", "--out", out, "--password-file", password
    )
    assert made.exit_code == 0, made.exception
    shown = daicho("--json", "key", "show", out, "--public", "--password-file", password)
    assert json.loads(shown.stdout)["address"] == json.loads(made.stdout)["address"]
    assert "long enough" not in made.output + shown.output


def test_a_development_key_needs_its_mark_and_a_real_one_a_long_password(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("short")
    password.chmod(0o600)
    words = ("key", "new", "--password-file", password, "--out", tmp_path / "k.json")
    assert "development-only" in str(daicho(*words, "--development").exception)
    assert "at least 12" in str(daicho(*words).exception)


def test_a_key_is_imported_from_hexadecimal(tmp_path: Path) -> None:
    password, secret = tmp_path / "password", tmp_path / "secret"
    password.write_text("long enough for a test")
    secret.write_text("0x" + "11" * 32)
    for file in (password, secret):
        file.chmod(0o600)
    made = daicho(
        "--json",
        "key",
        "import",
        "--secret-file",
        secret,
        "--password-file",
        password,
        "--out",
        tmp_path / "k.json",
    )
    assert made.exit_code == 0, made.exception
    assert json.loads(made.stdout)["address"] == "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a"


def test_settings_are_checked_with_what_they_name(node: LocalNode) -> None:
    checked = daicho("--json", "node", "check-config", "--config", node.settings_path)
    assert checked.exit_code == 0, checked.exception
    assert json.loads(checked.stdout)["membership"] == "version 1"


def test_the_doctor_names_a_key_that_others_can_read(node: LocalNode) -> None:
    key = node.path / "node.development-only.key.json"
    key.chmod(0o644)
    examined = daicho("--json", "doctor", "--config", node.settings_path)
    key.chmod(0o600)
    found = {each["check"]: each for each in json.loads(examined.stdout)}
    assert examined.exit_code == 1
    assert found["key"]["verdict"] == "BAD"
    assert found["key"]["remedy"].startswith("run: chmod 600")


def test_a_chain_is_exported_verified_and_imported(
    network: LocalNetwork, node: LocalNode, tmp_path: Path
) -> None:
    file = tmp_path / "chain.bundle"
    exported = daicho("--json", "chain", "export", file, "--config", node.settings_path)
    assert exported.exit_code == 0, exported.exception
    written = json.loads(exported.stdout)
    assert written["blocks written"] == 0
    assert written["sha256"] == sha256(file.read_bytes()).hexdigest()
    assert written["signed by"].startswith("0x")
    verified = daicho("chain", "verify", file, "--genesis", network.root / "genesis.json")
    assert verified.exit_code == 0, verified.exception
    other = network.nodes[1]
    imported = daicho("--json", "chain", "import", file, "--config", other.settings_path)
    assert json.loads(imported.stdout)["last height"] == 0
    file.write_bytes(file.read_bytes()[:-1])
    torn = daicho("chain", "verify", file, "--genesis", network.root / "genesis.json")
    assert "torn" in str(torn.exception)


def test_blocks_alone_are_exported_and_continued(
    network: LocalNetwork, node: LocalNode, tmp_path: Path
) -> None:
    file = tmp_path / "chain.rlp"
    words = ("chain", "export", file, "--format", "blocks", "--config", node.settings_path)
    for count in (1, 0):
        exported = daicho("--json", *words)
        assert json.loads(exported.stdout)["blocks written"] == count
    verified = daicho("chain", "verify", file, "--genesis", network.root / "genesis.json")
    assert verified.exit_code == 0, verified.exception


def test_a_backup_is_whole_or_refused_and_never_holds_votes(
    node: LocalNode, tmp_path: Path
) -> None:
    file = tmp_path / "node.backup"
    created = daicho("backup", "create", file, "--with-key", "--config", node.settings_path)
    assert created.exit_code == 0, created.exception
    assert file.stat().st_mode & 0o077 == 0
    assert daicho("backup", "verify", file).exit_code == 0
    with tarfile.open(file) as archive:
        assert not any("votes" in name for name in archive.getnames())
    assert "a database is there" in str(
        daicho("backup", "restore", file, "--config", node.settings_path).exception
    )
    wrong = daicho("backup", "restore", file, "--config", node.settings_path, "--expect", "0x00")
    assert "expected 0x00" in str(wrong.exception)

    altered = bytearray(file.read_bytes())
    altered[len(altered) // 2] ^= 1
    file.write_bytes(altered)
    refused = daicho("backup", "verify", file)
    assert refused.exit_code == 1
    shutil.rmtree(node.path / "data", ignore_errors=True)


def test_two_networks_do_not_share_a_directory(network: LocalNetwork) -> None:
    with pytest.raises(Exception, match="holds a network already"):
        LocalNetwork.create(network.root, LocalPlan())
