"""Carries a snapshot sync out over the network: manifests, chunks, and the restore they feed.

Spec: SYNC-SNAPSHOT.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from node.p2p.network import PeerNetwork
from node.p2p.snapshot_sync import ChunkAsk, SnapshotSync
from node.p2p.sync import Blame
from node.primitives.errors import Unavailable
from node.primitives.types import Address
from node.storage.snapshot import InvalidSnapshot, Manifest, SnapshotRestore

OFFER_WAIT_S: Final = 10.0
"""How long a peer may take to say which snapshot it has."""

OFFER_ATTEMPTS: Final = 3
"""How often a peer is asked for that."""

OFFER_PAUSE_S: Final = 0.5
"""Between two attempts."""


async def restore_from_peers(
    network: PeerNetwork,
    sync: SnapshotSync,
    begin: Callable[[Manifest], SnapshotRestore],
) -> Manifest:
    """Download the checkpoint's snapshot and restore it; return the manifest it was made from.

    Args:
        network: Where the peers are.
        sync: Planner and judge for one checkpoint.
        begin: Starts a restore into an empty database, or over an interrupted one.

    Raises:
        Unavailable: No connected peer offers a snapshot that holds.

    Spec: SYNC-SNAPSHOT.
    """
    await _ask_for_manifests(network, sync)
    while True:
        manifest = sync.choose()
        if manifest is None:
            raise Unavailable(
                f"no connected peer offers a good snapshot of height {sync.checkpoint.height}"
            )
        try:
            restore = await asyncio.to_thread(begin, manifest)
            if await _download(network, sync, restore):
                await asyncio.to_thread(restore.finish)
                return manifest
        except InvalidSnapshot as error:
            _report(network, sync.reject_manifest(str(error)))


async def _ask_for_manifests(network: PeerNetwork, sync: SnapshotSync) -> None:
    async def ask(peer: Address) -> None:
        for _ in range(OFFER_ATTEMPTS):
            try:
                async with asyncio.timeout(OFFER_WAIT_S):
                    data = await network.request_manifest(peer, sync.checkpoint.height)
            except (Unavailable, TimeoutError):
                # Perhaps its connection was just replaced by a better one.
                await asyncio.sleep(OFFER_PAUSE_S)
                continue
            _report(network, sync.offer(peer, data))
            return

    await asyncio.gather(*(ask(peer) for peer in network.connected()))


async def _download(network: PeerNetwork, sync: SnapshotSync, restore: SnapshotRestore) -> bool:
    """Feed every chunk to the restore; False when nobody is left to ask."""
    waiting: dict[asyncio.Task[bytes], ChunkAsk] = {}
    try:
        while not sync.is_complete:
            for ask in sync.next_requests():
                work = network.request_chunk(ask.peer, ask.height, ask.index)
                waiting[asyncio.create_task(work)] = ask
            if not waiting:
                return False
            done, _late = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                _take(network, sync, task, waiting.pop(task))
            for chunk in sync.take_ready():
                await asyncio.to_thread(restore.add_chunk, chunk)
        return True
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _take(
    network: PeerNetwork, sync: SnapshotSync, task: asyncio.Task[bytes], ask: ChunkAsk
) -> None:
    try:
        chunk = task.result()
    except Unavailable:
        sync.fail(ask)
        return
    _report(network, sync.receive(ask, chunk))


def _report(network: PeerNetwork, blames: tuple[Blame, ...]) -> None:
    for blame in blames:
        network.report(blame.peer, blame.offence)
