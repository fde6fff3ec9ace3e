"""`daicho genesis`: build and verify the genesis file of a network."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import click

from node.cli.output import Output
from node.genesis.build import build_genesis
from node.genesis.checks import Check, verify_document
from node.genesis.description import parse_description
from node.genesis.document import GENESIS_SIZE_MAX, InvalidGenesis, as_hex, as_object, read_document
from node.genesis.parse import build_header, parse_genesis
from node.primitives.errors import MalformedMessage
from node.primitives.json_text import decode_json
from node.primitives.types import Address

BUILD_EPILOG = """\b
A description in TOML:
  chain_id = 20261
  timestamp_s = 1790000000
  governors = ["0x..."]
  [[municipality]]
  name = "Tsukuba"
  account = "0x..."        # votes in governance
  validator = "0x..."      # address of its validator key
  endpoint = "https://..."
  services = ["0x..."]
  attesters = ["0x..."]    # those of its services that may attest residents
"""


@click.group()
def group() -> None:
    """Build and verify the genesis file of a network."""


@group.command(epilog=BUILD_EPILOG)
@click.argument("description", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write."
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
@click.pass_obj
def build(output: Output, description: Path, out: Path, force: bool) -> None:
    """Build a genesis file from the founders' DESCRIPTION (TOML, or JSON by its suffix).

    The same description gives the same bytes, so every founder can build it and compare hashes.
    """
    if out.exists() and not force:
        raise InvalidGenesis(f"{out} exists; name another file or add --force")
    data = build_genesis(parse_description(_read_description(description)))
    out.write_bytes(data)
    genesis = parse_genesis(data)
    output.result(
        {
            "genesis_hash": "0x" + genesis.header.hash.hex(),
            "chain_id": genesis.profile.chain_id,
            "validators": ["0x" + one.hex() for one in genesis.profile.validators],
            "municipalities": list(genesis.profile.municipality_names),
            "file": str(out),
        },
        title="genesis file written; compare the hash with every founder",
    )


@group.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--validator", help="Address of our own validator key; must be listed.")
@click.option("--hash", "wanted_hash", help="Genesis hash agreed with the other operators.")
@click.option(
    "--description",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The founders' description; the file must be what it builds.",
)
@click.pass_context
def verify(
    ctx: click.Context,
    file: Path,
    validator: str | None,
    wanted_hash: str | None,
    description: Path | None,
) -> None:
    """Check a genesis FILE; print every check, and fail when one does."""
    output: Output = ctx.obj
    document = read_document(_read_bounded(file))
    own = None if validator is None else Address(as_hex(validator, "--validator", 20))
    header = build_header(document)
    checks = list(verify_document(document, own_validator=own))
    if wanted_hash is not None:
        wanted = as_hex(wanted_hash, "--hash", 32)
        checks.append(_check_hash("genesis hash", header.hash, wanted))
    if description is not None:
        built = parse_genesis(build_genesis(parse_description(_read_description(description))))
        checks.append(_check_hash("as described", header.hash, built.header.hash))
    is_passed = all(check.is_passed for check in checks)
    if output.is_json:
        output.result(
            {
                "passed": is_passed,
                "genesis_hash": "0x" + header.hash.hex(),
                "state_root": "0x" + header.state_root.hex(),
                "chain_id": document.chain_id,
                "checks": [_row_of(check) for check in checks],
            }
        )
    else:
        output.rows([_row_of(check) for check in checks])
        output.result({"genesis_hash": "0x" + header.hash.hex(), "passed": is_passed})
    if not is_passed:
        ctx.exit(1)


def _check_hash(name: str, actual: bytes, wanted: bytes) -> Check:
    return Check(
        name=name,
        rule="EXEC-GENESIS-HEADER",
        is_passed=actual == wanted,
        expected="0x" + wanted.hex(),
        actual="0x" + actual.hex(),
    )


def _row_of(check: Check) -> dict[str, object]:
    return {
        "verdict": "pass" if check.is_passed else "FAIL",
        "check": check.name,
        "rule": check.rule,
        "expected": check.expected,
        "actual": check.actual,
    }


def _read_description(path: Path) -> Mapping[str, object]:
    data = _read_bounded(path)
    try:
        if path.suffix == ".json":
            return as_object(decode_json(data), str(path))
        return as_object(tomllib.loads(data.decode("utf-8")), str(path))
    except (MalformedMessage, ValueError) as error:
        raise InvalidGenesis(f"{path}: {error}; correct it") from error


def _read_bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(GENESIS_SIZE_MAX + 1)
