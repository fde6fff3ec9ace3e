"""WALLET-COMMANDS, WALLET-EXPORT, WALLET-BACKUP: `daicho resident keys`, as a person uses it."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from clients.cli import keys
from clients.wallet.backup import create_backup as full_backup
from clients.wallet.sealing import WORK_MIN, Stretch
from clients.wallet.wallet import create_wallet as full_wallet
from node.cli.main import cli, main


class Person:
    """A resident at a terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.passphrase = self.write("passphrase", "correct horse battery")
        self.other = self.write("backup-passphrase", "紙に書いた合言葉その一")

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    def run(self, *words: object, home: Path | None = None) -> int:
        start = ["--json", "resident", "--home", str(home or self.home), "--language", "en"]
        return main([*start, "keys", *(str(word) for word in words)])


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    stretch = Stretch(salt=bytes(16), work=WORK_MIN)
    monkeypatch.setattr(
        keys, "create_wallet", lambda text, draw: full_wallet(text, draw, stretch=stretch)
    )
    monkeypatch.setattr(
        keys,
        "create_backup",
        lambda opened, text, draw: full_backup(opened, text, draw, work=WORK_MIN),
    )
    return Person(tmp_path)


def shown(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_keys_are_made_listed_backed_up_and_restored(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = ("--passphrase-file", person.passphrase)
    both = (*secret, "--backup-passphrase-file", person.other)
    backup = person.folder / "keys.backup"
    elsewhere = person.folder / "phone"

    assert person.run("create", *secret) == 0
    assert person.run("add", "health", *secret) == 0
    capsys.readouterr()
    assert person.run("list") == 0
    listed = shown(capsys)
    assert [each["kind"] for each in listed] == ["record", "sector"]

    assert person.run("backup", backup, *both) == 0
    assert person.run("create", *secret, home=elsewhere) == 0
    capsys.readouterr()
    assert person.run("restore", backup, *both, home=elsewhere) == 0
    assert shown(capsys)["added"] == 2
    assert person.run("list", home=elsewhere) == 0
    assert shown(capsys) == listed
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_the_passphrase_can_be_changed(person: Person) -> None:
    fresh = person.write("fresh", "another passphrase")
    person.run("create", "--passphrase-file", person.passphrase)

    change = ("--passphrase-file", person.passphrase, "--new-passphrase-file", fresh)
    assert person.run("passphrase", *change) == 0
    assert person.run("add", "health", "--passphrase-file", person.passphrase) == 1
    assert person.run("add", "health", "--passphrase-file", fresh) == 0


def test_nothing_is_overwritten(person: Person) -> None:
    secret = ("--passphrase-file", person.passphrase)
    both = (*secret, "--backup-passphrase-file", person.other)
    person.run("create", *secret)
    person.run("add", "health", *secret)
    backup = person.write("keys.backup", "something else")

    assert person.run("create", *secret) == 2
    assert person.run("add", "health", *secret) == 1
    assert person.run("backup", backup, *both) == 2
    assert backup.read_text() == "something else"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(("list",), 2, id="no wallet"),
        pytest.param(("add", "health"), 2, id="no wallet to add to"),
    ],
)
def test_without_a_wallet_the_remedy_is_named(
    person: Person, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int
) -> None:
    assert person.run(*words) == code
    assert "keys create" in capsys.readouterr().err


def test_passphrases_are_asked_for_without_echo_in_the_persons_language(person: Person) -> None:
    answers = "ひみつのパスフレーズです\n" * 2
    runner = CliRunner()
    result = runner.invoke(
        cli, ["resident", "--home", str(person.home), "keys", "create"], input=answers
    )

    assert result.exit_code == 0
    assert "ウォレットのパスフレーズ" in result.output
    assert "ひみつ" not in result.output


def test_a_passphrase_file_open_to_others_is_refused(person: Person) -> None:
    person.passphrase.chmod(0o644)

    assert person.run("create", "--passphrase-file", person.passphrase) == 2
    assert not person.home.exists()


def test_no_command_offers_a_secret() -> None:
    offered = {
        f"{name} {word}"
        for name, command in keys.group.commands.items()
        for option in command.params
        for word in option.opts
    }

    assert [word for word in offered if "secret" in word or "export" in word] == []
    assert set(keys.group.commands) == {
        "add", "backup", "create", "list", "passphrase", "restore",
    }  # fmt: skip


def test_what_commands_print_and_write_holds_no_secret(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = ("--passphrase-file", person.passphrase)
    person.run("create", *secret)
    person.run("add", "health", *secret)
    person.run("list")
    said = capsys.readouterr()
    text = said.out + said.err + (person.home / "wallet.json").read_text()
    wallet = keys.decode_wallet((person.home / "wallet.json").read_bytes())
    opened = wallet.unlock(person.passphrase.read_text(), bytes)

    assert [name for _, name, each in opened.secrets() if each.hex() in text] == []


def test_a_file_too_long_is_refused(person: Person) -> None:
    person.home.mkdir()
    (person.home / "wallet.json").write_bytes(b" " * (keys.WALLET_SIZE_MAX + 1))

    assert person.run("list") == 1
