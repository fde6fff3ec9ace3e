"""Keystores: written for their owner only, opened by other people's tools, never leaking."""

import json
from pathlib import Path

import pytest
from eth_account import Account

from node.primitives.crypto import PrivateKey
from node.primitives.errors import Misconfigured
from node.runtime.keystore import (
    create_key,
    find_password,
    load_key,
    load_keystore,
    load_keystore_info,
    save_keystore,
)
from node.settings import KeySettings

PASSWORD = "a password for tests"


@pytest.fixture
def key() -> PrivateKey:
    return create_key()


@pytest.fixture
def path(tmp_path: Path, key: PrivateKey) -> Path:
    path = tmp_path / "node.development-only.key.json"
    save_keystore(path, key, PASSWORD, is_development=True)
    return path


def test_a_saved_key_opens_again(path: Path, key: PrivateKey) -> None:
    assert load_keystore(path, PASSWORD).address == key.address
    assert load_keystore_info(path).is_development


def test_eth_account_opens_our_keystore_to_the_same_address(path: Path, key: PrivateKey) -> None:
    secret = Account.decrypt(json.loads(path.read_text()), PASSWORD)
    assert Account.from_key(secret).address.lower() == "0x" + key.address.hex()


def test_we_open_what_eth_account_wrote(tmp_path: Path, key: PrivateKey) -> None:
    path = tmp_path / "foreign.json"
    path.write_text(json.dumps(Account.encrypt(key.export_secret(), PASSWORD, iterations=4096)))
    path.chmod(0o600)
    assert load_keystore(path, PASSWORD).address == key.address


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(Misconfigured, match="chmod 600"):
        load_keystore(path, PASSWORD)


def test_an_existing_file_is_never_overwritten(path: Path, key: PrivateKey) -> None:
    with pytest.raises(Misconfigured, match="exists already"):
        save_keystore(path, key, PASSWORD)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda text: text.replace('"version": 3', '"version": 4'), id="version"),
        pytest.param(lambda text: "no json", id="no JSON"),
        pytest.param(lambda text: "[]", id="a list"),
        pytest.param(lambda text: text + " " * 20_000, id="too long"),
        pytest.param(lambda text: text.replace('"ciphertext"', '"zip"'), id="field missing"),
    ],
)
def test_a_damaged_keystore_is_the_operators_error(path: Path, damage: object) -> None:
    assert callable(damage)
    path.write_text(damage(path.read_text()))
    with pytest.raises(Misconfigured):
        load_keystore(path, PASSWORD)


def test_a_wrong_password_says_so_and_shows_no_secret(path: Path, key: PrivateKey) -> None:
    with pytest.raises(Misconfigured, match="wrong password") as refused:
        load_keystore(path, "not it")
    assert "not it" not in str(refused.value)
    assert key.export_secret().hex() not in str(refused.value)


def test_the_password_comes_from_file_then_environment_then_prompt(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = KeySettings(keystore=path)
    assert find_password(asked, lambda _: "typed") == "typed"
    monkeypatch.setenv("DAICHO_KEY_PASSWORD", "from environment")
    assert find_password(asked, lambda _: "typed") == "from environment"
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    file.chmod(0o600)
    from_file = KeySettings(keystore=path, password_file=file)
    assert find_password(from_file) == PASSWORD
    assert load_key(from_file).address == load_keystore_info(path).address


def test_no_password_anywhere_names_both_remedies(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAICHO_KEY_PASSWORD", raising=False)
    with pytest.raises(Misconfigured, match="password_file or DAICHO_KEY_PASSWORD"):
        find_password(KeySettings(keystore=path))
