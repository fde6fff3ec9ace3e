"""WALLET-BACKUP: one file that restores every key, or says why not."""

import secrets

import pytest

from clients.wallet.backup import (
    BACKUP_SIZE_MAX,
    DamagedBackup,
    create_backup,
    open_backup,
    restore_backup,
)
from clients.wallet.sealing import WORK_MIN, InvalidWallet, Stretch, WrongPassphrase
from clients.wallet.wallet import (
    ENTRY_COUNT_MAX,
    KeyExists,
    Kind,
    OpenWallet,
    WalletLocked,
    create_wallet,
)
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput

OURS, THEIRS = "the wallet's passphrase", "紙に書いた合言葉その一"
EID = b"\x07" * 32


def opened() -> OpenWallet:
    wallet = create_wallet(
        OURS, secrets.token_bytes, stretch=Stretch(salt=bytes(16), work=WORK_MIN)
    )
    return wallet.unlock(OURS, secrets.token_bytes)


def filled() -> OpenWallet:
    wallet = opened()
    wallet.add_sector("health")
    wallet.add_sector("library")
    wallet.add_ballot_seed(EID)
    return wallet


WALLET = filled()
BACKUP = create_backup(WALLET, THEIRS, secrets.token_bytes, work=WORK_MIN)


def resealed(data: bytes) -> bytes:
    """Return altered bytes with a checksum that fits them."""
    return data[:-32] + sha256(data[:-32])


def test_a_backup_restores_every_key_under_another_passphrase() -> None:
    fresh = opened()

    assert restore_backup(fresh, BACKUP, THEIRS) == 5
    assert fresh.secrets() == WALLET.secrets()
    assert restore_backup(fresh, BACKUP, THEIRS) == 0


def test_an_empty_wallet_has_a_backup_too() -> None:
    backup = create_backup(opened(), THEIRS, secrets.token_bytes, work=WORK_MIN)

    assert open_backup(backup, THEIRS) == ()


def test_a_wrong_passphrase_is_told_from_damage() -> None:
    with pytest.raises(WrongPassphrase):
        open_backup(BACKUP, OURS)
    for at in range(0, len(BACKUP), 37):
        data = bytearray(BACKUP)
        data[at] ^= 1
        with pytest.raises(DamagedBackup):
            open_backup(bytes(data), THEIRS)


@pytest.mark.parametrize("at", [pytest.param(at, id=f"byte {at}") for at in (10, 25, 26, 40, -40)])
def test_a_forged_backup_does_not_open_although_its_checksum_fits(at: int) -> None:
    data = bytearray(BACKUP)
    data[at] ^= 1

    with pytest.raises(WrongPassphrase):
        open_backup(resealed(bytes(data)), THEIRS)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(BACKUP[:50], id="cut short"),
        pytest.param(BACKUP[:-1], id="one byte less"),
        pytest.param(BACKUP + b"\x00", id="one byte more"),
        pytest.param(b"X" + BACKUP[1:], id="another magic"),
        pytest.param(BACKUP + bytes(BACKUP_SIZE_MAX), id="too long"),
        pytest.param(resealed(BACKUP[:8] + b"\x02" + BACKUP[9:]), id="another version"),
    ],
)
def test_what_is_no_backup_is_named(data: bytes) -> None:
    with pytest.raises(DamagedBackup):
        open_backup(data, THEIRS)


@pytest.mark.parametrize("log_work", [0, 13, 19, 63, 255])
def test_work_out_of_bounds_is_refused_before_it_is_done(log_work: int) -> None:
    data = resealed(BACKUP[:9] + bytes((log_work,)) + BACKUP[10:])

    with pytest.raises(InvalidWallet, match="bounds"):
        open_backup(data, THEIRS)


def test_restoring_replaces_nothing_and_adds_nothing_when_keys_differ() -> None:
    other = opened()
    other.add_sector("library")
    before = other.wallet

    with pytest.raises(KeyExists, match="library"):
        restore_backup(other, BACKUP, THEIRS)
    assert other.wallet == before


def test_restoring_more_than_fits_adds_nothing() -> None:
    full = opened()
    for at in range(ENTRY_COUNT_MAX - 4):
        full.put(Kind.BALLOT, f"{at:064x}", bytes(16))
    before = full.wallet

    with pytest.raises(InvalidInput, match="full"):
        restore_backup(full, BACKUP, THEIRS)
    assert full.wallet == before


def test_the_largest_wallet_fits_a_backup() -> None:
    full = opened()
    for at in range(ENTRY_COUNT_MAX):
        full.put(Kind.RECORD, f"{at:064x}", secrets.token_bytes(96))

    backup = create_backup(full, THEIRS, secrets.token_bytes, work=WORK_MIN)

    assert len(backup) <= BACKUP_SIZE_MAX
    assert len(open_backup(backup, THEIRS)) == ENTRY_COUNT_MAX


def test_a_locked_wallet_gives_no_backup() -> None:
    wallet = filled()
    wallet.lock()

    with pytest.raises(WalletLocked):
        create_backup(wallet, THEIRS, secrets.token_bytes, work=WORK_MIN)


def test_a_backup_shows_no_secret() -> None:
    assert [name for _, name, secret in WALLET.secrets() if secret in BACKUP] == []
