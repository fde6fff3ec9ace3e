"""WALLET-COMMANDS, WALLET-UNLINKED, LIGHT-START: `daicho resident` before a real port."""

import json
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from clients.cli import resident
from clients.cli.home import Home
from clients.cli.texts import TEXTS, Language
from clients.wallet.wallet import Kind, decode_wallet
from contracts.artifact import load_artifact
from node.cli.main import main
from node.consensus.checkpoint import build_checkpoint, encode_checkpoint, sign_checkpoint
from node.genesis.system_contracts import PERMISSIONS_NAME, mapping_slot, word_of_address
from node.primitives.crypto import PrivateKey
from node.primitives.header import decode_header
from node.primitives.types import Address, Height
from tests.support.ledger import (
    GOVERNOR_KEY,
    MUNICIPALITY_KEYS,
    OUTSIDER_KEY,
    VALIDATOR_KEYS,
    reclaim,
    seal,
)
from tests.support.rpc import RpcChain, book, serving
from tests.support.source import ROOT

NOBODY = "0x" + "77" * 20


class Bench:
    """A served chain, a description of it, and a resident's folder."""

    def __init__(self, folder: Path, chain: RpcChain, port: int) -> None:
        self.folder = folder
        self.chain = chain
        self.port = port
        self.network = folder / "network.toml"
        self.checkpoint = folder / "checkpoint.json"
        self.home = folder / "home"
        self.asked: list[object] = []
        self.describe(chain.ledger.genesis.header.hash.hex())

    def describe(self, genesis: str, *, has_nodes: bool = True) -> None:
        lines = ["chain_id = 20261", f'genesis_hash = "0x{genesis}"']
        for at, key in enumerate(MUNICIPALITY_KEYS):
            lines += ["[[municipalities]]", f'name = "town {at}"']
            lines += [f'governors = ["0x{key.address.hex()}"]']
            if has_nodes and at < 2:
                port = self.port if at else 1
                lines += [f'node = "http://127.0.0.1:{port}"']
        self.network.write_text("\n".join(lines), encoding="utf-8")

    def sign(self, *keys: PrivateKey) -> None:
        ledger = self.chain.ledger
        signed = build_checkpoint(ledger.head, ledger.genesis.header.hash)
        for key in keys:
            signed = sign_checkpoint(signed, key)
        self.checkpoint.write_text(encode_checkpoint(signed), encoding="utf-8")

    def run(self, *words: object, language: str = "en", is_json: bool = False) -> int:
        options = ["--json"] if is_json else []
        return main(
            [*options, "resident", "--home", str(self.home), "--language", language]
            + [str(word) for word in words]
        )

    def init(self) -> int:
        return self.run("init", "--network", self.network, "--checkpoint", self.checkpoint)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    chain = RpcChain()
    chain.mine()
    monkeypatch.setattr(resident, "now_s", lambda: chain.now_s)
    with serving(chain) as thread:
        made = Bench(tmp_path, chain, thread.port)
        prove = chain.backend.prove_account

        def watch(at: Height, address: Address, slots: Sequence[int]) -> Any:
            made.asked.append([address.hex(), [f"{slot:064x}" for slot in slots]])
            return prove(at, address, slots)

        monkeypatch.setattr(chain.backend, "prove_account", watch)
        made.sign(*MUNICIPALITY_KEYS[:2])
        yield made


def mapping_slot_of(account: bytes) -> int:
    """Return the slot that says until when an account is a resident."""
    base = load_artifact(PERMISSIONS_NAME).layout["residents"].slot
    return mapping_slot(base, word_of_address(Address(account)))


def shown(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_resident_starts_and_sees_the_verified_head(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.init() == 0
    assert "signed by town 0, town 1" in capsys.readouterr().out
    bench.chain.mine()

    assert bench.run("status", "--account", NOBODY, is_json=True) == 0
    status = shown(capsys)

    assert status["block_hash"] == "0x" + bench.chain.ledger.head.hash.hex()
    assert [each["verdict"] for each in status["nodes"]] == ["unavailable", "agrees"]
    assert status["account"]["resident_until_s"] == 0


@pytest.mark.parametrize(
    ("language", "words"),
    [
        pytest.param(
            "en",
            ["verified: 4 of 4 validators", "rests on no node's word", "no answer", "no role",
             "governor", "account of municipality"],
            id="english",
        ),
        pytest.param(
            "ja",
            ["検証者 4/4 の署名", "どのノードの言葉にも頼っていません", "応答なし", "権限なし",
             "管理者", "市町村"],
            id="japanese",
        ),
    ],
)  # fmt: skip
def test_sentences_come_in_two_languages(
    bench: Bench, capsys: pytest.CaptureFixture[str], language: str, words: list[str]
) -> None:
    bench.init()
    accounts = [OUTSIDER_KEY, GOVERNOR_KEY, MUNICIPALITY_KEYS[0]]
    for key in accounts:
        asked = ("--account", "0x" + key.address.hex())
        assert bench.run("status", *asked, language=language) == 0

    said = capsys.readouterr().out
    assert [word for word in words if word not in said] == []


def test_every_sentence_exists_in_both_languages() -> None:
    assert [name for name, forms in TEXTS.items() if set(forms) != set(Language)] == []


def test_a_transaction_and_an_account_are_proven(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.init()
    creation = bytes.fromhex(book()["bytecode"][2:])
    sent = bench.chain.ledger.call(GOVERNOR_KEY, None, creation, gas_limit=2_000_000)
    bench.chain.submit(sent.raw, "test")
    capsys.readouterr()

    assert bench.run("proof", "transaction", "0x" + sent.hash.hex(), is_json=True) == 0
    proven = shown(capsys)
    assert (proven["status"], proven["outcome"], proven["index"]) == ("verified", "succeeded", 0)

    address = "0x" + GOVERNOR_KEY.address.hex()
    assert bench.run("proof", "account", address, "--slot", "3", is_json=True) == 0
    account = shown(capsys)
    assert (account["exists"], account["nonce"], account["slots"]) == (True, 1, {"0x3": "0x0"})

    assert bench.run("proof", "account", NOBODY) == 0
    assert "proven not to exist" in capsys.readouterr().out


def test_what_no_node_proves_is_an_error(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.init()

    assert bench.run("proof", "transaction", "0x" + "11" * 32) == 1
    assert "light.no_verified_answer" in capsys.readouterr().err


def test_one_municipality_is_not_enough_to_start(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.sign(MUNICIPALITY_KEYS[0])

    assert bench.init() == 1
    assert "municipalities that signed: expected 2 or more of 4, found 1" in capsys.readouterr().err
    assert not bench.home.exists()


def test_a_folder_keeps_to_its_network(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.init()
    bench.describe("22" * 32)

    assert bench.init() == 2
    assert "another network" in capsys.readouterr().err


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda bench: None, id="not set up"),
        pytest.param(lambda bench: bench.describe("22" * 32, has_nodes=False), id="no nodes"),
        pytest.param(lambda bench: bench.checkpoint.unlink(), id="no checkpoint"),
    ],
)
def test_what_the_resident_must_mend_exits_with_two(bench: Bench, damage: Any) -> None:
    damage(bench)

    assert bench.run("status") == 2
    if not bench.checkpoint.exists() or "node" not in bench.network.read_text():
        assert bench.init() == 2


def test_a_damaged_state_names_its_remedy(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.init()
    (bench.home / "light-client.json").write_text("{}")

    assert bench.run("status") == 2
    assert "daicho resident init" in capsys.readouterr().err
    assert bench.init() == 0


def test_files_are_private_and_nothing_else_is_left(bench: Bench) -> None:
    bench.init()
    bench.run("status")

    files = sorted(bench.home.iterdir())
    assert [path.name for path in files] == ["light-client.json", "network.toml"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(bench.home.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_written_is_named(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.home.write_text("in the way")

    assert bench.init() == 2
    assert str(bench.home) in capsys.readouterr().err


@pytest.mark.parametrize("word", ["0x11", "zz" * 20, "0x" + "1" * 41])
def test_a_malformed_address_is_a_usage_error(bench: Bench, word: str) -> None:
    assert bench.run("proof", "account", word) == 2


def test_no_two_sectors_are_asked_about_together(bench: Bench) -> None:
    bench.init()
    password = bench.folder / "passphrase"
    password.write_text("correct horse battery")
    password.chmod(0o600)
    secret = ("--passphrase-file", password)
    bench.run("keys", "create", *secret)
    for sector in ("health", "library"):
        assert bench.run("keys", "add", sector, *secret) == 0
    entries = decode_wallet((bench.home / "wallet.json").read_bytes()).entries
    address = {each.name: each.public.hex() for each in entries if each.kind is Kind.SECTOR}

    bench.asked.clear()
    assert bench.run("status", "--sector", "health") == 0

    said = json.dumps(bench.asked)
    slot = mapping_slot_of(bytes.fromhex(address["health"]))
    assert f"{slot:064x}" in said
    assert address["library"] not in said
    assert f"{mapping_slot_of(bytes.fromhex(address['library'])):064x}" not in said
    assert bench.run("status") == 0
    assert bench.run("status", "--sector", "health", "--account", NOBODY) == 2
    assert bench.run("status", "--sector", "unknown") == 1


def test_proof_of_a_fork_is_kept_for_the_municipalities(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.init()
    ours = bench.chain.ledger.chain.load_block(bench.chain.ledger.head.height)
    other = seal(reclaim(ours, coinbase=VALIDATOR_KEYS[1].address)).header
    home = Home(path=bench.home)
    home.save_trust(replace(home.load_trust(home.load_network()), origin=other, head=other))

    assert bench.run("status") == 1

    (kept,) = bench.home.glob("fork-*.json")
    said = capsys.readouterr().err
    assert "light.fork" in said
    assert str(kept) in said
    evidence = json.loads(kept.read_text())
    headers = [decode_header(bytes.fromhex(text[2:])) for text in evidence["headers"]]
    assert {header.hash for header in headers} == {ours.hash, other.hash}
    assert len(evidence["both_sealed"]) == 4
    assert home.load_trust(home.load_network()).head == other


def test_every_command_in_the_residents_guide_exists() -> None:
    guide = (ROOT / "docs" / "operate" / "resident.md").read_text(encoding="utf-8")
    lines = [line for line in guide.splitlines() if line.startswith("daicho resident ")]

    for line in lines:
        command: click.Command = resident.group
        for word in line.split()[2:]:
            if isinstance(command, click.Group):
                command = command.commands[word]
            elif word.startswith("--"):
                assert word in {name for option in command.params for name in option.opts}, line
    assert len(lines) >= 5
