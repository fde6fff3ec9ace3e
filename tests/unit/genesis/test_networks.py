"""EXEC-GENESIS-CONTRACTS: no change of code or contracts changes a committed genesis unseen."""

import tomllib
from pathlib import Path

import pytest

from node.genesis.build import build_genesis
from node.genesis.description import parse_description

GENESIS = Path(__file__).resolve().parents[3] / "genesis"


@pytest.mark.parametrize(
    "founders", sorted(GENESIS.glob("*/founders.toml")), ids=lambda path: path.parent.name
)
def test_a_committed_genesis_file_is_what_its_founders_decided(founders: Path) -> None:
    description = parse_description(tomllib.loads(founders.read_text("utf-8")))

    assert build_genesis(description) == (founders.parent / "genesis.json").read_bytes()
