"""EXEC-TYPES, EXEC-CHAIN-ID: which transactions decode, judged by eth-account."""

from typing import Any

import pytest
from eth_account import Account

from node.primitives import rlp
from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput, InvalidTransaction, MalformedMessage
from node.primitives.transaction import (
    ACCESS_LIST_KEYS_MAX,
    TRANSACTION_SIZE_MAX,
    Transaction,
    decode_transaction,
    sign_transaction,
)
from node.primitives.types import Address

SENDER = PrivateKey(b"\x01" * 32)
LEGACY = {"nonce": 1, "gasPrice": 0, "gas": 21_000, "to": "0x" + "11" * 20, "value": 3}
DYNAMIC = {
    "type": 2,
    "nonce": 7,
    "maxFeePerGas": 3,
    "maxPriorityFeePerGas": 1,
    "gas": 90_000,
    "to": "0x" + "11" * 20,
    "value": 0,
    "data": b"hi",
}
WARM = [{"address": "0x" + "22" * 20, "storageKeys": ["0x" + "33" * 32]}]


def legacy_items(data: bytes = b"") -> list[rlp.Item]:
    """Return the items of a legacy transaction of chain 77."""
    return [b"", b"", b"", b"\x11" * 20, b"", data, b"\xbd", b"\x01", b"\x01"]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(LEGACY, id="legacy"),
        pytest.param({**LEGACY, "type": 1, "accessList": WARM}, id="access list"),
        pytest.param({**DYNAMIC, "accessList": WARM}, id="dynamic fee"),
        pytest.param({k: v for k, v in DYNAMIC.items() if k != "to"}, id="creation"),
    ],
)
def test_a_wallets_transaction_decodes_to_its_sender_and_encodes_back(
    fields: dict[str, Any],
) -> None:
    signed = Account.from_key(b"\x01" * 32).sign_transaction({**fields, "chainId": 77})
    raw = bytes(signed.raw_transaction)

    transaction = decode_transaction(raw)

    assert transaction.sender == SENDER.address
    assert transaction.chain_id == 77
    assert transaction.hash == bytes(signed.hash)
    again = Transaction(**{name: getattr(transaction, name) for name in FIELDS})
    assert again.raw == raw


FIELDS = tuple(Transaction.__dataclass_fields__)


def test_our_own_transactions_are_what_a_wallet_would_sign() -> None:
    ours = sign_transaction(
        SENDER, chain_id=77, nonce=7, gas_limit=90_000, to=Address(b"\x11" * 20), data=b"hi"
    )
    fields = {**DYNAMIC, "maxFeePerGas": 0, "maxPriorityFeePerGas": 0, "chainId": 77}
    signed = Account.from_key(b"\x01" * 32).sign_transaction(fields)

    assert ours.raw == bytes(signed.raw_transaction)


@pytest.mark.parametrize(
    "kind", [pytest.param(3, id="blob"), pytest.param(4, id="set code"), pytest.param(0, id="0")]
)
def test_types_the_ledger_has_no_use_for_are_refused(kind: int) -> None:
    with pytest.raises(InvalidTransaction, match="EXEC-TYPES"):
        decode_transaction(bytes((kind,)) + rlp.encode([b""] * 14))


def test_a_transaction_without_a_chain_id_is_refused() -> None:
    signed = Account.from_key(b"\x01" * 32).sign_transaction(LEGACY)

    with pytest.raises(InvalidTransaction, match="EXEC-CHAIN-ID"):
        decode_transaction(bytes(signed.raw_transaction))


def test_the_size_bound_holds_at_the_byte() -> None:
    def of_size(size: int) -> bytes:
        empty = rlp.encode(legacy_items(data=b"\x01" * 70_000))
        raw = rlp.encode(legacy_items(data=b"\x01" * (70_000 + size - len(empty))))
        assert len(raw) == size
        return raw

    assert decode_transaction(of_size(TRANSACTION_SIZE_MAX)).chain_id == 77
    with pytest.raises(MalformedMessage, match="at most"):
        decode_transaction(of_size(TRANSACTION_SIZE_MAX + 1))


def test_the_access_list_bound_holds_at_the_key() -> None:
    def with_keys(count: int) -> bytes:
        warm: list[rlp.Item] = [[b"\x22" * 20, [b"\x00" * 32] * count]]
        numbers = [b"\x01", b"", b"", b"", b"", b"", b"", b""]
        return b"\x02" + rlp.encode([*numbers, warm, b"", b"\x01", b"\x01"])

    assert decode_transaction(with_keys(ACCESS_LIST_KEYS_MAX - 1)).access_list
    with pytest.raises(MalformedMessage, match="accessList"):
        decode_transaction(with_keys(ACCESS_LIST_KEYS_MAX))


@pytest.mark.parametrize("at", range(9))
def test_every_field_of_the_wrong_form_is_malformed(at: int) -> None:
    items = legacy_items()
    items[at] = [[b"nested"]]

    with pytest.raises(InvalidInput):
        decode_transaction(rlp.encode(items))


def test_a_sender_is_adopted_from_the_same_bytes_alone() -> None:
    made = sign_transaction(SENDER, chain_id=77, nonce=0, gas_limit=21_000, to=None)
    other = sign_transaction(PrivateKey(b"\x02" * 32), chain_id=77, nonce=0, gas_limit=1, to=None)
    known, fresh, stranger = (decode_transaction(each.raw) for each in (made, made, other))
    fresh.adopt_sender(known)
    assert "sender" not in fresh.__dict__

    assert known.sender == SENDER.address
    fresh.adopt_sender(known)
    stranger.adopt_sender(known)

    assert fresh.__dict__["sender"] == SENDER.address
    assert "sender" not in stranger.__dict__
    assert stranger.sender == PrivateKey(b"\x02" * 32).address
