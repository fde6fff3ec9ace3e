"""WALLET-RECORD: records sealed for one resident, by both halves of a hybrid KEM."""

import secrets

import pytest

from clients.wallet.records import (
    LATTICE_PUBLIC_SIZE,
    LATTICE_SEED_SIZE,
    RECORD_PUBLIC_SIZE,
    RECORD_SECRET_SIZE,
    RECORD_SIZE_MAX,
    SEALING_SIZE,
    InvalidRecord,
    open_record,
    record_public_key,
    seal_record,
)
from clients.wallet.sealing import WORK_MIN, Stretch
from clients.wallet.wallet import Kind, create_wallet

SECRET = secrets.token_bytes(RECORD_SECRET_SIZE)
PUBLIC = record_public_key(SECRET)
TEXT = "診療の記録".encode()


def sealed() -> bytes:
    return seal_record(PUBLIC, TEXT, sector="health", record_id=b"7")


def test_a_record_opens_for_its_owner() -> None:
    assert len(PUBLIC) == RECORD_PUBLIC_SIZE
    assert len(sealed()) == len(TEXT) + SEALING_SIZE
    assert open_record(SECRET, sealed(), sector="health", record_id=b"7") == TEXT
    assert sealed() != sealed()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(
            secrets.token_bytes(LATTICE_SEED_SIZE) + SECRET[LATTICE_SEED_SIZE:],
            id="only the curve half",
        ),
        pytest.param(
            SECRET[:LATTICE_SEED_SIZE] + secrets.token_bytes(32), id="only the lattice half"
        ),
    ],
)
def test_one_half_of_the_key_opens_nothing(other: bytes) -> None:
    with pytest.raises(InvalidRecord):
        open_record(other, sealed(), sector="health", record_id=b"7")


@pytest.mark.parametrize(
    ("sector", "record_id"),
    [pytest.param("library", b"7", id="sector"), pytest.param("health", b"8", id="record")],
)
def test_a_record_moved_elsewhere_does_not_open(sector: str, record_id: bytes) -> None:
    with pytest.raises(InvalidRecord):
        open_record(SECRET, sealed(), sector=sector, record_id=record_id)


@pytest.mark.parametrize("at", [0, 31, 32, 1_087, 1_119, 1_120, -1])
def test_an_altered_record_does_not_open(at: int) -> None:
    data = bytearray(sealed())
    data[at] ^= 1

    with pytest.raises(InvalidRecord):
        open_record(SECRET, bytes(data), sector="health", record_id=b"7")


def test_sizes_are_bounded() -> None:
    longest = bytes(RECORD_SIZE_MAX)
    kept = seal_record(PUBLIC, longest, sector="health", record_id=b"7")

    assert open_record(SECRET, kept, sector="health", record_id=b"7") == longest
    for data in (b"", sealed()[: SEALING_SIZE - 1], kept + b"\x00"):
        with pytest.raises(InvalidRecord):
            open_record(SECRET, data, sector="health", record_id=b"7")
    with pytest.raises(InvalidRecord):
        seal_record(PUBLIC, longest + b"\x00", sector="health", record_id=b"7")
    for record_id in (b"", b"i" * 65):
        with pytest.raises(InvalidRecord):
            seal_record(PUBLIC, TEXT, sector="health", record_id=record_id)


def test_malformed_keys_are_refused() -> None:
    bad_lattice = b"\xff" * LATTICE_PUBLIC_SIZE + PUBLIC[LATTICE_PUBLIC_SIZE:]
    for public in (b"", PUBLIC[:-1], PUBLIC + b"\x00", bad_lattice):
        with pytest.raises(InvalidRecord):
            seal_record(public, TEXT, sector="health", record_id=b"7")
    with pytest.raises(InvalidRecord):
        record_public_key(SECRET[:-1])


def test_a_point_of_small_order_is_refused() -> None:
    small = PUBLIC[:LATTICE_PUBLIC_SIZE] + bytes(32)

    with pytest.raises(InvalidRecord):
        seal_record(small, TEXT, sector="health", record_id=b"7")


def test_a_wallet_opens_what_was_sealed_for_its_sector() -> None:
    stretch = Stretch(salt=bytes(16), work=WORK_MIN)
    wallet = create_wallet("a good passphrase", secrets.token_bytes, stretch=stretch)
    opened = wallet.unlock("a good passphrase", secrets.token_bytes)
    opened.add_sector("health")
    opened.add_sector("library")
    entry = opened.wallet.find(Kind.RECORD, "health")
    assert entry is not None
    data = seal_record(entry.public, TEXT, sector="health", record_id=b"7")

    assert opened.open_record("health", data, record_id=b"7") == TEXT
    with pytest.raises(InvalidRecord):
        opened.open_record("library", data, record_id=b"7")
