"""STORE-SNAPSHOT, SYNC-SERVE: snapshots are taken when due, two are kept and served."""

import asyncio
import time
from pathlib import Path

from node.primitives.types import Height
from node.runtime.snapshots import KEPT, Snapshots
from node.storage.snapshot import check_chunk, decode_manifest
from tests.support.ledger import Ledger

INTERVAL = 2


def snapshots_of(ledger: Ledger, directory: Path) -> Snapshots:
    return Snapshots(directory, ledger.chain, interval=INTERVAL, epoch_length=30_000)


async def advance(ledger: Ledger, snapshots: Snapshots, blocks: int) -> None:
    """Make blocks and let the task that takes snapshots work after each."""
    task = asyncio.create_task(snapshots.run())
    for _ in range(blocks):
        height = ledger.make().block.height
        snapshots.upon_head(height)
        await asyncio.sleep(0)
        await asyncio.to_thread(wait_for, snapshots, height)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def wait_for(snapshots: Snapshots, height: Height) -> None:
    """Wait on a thread of its own until the snapshot due at ``height`` is there."""
    while height % INTERVAL == 0 and snapshots.newest != height:
        time.sleep(0.01)


async def test_the_two_newest_are_kept_and_found_again(tmp_path: Path) -> None:
    ledger = Ledger()
    snapshots = snapshots_of(ledger, tmp_path / "snapshots")
    await advance(ledger, snapshots, 7)

    assert snapshots.newest == 6
    assert len(list((tmp_path / "snapshots").iterdir())) == KEPT
    assert snapshots_of(ledger, tmp_path / "snapshots").newest == 6


async def test_manifest_and_chunks_are_served_as_written(tmp_path: Path) -> None:
    ledger = Ledger()
    snapshots = snapshots_of(ledger, tmp_path / "snapshots")
    await advance(ledger, snapshots, 2)

    manifest = decode_manifest(snapshots.load_manifest(Height(2)))
    assert manifest.header.hash == ledger.head.hash
    for index in range(len(manifest.chunks)):
        check_chunk(manifest, index, snapshots.load_chunk(Height(2), index))
    assert snapshots.load_chunk(Height(2), len(manifest.chunks)) == b""


async def test_what_is_not_there_is_answered_with_nothing(tmp_path: Path) -> None:
    snapshots = snapshots_of(Ledger(), tmp_path / "snapshots")
    assert snapshots.newest == 0
    assert snapshots.load_manifest(Height(2)) == b""
    assert snapshots.load_chunk(Height(2), 0) == b""


async def test_an_interval_of_zero_takes_none(tmp_path: Path) -> None:
    ledger = Ledger()
    snapshots = Snapshots(tmp_path / "s", ledger.chain, interval=0, epoch_length=30_000)
    snapshots.upon_head(ledger.make().block.height)
    await advance(ledger, snapshots, 0)
    assert not (tmp_path / "s").exists()
