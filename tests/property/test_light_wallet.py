"""WALLET-LOCK, WALLET-BACKUP, WALLET-RECORD: files and records of strangers raise named errors."""

import json
import secrets

from hypothesis import given, settings
from hypothesis import strategies as st

from clients.wallet.backup import create_backup, open_backup, restore_backup
from clients.wallet.records import RECORD_SECRET_SIZE, SEALING_SIZE, InvalidRecord, open_record
from clients.wallet.sealing import WORK_MIN, Stretch
from clients.wallet.wallet import (
    SECRET_SIZES,
    InvalidWallet,
    Kind,
    OpenWallet,
    create_wallet,
    decode_wallet,
    encode_wallet,
)
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput

PASSPHRASE = "the same everywhere"
STRETCH = Stretch(salt=bytes(16), work=WORK_MIN)
LOCKED = create_wallet(PASSPHRASE, secrets.token_bytes, stretch=STRETCH)
SECRET = bytes(range(RECORD_SECRET_SIZE))
FIELDS = ["version", "salt", "work", "device_key", "entries", "kind", "name", "public", "sealed"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "00", "sector", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5)
    ),
    max_leaves=12,
)


def opened() -> OpenWallet:
    return LOCKED.unlock(PASSPHRASE, secrets.token_bytes)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_wallet_is_refused(data: bytes) -> None:
    try:
        decode_wallet(data)
    except InvalidWallet:
        return
    raise AssertionError("no such text is a wallet")


@settings(max_examples=100, deadline=None)
@given(place=st.sampled_from(FIELDS[:5]), value=JSON)
def test_a_wallet_with_one_field_replaced_is_read_or_refused(place: str, value: object) -> None:
    record = json.loads(encode_wallet(LOCKED)) | {place: value}
    try:
        decode_wallet(json.dumps(record).encode())
    except InvalidWallet:
        return


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=120), is_marked=st.booleans())
def test_what_is_no_backup_is_refused(body: bytes, is_marked: bool) -> None:
    data = b"DAICHOWB\x01\x0e" + body if is_marked else body
    try:
        open_backup(data + sha256(data), PASSPHRASE)
    except InvalidInput:
        return
    raise AssertionError("no such bytes are a backup")


@settings(max_examples=100, deadline=None)
@given(sealed=st.binary(max_size=64), is_long=st.booleans())
def test_what_is_no_record_is_refused(sealed: bytes, is_long: bool) -> None:
    data = bytes(SEALING_SIZE) + sealed if is_long else sealed
    try:
        open_record(SECRET, data, sector="health", record_id=b"1")
    except InvalidRecord:
        return
    raise AssertionError("no such bytes are a record")


@settings(max_examples=15, deadline=None)
@given(
    names=st.lists(
        st.tuples(st.sampled_from(list(Kind)), st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True)),
        unique=True,
        max_size=8,
    )
)
def test_any_wallet_survives_its_file_and_its_backup(names: list[tuple[Kind, str]]) -> None:
    wallet = opened()
    for kind, name in names:
        secret = b"\x01" * SECRET_SIZES[kind]
        wallet.put(kind, name, secret)

    read = decode_wallet(encode_wallet(wallet.wallet).encode())
    backup = create_backup(wallet, PASSPHRASE, secrets.token_bytes, work=WORK_MIN)
    restored = opened()
    restore_backup(restored, backup, PASSPHRASE)

    assert read == wallet.wallet
    assert restored.secrets() == wallet.secrets()
    assert len(restored.secrets()) == len(names)
