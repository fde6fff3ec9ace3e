"""WALLET-SECTOR, WALLET-LOCK, WALLET-ONCE, WALLET-BALLOT, WALLET-EXPORT: a resident's keys.

scrypt runs at the least work a file may say; eth-account judges signatures.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account

from clients.voting.roll import derive_ballot_key
from clients.wallet.sealing import (
    PASSPHRASE_LENGTH_MAX,
    PASSPHRASE_LENGTH_MIN,
    WORK,
    WORK_MAX,
    WORK_MIN,
    InvalidWallet,
    Stretch,
    WeakPassphrase,
    WrongPassphrase,
    seal,
    unseal,
)
from clients.wallet.wallet import (
    ENTRY_COUNT_MAX,
    WALLET_SIZE_MAX,
    ExportRefused,
    KeyExists,
    Kind,
    OpenWallet,
    UnknownKey,
    WalletLocked,
    create_wallet,
    decode_wallet,
    draw_key,
    encode_wallet,
)
from node.primitives.crypto import CURVE_ORDER, recover_address
from node.primitives.errors import InvalidInput
from node.primitives.types import Address

PASSPHRASE = "桜の木の下で会いましょう"
STRETCH = Stretch(salt=b"\x05" * 16, work=WORK_MIN)
EID = b"\x07" * 32
HASH = b"\x09" * 32


def opened() -> OpenWallet:
    wallet = create_wallet(PASSPHRASE, secrets.token_bytes, stretch=STRETCH)
    return wallet.unlock(PASSPHRASE, secrets.token_bytes)


def test_a_sectors_key_signs_from_its_address() -> None:
    wallet = opened()
    address = wallet.add_sector("health")

    assert recover_address(HASH, wallet.sign("health", HASH)) == address
    call = wallet.sign_call(
        "health", Address(b"\x01" * 20), b"\x02", chain_id=5, nonce=0, gas_limit=50_000
    )
    assert bytes.fromhex(Account.recover_transaction(call.raw)[2:]) == address


def test_sectors_have_nothing_in_common() -> None:
    wallet = opened()
    wallet.add_sector("health")
    wallet.add_sector("library")
    texts = [each[2] for each in wallet.secrets()]

    assert len({text[at : at + 8] for text in texts for at in range(0, 32, 8)}) == 16


def test_keys_are_never_replaced() -> None:
    wallet = opened()
    address = wallet.add_sector("health")

    with pytest.raises(KeyExists):
        wallet.add_sector("health")
    assert recover_address(HASH, wallet.sign("health", HASH)) == address


def test_the_ballot_key_is_the_voting_clients_own() -> None:
    wallet = opened()
    wallet.add_ballot_seed(EID)
    seed = next(secret for kind, _, secret in wallet.secrets() if kind is Kind.BALLOT)

    assert wallet.ballot_key(EID) == derive_ballot_key(seed, EID)
    with pytest.raises(UnknownKey):
        wallet.ballot_key(b"\x08" * 32)
    with pytest.raises(KeyExists):
        wallet.add_ballot_seed(EID)


def test_a_locked_wallet_shows_addresses_and_uses_no_key() -> None:
    wallet = opened()
    address = wallet.add_sector("health")
    wallet.add_ballot_seed(EID)
    wallet.lock()
    uses: list[Callable[[], Any]] = [
        lambda: wallet.sign("health", HASH),
        lambda: wallet.ballot_key(EID),
        lambda: wallet.open_record("health", b"\x00" * 2_000, record_id=b"1"),
        lambda: wallet.export_secret(Kind.SECTOR, "health", confirm=address),
        lambda: wallet.add_sector("library"),
        lambda: wallet.change_passphrase(PASSPHRASE),
        wallet.secrets,
    ]

    for use in uses:
        with pytest.raises(WalletLocked):
            use()
    entry = wallet.wallet.find(Kind.SECTOR, "health")
    assert entry is not None
    assert entry.public == address


def test_only_the_passphrase_opens_a_wallet_however_it_was_typed() -> None:
    wallet = create_wallet("ガラスの靴をはいた猫と犬", secrets.token_bytes, stretch=STRETCH)

    assert wallet.unlock("ｶﾞﾗｽの靴をはいた猫と犬", secrets.token_bytes)
    with pytest.raises(WrongPassphrase):
        wallet.unlock(PASSPHRASE, secrets.token_bytes)


def test_a_changed_passphrase_keeps_the_keys() -> None:
    before = opened()
    address = before.add_sector("health")
    before.change_passphrase("another passphrase")

    after = before.wallet.unlock("another passphrase", secrets.token_bytes)

    assert recover_address(HASH, after.sign("health", HASH)) == address
    with pytest.raises(WrongPassphrase):
        before.wallet.unlock(PASSPHRASE, secrets.token_bytes)


@pytest.mark.parametrize(
    ("length", "is_good"),
    [
        (PASSPHRASE_LENGTH_MIN - 1, False),
        (PASSPHRASE_LENGTH_MIN, True),
        (PASSPHRASE_LENGTH_MAX, True),
        (PASSPHRASE_LENGTH_MAX + 1, False),
    ],
)
def test_passphrases_have_bounds(length: int, is_good: bool) -> None:
    if is_good:
        assert create_wallet("p" * length, secrets.token_bytes, stretch=STRETCH)
        return
    with pytest.raises(WeakPassphrase):
        create_wallet("p" * length, secrets.token_bytes, stretch=STRETCH)


@pytest.mark.parametrize("work", [WORK_MIN // 2, WORK_MIN + 1, WORK_MAX * 2, 0, -1])
def test_work_out_of_bounds_is_refused_before_it_is_done(work: int) -> None:
    with pytest.raises(InvalidWallet):
        Stretch(salt=b"\x00" * 16, work=work)


def test_a_new_wallet_costs_what_is_recommended() -> None:
    assert Stretch(salt=b"\x00" * 16).work == WORK == 1 << 17


def test_a_secret_leaves_only_when_its_address_is_repeated() -> None:
    wallet = opened()
    address = wallet.add_sector("health")
    wallet.add_ballot_seed(EID)

    for confirm in (None, b"", b"\x00" * 20):
        with pytest.raises(ExportRefused):
            wallet.export_secret(Kind.SECTOR, "health", confirm=confirm)
    with pytest.raises(ExportRefused):
        wallet.export_secret(Kind.BALLOT, EID.hex(), confirm=b"")
    secret = wallet.export_secret(Kind.SECTOR, "health", confirm=address)
    assert bytes.fromhex(Account.from_key(secret).address[2:]) == address


def test_a_wallet_is_read_back_as_written_and_tells_no_secret() -> None:
    wallet = opened()
    wallet.add_sector("health")
    wallet.add_ballot_seed(EID)
    text = encode_wallet(wallet.wallet)

    assert decode_wallet(text.encode()) == wallet.wallet
    seen = text + repr(wallet) + repr(wallet.wallet)
    assert [name for _, name, secret in wallet.secrets() if secret.hex() in seen] == []


def test_entries_cannot_be_swapped_or_renamed() -> None:
    wallet = opened()
    wallet.add_sector("health")
    wallet.add_sector("library")
    health = wallet.wallet.find(Kind.SECTOR, "health")
    library = wallet.wallet.find(Kind.SECTOR, "library")
    assert health is not None
    assert library is not None
    for bad in (
        replace(health, sealed=library.sealed),
        replace(health, public=library.public),
        replace(health, name="other"),
        replace(health, sealed=health.sealed[:-1]),
        replace(health, sealed=b""),
    ):
        forged = replace(wallet.wallet, entries=(bad,)).unlock(PASSPHRASE, secrets.token_bytes)
        with pytest.raises(InvalidInput):
            forged.sign(bad.name, HASH)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"work": True},
        {"work": 1 << 30},
        {"salt": "00"},
        {"device_key": 5},
        {"device_key": "zz"},
        {"entries": {}},
        {"entries": [{}]},
        {"entries": [{"kind": "x", "name": "a", "public": "", "sealed": ""}]},
        {"entries": [{"kind": "sector", "name": "A", "public": "", "sealed": ""}]},
        {"entries": [{"kind": "sector", "name": "a", "public": "", "sealed": ""}] * 2},
        {"entries": [{}] * (ENTRY_COUNT_MAX + 1)},
        {"more": 1},
    ],
    ids=str,
)
def test_a_malformed_file_is_refused(change: dict[str, object]) -> None:
    record = json.loads(encode_wallet(opened().wallet)) | change

    with pytest.raises(InvalidWallet):
        decode_wallet(json.dumps(record).encode())


def test_a_deeply_nested_file_is_refused() -> None:
    for data in (b"[" * 100_000, b"x"):
        with pytest.raises(InvalidWallet):
            decode_wallet(data)


def test_a_file_is_read_up_to_its_bound() -> None:
    wallet = opened().wallet
    longest = encode_wallet(wallet).encode().ljust(WALLET_SIZE_MAX)

    assert decode_wallet(longest) == wallet
    with pytest.raises(InvalidWallet, match="over"):
        decode_wallet(longest + b" ")


def test_a_wallet_holds_a_bounded_number_of_keys() -> None:
    wallet = opened()
    for at in range(ENTRY_COUNT_MAX):
        wallet.put(Kind.BALLOT, f"{at:064x}", bytes(16))

    with pytest.raises(InvalidInput, match="full"):
        wallet.add_ballot_seed(EID)


@pytest.mark.parametrize("name", ["", "Health", "-a", "a-", "a" * 65, "健康", "a b"])
def test_names_of_sectors_have_one_form(name: str) -> None:
    with pytest.raises(InvalidInput):
        opened().add_sector(name)


def test_one_time_keys_are_drawn_within_range_and_never_kept() -> None:
    draws = iter([bytes(32), CURVE_ORDER.to_bytes(32, "big"), b"\x01" * 32])

    assert draw_key(lambda _size: next(draws)).export_secret() == b"\x01" * 32
    assert draw_key(secrets.token_bytes).address != draw_key(secrets.token_bytes).address
    with pytest.raises(InvalidInput, match="randomness"):
        draw_key(bytes)


def test_a_sealed_secret_opens_in_its_own_context_only() -> None:
    key = secrets.token_bytes(32)
    sealed = seal(key, b"secret", b"here", secrets.token_bytes)

    assert unseal(key, sealed, b"here") == b"secret"
    with pytest.raises(WrongPassphrase):
        unseal(key, sealed, b"there")
