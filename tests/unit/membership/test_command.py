"""WIRE-MEMBERSHIP-SIGNED, WIRE-MEMBERSHIP-SUCCESSION: a document's life on the command line.

Four towns agree, sign, and then replace their document.
"""

import json
from pathlib import Path

import pytest

from node.cli.main import EXIT_FAILED, EXIT_MISCONFIGURED, main
from node.cli.membership import load
from node.membership.signatures import check_successor
from node.runtime.keystore import save_keystore
from tests.support.peers import GENESIS, NAMES, NOW_S, governor_key, node_key

GENESIS_TEXT = "0x" + GENESIS.hex()


def run(*words: object) -> int:
    """Run one `daicho membership` command."""
    return main(["--json", "membership", *(str(word) for word in words)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a description, and a keystore for each governor."""
    lines = [f'genesis_hash = "{GENESIS_TEXT}"']
    for at in range(4):
        lines += [
            "[[governor]]",
            f'municipality = "{NAMES[at]}"',
            f'address = "0x{governor_key(at).address.hex()}"',
            "[[member]]",
            f'name = "{NAMES[at].lower()}-1"',
            f'municipality = "{NAMES[at]}"',
            f'node_key = "0x{node_key(at).public_key[1:].hex()}"',
            'role = "validator"',
            f'endpoints = ["127.0.0.1:{30_303 + at}"]',
        ]
        path = tmp_path / f"{at}.development-only.json"
        save_keystore(path, governor_key(at), "governor", is_development=True)
    (tmp_path / "description.toml").write_text("\n".join(lines))
    password = tmp_path / "password"
    password.write_text("governor")
    password.chmod(0o600)
    return tmp_path


def build(folder: Path, name: str, *more: object) -> Path:
    """Build an unsigned document."""
    out = folder / name
    assert run("build", folder / "description.toml", "--out", out, "--issued-at", NOW_S, *more) == 0
    return out


def sign(folder: Path, file: Path, governor: int) -> int:
    """Sign with one governor's keystore."""
    keystore = folder / f"{governor}.development-only.json"
    return run("sign", file, "--keystore", keystore, "--password-file", folder / "password")


def test_a_document_is_built_signed_and_verified(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = build(folder, "membership.json")
    for governor in range(2):
        assert sign(folder, file, governor) == 0
    assert run("verify", file, "--genesis-hash", GENESIS_TEXT) == EXIT_FAILED
    assert "missing: " in capsys.readouterr().err
    assert sign(folder, file, 2) == 0
    capsys.readouterr()
    assert run("verify", file, "--genesis-hash", GENESIS_TEXT) == 0
    verdict = json.loads(capsys.readouterr().out)

    assert verdict["is_enough"] is True
    assert verdict["missing"] == [NAMES[3]]
    assert run("verify", file, "--genesis-hash", "0x" + "11" * 32) == EXIT_FAILED


def test_the_same_description_gives_everyone_the_same_hash(folder: Path) -> None:
    assert load(build(folder, "mine.json")).hash == load(build(folder, "yours.json")).hash


def test_signatures_from_copies_are_merged(folder: Path) -> None:
    copies = [build(folder, f"copy-{at}.json") for at in range(3)]
    for at, copy in enumerate(copies):
        assert sign(folder, copy, at) == 0
    assert run("merge", *copies) == 0

    assert run("verify", copies[0], "--genesis-hash", GENESIS_TEXT) == 0
    other = build(folder, "other.json", "--valid-days", 10)
    assert run("merge", other, copies[1]) == EXIT_FAILED


def test_the_next_document_counts_up_and_follows(folder: Path) -> None:
    first = build(folder, "first.json")
    second = build(folder, "second.json", "--previous", first, "--valid-days", 30)
    for file in (first, second):
        for governor in range(3):
            assert sign(folder, file, governor) == 0
    check_successor(load(first), load(second))

    assert load(second).version == 2
    command = ("verify", second, "--genesis-hash", GENESIS_TEXT, "--previous", first)
    assert run(*command) == 0
    backwards = ("verify", first, "--genesis-hash", GENESIS_TEXT, "--previous", second)
    assert run(*backwards) == EXIT_FAILED


def test_a_document_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = build(folder, "membership.json")
    capsys.readouterr()
    assert run("show", file) == 0
    shown = json.loads(capsys.readouterr().out)

    assert [member["municipality"] for member in shown["members"]]
    assert shown["missing"]
    assert shown["signed_by"] == []


def test_what_operators_get_wrong_is_told_with_the_remedy(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = build(folder, "membership.json")
    (folder / "broken.json").write_text("{}")
    (folder / "odd.toml").write_text("colour = 1")

    assert run("show", folder / "absent.json") == EXIT_MISCONFIGURED
    assert run("show", folder / "broken.json") == EXIT_MISCONFIGURED
    assert run("build", folder / "odd.toml", "--out", folder / "x.json") == EXIT_MISCONFIGURED
    assert "unknown keys colour" in capsys.readouterr().err
    assert run("build", folder / "description.toml", "--out", file) == EXIT_MISCONFIGURED
