"""Starting from a snapshot: whose manifest to believe, and which chunks to ask of whom.

A checkpoint names the block; a manifest is taken only for that very block, sealed by the
checkpoint's set. Chunks are checked one by one against the manifest, and the whole against the
state root when it is restored. A manifest that fails there convicts all who offered it. Nothing
here reads a clock, a socket or a disk.

Spec: SYNC-SNAPSHOT.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from node.consensus.checkpoint import Checkpoint, verify_checkpoint_header
from node.consensus.seals import check_commit_seals
from node.p2p.limits import Offence
from node.p2p.sync import Blame
from node.primitives.crypto import keccak256
from node.primitives.errors import InvalidInput
from node.primitives.types import Address, Hash32, Height
from node.storage.snapshot import InvalidSnapshot, Manifest, check_chunk, decode_manifest

CHUNKS_AHEAD_MAX: Final = 8
"""Most chunks asked for or waiting to be restored."""

CHUNKS_PER_PEER_MAX: Final = 2
"""Most chunks asked of one peer at once."""

CHUNK_FAILURES_MAX: Final = 3
"""Requests in a row a peer may leave unanswered before it is asked no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkAsk:
    """A chunk to ask of one peer."""

    id: int
    """Names the request to ``receive`` and ``fail``."""
    peer: Address
    """Whom to ask."""
    height: Height
    """Of the snapshot."""
    index: int
    """Which chunk."""


@dataclass(slots=True)
class _Candidate:
    """A manifest and who offers it."""

    manifest: Manifest
    """What they offer."""
    peers: list[Address]
    """Who may be asked, in the order they offered."""
    offered_by: set[Address] = field(default_factory=set)
    """Everyone who ever offered it, for the blame."""

    @property
    def size(self) -> int:
        return sum(self.manifest.sizes)


class SnapshotSync:
    """One download of the snapshot of a checkpoint's block."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Start with no manifest. The caller has checked who signed the checkpoint."""
        self.checkpoint = checkpoint
        self._candidates: dict[Hash32, _Candidate] = {}
        self._banned: set[Address] = set()
        self._chosen: Hash32 | None = None
        self._asked: dict[int, ChunkAsk] = {}
        self._failures: dict[Address, int] = {}
        self._arrived: dict[int, bytes] = {}
        self._again: deque[int] = deque()
        self._next_ask = 0
        self._next_ready = 0
        self._last_id = 0

    @property
    def manifest(self) -> Manifest | None:
        """Return the manifest being downloaded, or None while none is chosen."""
        return self._candidates[self._chosen].manifest if self._chosen is not None else None

    def offer(self, peer: Address, data: bytes) -> tuple[Blame, ...]:
        """Take a peer's manifest when it is for the checkpoint's block.

        Spec: SYNC-SNAPSHOT.
        """
        if peer in self._banned or not data:
            return ()
        try:
            manifest = self._check(data)
        except InvalidInput as error:
            return self._convict([peer], str(error))
        name = keccak256(data)
        candidate = self._candidates.setdefault(name, _Candidate(manifest=manifest, peers=[]))
        if peer not in candidate.peers:
            candidate.peers.append(peer)
        candidate.offered_by.add(peer)
        return ()

    def choose(self) -> Manifest | None:
        """Choose the manifest most peers offer, the smallest of equals; None when there is none.

        What was downloaded of another manifest is forgotten.
        """
        able = [(name, each) for name, each in self._candidates.items() if each.peers]
        best = min(
            able, key=lambda pair: (-len(pair[1].peers), pair[1].size, pair[0]), default=None
        )
        self._chosen = best[0] if best is not None else None
        self._asked.clear()
        self._arrived.clear()
        self._again.clear()
        self._next_ask = self._next_ready = 0
        return self.manifest

    def next_requests(self) -> tuple[ChunkAsk, ...]:
        """Return requests to carry out now; each must end in ``receive`` or ``fail``.

        Spec: SYNC-SNAPSHOT.
        """
        asks = []
        while len(self._asked) + len(self._arrived) < CHUNKS_AHEAD_MAX:
            peer = self._least_busy()
            index = self._next_index()
            if peer is None or index is None:
                break
            self._take_index(index)
            self._last_id += 1
            ask = ChunkAsk(id=self._last_id, peer=peer, height=self.checkpoint.height, index=index)
            self._asked[ask.id] = ask
            asks.append(ask)
        return tuple(asks)

    def receive(self, ask: ChunkAsk, chunk: bytes) -> tuple[Blame, ...]:
        """Take a chunk when it is the one the manifest names.

        Spec: SYNC-SNAPSHOT.
        """
        manifest = self.manifest
        if self._asked.pop(ask.id, None) is None or manifest is None:
            return ()
        if not chunk:
            # An honest peer may have replaced its snapshot by a newer one meanwhile.
            self._again.append(ask.index)
            self._drop(ask.peer)
            return ()
        try:
            check_chunk(manifest, ask.index, chunk)
        except InvalidSnapshot as error:
            self._again.append(ask.index)
            return self._convict([ask.peer], str(error))
        self._failures[ask.peer] = 0
        self._arrived[ask.index] = chunk
        return ()

    def fail(self, ask: ChunkAsk) -> None:
        """Hear that a request was not answered; another peer is asked."""
        if self._asked.pop(ask.id, None) is None:
            return
        self._again.append(ask.index)
        count = self._failures.get(ask.peer, 0) + 1
        self._failures[ask.peer] = count
        if count >= CHUNK_FAILURES_MAX:
            self._drop(ask.peer)

    def take_ready(self) -> tuple[bytes, ...]:
        """Take the chunks that are next in order, for restoring."""
        ready = []
        while self._next_ready in self._arrived:
            ready.append(self._arrived.pop(self._next_ready))
            self._next_ready += 1
        return tuple(ready)

    @property
    def is_complete(self) -> bool:
        """Tell whether every chunk was taken."""
        manifest = self.manifest
        return manifest is not None and self._next_ready == len(manifest.chunks)

    def reject_manifest(self, detail: str) -> tuple[Blame, ...]:
        """Convict everyone who offered the chosen manifest: it did not restore.

        Spec: SYNC-SNAPSHOT, SYNC-BLAME.
        """
        if self._chosen is None:
            return ()
        candidate = self._candidates.pop(self._chosen)
        self._chosen = None
        return self._convict(sorted(candidate.offered_by), detail)

    def _check(self, data: bytes) -> Manifest:
        """Return the manifest, or refuse it.

        Raises:
            InvalidInput: Malformed, of another chain or block, or not sealed.

        Spec: SYNC-SNAPSHOT.
        """
        manifest = decode_manifest(data)
        if manifest.genesis_hash != self.checkpoint.genesis_hash:
            raise InvalidSnapshot("manifest: of another chain", rule="SYNC-SNAPSHOT")
        verify_checkpoint_header(self.checkpoint, manifest.header).raise_if_failed()
        check_commit_seals(manifest.header, self.checkpoint.validators)
        return manifest

    def _convict(self, peers: Sequence[Address], detail: str) -> tuple[Blame, ...]:
        for peer in peers:
            self._banned.add(peer)
            self._drop(peer)
        return tuple(
            Blame(peer=peer, offence=Offence.FORGED_SNAPSHOT, detail=detail) for peer in peers
        )

    def _drop(self, peer: Address) -> None:
        """Ask a peer no more, and others for what it had been asked."""
        for candidate in self._candidates.values():
            if peer in candidate.peers:
                candidate.peers.remove(peer)
        for ask in [each for each in self._asked.values() if each.peer == peer]:
            del self._asked[ask.id]
            self._again.append(ask.index)

    def _least_busy(self) -> Address | None:
        if self._chosen is None:
            return None
        peers = self._candidates[self._chosen].peers
        busy = {peer: sum(ask.peer == peer for ask in self._asked.values()) for peer in peers}
        free = [peer for peer in peers if busy[peer] < CHUNKS_PER_PEER_MAX]
        return min(free, key=lambda peer: (busy[peer], self._failures.get(peer, 0)), default=None)

    def _next_index(self) -> int | None:
        if self._again:
            return min(self._again)
        manifest = self.manifest
        has_more = manifest is not None and self._next_ask < len(manifest.chunks)
        return self._next_ask if has_more else None

    def _take_index(self, index: int) -> None:
        if index in self._again:
            self._again.remove(index)
        else:
            self._next_ask += 1
