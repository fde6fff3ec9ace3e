"""SYNC-SNAPSHOT, SYNC-CHECKPOINT, SYNC-BLAME: a snapshot is believed only for a checkpoint's block.

A real snapshot in small chunks; peers offer it, forge it, or withhold it.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from node.p2p import snapshot_sync
from node.p2p.limits import Offence
from node.p2p.snapshot_sync import ChunkAsk, SnapshotSync
from node.p2p.sync import Blame
from node.primitives.types import Address, Hash32, Height
from node.storage.snapshot import InvalidSnapshot, decode_manifest
from tests.support.consensus import OUTSIDER
from tests.support.snapshots import Town, build_town, with_altered_state

HONEST, OTHER, LIAR = (Address(bytes((mark,)) * 20) for mark in (1, 2, 3))
Serve = Callable[[ChunkAsk], bytes | None]


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    return build_town(tmp_path, monkeypatch)


def offer(sync: SnapshotSync, manifest: bytes, *peers: Address) -> list[Blame]:
    return [blame for peer in peers for blame in sync.offer(peer, manifest)]


def download(sync: SnapshotSync, serve: dict[Address, Serve]) -> tuple[list[bytes], list[Blame]]:
    """Fetch until complete or stuck; None from a server is no answer."""
    chunks: list[bytes] = []
    blames: list[Blame] = []
    while not sync.is_complete:
        asks = sync.next_requests()
        if not asks:
            break
        for ask in reversed(asks):
            answer = serve[ask.peer](ask)
            if answer is None:
                sync.fail(ask)
            else:
                blames += sync.receive(ask, answer)
        chunks += sync.take_ready()
    return chunks, blames


def test_a_snapshot_is_fetched_in_order_and_restores(town: Town) -> None:
    sync = SnapshotSync(town.checkpoint)
    assert offer(sync, town.honest.manifest, HONEST, OTHER) == []
    manifest = sync.choose()
    assert manifest is not None
    honest: Serve = lambda ask: town.honest.chunks[ask.index]  # noqa: E731
    chunks, blames = download(sync, {HONEST: honest, OTHER: honest})
    restore = town.restore(manifest)
    for chunk in chunks:
        restore.add_chunk(chunk)
    restore.finish()

    assert chunks == list(town.honest.chunks)
    assert len(chunks) > snapshot_sync.CHUNKS_AHEAD_MAX
    assert (blames, sync.is_complete) == ([], True)


def test_chunks_ahead_and_per_peer_are_bounded(town: Town) -> None:
    sync = SnapshotSync(town.checkpoint)
    offer(sync, town.honest.manifest, HONEST)
    sync.choose()
    assert len(sync.next_requests()) == snapshot_sync.CHUNKS_PER_PEER_MAX
    offer(sync, town.honest.manifest, *(Address(bytes((mark,)) * 20) for mark in range(10, 20)))
    asks = sync.next_requests()

    assert len(asks) == snapshot_sync.CHUNKS_AHEAD_MAX - snapshot_sync.CHUNKS_PER_PEER_MAX
    assert sync.next_requests() == ()


def forged_manifests(town: Town) -> dict[str, bytes]:
    manifest = decode_manifest(town.honest.manifest)
    header = manifest.header
    other_root = replace(header, state_root=Hash32(b"\x01" * 32))
    return {
        "another state": replace(manifest, header=other_root).encode(),
        "no seals": replace(manifest, header=header.with_seals(())).encode(),
        "seal of a stranger": replace(
            manifest, header=header.with_seals((OUTSIDER.sign(header.seal_hash),))
        ).encode(),
        "another height": replace(
            manifest, header=replace(header, height=Height(header.height + 1))
        ).encode(),
        "another chain": replace(manifest, genesis_hash=header.hash).encode(),
        "cut off": town.honest.manifest[:-1],
        "noise": b"\xc0",
    }


@pytest.mark.parametrize(
    "name",
    [
        "another state", "no seals", "seal of a stranger", "another height", "another chain",
        "cut off", "noise",
    ],
)  # fmt: skip
def test_a_manifest_of_another_block_convicts_who_offers_it(town: Town, name: str) -> None:
    sync = SnapshotSync(town.checkpoint)
    (blame,) = sync.offer(LIAR, forged_manifests(town)[name])

    assert (blame.peer, blame.offence) == (LIAR, Offence.FORGED_SNAPSHOT)
    assert sync.choose() is None
    assert sync.offer(LIAR, town.honest.manifest) == ()
    assert sync.choose() is None, "who forged once is not asked again"


def test_a_peer_without_a_snapshot_is_not_blamed(town: Town) -> None:
    sync = SnapshotSync(town.checkpoint)

    assert sync.offer(OTHER, b"") == ()
    assert sync.choose() is None


def test_a_forged_chunk_convicts_its_sender_and_another_peer_is_asked(town: Town) -> None:
    sync = SnapshotSync(town.checkpoint)
    offer(sync, town.honest.manifest, LIAR, HONEST)
    sync.choose()
    chunks, blames = download(
        sync,
        {
            HONEST: lambda ask: town.honest.chunks[ask.index],
            LIAR: lambda ask: town.honest.chunks[ask.index] + b"\x00",
        },
    )

    assert chunks == list(town.honest.chunks)
    assert {(blame.peer, blame.offence) for blame in blames} == {(LIAR, Offence.FORGED_SNAPSHOT)}


@pytest.mark.parametrize(
    "answer", [pytest.param(None, id="no answer"), pytest.param(b"", id="no longer held")]
)
def test_a_peer_that_withholds_is_set_aside_without_conviction(
    town: Town, answer: bytes | None
) -> None:
    sync = SnapshotSync(town.checkpoint)
    offer(sync, town.honest.manifest, OTHER, HONEST)
    sync.choose()
    chunks, blames = download(
        sync, {HONEST: lambda ask: town.honest.chunks[ask.index], OTHER: lambda ask: answer}
    )

    assert chunks == list(town.honest.chunks)
    assert blames == []


def test_a_manifest_that_does_not_restore_convicts_all_who_offered_it(town: Town) -> None:
    forged = with_altered_state(town.honest)
    sync = SnapshotSync(town.checkpoint)
    assert offer(sync, forged.manifest, LIAR, OTHER) == [], "its header is the checkpoint's"
    offer(sync, town.honest.manifest, HONEST)
    manifest = sync.choose()
    assert manifest == decode_manifest(forged.manifest), "two offer it, one the honest one"
    assert manifest is not None
    lie: Serve = lambda ask: forged.chunks[ask.index]  # noqa: E731
    chunks, _ = download(sync, {LIAR: lie, OTHER: lie})
    restore = town.restore(manifest)
    for chunk in chunks:
        restore.add_chunk(chunk)
    with pytest.raises(InvalidSnapshot) as caught:
        restore.finish()
    blames = sync.reject_manifest(str(caught.value))

    assert {blame.peer for blame in blames} == {LIAR, OTHER}
    assert sync.choose() == decode_manifest(town.honest.manifest)
    chunks, blames_after = download(sync, {HONEST: lambda ask: town.honest.chunks[ask.index]})
    assert (chunks, blames_after) == (list(town.honest.chunks), [])


def test_a_download_that_loses_every_peer_stands_still(town: Town) -> None:
    sync = SnapshotSync(town.checkpoint)
    offer(sync, town.honest.manifest, OTHER)
    sync.choose()
    download(sync, {OTHER: lambda ask: None})

    assert not sync.is_complete
    assert sync.next_requests() == ()
    assert sync.choose() is None
