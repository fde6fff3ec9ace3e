"""Joining by snapshot: a checkpoint's state, fetched from peers into an empty database.

A checkpoint is believed when governors of two municipalities signed it; everything fetched is held
to it. Afterwards the node starts as usual and fetches the blocks since.

Spec: SYNC-SNAPSHOT, SYNC-CHECKPOINT.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from node.consensus.checkpoint import Checkpoint, decode_checkpoint, verify_checkpoint
from node.log import Log
from node.p2p.certificates import TlsFiles, renew_tls_identity
from node.p2p.handshake import LocalPeer
from node.p2p.mesh import NetworkSetup
from node.p2p.network import PeerNetwork
from node.p2p.restore import restore_from_peers
from node.p2p.snapshot_sync import SnapshotSync
from node.p2p.source import ChainStatus
from node.primitives.errors import InvalidInput, Misconfigured, Unavailable
from node.primitives.types import Height, TransactionHash
from node.runtime.clock import SystemClock
from node.runtime.keys import open_keys
from node.runtime.ledger import CHAIN_DIRECTORY, Documents, load_documents
from node.settings import Settings, StorageMode
from node.storage.kv import MemoryStore
from node.storage.leveldb import LevelDbStore
from node.storage.snapshot import Manifest, SnapshotRestore
from node.storage.state_store import StateMode
from node.storage.votes import VoteStore
from node.version import PROTOCOL_VERSION, VERSION

LOG = Log("join")

SIGNERS_NEEDED: Final = 2
"""Municipalities whose governors must have signed a checkpoint."""

PEERS_WAIT_S: Final = 60.0
"""Longest wait for the first peers."""

SETTLE_S: Final = 2.0
"""After the first peer, time for others to connect, so that manifests can be compared."""


class NothingServed:
    """A ``LedgerSource`` of a node that has nothing yet."""

    def __init__(self, documents: Documents) -> None:
        """Say that we stand at genesis."""
        self._genesis = documents.genesis.header

    def chain_status(self) -> ChainStatus:
        """Return genesis."""
        return ChainStatus(height=Height(0), block_hash=self._genesis.hash)

    async def load_blocks(self, _start: Height, _count: int) -> Sequence[bytes]:
        """Return none."""
        return ()

    async def load_headers(self, _start: Height, _count: int) -> Sequence[bytes]:
        """Return none."""
        return ()

    async def load_manifest(self, _height: Height) -> bytes:
        """Return none."""
        return b""

    async def load_chunk(self, _height: Height, _index: int) -> bytes:
        """Return none."""
        return b""

    def load_transactions(self, _hashes: Sequence[TransactionHash]) -> Sequence[bytes]:
        """Return none."""
        return ()

    def is_wanted(self, _transaction_hash: TransactionHash) -> bool:
        """Want none."""
        return False


def load_checkpoint(path: Path, documents: Documents) -> Checkpoint:
    """Read a checkpoint and refuse one that too few municipalities signed.

    Raises:
        Misconfigured: It is missing, malformed, of another network, or not signed by enough.

    Spec: SYNC-CHECKPOINT.
    """
    try:
        checkpoint = decode_checkpoint(path.read_bytes())
        verify_checkpoint(
            checkpoint,
            genesis_hash=documents.profile.genesis_hash,
            trusted={governor.address for governor in documents.membership.governors},
            needed=SIGNERS_NEEDED,
        ).raise_if_failed()
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror}); check it") from error
    except InvalidInput as error:
        raise Misconfigured(
            f"{path}: {error.message}; get the checkpoint from two municipalities"
        ) from error
    return checkpoint


async def join(
    settings: Settings, checkpoint_path: Path, ask: Callable[[str], str] | None
) -> Manifest:
    """Fetch the checkpoint's state from peers into the node's empty database.

    Raises:
        Misconfigured: Settings, checkpoint or database cannot be used.
        Unavailable: No peer offers a good snapshot of it.

    Spec: SYNC-SNAPSHOT.
    """
    documents = load_documents(settings)
    checkpoint = load_checkpoint(checkpoint_path, documents)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = open_keys(
        settings.key, votes=VoteStore(MemoryStore()), observe_s=lambda _: None, ask=ask
    )
    clock = SystemClock()
    tls = TlsFiles(certificate=settings.data_dir / "tls.crt", key=settings.data_dir / "tls.key")
    renew_tls_identity(tls, identity=keys.identity, now_s=clock.now_ms() // 1_000)
    network = PeerNetwork(
        NetworkSetup(
            identity=keys.identity,
            tls=tls,
            local=LocalPeer(
                node=keys.identity.address,
                protocol_version=PROTOCOL_VERSION,
                genesis_hash=documents.profile.genesis_hash,
                fork_document_hash=documents.fork_hash,
                agent=f"daicho/{VERSION} joining",
            ),
            source=NothingServed(documents),
            clock=clock,
            dice=random.Random(),  # noqa: S311  (jitter of back-off)
            host=settings.p2p.host,
            port=settings.p2p.port,
        ),
        documents.membership,
    )
    path = settings.data_dir / CHAIN_DIRECTORY
    store = LevelDbStore(path)
    try:
        await network.start()
        await _wait_for_peers(network)
        begin = partial(_begin, store, documents, settings)
        manifest = await restore_from_peers(network, SnapshotSync(checkpoint), begin)
    finally:
        await network.stop()
        keys.close()
        store.close()
    LOG.info("joined", height=manifest.height, block=manifest.header.hash)
    return manifest


def _begin(
    store: LevelDbStore, documents: Documents, settings: Settings, manifest: Manifest
) -> SnapshotRestore:
    is_archive = settings.storage.mode is StorageMode.ARCHIVE
    return SnapshotRestore(
        store,
        manifest,
        trusted=manifest.header,
        genesis_hash=documents.profile.genesis_hash,
        mode=StateMode.ARCHIVE if is_archive else StateMode.LIVE,
    )


async def _wait_for_peers(network: PeerNetwork) -> None:
    try:
        async with asyncio.timeout(PEERS_WAIT_S):
            while not network.connected():
                await network.wait_change()
    except TimeoutError as error:
        reasons = "; ".join(f"{peer.name}: {peer.why_not}" for peer in network.peers())
        raise Unavailable(f"no peer connected in {PEERS_WAIT_S:.0f} s ({reasons})") from error
    await asyncio.sleep(SETTLE_S)
