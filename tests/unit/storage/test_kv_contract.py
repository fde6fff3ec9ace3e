"""STORE-BATCH, STORE-OPEN: MemoryStore and LevelDB keep the same promises.

What only a disk can do wrong (locks, permissions, damage, torn tails) follows for LevelDB alone.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.storage.errors import (
    DatabaseCorrupt,
    DatabaseLocked,
    DatabaseReadOnly,
    DiskFailed,
)
from node.storage.kv import KeyValueStore, MemoryStore
from node.storage.leveldb import LevelDbStore, repair
from tests.support.stores import FailingStore


@pytest.fixture(params=["memory", "leveldb", "failing"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyValueStore]:
    made: KeyValueStore
    match request.param:
        case "memory":
            made = MemoryStore()
        case "leveldb":
            made = LevelDbStore(tmp_path / "db")
        case _:
            made = FailingStore(MemoryStore(), fails_at=-1)
    yield made
    made.close()


def test_a_batch_puts_and_deletes(store: KeyValueStore) -> None:
    store.write({b"a": b"1", b"b": b"", b"c": b"3"}, sync=True)
    store.write({b"a": None, b"absent": None, b"c": b"4"}, sync=False)

    assert (store.get(b"a"), store.get(b"b"), store.get(b"c")) == (None, b"", b"4")


def test_a_range_holds_its_start_and_not_its_stop(store: KeyValueStore) -> None:
    store.write({bytes((number,)): bytes((number,)) for number in range(10)}, sync=True)

    found = list(store.iterate(start=b"\x03", stop=b"\x06"))
    assert found == [(bytes((at,)), bytes((at,))) for at in (3, 4, 5)]
    assert list(store.iterate(start=b"\x03", stop=b"\x06", is_reverse=True)) == found[::-1]
    assert list(store.iterate(start=b"\x06", stop=b"\x03")) == []


def test_an_iterator_shows_the_store_as_it_was_when_made(store: KeyValueStore) -> None:
    store.write({b"a": b"1", b"b": b"2"}, sync=True)

    entries = store.iterate(start=b"a", stop=b"z")
    store.write({b"a": b"other", b"b": None, b"c": b"3"}, sync=True)

    assert list(entries) == [(b"a", b"1"), (b"b", b"2")]


def test_what_was_synced_is_there_after_opening_again(tmp_path: Path) -> None:
    first = LevelDbStore(tmp_path)
    first.write({b"key": b"value"}, sync=True)
    first.close()

    second = LevelDbStore(tmp_path)
    assert second.get(b"key") == b"value"
    assert second.measure_size_bytes() > 0
    second.compact()
    assert second.get(b"key") == b"value"
    second.close()


def test_a_database_open_elsewhere_is_refused_by_name(tmp_path: Path) -> None:
    first = LevelDbStore(tmp_path)

    with pytest.raises(DatabaseLocked, match="another process"):
        LevelDbStore(tmp_path)
    first.close()


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(DiskFailed, match="file"):
        LevelDbStore(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_a_directory_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(DatabaseReadOnly, match="give this user the directory"):
        LevelDbStore(tmp_path / "db")
    tmp_path.chmod(0o700)


def filled(path: Path) -> None:
    store = LevelDbStore(path)
    for number in range(200):
        store.write({number.to_bytes(2, "big"): bytes(2_000)}, sync=True)
    store.close()


def test_a_torn_tail_of_the_log_loses_only_what_was_torn(tmp_path: Path) -> None:
    filled(tmp_path)
    log = max(tmp_path.glob("*.log"), key=lambda file: file.stat().st_size)
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - 1_000)

    store = LevelDbStore(tmp_path)
    kept = [number for number in range(200) if store.get(number.to_bytes(2, "big")) is not None]
    assert kept == list(range(199))
    store.close()


def test_a_lost_index_of_files_is_refused_and_can_be_repaired(tmp_path: Path) -> None:
    filled(tmp_path)
    for manifest in tmp_path.glob("MANIFEST-*"):
        manifest.write_bytes(b"not a manifest" * 100)

    with pytest.raises(DatabaseCorrupt, match="daicho db repair"):
        LevelDbStore(tmp_path)
    repair(tmp_path)

    store = LevelDbStore(tmp_path)
    assert all(store.get(number.to_bytes(2, "big")) == bytes(2_000) for number in range(200))
    store.close()
