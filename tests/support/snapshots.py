"""A small real snapshot, its checkpoint, and forgeries of it, for tests of snapshot sync."""

import random
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from node.consensus.checkpoint import Checkpoint, build_checkpoint
from node.primitives import rlp
from node.primitives.crypto import sha256
from node.primitives.header import Header
from node.primitives.types import BlockHash, Height
from node.storage import snapshot
from node.storage.kv import MemoryStore
from node.storage.snapshot import Manifest, SnapshotFile, SnapshotRestore, write_snapshot
from node.storage.state_store import StateMode
from tests.support.stores import ModelState, commit, make_alloc, open_made_up, random_changes


@dataclass(frozen=True)
class Served:
    """A snapshot as a peer serves it."""

    manifest: bytes
    """Encoded manifest."""
    chunks: tuple[bytes, ...]
    """Its chunks."""


@dataclass(frozen=True)
class Town:
    """A chain's head with its snapshot."""

    header: Header
    """Header of the snapshot's block."""
    genesis_hash: BlockHash
    """Of the chain."""
    checkpoint: Checkpoint
    """Names the block, unsigned."""
    honest: Served
    """The snapshot."""

    @property
    def height(self) -> Height:
        return self.header.height

    def restore(self, manifest: Manifest) -> SnapshotRestore:
        """Begin a restore into an empty store."""
        return SnapshotRestore(
            MemoryStore(),
            manifest,
            trusted=manifest.header,
            genesis_hash=self.genesis_hash,
            mode=StateMode.LIVE,
        )


def build_town(folder: Path, monkeypatch: pytest.MonkeyPatch, *, blocks: int = 6) -> Town:
    """Grow a made-up chain and snapshot its head in many small chunks."""
    monkeypatch.setattr(snapshot, "CHUNK_SIZE", 400)
    chance, model, chain = random.Random(4), ModelState(), open_made_up()
    model.apply(make_alloc())
    for _ in range(blocks):
        changes = random_changes(chance, model)
        model.apply(changes)
        commit(chain, changes)
    genesis_hash = chain.load_header(Height(0)).hash
    path = folder / "head.snapshot"
    write_snapshot(chain, path)
    with SnapshotFile(path) as file:
        chunks = tuple(file.read_chunk(index) for index in range(len(file.manifest.chunks)))
        honest = Served(manifest=file.manifest_bytes, chunks=chunks)
    return Town(
        header=chain.head,
        genesis_hash=genesis_hash,
        checkpoint=build_checkpoint(chain.head, genesis_hash),
        honest=honest,
    )


def with_altered_state(served: Served) -> Served:
    """Take the last entry away and name the chunk's new hash in the manifest."""
    last = rlp.decode_list(served.chunks[-1])
    last.pop()
    chunk = rlp.encode(last)
    manifest = snapshot.decode_manifest(served.manifest)
    changed = replace(
        manifest,
        chunks=(*manifest.chunks[:-1], sha256(chunk)),
        sizes=(*manifest.sizes[:-1], len(chunk)),
    )
    return Served(manifest=changed.encode(), chunks=(*served.chunks[:-1], chunk))
