"""ID-COMMITMENT: an ID token's nonce commits to one device key, and only its holder opens it."""

import base64
import hashlib
from dataclasses import replace

import pytest

from clients.identity.commitment import DeviceCommitment, InvalidCommitment, is_opening
from node.primitives.crypto import PrivateKey
from node.primitives.types import Address, Signature

DEVICE, ATTACKER = PrivateKey(b"\x11" * 32), PrivateKey(b"\x66" * 32)

COMMITMENT = DeviceCommitment(
    audience="hub.sakai.example",
    device=DEVICE.address,
    record_key_hash=b"\x22" * 32,
    random=b"\x33" * 16,
)


def test_the_nonce_is_the_hash_the_specification_says() -> None:
    committed = (
        b"daicho/identity/oidc-commitment/1\x00\x11hub.sakai.example"
        + DEVICE.address
        + b"\x22" * 32
        + b"\x33" * 16
    )
    expected = base64.urlsafe_b64encode(hashlib.sha256(committed).digest()).rstrip(b"=").decode()

    assert COMMITMENT.compute_nonce() == expected
    assert len(expected) == 43


def test_the_holder_opens_the_commitment() -> None:
    signature = DEVICE.sign(COMMITMENT.compute_possession_hash())

    assert is_opening(COMMITMENT, nonce=COMMITMENT.compute_nonce(), signature=signature)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(COMMITMENT, device=ATTACKER.address), id="another device"),
        pytest.param(replace(COMMITMENT, audience="hub.evil.example"), id="another audience"),
        pytest.param(replace(COMMITMENT, record_key_hash=bytes(32)), id="another record key"),
        pytest.param(replace(COMMITMENT, random=bytes(16)), id="another random value"),
    ],
)
def test_another_commitment_does_not_open_the_nonce(other: DeviceCommitment) -> None:
    signer = ATTACKER if other.device == ATTACKER.address else DEVICE
    signature = signer.sign(other.compute_possession_hash())

    assert not is_opening(other, nonce=COMMITMENT.compute_nonce(), signature=signature)


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(ATTACKER.sign(COMMITMENT.compute_possession_hash()), id="another key"),
        pytest.param(Signature(bytes(65)), id="zeros"),
        pytest.param(Signature(b""), id="empty"),
    ],
)
def test_a_key_nobody_proved_to_hold_opens_nothing(signature: Signature) -> None:
    assert not is_opening(COMMITMENT, nonce=COMMITMENT.compute_nonce(), signature=signature)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"device": Address(bytes(19))}, id="short address"),
        pytest.param({"record_key_hash": b""}, id="no record key"),
        pytest.param({"random": bytes(15)}, id="too little randomness"),
        pytest.param({"audience": "Hub"}, id="audience out of form"),
    ],
)
def test_fields_out_of_form_make_no_commitment(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidCommitment):
        replace(COMMITMENT, **changes)  # type: ignore[arg-type]


def test_a_commitment_does_not_show_its_random_value() -> None:
    assert repr(b"\x33" * 16) not in repr(COMMITMENT)
