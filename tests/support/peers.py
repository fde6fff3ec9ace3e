"""Real peers on loopback: nodes with keys, TLS and sockets, and a peer that says what it is told.

``start_nodes`` runs whole ``PeerNetwork``s. ``ScriptedPeer`` is a member with a real key and a
real connection that may then lie in any way a test likes.
"""

import asyncio
import random
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from node.membership.document import (
    Endpoint,
    Governor,
    Member,
    Membership,
    Role,
    build_member,
    build_membership,
)
from node.membership.signatures import sign_membership
from node.p2p import frames, handshake
from node.p2p.certificates import (
    TlsFiles,
    TlsIdentity,
    configure_tls,
    create_tls_identity,
    read_certificate,
    save_tls_identity,
    trust_anchors_pem,
)
from node.p2p.frames import Frame, Goodbye, Hello, Proof, Welcome
from node.p2p.handshake import LocalPeer, Transcript
from node.p2p.listener import PEER_PATH
from node.p2p.mesh import NetworkSetup
from node.p2p.network import PeerNetwork
from node.p2p.roster import PeerStatus
from node.p2p.socket import Timings
from node.p2p.source import ChainStatus
from node.p2p.wire import FRAME_SIZE_MAX, decode_frame, encode_frame
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.types import BlockHash, Hash32, Height, TransactionHash

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GENESIS = BlockHash(keccak256(b"a genesis for tests"))
NAMES = ("Tsukuba", "Goka", "Sakai", "Ibaraki", "Joso", "Bando", "Moriya")
NOW_S = 1_790_000_000
DAY_S = 86_400

QUICK = Timings(
    handshake_ms=2_000,
    ping_ms=100,
    idle_ms=2_000,
    send_ms=2_000,
    request_ms=2_000,
    farewell_ms=300,
    fallback_ms=300,
)
"""Deadlines short enough to test."""

PATIENT = replace(QUICK, handshake_ms=30_000, idle_ms=60_000, send_ms=60_000, request_ms=60_000)
"""For tests of anything else: a machine that stands still for seconds loses no connection."""


def node_key(index: int) -> PrivateKey:
    """Return the development key of node ``index``."""
    return PrivateKey(keccak256(b"node key for tests %d" % index))


def governor_key(index: int) -> PrivateKey:
    """Return the development key of governor ``index``."""
    return PrivateKey(keccak256(b"governor key for tests %d" % index))


def free_port() -> int:
    """Return a loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SteadyClock:
    """The machine's monotonic clock, and a wall clock that starts where it is told."""

    def __init__(self, start_s: int = NOW_S, offset_ms: int = 0) -> None:
        self._start_ms = start_s * 1_000 + offset_ms
        self._began_ms = time.monotonic_ns() // 1_000_000

    def now_ms(self) -> int:
        """Return milliseconds since the epoch."""
        return self._start_ms + self.monotonic_ms() - self._began_ms

    def monotonic_ms(self) -> int:
        """Return milliseconds of a clock that never goes back."""
        return time.monotonic_ns() // 1_000_000


@dataclass
class MemoryLedger:
    """A ledger to serve from: encoded blocks by height, a pool, a snapshot."""

    blocks: list[bytes] = field(default_factory=list)
    """Block of height i at index i."""
    headers: list[bytes] = field(default_factory=list)
    """Header of height i at index i."""
    head: BlockHash = GENESIS
    """Hash told in the status."""
    pool: dict[TransactionHash, bytes] = field(default_factory=dict)
    """Waiting transactions."""
    manifests: dict[Height, bytes] = field(default_factory=dict)
    """Snapshots."""
    chunks: dict[tuple[Height, int], bytes] = field(default_factory=dict)
    """Chunks by height and index."""

    def chain_status(self) -> ChainStatus:
        return ChainStatus(
            height=Height(max(0, len(self.blocks) - 1)),
            block_hash=self.head,
            snapshot_height=max(self.manifests, default=Height(0)),
        )

    async def load_blocks(self, start: Height, count: int) -> Sequence[bytes]:
        return self.blocks[start : start + count]

    async def load_headers(self, start: Height, count: int) -> Sequence[bytes]:
        return self.headers[start : start + count]

    async def load_manifest(self, height: Height) -> bytes:
        return self.manifests.get(height, b"")

    async def load_chunk(self, height: Height, index: int) -> bytes:
        return self.chunks.get((height, index), b"")

    def load_transactions(self, hashes: Sequence[TransactionHash]) -> Sequence[bytes]:
        return [self.pool[name] for name in hashes if name in self.pool]

    def is_wanted(self, transaction_hash: TransactionHash) -> bool:
        return transaction_hash not in self.pool


def build_test_member(
    index: int, *, port: int | None = None, role: Role = Role.VALIDATOR
) -> Member:
    """Build the entry of node ``index``; without a port it can only dial out."""
    return build_member(
        name=f"{NAMES[index].lower()}-1",
        municipality=NAMES[index],
        public_key=node_key(index).public_key,
        role=role,
        endpoints=() if port is None else (Endpoint(host="127.0.0.1", port=port),),
    )


def signed_membership(
    members: Sequence[Member],
    *,
    version: int = 1,
    valid_days: int = 365,
    signer_count: int = 3,
    genesis_hash: BlockHash = GENESIS,
) -> Membership:
    """Build a document of four governors, signed by ``signer_count`` of them."""
    document = build_membership(
        version=version,
        genesis_hash=genesis_hash,
        issued_at_s=NOW_S - DAY_S,
        valid_until_s=NOW_S + valid_days * DAY_S,
        governors=tuple(
            Governor(municipality=NAMES[index], address=governor_key(index).address)
            for index in range(4)
        ),
        members=tuple(members),
    )
    for index in range(signer_count):
        document = sign_membership(document, governor_key(index))
    return document


def local_peer(index: int) -> LocalPeer:
    """Return what node ``index`` says of itself."""
    return LocalPeer(
        node=node_key(index).address,
        protocol_version=1,
        genesis_hash=GENESIS,
        fork_document_hash=Hash32(b"\x00" * 32),
        agent="daicho/test",
    )


def tls_files(folder: Path, index: int, *, days_left: int = 365) -> TlsFiles:
    """Make the TLS files of node ``index`` in ``folder``."""
    files = TlsFiles(certificate=folder / f"{index}.crt", key=folder / f"{index}.key")
    made_s = NOW_S + (days_left - 365) * DAY_S
    tls = create_tls_identity(node_key(index), now_s=made_s, lifetime_days=365)
    save_tls_identity(files, tls)
    return files


@dataclass
class TestNode:
    """A running ``PeerNetwork`` and what it stands on."""

    __test__ = False

    index: int
    """Number of its key."""
    network: PeerNetwork
    """The network under test."""
    ledger: MemoryLedger
    """What it serves."""

    def peer(self, other: int) -> PeerStatus:
        """Return the status it has of node ``other``."""
        return next(s for s in self.network.peers() if s.node == node_key(other).address)


def build_node(
    folder: Path,
    index: int,
    membership: Membership,
    *,
    timings: Timings = QUICK,
    clock: SteadyClock | None = None,
    local: LocalPeer | None = None,
    days_left: int = 365,
) -> TestNode:
    """Build node ``index``, listening where the document says."""
    member = membership.find(node_key(index).address)
    port = member.endpoints[0].port if member is not None and member.endpoints else 0
    ledger = MemoryLedger()
    setup = NetworkSetup(
        identity=node_key(index),
        tls=tls_files(folder, index, days_left=days_left),
        local=local_peer(index) if local is None else local,
        source=ledger,
        clock=SteadyClock() if clock is None else clock,
        dice=random.Random(index),
        host="127.0.0.1",
        port=port,
        timings=timings,
    )
    return TestNode(index=index, network=PeerNetwork(setup, membership), ledger=ledger)


@asynccontextmanager
async def running(*nodes: TestNode) -> "AsyncIterator[None]":
    """Start nodes, and stop them whatever happens."""
    started: list[TestNode] = []
    try:
        for node in nodes:
            await node.network.start()
            started.append(node)
        yield
    finally:
        await asyncio.gather(*(node.network.stop() for node in started))


def mesh_of(folder: Path, count: int, *, timings: Timings = PATIENT) -> list[TestNode]:
    """Build ``count`` nodes that know one another."""
    members = [build_test_member(index, port=free_port()) for index in range(count)]
    document = signed_membership(members)
    return [build_node(folder, index, document, timings=timings) for index in range(count)]


async def until(holds: Callable[[], object], *, within_s: float = 60.0) -> None:
    """Wait until ``holds()`` is true; fail when it takes too long."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {within_s} s")
        await asyncio.sleep(0.01)


class ScriptedPeer:
    """A member with a real key that sends exactly what a test tells it to."""

    def __init__(
        self,
        index: int,
        membership: Membership,
        *,
        tls: TlsIdentity | None = None,
        local: LocalPeer | None = None,
    ) -> None:
        self.key = node_key(index)
        self.membership = membership
        self.local = local_peer(index) if local is None else local
        self.tls = create_tls_identity(self.key, now_s=NOW_S) if tls is None else tls
        self.socket: aiohttp.ClientWebSocketResponse | None = None
        self.session: aiohttp.ClientSession | None = None
        self.their_hello: Hello | None = None
        self.their_proof: Proof | None = None

    def context(self, folder: Path) -> ssl.SSLContext:
        """Return a client's TLS context that trusts the members."""
        return self._context(folder, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def server_context(self, folder: Path) -> ssl.SSLContext:
        """Return a server's TLS context that trusts the members."""
        return self._context(folder, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    def _context(self, folder: Path, context: ssl.SSLContext) -> ssl.SSLContext:
        files = TlsFiles(certificate=folder / "scripted.crt", key=folder / "scripted.key")
        save_tls_identity(files, self.tls)
        configure_tls(context)
        context.load_cert_chain(files.certificate, files.key)
        members = self.membership.members
        context.load_verify_locations(
            cadata=trust_anchors_pem(member.public_key for member in members)
        )
        return context

    async def open(self, folder: Path, port: int) -> None:
        """Open the WebSocket, saying nothing yet."""
        self.session = aiohttp.ClientSession()
        self.socket = await self.session.ws_connect(
            f"https://127.0.0.1:{port}{PEER_PATH}",
            ssl=self.context(folder),
            autoping=False,
            max_msg_size=FRAME_SIZE_MAX + 1,
        )

    async def connect(self, folder: Path, port: int) -> None:
        """Open the WebSocket and shake hands honestly."""
        await self.open(folder, port)
        await self.send(self.hello())
        await self.prove(await self.expect_hello())
        assert isinstance(await self.receive(), Proof)
        assert isinstance(await self.receive(), Welcome)
        await self.send(Welcome())

    def hello(self, **changes: object) -> Hello:
        """Build our Hello with a fixed nonce, changed as told."""
        hello = handshake.build_hello(self.local, self.membership, b"\x07" * 32)
        self.our_hello = replace(hello, **changes)  # type: ignore[arg-type]
        return self.our_hello

    async def expect_hello(self) -> Hello:
        """Receive the other end's Hello."""
        hello = await self.receive()
        assert isinstance(hello, Hello)
        self.their_hello = hello
        return hello

    def transcript(self, theirs: Hello) -> Transcript:
        """Return what an honest dialler saw."""
        assert self.socket is not None
        der = self.socket.get_extra_info("ssl_object").getpeercert(True)
        return Transcript(
            dialler_hello=self.our_hello,
            listener_hello=theirs,
            dialler_fingerprint=self.tls.certificate.fingerprint,
            listener_fingerprint=read_certificate(der).fingerprint,
        )

    async def prove(self, theirs: Hello) -> None:
        """Send an honest proof."""
        message = handshake.proof_hash(self.transcript(theirs), signer_dialled=True)
        await self.send(Proof(signature=self.key.sign(message)))

    async def send(self, frame: Frame) -> None:
        """Send one frame."""
        await self.send_bytes(encode_frame(frame))

    async def send_bytes(self, data: bytes) -> None:
        """Send any bytes as one binary message."""
        assert self.socket is not None
        await self.socket.send_bytes(data)

    async def receive(self, within_s: float = 30.0) -> Frame:
        """Receive one frame of any kind."""
        assert self.socket is not None
        async with asyncio.timeout(within_s):
            message = await self.socket.receive()
        assert message.type is aiohttp.WSMsgType.BINARY, message
        return decode_frame(message.data)

    async def receive_until(self, kind: type[Frame], within_s: float = 30.0) -> Frame:
        """Receive frames, answering pings, until one of ``kind`` comes."""
        async with asyncio.timeout(within_s):
            while True:
                frame = await self.receive()
                if isinstance(frame, kind):
                    return frame
                if isinstance(frame, frames.Ping):
                    await self.send(frames.Pong(id=frame.id, clock_ms=NOW_S * 1_000))

    async def farewell(self, within_s: float = 30.0) -> Goodbye:
        """Receive until the other end says goodbye."""
        frame = await self.receive_until(Goodbye, within_s)
        assert isinstance(frame, Goodbye)
        return frame

    async def close(self) -> None:
        """Close without a word."""
        if self.session is not None:
            await self.session.close()


@asynccontextmanager
async def scripted(peer: ScriptedPeer) -> "AsyncIterator[ScriptedPeer]":
    """Close the scripted peer whatever happens."""
    try:
        yield peer
    finally:
        await peer.close()
