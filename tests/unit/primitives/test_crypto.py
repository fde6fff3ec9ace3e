"""Keys, signatures and addresses, judged by eth-keys and published secp256k1 vectors."""

import json

import pytest
from eth_keys import keys

from node.primitives import crypto
from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput
from tests.support.vectors import vectors_path

MESSAGE = crypto.keccak256(b"ballot")


def test_the_backends_in_use_are_the_compiled_ones() -> None:
    crypto.check_backends()


@pytest.mark.parametrize("secret", [b"\x01" * 32, b"\x00" * 31 + b"\x07", b"\xab" * 32])
def test_address_and_signature_equal_those_of_eth_keys(secret: bytes) -> None:
    judge = keys.PrivateKey(secret)

    ours = PrivateKey(secret)

    assert ours.address == judge.public_key.to_canonical_address()
    assert ours.sign(MESSAGE) == judge.sign_msg_hash(MESSAGE).to_bytes()
    assert crypto.recover_address(MESSAGE, ours.sign(MESSAGE)) == ours.address


def test_nonces_follow_rfc_6979() -> None:
    cases = json.loads((vectors_path() / "secp256k1" / "ecdsa.json").read_text())["valid"]
    for case in cases:
        signature = PrivateKey(bytes.fromhex(case["d"])).sign(bytes.fromhex(case["m"]))
        assert signature[:64].hex() == case["signature"]


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(b"\x00" * 32, id="zero"),
        pytest.param(crypto.CURVE_ORDER.to_bytes(32, "big"), id="the order"),
        pytest.param(b"\x01" * 31, id="too short"),
    ],
)
def test_a_scalar_out_of_range_is_no_key(secret: bytes) -> None:
    with pytest.raises(InvalidInput):
        PrivateKey(secret)


def test_the_other_form_of_a_signature_is_refused() -> None:
    signature = PrivateKey(b"\x01" * 32).sign(MESSAGE)
    s = crypto.CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    high_s = signature[:32] + s.to_bytes(32, "big") + bytes((1 - signature[64],))

    with pytest.raises(crypto.InvalidSignature):
        crypto.recover_address(MESSAGE, high_s)


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(b"\x00" * 65, id="zeros"),
        pytest.param(b"\x01" * 64 + b"\x1b", id="v of 27"),
        pytest.param(b"\x01" * 64, id="64 bytes"),
        pytest.param(b"\xff" * 32 + b"\x01" * 32 + b"\x00", id="r above the order"),
        pytest.param(b"\x00" * 31 + b"\x05" + b"\x01" * 32 + b"\x00", id="r that names no point"),
    ],
)
def test_what_recovers_no_key_is_refused_by_name(signature: bytes) -> None:
    with pytest.raises(crypto.InvalidSignature):
        crypto.recover_address(MESSAGE, signature)


def test_a_key_never_shows_its_secret() -> None:
    key = PrivateKey(b"\xab" * 32)

    assert "ab" * 32 not in repr(key)
