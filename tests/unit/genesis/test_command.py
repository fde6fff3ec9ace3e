"""EXEC-GENESIS-HEADER: founders build the same file and compare its hash on the command line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli.main import cli
from node.genesis.document import InvalidGenesis

DESCRIPTION = """
chain_id = 20261
timestamp_s = 1790000000
block_period_s = 3
governors = ["0x00000000000000000000000000000000000000f1"]

[[municipality]]
name = "境町"
account = "0x00000000000000000000000000000000000000a1"
validator = "0x00000000000000000000000000000000000000b1"
services = ["0x00000000000000000000000000000000000000c1"]
attesters = ["0x00000000000000000000000000000000000000c1"]

[[municipality]]
name = "茨城県"
account = "0x00000000000000000000000000000000000000a2"
role = "observer"

[[open_call]]
target = "0x00000000000000000000000000000000000000d1"
selector = "0x01020304"
gas_max = 300000
"""


@pytest.fixture
def description(tmp_path: Path) -> Path:
    path = tmp_path / "founders.toml"
    path.write_text(DESCRIPTION, "utf-8")
    return path


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["--json", "genesis", *words], catch_exceptions=True)


def test_a_built_file_verifies_against_hash_key_and_description(
    description: Path, tmp_path: Path
) -> None:
    out = tmp_path / "genesis.json"
    built = json.loads(run("build", str(description), "--out", str(out)).stdout)

    result = run(
        "verify",
        str(out),
        *("--hash", built["genesis_hash"]),
        *("--validator", "0x00000000000000000000000000000000000000b1"),
        *("--description", str(description)),
    )

    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert report["passed"] is True
    assert report["genesis_hash"] == built["genesis_hash"]
    assert {"parameters hash", "own validator key", "genesis hash", "as described"} <= {
        check["check"] for check in report["checks"]
    }


@pytest.mark.parametrize(
    ("option", "value", "failed"),
    [
        pytest.param("--hash", "0x" + "00" * 32, "genesis hash", id="other hash"),
        pytest.param("--validator", "0x" + "00" * 20, "own validator key", id="other key"),
    ],
)
def test_a_file_that_is_not_the_agreed_one_fails(
    description: Path, tmp_path: Path, option: str, value: str, failed: str
) -> None:
    out = tmp_path / "genesis.json"
    run("build", str(description), "--out", str(out))

    result = run("verify", str(out), option, value)

    report = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [one["check"] for one in report["checks"] if one["verdict"] == "FAIL"] == [failed]


def test_a_file_with_a_hidden_service_is_not_as_described(
    description: Path, tmp_path: Path
) -> None:
    out, other = tmp_path / "genesis.json", tmp_path / "other.toml"
    services = 'services = ["0x00000000000000000000000000000000000000c1"'
    other.write_text(
        DESCRIPTION.replace(services, services + ', "0x00000000000000000000000000000000000000c2"')
    )
    run("build", str(other), "--out", str(out))

    result = run("verify", str(out), "--description", str(description))

    failed = [one for one in json.loads(result.stdout)["checks"] if one["verdict"] == "FAIL"]
    assert [one["check"] for one in failed] == ["as described"]


def test_an_existing_file_is_overwritten_only_on_request(description: Path, tmp_path: Path) -> None:
    out = tmp_path / "genesis.json"
    assert run("build", str(description), "--out", str(out)).exit_code == 0

    assert isinstance(run("build", str(description), "--out", str(out)).exception, InvalidGenesis)
    assert run("build", str(description), "--out", str(out), "--force").exit_code == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("chain_id", "chainid", id="misspelt key"),
        pytest.param('role = "observer"', 'role = "king"', id="unknown role"),
        pytest.param("0x01020304", "0x010203", id="short selector"),
        pytest.param("gas_max = 300000", "gas_max = 1.5", id="fraction"),
        pytest.param('name = "境町"', "name = 3", id="name that is no text"),
        pytest.param("[[open_call]]", "[open_call]", id="table in place of a list"),
        pytest.param("= 20261", "= ", id="not TOML"),
    ],
)
def test_a_description_with_a_mistake_is_refused(
    description: Path, tmp_path: Path, old: str, new: str
) -> None:
    description.write_text(DESCRIPTION.replace(old, new), "utf-8")

    result = run("build", str(description), "--out", str(tmp_path / "genesis.json"))

    assert isinstance(result.exception, InvalidGenesis)
    assert not (tmp_path / "genesis.json").exists()
