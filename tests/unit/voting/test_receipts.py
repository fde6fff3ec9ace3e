"""RECEIPT-SIGNATURE, RECEIPT-ROLL, RECEIPT-BALLOT: a receipt binds all it says to one key."""

import pytest

from clients.voting.group import decode_point_xy
from clients.voting.receipts import (
    InvalidReceipt,
    ballot_receipt_hash,
    check_receipt,
    roll_receipt_hash,
    sign_receipt,
)
from node.primitives.crypto import CURVE_ORDER
from tests.support.ledger import key_of
from tests.support.voting import EID

RELAY = key_of("a relay's receipts")
RELAY_POINT = decode_point_xy(RELAY.public_key[1:])
OTHER_POINT = decode_point_xy(key_of("another relay").public_key[1:])
D = b"\xd0" * 32
DIGEST = ballot_receipt_hash(EID, D, 120)


def test_the_named_key_stands_for_its_receipt() -> None:
    check_receipt(DIGEST, sign_receipt(DIGEST, RELAY), RELAY_POINT)


@pytest.mark.parametrize(
    "digest",
    [
        pytest.param(ballot_receipt_hash(EID, D, 121), id="another deadline"),
        pytest.param(ballot_receipt_hash(EID, b"\xd1" * 32, 120), id="another ballot"),
        pytest.param(ballot_receipt_hash(b"\x01" * 32, D, 120), id="another election"),
        pytest.param(roll_receipt_hash(EID, D, 0, 120), id="a roll receipt"),
    ],
)
def test_a_signature_stands_for_one_promise_only(digest: bytes) -> None:
    with pytest.raises(InvalidReceipt):
        check_receipt(digest, sign_receipt(DIGEST, RELAY), RELAY_POINT)


def test_another_key_is_not_believed() -> None:
    with pytest.raises(InvalidReceipt):
        check_receipt(DIGEST, sign_receipt(DIGEST, RELAY), OTHER_POINT)


def test_only_one_form_of_a_signature_is_taken() -> None:
    signature = sign_receipt(DIGEST, RELAY)
    s = int.from_bytes(signature[32:64], "big")
    high = signature[:32] + (CURVE_ORDER - s).to_bytes(32, "big") + bytes([55 - signature[64]])

    for other in (high, signature[:64] + bytes([signature[64] - 27]), signature + b"\x00"):
        with pytest.raises(InvalidReceipt):
            check_receipt(DIGEST, other, RELAY_POINT)


def test_every_field_of_a_roll_receipt_is_bound() -> None:
    fields = (EID, D, 3, 1_700_000_000)
    changed = [(b"\x01" * 32, *fields[1:]), (EID, EID, *fields[2:]), (EID, D, 4, fields[3])]

    digests = {roll_receipt_hash(*each) for each in [fields, *changed, (EID, D, 3, 1_700_000_001)]}

    assert len(digests) == 5
