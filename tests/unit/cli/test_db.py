"""STORE-CHECK, STORE-PRUNE, STORE-SNAPSHOT: the `daicho db` commands on a real database."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.cli.main import main
from node.runtime.ledger import CHAIN_DIRECTORY, open_ledger
from node.settings import load_settings
from node.storage.chain import open_stored
from node.storage.errors import DatabaseLocked
from node.storage.leveldb import LevelDbStore
from node.storage.schema import body_key
from tests.support.ledger import Ledger

SETTINGS = """
name = "test"
data_dir = "{directory}"
genesis = "{root}/genesis.json"
[key]
keystore = "{root}/key.json"
[p2p]
membership = "{root}/membership.json"
[storage]
mode = "{mode}"
"""


@dataclass(frozen=True)
class Site:
    """A node's directory and settings, and the ledger whose blocks it holds."""

    root: Path
    ledger: Ledger

    def config(self, name: str, mode: str) -> str:
        path = self.root / f"{name}.toml"
        directory = self.root / name
        path.write_text(SETTINGS.format(directory=directory, root=self.root, mode=mode))
        return str(path)

    def database(self, name: str) -> Path:
        return self.root / name / CHAIN_DIRECTORY


@pytest.fixture
def site(tmp_path: Path) -> Site:
    ledger = Ledger()
    (tmp_path / "genesis.json").write_bytes(ledger.genesis_file)
    made = Site(root=tmp_path, ledger=ledger)
    settings = load_settings(Path(made.config("node", "archive")))
    chain = open_ledger(settings, ledger.genesis)
    for _ in range(4):
        made_block = ledger.make()
        result = made_block.result
        chain.commit_block(made_block.block, result.receipts, result.overlay)
    chain.close()
    return made


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, object]]:
    code = main(["--json", *words])
    captured = capsys.readouterr()
    return code, json.loads(captured.out.splitlines()[-1] if captured.out else captured.err)


def test_a_whole_database_passes_and_a_damaged_one_fails(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    config = site.config("node", "archive")
    code, report = run(capsys, "db", "check", "--config", config)
    assert (code, report["passed"], report["head"]) == (0, True, 4)

    store = LevelDbStore(site.database("node"))
    store.write({body_key(2): None}, sync=True)
    store.close()
    code, report = run(capsys, "db", "check", "--database", str(site.database("node")))
    assert (code, report["passed"]) == (1, False)
    code, report = run(capsys, "db", "check", "--config", config, "--from-height", "3")
    assert code == 0


def test_a_pruned_database_is_live_and_compacts(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    config = site.config("node", "archive")
    code, report = run(capsys, "db", "prune", "--yes", "--config", config)
    assert (code, report["mode"]) == (0, "live")
    code, report = run(capsys, "db", "compact", "--config", config)
    assert code == 0
    assert "bytes_after" in report
    code, report = run(capsys, "db", "prune", "--yes", "--config", config)
    assert code == 2
    chain = open_ledger(load_settings(Path(site.config("node", "live"))), site.ledger.genesis)
    assert chain.head.height == 4
    chain.close()


def test_a_snapshot_is_restored_under_the_hash_of_a_checkpoint(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(site.root / "snapshot")
    config = site.config("node", "archive")
    code, written = run(capsys, "db", "snapshot", file, "--config", config)
    assert (code, written["height"]) == (0, 4)
    fresh = site.config("fresh", "live")
    wrong = "0x" + "11" * 32
    code, report = run(capsys, "db", "restore", file, "--trusted-hash", wrong, "--config", fresh)
    assert code == 1
    assert not site.database("fresh").exists()
    trusted = str(written["block_hash"])
    code, report = run(capsys, "db", "restore", file, "--trusted-hash", trusted, "--config", fresh)
    assert (code, report["height"], report["mode"]) == (0, 4, "live")
    code, report = run(capsys, "db", "check", "--config", fresh)
    assert (code, report["passed"]) == (0, True)
    code, report = run(capsys, "db", "restore", file, "--trusted-hash", trusted, "--config", fresh)
    assert code == 2


def test_a_database_in_use_or_missing_is_named(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    store = LevelDbStore(site.database("node"))
    code, report = run(capsys, "db", "check", "--config", site.config("node", "archive"))
    assert code == 2
    error = report["error"]
    assert isinstance(error, dict)
    assert error["code"] == DatabaseLocked.code
    store.close()
    code, report = run(capsys, "db", "check", "--config", site.config("absent", "live"))
    assert code == 2


def test_a_database_that_lost_its_index_of_files_is_repaired(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    config = site.config("node", "archive")
    for manifest in site.database("node").glob("MANIFEST-*"):
        manifest.write_bytes(b"damaged" * 100)
    assert run(capsys, "db", "check", "--config", config)[0] == 2
    assert run(capsys, "db", "repair", "--config", config)[0] == 0
    code, report = run(capsys, "db", "check", "--config", config)
    assert (code, report["passed"]) == (0, True)
    store = LevelDbStore(site.database("node"))
    assert open_stored(store).head.height == 4
    store.close()
