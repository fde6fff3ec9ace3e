"""STORE-SNAPSHOT, STORE-STREAM: a snapshot restores exactly its state, or is refused by name."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from node.primitives import rlp
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput
from node.primitives.types import Height
from node.storage import snapshot
from node.storage.chain import ChainStore, open_stored
from node.storage.check import verify_database
from node.storage.errors import (
    DatabaseMismatch,
    DiskFailed,
    DiskFull,
    NotStored,
    StatePruned,
)
from node.storage.kv import MemoryStore
from node.storage.schema import account_key, hash_address
from node.storage.snapshot import (
    MAGIC,
    InvalidSnapshot,
    Manifest,
    SnapshotFile,
    SnapshotRestore,
    decode_manifest,
    restore_snapshot,
    write_snapshot,
)
from node.storage.state_store import StateMode
from node.storage.state_stream import StateMismatch
from node.storage.view import StateChanges
from tests.support.stores import (
    CONTRACT,
    CONTRACT_CODE,
    FailingStore,
    ModelState,
    address_of,
    commit,
    make_alloc,
    make_block,
    open_made_up,
    random_changes,
)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "CHUNK_SIZE", 700)
    monkeypatch.setattr(snapshot, "RESTORE_BATCH_SIZE", 500)


def grown(mode: StateMode = StateMode.ARCHIVE, blocks: int = 6) -> ChainStore:
    chance = random.Random(4)
    chain = open_made_up(mode=mode)
    model = ModelState()
    model.apply(make_alloc())
    for _ in range(blocks):
        changes = random_changes(chance, model)
        model.apply(changes)
        commit(chain, changes)
    return chain


def restored(
    chain: ChainStore, path: Path, height: int, mode: StateMode = StateMode.LIVE
) -> ChainStore:
    store = MemoryStore()
    restore_snapshot(
        store,
        path,
        trusted=chain.load_header(Height(height)),
        genesis_hash=chain.load_header(Height(0)).hash,
        mode=mode,
    )
    return open_stored(store)


@pytest.mark.parametrize("source", list(StateMode))
@pytest.mark.parametrize("target", list(StateMode))
def test_a_restored_chain_has_the_same_state_and_goes_on(
    tmp_path: Path, source: StateMode, target: StateMode
) -> None:
    chain = grown(source)
    told: list[tuple[int, int]] = []
    manifest = write_snapshot(chain, tmp_path / "s", progress=lambda *at: told.append(at))
    assert len(manifest.chunks) > 3

    again = restored(chain, tmp_path / "s", 6, target)
    assert again.mode is target
    assert (again.head, again.base, again.restored_at) == (chain.head, 0, 6)
    assert again.load_header(Height(2)) == chain.load_header(Height(2))
    assert again.load_hash(Height(0)) == chain.load_hash(Height(0))
    with pytest.raises(NotStored, match="body"):
        again.load_block(Height(6))
    assert all(check.is_passed for check in verify_database(again))
    made = make_block(chain, StateChanges(accounts={CONTRACT: None}), logs=((),))
    for one in (chain, again):
        one.commit_block(made.block, made.receipts, made.overlay)
    assert all(check.is_passed for check in verify_database(again))
    write_snapshot(again, tmp_path / "t")
    write_snapshot(chain, tmp_path / "u")
    with SnapshotFile(tmp_path / "t") as one, SnapshotFile(tmp_path / "u") as other:
        assert one.manifest.header == other.manifest.header


def test_an_archive_writes_any_height_and_a_live_node_its_head_only(tmp_path: Path) -> None:
    chain = grown()
    for height in range(6):
        write_snapshot(chain, tmp_path / "s", height=Height(height))
        again = restored(chain, tmp_path / "s", height)
        assert again.head == chain.load_header(Height(height))
    with pytest.raises(StatePruned):
        write_snapshot(grown(StateMode.LIVE), tmp_path / "live", height=Height(3))
    assert not list(tmp_path.glob("live*"))


def test_only_the_headers_asked_for_come_along(tmp_path: Path) -> None:
    chain = grown()
    write_snapshot(chain, tmp_path / "s", headers_from=Height(4))
    again = restored(chain, tmp_path / "s", 6)
    assert again.base == 4
    with pytest.raises(NotStored):
        again.load_header(Height(3))


def test_chunks_can_be_served_one_by_one(tmp_path: Path) -> None:
    chain = grown()
    write_snapshot(chain, tmp_path / "s")
    store = MemoryStore()
    with SnapshotFile(tmp_path / "s") as served:
        manifest = decode_manifest(served.manifest_bytes)
        restore = SnapshotRestore(
            store,
            manifest,
            trusted=chain.head,
            genesis_hash=manifest.genesis_hash,
            mode=StateMode.LIVE,
        )
        with pytest.raises(InvalidSnapshot, match="chunk 0"):
            restore.add_chunk(served.read_chunk(1))
        with pytest.raises(InvalidSnapshot, match="rest is missing"):
            restore.finish()
        while restore.next_index < len(manifest.chunks):
            restore.add_chunk(served.read_chunk(restore.next_index))
        with pytest.raises(InvalidSnapshot, match="more chunks"):
            restore.add_chunk(served.read_chunk(0))
        with pytest.raises(InvalidSnapshot, match="does not exist"):
            served.read_chunk(len(manifest.chunks))
        restore.finish()
    assert open_stored(store).head == chain.head


def test_another_height_block_or_chain_than_trusted_is_refused(tmp_path: Path) -> None:
    chain = grown()
    write_snapshot(chain, tmp_path / "s")
    genesis = chain.load_header(Height(0)).hash
    other = make_block(grown(blocks=5), StateChanges(accounts={CONTRACT: None})).block.header
    with pytest.raises(InvalidSnapshot, match="height 6, the trusted header of 5"):
        restored(chain, tmp_path / "s", 5)
    for trusted, named, text in (
        (other, genesis, "the trusted header is"),
        (chain.head, other.hash, "of the chain with genesis"),
    ):
        with pytest.raises(InvalidSnapshot, match=text):
            restore_snapshot(
                MemoryStore(),
                tmp_path / "s",
                trusted=trusted,
                genesis_hash=named,
                mode=StateMode.LIVE,
            )


def test_a_database_that_holds_anything_is_not_restored_into(tmp_path: Path) -> None:
    chain = grown()
    write_snapshot(chain, tmp_path / "s")
    with pytest.raises(DatabaseMismatch, match="not empty"):
        restore_snapshot(
            chain.store,
            tmp_path / "s",
            trusted=chain.head,
            genesis_hash=chain.load_header(Height(0)).hash,
            mode=StateMode.LIVE,
        )


def test_every_byte_of_the_file_matters(tmp_path: Path) -> None:
    chain = grown(blocks=2)
    write_snapshot(chain, tmp_path / "s")
    data = (tmp_path / "s").read_bytes()
    for at in range(0, len(data), 37):
        altered = bytearray(data)
        altered[at] ^= 1
        (tmp_path / "altered").write_bytes(altered)
        try:
            again = restored(chain, tmp_path / "altered", 2)
        except InvalidSnapshot:
            continue
        # A seal in the manifest's copy of the header may differ; the trusted header is stored.
        assert again.head == chain.head
    for size in (*range(0, len(data), 97), len(data) - 1):
        (tmp_path / "short").write_bytes(data[:size])
        with pytest.raises(InvalidSnapshot):
            restored(chain, tmp_path / "short", 2)
    (tmp_path / "long").write_bytes(data[:-32] + b"x" + data[-32:])
    with pytest.raises(InvalidSnapshot):
        restored(chain, tmp_path / "long", 2)


def rebuilt(path: Path, change: Callable[[list[list[bytes]]], None]) -> None:
    """Write the snapshot at ``path`` anew with its entries changed and honest checksums."""
    with SnapshotFile(path) as file:
        manifest = file.manifest
        entries = [
            [rlp.as_bytes(part) for part in rlp.as_list(item)]
            for index in range(len(manifest.chunks))
            for item in rlp.decode_list(file.read_chunk(index))
        ]
    change(entries)
    chunk = rlp.encode(entries)
    forged = Manifest(
        genesis_hash=manifest.genesis_hash,
        header=manifest.header,
        chunks=(sha256(chunk),),
        sizes=(len(chunk),),
    ).encode()
    path.write_bytes(MAGIC + chunk + forged + len(forged).to_bytes(8, "big") + MAGIC)


def nth(entries: list[list[bytes]], kind: bytes, number: int = 0) -> int:
    return [at for at, entry in enumerate(entries) if entry[0] == kind][number]


def wallet(entries: list[list[bytes]]) -> list[bytes]:
    """Return an account without code and slots."""
    return next(entry for entry in entries if entry[0] == b"a" and len(entry[2]) < 20)


def swap(entries: list[list[bytes]], one: int, other: int) -> None:
    entries[one], entries[other] = entries[other], entries[one]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda all_: all_.pop(nth(all_, b"a")), id="an account left out"),
        pytest.param(lambda all_: all_.pop(nth(all_, b"s")), id="a slot left out"),
        pytest.param(lambda all_: all_.remove([b"c", CONTRACT_CODE]), id="a code left out"),
        pytest.param(lambda all_: all_.pop(nth(all_, b"h", 2)), id="a header left out"),
        pytest.param(lambda all_: all_.pop(nth(all_, b"h", -1)), id="the parent left out"),
        pytest.param(lambda all_: all_[nth(all_, b"s")].__setitem__(2, b"\x09"), id="slot value"),
        pytest.param(lambda all_: all_[nth(all_, b"s")].__setitem__(2, b""), id="empty slot"),
        pytest.param(lambda all_: all_[nth(all_, b"s")].__setitem__(2, b"\x00\x01"), id="padded"),
        pytest.param(lambda all_: all_[nth(all_, b"a")].__setitem__(2, b"\xc0"), id="no account"),
        pytest.param(lambda all_: all_[nth(all_, b"h")].__setitem__(1, b"\xc0"), id="no header"),
        pytest.param(lambda all_: wallet(all_).__setitem__(2, b"\xc2\x80\x09"), id="a balance"),
        pytest.param(lambda all_: all_.remove(wallet(all_)), id="a wallet left out"),
        pytest.param(lambda all_: all_.append([b"x", b""]), id="unknown kind"),
        pytest.param(lambda all_: all_.append([]), id="no kind"),
        pytest.param(
            lambda all_: swap(all_, nth(all_, b"a", 0), nth(all_, b"a", -1)), id="out of order"
        ),
        pytest.param(lambda all_: all_.append(all_[nth(all_, b"a")]), id="an account twice"),
        pytest.param(
            lambda all_: all_.insert(0, [b"s", bytes(32), b"\x01"]), id="a slot of nobody"
        ),
    ],
)
def test_a_liar_with_honest_checksums_is_refused(
    tmp_path: Path, change: Callable[[list[list[bytes]]], None]
) -> None:
    chain = grown()
    write_snapshot(chain, tmp_path / "s")
    rebuilt(tmp_path / "s", lambda entries: None)
    restored(chain, tmp_path / "s", 6)
    rebuilt(tmp_path / "s", change)

    with pytest.raises(InvalidSnapshot):
        restored(chain, tmp_path / "s", 6)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xc0", id="empty list"),
        pytest.param(b"\xff" * 100, id="not rlp"),
        pytest.param(bytes(snapshot.MANIFEST_SIZE_MAX + 1), id="over the bound"),
        pytest.param(rlp.encode([b"\x01", bytes(32), b"", []]), id="no header"),
        pytest.param(rlp.encode([b"\x02", bytes(32), b"", []]), id="another format"),
    ],
)
def test_a_malformed_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidSnapshot):
        decode_manifest(data)


@pytest.mark.parametrize("size", [0, snapshot.CHUNK_SIZE_MAX + 1])
def test_a_chunk_beyond_its_bounds_is_refused(size: int) -> None:
    header = open_made_up().head
    manifest = Manifest(genesis_hash=header.hash, header=header, chunks=(bytes(32),), sizes=(size,))
    with pytest.raises(InvalidSnapshot, match="chunk"):
        decode_manifest(manifest.encode())


def test_a_database_that_contradicts_itself_writes_no_snapshot(tmp_path: Path) -> None:
    chain = grown()
    chain.store.write({account_key(hash_address(CONTRACT)): None}, sync=True)
    with pytest.raises(StateMismatch):
        write_snapshot(chain, tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_restore_is_refused_and_can_be_run_again(tmp_path: Path) -> None:
    chain = grown()
    write_snapshot(chain, tmp_path / "s")
    genesis = chain.load_header(Height(0)).hash
    fails_at = 1
    while True:
        inner = MemoryStore()
        store = FailingStore(inner, fails_at=fails_at)
        try:
            restore_snapshot(
                store, tmp_path / "s", trusted=chain.head, genesis_hash=genesis, mode=StateMode.LIVE
            )
        except DiskFailed:
            with pytest.raises(DatabaseMismatch):
                open_stored(inner)
            restore_snapshot(
                inner, tmp_path / "s", trusted=chain.head, genesis_hash=genesis, mode=StateMode.LIVE
            )
            assert all(check.is_passed for check in verify_database(open_stored(inner)))
            fails_at += 1
            continue
        break
    assert fails_at > 5


def test_a_full_disk_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DiskFailed, match="No such file"):
        SnapshotFile(tmp_path / "absent")
    with pytest.raises(DiskFailed):
        write_snapshot(grown(), tmp_path / "absent" / "s")
    if Path("/dev/full").exists():
        (tmp_path / "s.partial").symlink_to("/dev/full")
        with pytest.raises(DiskFull):
            write_snapshot(grown(), tmp_path / "s")


def test_random_bytes_raise_only_invalid_input(tmp_path: Path) -> None:
    chance = random.Random(1)
    for _ in range(200):
        (tmp_path / "s").write_bytes(MAGIC + chance.randbytes(chance.randrange(80)) + MAGIC)
        with pytest.raises(InvalidInput):
            SnapshotFile(tmp_path / "s")


def test_the_state_written_is_the_heads_although_the_chain_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = grown(StateMode.LIVE)
    head = chain.head

    def go_on(_done: int, _total: int) -> None:
        commit(chain, StateChanges(accounts={address_of(3): None}))

    monkeypatch.setattr(snapshot, "PROGRESS_STEP", 5)
    manifest = write_snapshot(chain, tmp_path / "s", progress=go_on)
    assert chain.head.height > head.height
    assert manifest.header == head
