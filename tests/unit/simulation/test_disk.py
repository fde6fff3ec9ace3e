"""QBFT-SIGN-STATE: the simulated disk keeps what was synced through a crash, and promises no more.

Were it kinder than a real disk, runs would miss votes that were sent before they were durable.
"""

import pytest

from node.primitives.errors import Unavailable
from node.simulation.dice import Dice
from node.simulation.disk import SimulatedDisk

A, B = b"a", b"b"


def make_disk() -> SimulatedDisk:
    return SimulatedDisk(Dice(1, "disk"))


def test_an_unsynced_write_is_seen_and_then_lost() -> None:
    disk = make_disk()
    disk.write({A: b"1"}, sync=False)
    assert disk.get(A) == b"1"

    disk.crash(torn_tail_permille=0)

    assert disk.get(A) is None


def test_a_synced_write_carries_everything_before_it() -> None:
    disk = make_disk()
    disk.write({A: b"1"}, sync=False)
    disk.write({B: b"2"}, sync=True)

    disk.crash(torn_tail_permille=0)

    assert (disk.get(A), disk.get(B)) == (b"1", b"2")


def test_a_torn_tail_keeps_a_prefix_of_whole_batches() -> None:
    kept = set()
    for seed in range(40):
        disk = SimulatedDisk(Dice(seed, "disk"))
        disk.write({A: b"1", B: b"1"}, sync=False)
        disk.write({A: b"2", B: b"2"}, sync=False)
        disk.crash(torn_tail_permille=1000)
        kept.add((disk.get(A), disk.get(B)))

    assert kept == {(None, None), (b"1", b"1"), (b"2", b"2")}


def test_a_full_disk_refuses_and_shows_nothing_of_the_batch() -> None:
    disk = make_disk()
    disk.fill_up()

    with pytest.raises(Unavailable):
        disk.write({A: b"1"}, sync=True)

    assert disk.get(A) is None
    disk.crash(torn_tail_permille=0)
    disk.write({A: b"1"}, sync=True)
    assert disk.get(A) == b"1"


def test_a_restored_backup_replaces_everything() -> None:
    disk = make_disk()
    disk.write({A: b"1"}, sync=True)
    backup = disk.read_image()
    disk.write({A: b"2", B: b"2"}, sync=True)

    disk.restore(backup)

    assert (disk.get(A), disk.get(B)) == (b"1", None)


def test_a_deletion_survives_too() -> None:
    disk = make_disk()
    disk.write({A: b"1"}, sync=True)
    disk.write({A: None}, sync=True)

    disk.crash(torn_tail_permille=0)

    assert list(disk.iterate(start=b"", stop=b"\xff")) == []
