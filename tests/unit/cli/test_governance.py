"""PERM-MAJORITY: municipalities vote from the command line, against a real RPC port.

Three of four send the same call; the third makes it so.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli.contract import UnknownCall
from node.cli.main import cli
from node.primitives.crypto import PrivateKey
from node.primitives.errors import LedgerError
from node.runtime.keystore import save_keystore, save_private
from tests.support.ledger import MUNICIPALITY_KEYS, NAMES, OUTSIDER_KEY, SERVICE_KEYS
from tests.support.rpc import RpcChain, ServerThread, serving

CANDIDATE = "0x" + OUTSIDER_KEY.address.hex()


@pytest.fixture
def served() -> Iterator[ServerThread]:
    with serving(RpcChain()) as thread:
        yield thread


class Desk:
    """An operator's desk: keystores in a folder, and a node's RPC port."""

    def __init__(self, served: ServerThread, folder: Path) -> None:
        self.rpc = f"http://127.0.0.1:{served.port}"
        self.folder = folder
        save_private(folder / "password", "a long password\n")

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(cli, ["--json", "governance", *words, "--rpc", self.rpc])

    def send(self, key: PrivateKey, *words: str) -> Result:
        keystore = self.folder / f"{key.address.hex()}.json"
        if not keystore.exists():
            save_keystore(keystore, key, "a long password", is_development=True)
        password = str(self.folder / "password")
        return self.run("send", *words, "--keystore", str(keystore), "--password-file", password)


@pytest.fixture
def desk(served: ServerThread, tmp_path: Path) -> Desk:
    return Desk(served, tmp_path)


def outcome(result: Result) -> dict[str, object]:
    assert result.exception is None, result.exception
    record = json.loads(result.stdout)
    assert isinstance(record, dict)
    return record


def test_three_of_four_make_a_governor(desk: Desk) -> None:
    first, second, third = (
        outcome(desk.send(key, "add_governor", CANDIDATE)) for key in MUNICIPALITY_KEYS[:3]
    )

    assert "vote_count 1, needed 3" in str(first["events"])
    assert "GovernorAdded" not in str(second["events"])
    assert f"GovernorAdded: account {CANDIDATE}" in str(third["events"])
    assert outcome(desk.run("who", CANDIDATE))["governor"] is True


def test_a_dry_run_sends_nothing(desk: Desk) -> None:
    result = desk.send(MUNICIPALITY_KEYS[0], "add_governor", CANDIDATE, "--dry-run")

    assert result.exit_code == 0
    assert "a majority lacks votes" in result.stderr
    first = outcome(desk.send(MUNICIPALITY_KEYS[1], "add_governor", CANDIDATE))
    assert "vote_count 1," in str(first["events"])


def test_a_call_that_would_fail_is_not_sent_and_the_reason_is_shown(desk: Desk) -> None:
    result = desk.send(MUNICIPALITY_KEYS[0], "remove_governor", CANDIDATE)

    assert isinstance(result.exception, LedgerError)
    assert "not a governor" in str(result.exception)


def test_a_service_attests_residents_in_a_list(desk: Desk, served: ServerThread) -> None:
    del served
    until_s = 1_790_000_500

    outcome(
        desk.send(SERVICE_KEYS[0], "attest_residents", f"{CANDIDATE},0x{'77' * 20}", str(until_s))
    )

    found = outcome(desk.run("who", CANDIDATE))
    assert (found["resident"], found["attested by municipality"]) == (True, 1)
    assert found["attested until (seconds)"] == until_s


def test_the_municipalities_are_listed(desk: Desk) -> None:
    result = desk.run("show")

    assert [row["name"] for row in json.loads(result.stdout)] == list(NAMES)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        pytest.param(("add_gouvernor", CANDIDATE), "0 calls of that name", id="unknown"),
        pytest.param(("withdraw_vote", "0x00"), "name the contract", id="in both contracts"),
        pytest.param(("add_governor",), "expected <account: address>", id="too few"),
        pytest.param(("add_governor", "0x77"), "correct the argument", id="short address"),
        pytest.param(("set_role", "x", "1"), "correct the argument", id="no number"),
    ],
)
def test_a_mistyped_call_is_explained(desk: Desk, words: tuple[str, ...], reason: str) -> None:
    result = desk.send(MUNICIPALITY_KEYS[0], *words)

    assert isinstance(result.exception, UnknownCall)
    assert reason in str(result.exception)
