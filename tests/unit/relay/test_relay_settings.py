"""RELAY-QUOTA, RELAY-SIGNER: what an operator gets wrong is named, and the key stays secret."""

import json
from pathlib import Path

import pytest
from eth_keyfile.keyfile import create_keyfile_json

from node.primitives.errors import Misconfigured
from services.kit.settings import parse_address
from services.relay.service import SERVICE
from services.relay.settings import RelaySettings, check_relay
from services.relay.signer import load_key
from tests.support.ledger import SERVICE_KEYS

PASSWORD = "correct horse"

SETTINGS = """
genesis_file = "genesis.json"
keystore_file = "keystore.json"
password_file = "password"
events_key_file = "relay.key.json"
anchors = "0x00000000000000000000000000000000000a2c02"
{extra}

[[nodes]]
name = "sakai"
url = "http://127.0.0.1:8545"

[[clients]]
name = "library"
key_file = "library.pub.json"
endpoint = "http://127.0.0.1:8601/events"

[kit.database]
url = "sqlite+aiosqlite:////var/lib/daicho-relay/relay.db"

[kit.auth]
audience = "relay"

[[kit.tenants]]
id = "sakai"
name = "境町"
"""


def write(folder: Path, *, extra: str = "", more: str = "") -> Path:
    path = folder / "relay.toml"
    path.write_text(SETTINGS.format(extra=extra) + more)
    return path


def test_a_key_is_in_a_keystore_or_with_a_signer_and_not_in_both(tmp_path: Path) -> None:
    both = write(tmp_path, extra='signer_socket = "signer.sock"')
    with pytest.raises(Misconfigured, match="exactly one"):
        load(both)
    text = both.read_text().replace('keystore_file = "keystore.json"\n', "")
    both.write_text(text)
    with pytest.raises(Misconfigured, match="password_file"):
        load(both)
    both.write_text(text.replace('password_file = "password"\n', ""))
    assert load(both).signer_socket == tmp_path / "signer.sock"


def load(path: Path) -> RelaySettings:
    settings = SERVICE.load_settings(path)
    check_relay(settings)
    return settings


def test_a_settings_file_is_read_with_its_defaults(tmp_path: Path) -> None:
    settings = load(write(tmp_path))

    assert settings.clients[0].name == "library"
    assert settings.unsettled_max == 1_000
    assert settings.genesis_file == tmp_path / "genesis.json"


@pytest.mark.parametrize(
    ("extra", "more", "said"),
    [
        pytest.param("unsettledmax = 3", "", "unsettled_max", id="misspelt key"),
        pytest.param("unsettled_max = 0", "", "unsettled_max", id="no operations"),
        pytest.param("unsettled_max = 10001", "", "unsettled_max", id="too many operations"),
        pytest.param("", '[[kit.tenants]]\nid = "goka"\nname = "x"\n', "one", id="two tenants"),
        pytest.param(
            "",
            '[[clients]]\nname = "library"\nkey_file = "x"\nendpoint = "http://127.0.0.1:1"\n',
            "twice",
            id="one service twice",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, extra: str, more: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        load(write(tmp_path, extra=extra, more=more))


@pytest.mark.parametrize("text", ["", "0x12", "0x" + "zz" * 20, "0x" + "11" * 21])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="anchors"):
        parse_address(text, "anchors")


def keystore(folder: Path) -> Path:
    path = folder / "keystore.json"
    secret = SERVICE_KEYS[0].export_secret()
    document = create_keyfile_json(secret, PASSWORD.encode(), kdf="scrypt", iterations=2)
    path.write_text(json.dumps(document))
    return path


def test_the_keystore_opens_with_its_password_alone(tmp_path: Path) -> None:
    path = keystore(tmp_path)

    assert load_key(path, PASSWORD).address == SERVICE_KEYS[0].address
    with pytest.raises(Misconfigured, match="its password") as refused:
        load_key(path, "wrong")
    assert "wrong" not in str(refused.value)
    with pytest.raises(Misconfigured, match="cannot be read"):
        load_key(tmp_path / "none.json", PASSWORD)


@pytest.mark.parametrize(
    "text", [pytest.param("", id="empty"), pytest.param("[]", id="a list"), "{}", '{"version": 3}']
)
def test_a_file_that_is_no_keystore_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "keystore.json").write_text(text)

    with pytest.raises(Misconfigured, match="version 3"):
        load_key(tmp_path / "keystore.json", PASSWORD)
