"""The network as the runtime uses it: what arrives, what is sent, what is asked of peers.

What arrives waits in bounded queues, fair between peers, until the runtime takes it. What blocks
and votes mean is decided elsewhere; who is connected is the mesh's concern.

Spec: WIRE-GOSSIP, WIRE-QUEUE.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from node.membership.document import Membership
from node.p2p import frames
from node.p2p.certificates import PeerCertificate
from node.p2p.limits import Lane, Offence
from node.p2p.mesh import Mesh, NetworkSetup
from node.p2p.peer import PeerConnection
from node.p2p.queues import FairQueue, QueueBounds, RecentSet
from node.p2p.roster import PeerStatus
from node.p2p.wire import (
    FRAME_SIZE_MAX,
    HASH_COUNT_MAX,
    MEBIBYTE,
    TRANSACTION_BATCH_MAX,
    TRANSACTION_BATCH_SIZE_MAX,
    encode_frame,
)
from node.primitives.crypto import keccak256
from node.primitives.errors import Unavailable
from node.primitives.types import Address, Hash32, Height, TransactionHash

CONSENSUS_BOUNDS: Final = QueueBounds(count_max=1_000, size_max=2 * FRAME_SIZE_MAX)
EVIDENCE_BOUNDS: Final = QueueBounds(count_max=32, size_max=2 * FRAME_SIZE_MAX)
TRANSACTION_BOUNDS: Final = QueueBounds(count_max=256, size_max=16 * MEBIBYTE)
"""What may wait of each peer until the runtime takes it."""

EVIDENCE_SIZE_MAX: Final = FRAME_SIZE_MAX - 16
"""Longest evidence that fits a frame. Two conflicting blocks may be longer; RPC serves those."""

RELAYED_MAX: Final = 4_096
"""Consensus messages remembered as passed on."""


class PeerNetwork:
    """Messages to and from all members of the network."""

    def __init__(
        self,
        setup: NetworkSetup,
        membership: Membership,
        on_connected: Callable[[Address], None] | None = None,
    ) -> None:
        """Hold what ``start`` needs.

        Args:
            setup: Keys, files, clock and what is served.
            membership: The document in force.
            on_connected: Called with each node that connects; must not block.
        """
        self.consensus = FairQueue[bytes](CONSENSUS_BOUNDS)
        self.evidence = FairQueue[bytes](EVIDENCE_BOUNDS)
        self.transactions = FairQueue[tuple[bytes, ...]](TRANSACTION_BOUNDS)
        self._source = setup.source
        self._mesh = Mesh(setup, membership, self)
        self._on_connected = on_connected
        self._relayed = RecentSet[Hash32](RELAYED_MAX)
        self._changed = asyncio.Event()

    # Life

    async def start(self) -> None:
        """Listen and begin to dial every member.

        Raises:
            Misconfigured: TLS files, membership document or listening address are unusable.
        """
        await self._mesh.start()

    async def stop(self) -> None:
        """Tell every peer and close everything."""
        await self._mesh.stop()

    def reload(self, document: Membership) -> None:
        """Replace the membership document without a restart. The same one changes nothing.

        Raises:
            InvalidMembership: It may not follow the one in force; that one stays.

        Spec: WIRE-RELOAD.
        """
        self._mesh.reload(document)
        self.announce_status()

    def reload_certificate(self) -> None:
        """Present a renewed certificate from the next connection on.

        Raises:
            Misconfigured: The files are unusable; the old certificate stays.
        """
        self._mesh.reload_certificate()

    # What operators see

    @property
    def port(self) -> int:
        """Return the port listened on."""
        return self._mesh.port

    @property
    def membership(self) -> Membership:
        """Return the membership document in force."""
        return self._mesh.membership

    @property
    def certificate(self) -> PeerCertificate:
        """Return what our certificate says to peers. Only after ``start``."""
        return self._mesh.certificate

    @property
    def refusals(self) -> dict[str, int]:
        """Return how many connections were refused, by reason."""
        return self._mesh.refusals

    def peers(self) -> tuple[PeerStatus, ...]:
        """Return the status of every other member, ascending by node key.

        Spec: WIRE-STATUS.
        """
        return self._mesh.peers()

    def connected(self) -> tuple[Address, ...]:
        """Return the nodes connected now, ascending."""
        return self._mesh.connected()

    def warnings(self) -> tuple[str, ...]:
        """Say what of this node must be renewed soon.

        Spec: WIRE-EXPIRY.
        """
        return self._mesh.warnings()

    async def wait_change(self) -> None:
        """Wait until a peer comes, goes or tells of a new head.

        A change since the last call returns at once, so none is missed by a single waiter.
        """
        await self._changed.wait()
        self._changed.clear()

    # Sending

    def broadcast(self, payload: bytes, *, exclude: Collection[Address] = ()) -> int:
        """Send a consensus message to every peer; return how many it was queued for.

        Roles in the membership document do not matter here: who is a validator changes with the
        chain, and a message too many harms nobody.
        """
        frame = frames.ConsensusMessage(payload=payload)
        return self._spread(frame, Lane.CONSENSUS, exclude)

    def send(self, node: Address, payload: bytes) -> bool:
        """Send a consensus message to one node; False when it is not connected or too slow."""
        peer = self._mesh.find(node)
        return peer is not None and peer.send(
            frames.ConsensusMessage(payload=payload), Lane.CONSENSUS
        )

    def relay(self, payload: bytes, *, source: Address, author: Address | None = None) -> int:
        """Pass a valid consensus message on, once, to all but its sender and author.

        Spec: WIRE-GOSSIP.
        """
        if not self._relayed.add(keccak256(payload)):
            return 0
        return self.broadcast(payload, exclude=[source] if author is None else [source, author])

    def broadcast_evidence(self, payload: bytes) -> int:
        """Send evidence of equivocation to every peer; evidence longer than a frame stays here."""
        if len(payload) > EVIDENCE_SIZE_MAX:
            return 0
        return self._spread(frames.EvidenceReport(payload=payload), Lane.EVIDENCE, ())

    def announce_status(self) -> None:
        """Tell every peer where our chain stands; called at every new head."""
        self._spread(self._status(), Lane.CONTROL, ())

    def share_transactions(
        self, transactions: Sequence[bytes], *, source: Address | None = None
    ) -> None:
        """Spread transactions that our pool has admitted.

        Fresh ones (no ``source``) go whole to everyone; those heard from a peer are announced by
        hash, so that they also pass a gap in the mesh.

        Spec: WIRE-GOSSIP.
        """
        named = {TransactionHash(keccak256(raw)): raw for raw in transactions}
        for peer in self._mesh.connections():
            unknown = {name: raw for name, raw in named.items() if name not in peer.known}
            if peer.node == source:
                _mark_known(peer, unknown)
            elif source is None:
                for batch in batches(list(unknown.values())):
                    frame = frames.TransactionBatch(transactions=batch)
                    if peer.send(frame, Lane.TRANSACTIONS):
                        _mark_known(peer, [TransactionHash(keccak256(raw)) for raw in batch])
            else:
                names = list(unknown)
                for at in range(0, len(names), HASH_COUNT_MAX):
                    part = tuple(names[at : at + HASH_COUNT_MAX])
                    announcement = frames.TransactionAnnouncement(hashes=part)
                    if peer.send(announcement, Lane.TRANSACTIONS):
                        _mark_known(peer, part)

    def report(self, node: Address, offence: Offence) -> None:
        """Blame a node for something found out later, as a forged block.

        Spec: WIRE-SCORE.
        """
        peer = self._mesh.find(node)
        if peer is not None:
            peer.blame(offence)
        else:
            self._mesh.offend(node, offence)

    # Asking

    async def request_blocks(self, node: Address, start: Height, count: int) -> tuple[bytes, ...]:
        """Ask one node for encoded blocks; none when it lacks the first.

        Raises:
            Unavailable: Not connected, too busy, or no answer in time.
        """
        peer = self._demand(node)
        request = frames.BlockRequest(id=peer.next_id(), start=start, count=count)
        return (await peer.request(request, frames.BlockResponse)).blocks

    async def request_headers(self, node: Address, start: Height, count: int) -> tuple[bytes, ...]:
        """Ask one node for encoded headers; none when it lacks the first.

        Raises:
            Unavailable: Not connected, too busy, or no answer in time.
        """
        peer = self._demand(node)
        request = frames.HeaderRequest(id=peer.next_id(), start=start, count=count)
        return (await peer.request(request, frames.HeaderResponse)).headers

    async def request_manifest(self, node: Address, height: Height) -> bytes:
        """Ask one node for the manifest of its snapshot at ``height``; empty when it has none.

        Raises:
            Unavailable: Not connected, too busy, or no answer in time.
        """
        peer = self._demand(node)
        request = frames.ManifestRequest(id=peer.next_id(), height=height)
        return (await peer.request(request, frames.ManifestResponse)).manifest

    async def request_chunk(self, node: Address, height: Height, index: int) -> bytes:
        """Ask one node for one chunk of its snapshot at ``height``; empty when it has none.

        Raises:
            Unavailable: Not connected, too busy, or no answer in time.
        """
        peer = self._demand(node)
        request = frames.ChunkRequest(id=peer.next_id(), height=height, index=index)
        return (await peer.request(request, frames.ChunkResponse)).chunk

    # What the mesh tells

    def receive(self, peer: PeerConnection, frame: frames.Gossip, size: int) -> None:
        """Queue what a peer says, in its own bounded share.

        Spec: WIRE-QUEUE, WIRE-GOSSIP.
        """
        match frame:
            case frames.ConsensusMessage():
                self.consensus.put(peer.node, frame.payload, size)
            case frames.EvidenceReport():
                self.evidence.put(peer.node, frame.payload, size)
            case frames.TransactionBatch():
                self._take_batch(peer, frame, size)
            case frames.TransactionAnnouncement():
                self._want(peer, frame.hashes)
            case frames.TransactionRequest():
                self._serve_transactions(peer, frame)
            case frames.Status():
                self._changed.set()
            case frames.Ping() | frames.Pong():
                return

    def greet_status(self) -> frames.Status:
        """Return the status sent first over a new connection."""
        return self._status()

    def connection_changed(self, peer: PeerConnection, *, is_connected: bool) -> None:
        """Wake who waits for a change; tell who asked to know."""
        self._changed.set()
        if is_connected and self._on_connected is not None:
            self._on_connected(peer.node)

    def _take_batch(self, peer: PeerConnection, batch: frames.TransactionBatch, size: int) -> None:
        for raw in batch.transactions:
            peer.known.add(TransactionHash(keccak256(raw)))
        if batch.transactions:
            self.transactions.put(peer.node, batch.transactions, size)

    def _serve_transactions(self, peer: PeerConnection, asked: frames.TransactionRequest) -> None:
        for batch in batches(self._source.load_transactions(asked.hashes)):
            peer.send(frames.TransactionBatch(transactions=batch), Lane.TRANSACTIONS)

    def _want(self, peer: PeerConnection, hashes: Sequence[TransactionHash]) -> None:
        wanted = []
        for name in hashes:
            peer.known.add(name)
            if self._source.is_wanted(name):
                wanted.append(name)
        if wanted:
            peer.send(frames.TransactionRequest(hashes=tuple(wanted)), Lane.TRANSACTIONS)

    def _spread(self, frame: frames.Frame, lane: Lane, exclude: Collection[Address]) -> int:
        data = encode_frame(frame)
        peers = [peer for peer in self._mesh.connections() if peer.node not in exclude]
        for peer in peers:
            peer.send_encoded(data, lane)
        return len(peers)

    def _status(self) -> frames.Status:
        chain = self._source.chain_status()
        return frames.Status(
            height=chain.height,
            block_hash=chain.block_hash,
            oldest_height=chain.oldest_height,
            snapshot_height=chain.snapshot_height,
            membership_hash=self._mesh.membership.hash,
            membership_version=self._mesh.membership.version,
        )

    def _demand(self, node: Address) -> PeerConnection:
        peer = self._mesh.find(node)
        if peer is None:
            raise Unavailable(f"0x{node.hex()} is not connected")
        return peer


def _mark_known(peer: PeerConnection, names: Iterable[TransactionHash]) -> None:
    for name in names:
        peer.known.add(name)


def batches(transactions: Sequence[bytes]) -> list[tuple[bytes, ...]]:
    """Split transactions into batches that fit a frame.

    Spec: WIRE-FRAME-SIZE.
    """
    found: list[tuple[bytes, ...]] = []
    batch: list[bytes] = []
    size = 0
    for raw in transactions:
        cost = len(raw) + 8
        if batch and (
            len(batch) >= TRANSACTION_BATCH_MAX or size + cost > TRANSACTION_BATCH_SIZE_MAX - 64
        ):
            found.append(tuple(batch))
            batch, size = [], 0
        batch.append(raw)
        size += cost
    return [*found, tuple(batch)] if batch else found
