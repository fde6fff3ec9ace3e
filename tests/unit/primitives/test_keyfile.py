"""Keystores: another implementation opens ours, we open its, and no file makes us work for long."""

import json
import secrets

import pytest
from eth_keyfile.keyfile import create_keyfile_json, decode_keyfile_json

from node.primitives.keyfile import KeyfileRefused, open_keyfile, seal_keyfile

SECRET = bytes(range(1, 33))
PASSWORD = "長い password".encode()


def sealed() -> dict[str, object]:
    document: object = json.loads(
        json.dumps(seal_keyfile(SECRET, PASSWORD, work=2, draw=secrets.token_bytes))
    )
    assert isinstance(document, dict)
    return document


def test_what_we_seal_we_and_others_open() -> None:
    document = sealed()

    assert open_keyfile(document, PASSWORD) == SECRET
    assert decode_keyfile_json(document, PASSWORD) == SECRET


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
def test_what_others_seal_we_open(kdf: str) -> None:
    document = create_keyfile_json(SECRET, PASSWORD, kdf=kdf, iterations=4)

    assert open_keyfile(document, PASSWORD) == SECRET


def test_a_file_with_a_capital_as_old_tools_wrote_it_opens() -> None:
    document = sealed()
    document["Crypto"] = document.pop("crypto")

    assert open_keyfile(document, PASSWORD) == SECRET


def test_no_two_files_share_salt_nonce_or_id() -> None:
    first, second = sealed(), sealed()

    assert first["id"] != second["id"]
    assert first["crypto"] != second["crypto"]


def test_another_password_is_refused_without_showing_anything() -> None:
    with pytest.raises(KeyfileRefused) as refused:
        open_keyfile(sealed(), b"guessed")

    assert "guessed" not in str(refused.value)
    assert SECRET.hex() not in str(refused.value)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(("version",), 4, id="another version"),
        pytest.param(("crypto",), [], id="no object"),
        pytest.param(("crypto", "cipher"), "aes-128-cbc", id="another cipher"),
        pytest.param(("crypto", "cipherparams", "iv"), "00" * 12, id="a short iv"),
        pytest.param(("crypto", "ciphertext"), "00" * 32, id="another text"),
        pytest.param(("crypto", "ciphertext"), "zz", id="no digits"),
        pytest.param(("crypto", "mac"), None, id="no check"),
        pytest.param(("crypto", "kdf"), "argon2", id="another derivation"),
        pytest.param(("crypto", "kdf"), "pbkdf2", id="parameters of another derivation"),
        pytest.param(("crypto", "kdfparams", "dklen"), 16, id="too little derived"),
        pytest.param(("crypto", "kdfparams", "n"), 3, id="n no power of two"),
        pytest.param(("crypto", "kdfparams", "n"), "2", id="n no number"),
        pytest.param(("crypto", "kdfparams", "n"), True, id="n a truth"),
        pytest.param(("crypto", "kdfparams", "n"), -2, id="n negative"),
        pytest.param(("crypto", "kdfparams", "n"), 1 << 21, id="two gigabytes"),
        pytest.param(("crypto", "kdfparams", "n"), 1 << 400, id="n beyond any machine"),
        pytest.param(("crypto", "kdfparams", "p"), 17, id="too many lanes"),
        pytest.param(("crypto", "kdfparams", "r"), 1 << 400, id="r beyond any machine"),
    ],
)
def test_a_file_of_another_form_or_of_too_much_work_is_refused(
    place: tuple[str, ...], value: object
) -> None:
    document = sealed()
    within = document
    for name in place[:-1]:
        inner = within[name]
        assert isinstance(inner, dict)
        within = inner
    within[place[-1]] = value

    with pytest.raises(KeyfileRefused):
        open_keyfile(document, PASSWORD)


@pytest.mark.parametrize(
    ("name", "value"), [("c", 10_000_001), ("prf", "hmac-sha512"), ("salt", "x")]
)
def test_rounds_without_end_and_another_hash_are_refused(name: str, value: object) -> None:
    document = create_keyfile_json(SECRET, PASSWORD, kdf="pbkdf2", iterations=4)
    document["crypto"]["kdfparams"][name] = value

    with pytest.raises(KeyfileRefused):
        open_keyfile(document, PASSWORD)
