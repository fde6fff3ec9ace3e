"""ID-STATEMENT-TEXT, ID-STATEMENT-PURPOSE: the text shown is the text signed, in one spelling."""

from dataclasses import replace
from datetime import timedelta

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from clients.identity.binding import is_card_only
from clients.identity.certificate import CertificateKind
from clients.identity.statement import (
    LIFETIME_MAX,
    PURPOSES,
    STATEMENT_SIZE_MAX,
    MalformedStatement,
    Purpose,
    Statement,
    compute_device_hash,
    decode_statement,
    encode_statement,
)
from node.primitives.crypto import PrivateKey, recover_address
from tests.support.identity import NOW

DEVICE = PrivateKey(b"\x11" * 32)

BIND = Statement(
    purpose=Purpose.BIND_DEVICE,
    audience="hub.sakai.example",
    nonce=bytes(range(32)),
    issued_at=NOW,
    expires_at=NOW + timedelta(minutes=10),
    device=DEVICE.address,
    record_key_hash=b"\x22" * 32,
)

SHOWN = """\
DAICHO CARD STATEMENT 1
目的 / Purpose: bind-device この端末の鍵を、あなたの本人確認と結びつけます / Bind the key of this \
device to your verified identity
宛先 / For: hub.sakai.example
端末の鍵 / Device key: 0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a
記録の鍵 / Record key: 2222222222222222222222222222222222222222222222222222222222222222
登録番号 / Binding: なし / none
確認番号 / Nonce: 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
発行 / Issued: 2026-04-01T12:00:00+09:00
期限 / Expires: 2026-04-01T12:10:00+09:00
カードはこの文をそのまま署名します。覚えがなければ中止してください。
The card signs exactly this text. If you did not ask for it, stop."""


def test_a_statement_reads_as_the_specification_shows() -> None:
    assert encode_statement(BIND).decode() == SHOWN
    assert decode_statement(SHOWN.encode()) == BIND


@pytest.mark.parametrize("purpose", list(Purpose))
def test_every_purpose_says_what_it_is_in_two_languages(purpose: Purpose) -> None:
    rule = PURPOSES[purpose]
    statement = replace(
        BIND,
        purpose=purpose,
        device=DEVICE.address if rule.has_device else None,
        record_key_hash=None,
        binding_id=b"\x33" * 16 if rule.has_binding else None,
    )

    text = encode_statement(statement)

    assert decode_statement(text) == statement
    assert rule.japanese in text.decode()
    assert rule.english in text.decode()
    assert len(text) < STATEMENT_SIZE_MAX
    assert is_card_only(purpose) is not rule.has_device


def test_only_handing_over_attributes_takes_the_signing_key() -> None:
    signing = [
        purpose for purpose, rule in PURPOSES.items() if rule.kind is CertificateKind.SIGNING
    ]

    assert signing == [Purpose.CONFIRM_ATTRIBUTES]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"nonce": bytes(31)}, id="short nonce"),
        pytest.param({"device": None}, id="no device to bind"),
        pytest.param({"device": bytes(19)}, id="short address"),
        pytest.param({"record_key_hash": bytes(31)}, id="short record key"),
        pytest.param({"binding_id": bytes(16)}, id="a binding where none belongs"),
        pytest.param({"purpose": Purpose.REBIND_DEVICE}, id="re-binding of nothing"),
        pytest.param({"purpose": Purpose.LOG_IN}, id="log-in with a device"),
        pytest.param(
            {"purpose": Purpose.LOG_IN, "device": None}, id="a record key without a device"
        ),
        pytest.param({"audience": "Hub.example"}, id="upper case"),
        pytest.param({"audience": "hub.example\n発行 / Issued: x"}, id="a line smuggled in"),
        pytest.param({"audience": "h" * 101}, id="audience too long"),
        pytest.param({"audience": ""}, id="no audience"),
        pytest.param({"issued_at": NOW.replace(tzinfo=None)}, id="naive instant"),
        pytest.param({"issued_at": NOW.replace(microsecond=1)}, id="fraction of a second"),
        pytest.param({"expires_at": NOW}, id="no life"),
        pytest.param(
            {"expires_at": NOW + LIFETIME_MAX + timedelta(seconds=1)}, id="too long a life"
        ),
    ],
)
def test_fields_out_of_form_make_no_statement(changes: dict[str, object]) -> None:
    with pytest.raises(MalformedStatement):
        encode_statement(replace(BIND, **changes))  # type: ignore[arg-type]


def test_the_longest_life_and_audience_are_allowed() -> None:
    longest = replace(BIND, audience="h" * 100, expires_at=NOW + LIFETIME_MAX)

    assert decode_statement(encode_statement(longest)) == longest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("DAICHO CARD STATEMENT 1", "DAICHO CARD STATEMENT 2", id="another version"),
        pytest.param("bind-device この", "log-in この", id="purpose under another's words"),
        pytest.param("結びつけます", "結びつけません", id="other words"),
        pytest.param("0x19e7", "0x19E7", id="upper-case digits"),
        pytest.param("0x19e7", "19e7", id="no prefix"),
        pytest.param("なし / none", "なし", id="half of none"),
        pytest.param("+09:00", "Z", id="another zone's name"),
        pytest.param("T12:10:00+09:00", "T03:10:00+00:00", id="the same instant in UTC"),
        pytest.param("2026-04-01T12:00", "2026-04-31T12:00", id="no such day"),
        pytest.param("000102", "00 0102", id="a space among digits"),
        pytest.param("\n", "\r\n", id="carriage returns"),
        pytest.param("stop.", "stop.\n", id="a line more"),
        pytest.param("宛先 / For: ", "宛先: ", id="another label"),
    ],
)
def test_any_other_spelling_is_refused(old: str, new: str) -> None:
    assert old in SHOWN

    with pytest.raises(MalformedStatement):
        decode_statement(SHOWN.replace(old, new).encode())


def test_size_is_bounded_before_anything_is_read() -> None:
    for size in (STATEMENT_SIZE_MAX, STATEMENT_SIZE_MAX + 1):
        with pytest.raises(MalformedStatement) as refused:
            decode_statement(b"x" * size)
        assert ("at most" in refused.value.message) is (size > STATEMENT_SIZE_MAX)
    with pytest.raises(MalformedStatement, match="not UTF-8"):
        decode_statement(b"\xff")


def test_wallets_sign_the_same_bytes() -> None:
    text = encode_statement(BIND)
    signed = Account.sign_message(encode_defunct(text), DEVICE.export_secret())

    own_form = signed.signature[:64] + bytes([signed.signature[64] - 27])
    assert recover_address(compute_device_hash(text), own_form) == DEVICE.address
