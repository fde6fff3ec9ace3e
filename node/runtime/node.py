"""A running node: its parts, how they are joined, and how it starts and stops."""

import asyncio
import gc
import random
import signal
import sys
import time
from collections.abc import Callable
from typing import Final

from node.consensus import events, machine
from node.consensus.messages import Message
from node.consensus.parameters import parameters_of_chain
from node.execution.profile import profile_of_chain
from node.execution.proposal import Skipped
from node.log import Log
from node.p2p.certificates import TlsFiles, renew_tls_identity
from node.p2p.handshake import LocalPeer
from node.p2p.mesh import NetworkSetup
from node.p2p.network import PeerNetwork
from node.pool.limits import PoolLimits
from node.pool.pool import Pool
from node.primitives.crypto import check_backends
from node.primitives.errors import LedgerError
from node.primitives.header import ValidatorVote
from node.primitives.transaction import Transaction
from node.primitives.types import Address, Height
from node.rpc.backend import Backends
from node.rpc.ledger import LedgerParts, NodeLedger
from node.runtime.backend import NodeConsensus, NodeOperator, NodeParts
from node.runtime.blocks import Blocks, Waiting
from node.runtime.clock import SystemClock
from node.runtime.commit import Importer, NewBlock
from node.runtime.consensus import ConsensusShell, Errands
from node.runtime.health import HealthServer
from node.runtime.intake import Intake, PoolHead
from node.runtime.keys import open_keys
from node.runtime.ledger import (
    check_recoveries,
    load_documents,
    load_membership,
    load_tally,
    open_ledger,
)
from node.runtime.metrics import Metrics
from node.runtime.observer import Observer
from node.runtime.peers import PEER_SOURCE, MessagePump, MessageSender, TransactionPump
from node.runtime.rpc_thread import RpcThread
from node.runtime.serving import Serving
from node.runtime.sharing import Sharing
from node.runtime.snapshots import Snapshots
from node.runtime.supervisor import Supervisor
from node.runtime.sync import Sync, SyncParts
from node.runtime.votes import EvidenceBook, PendingVotes
from node.runtime.watch import Watch, WatchParts
from node.settings import Settings
from node.storage.leveldb import LevelDbStore
from node.storage.votes import VoteStore
from node.version import PROTOCOL_VERSION, VERSION

LOG = Log("runtime")

RELOAD_TIMEOUT_S: Final = 5.0

SWITCH_INTERVAL_S: Final = 0.001
"""How long a busy thread keeps the interpreter from the event loop; a fifth of Python's own."""

VOTES_DIRECTORY: Final = "votes"
"""Directory of our own votes, apart from the chain and from every backup."""

BUILD_SHARE: Final = 2
"""A block is filled for at most half the period, so that others have the rest to execute it."""


class Node:
    """One node of the ledger."""

    def __init__(self, settings: Settings, ask: Callable[[str], str] | None = None) -> None:
        """Open what is on disk and join the parts; ``run`` starts them.

        Raises:
            Misconfigured: Something the operator must change.
            Unavailable: Disk or signer do not answer.
        """
        check_backends()
        self.settings = settings
        self.clock = SystemClock()
        self.metrics = Metrics()
        self.tasks = Supervisor()
        self.documents = load_documents(settings)
        profile = self.documents.profile
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.chain = open_ledger(settings, self.documents.genesis)
        self.votes_database = LevelDbStore(settings.data_dir / VOTES_DIRECTORY)
        vote_store = VoteStore(self.votes_database)
        self.keys = open_keys(
            settings.key,
            votes=vote_store,
            observe_s=self.metrics.vote_write.observe,
            ask=ask,
        )
        check_recoveries(self.documents, self.chain.head.height)
        tally = load_tally(self.chain, profile.epoch_length, self.documents.recoveries)
        self.intake = Intake(
            Pool(_pool_limits(settings)),
            profile=profile_of_chain(profile),
            clock=self.clock,
            metrics=self.metrics,
            announce=self._share_transaction,
            upon_content=self._tell_content,
        )
        self.blocks = Blocks(
            self.chain,
            profile=profile_of_chain(profile),
            build_time_ms=profile.block_period_s * 1_000 // BUILD_SHARE,
            waiting=Waiting(
                candidates=self.intake.candidates,
                drop_skipped=self._drop_skipped,
                lend_senders=self.intake.lend_senders,
            ),
            clock=self.clock,
            metrics=self.metrics,
        )
        self.importer = Importer(
            self.blocks,
            head=self.chain.head,
            tally=tally,
            epoch_length=profile.epoch_length,
            recoveries=self.documents.recoveries,
            announce=self._announce_block,
        )
        self.snapshots = Snapshots(
            settings.data_dir / "snapshots",
            self.chain,
            interval=settings.storage.snapshot_interval,
            epoch_length=profile.epoch_length,
        )
        self.serving = Serving(self.chain, self.intake, self.snapshots)
        self.observer = Observer(self.metrics, self.clock)
        self.validator = self.keys.signer.address if settings.is_validator else None
        self.votes = PendingVotes(vote_store, upon_change=self._tell_votes)
        self.loop: asyncio.AbstractEventLoop | None = None

    async def run(self) -> None:
        """Run until told to stop, or until a part fails.

        Raises:
            LedgerError: What made the node stop.
        """
        self.loop = asyncio.get_running_loop()
        self.metrics.info.labels(self.settings.name, VERSION).set(1)
        self._catch_signals()
        await self._start()
        LOG.info(
            "node started",
            name=self.settings.name,
            version=VERSION,
            address=self.keys.signer.address,
            head=self.chain.head.height,
            validators=len(self.importer.tally.validators),
        )
        await self.tasks.wait()
        await self._stop()
        if self.tasks.failure is not None:
            raise self.tasks.failure

    async def _start(self) -> None:
        self.network = self._build_network()
        self.sharing = Sharing(self.network, self.clock)
        self.evidence = EvidenceBook(
            VoteStore(self.votes_database), self.network, self._validators_at
        )
        self.shell = self._build_shell()
        self.intake.upon_jump(PoolHead(header=self.chain.head, view=self.chain.head_view()))
        self.messages = MessagePump(
            self.network,
            deliver=self.shell.post_message,
            height=lambda: self.shell.state.height,
            metrics=self.metrics,
        )
        self.transactions = TransactionPump(self.network, self.intake)
        self.sync = self._build_sync()
        self.watch = self._build_watch()
        listening = self.settings.metrics
        self.health = HealthServer(self.watch.checks, self.metrics, listening.host, listening.port)
        self.rpc = self._build_rpc()
        self._restore_pool()
        # Collections are made between blocks (``watch``), never in the middle of one.
        gc.disable()
        gc.freeze()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        await self.network.start()
        ports = await self.rpc.start()
        health_port = None
        if self.settings.metrics.is_enabled:
            health_port = await self.health.start()
        self.tasks.start("messages", self.messages.run())
        self.tasks.start("transactions", self.transactions.run())
        self.tasks.start("sharing", self.sharing.run())
        self.tasks.start("evidence", self.evidence.run())
        self.tasks.start("consensus", self.shell.run())
        self.tasks.start("sync", self.sync.run())
        self.tasks.start("watch", self.watch.run())
        self.tasks.start("snapshots", self.snapshots.run())
        LOG.info(
            "serving",
            rpc=ports.public,
            admin=ports.admin,
            health=health_port,
            p2p=self.network.port,
        )

    async def _stop(self) -> None:
        """Stop in the order that loses least: peers first, the database last."""
        LOG.info("stopping")
        await self.rpc.stop()
        await self.health.stop()
        await self.network.stop()
        self.transactions.close()
        self.keys.close()
        self.serving.close()
        self.blocks.close()
        self._save_pool()
        self.votes_database.close()
        self.chain.close()
        LOG.info("stopped", head=self.chain.head.height)

    def _build_network(self) -> PeerNetwork:
        settings, profile = self.settings, self.documents.profile
        now_s = self.clock.now_ms() // 1_000
        tls = TlsFiles(certificate=settings.data_dir / "tls.crt", key=settings.data_dir / "tls.key")
        if renew_tls_identity(tls, identity=self.keys.identity, now_s=now_s):
            LOG.info("renewed the TLS certificate")
        setup = NetworkSetup(
            identity=self.keys.identity,
            tls=tls,
            local=LocalPeer(
                node=self.keys.identity.address,
                protocol_version=PROTOCOL_VERSION,
                genesis_hash=profile.genesis_hash,
                fork_document_hash=self.documents.fork_hash,
                agent=f"daicho/{VERSION}",
            ),
            source=self.serving,
            clock=self.clock,
            dice=random.Random(),  # noqa: S311  (jitter of back-off)
            host=settings.p2p.host,
            port=settings.p2p.port,
        )
        return PeerNetwork(setup, self.documents.membership, on_connected=self._tell_connected)

    def _build_shell(self) -> ConsensusShell:
        started = events.Started(
            head=self.chain.head,
            tally=self.importer.tally,
            sign_state=self.keys.newest,
            is_restored=False,
            pending_votes=self.votes.all(),
            now_ms=self.clock.now_ms(),
        )
        parameters = parameters_of_chain(self.documents.profile)
        return ConsensusShell(
            machine.start(parameters, self.validator, started),
            clock=self.clock,
            errands=Errands(
                signer=self.keys.signer if self.validator else None,
                blocks=self.blocks,
                peers=MessageSender(self.network),
                importer=self.importer,
                observer=self.observer,
                record_evidence=self.evidence.record,
                request_sync=self._request_sync,
                report_own_key=self._report_own_key,
            ),
            tasks=self.tasks,
        )

    def _build_sync(self) -> Sync:
        return Sync(
            SyncParts(
                network=self.network,
                importer=self.importer,
                parameters=parameters_of_chain(self.documents.profile),
                recoveries=self.documents.recoveries,
                tell_syncing=self._tell_syncing,
                clock=self.clock,
                metrics=self.metrics,
            )
        )

    def _build_watch(self) -> Watch:
        profile = self.documents.profile
        return Watch(
            WatchParts(
                settings=self.settings,
                chain=self.chain,
                network=self.network,
                blocks=self.blocks,
                clock=self.clock,
                metrics=self.metrics,
                heartbeat_s=max(profile.heartbeat_s, profile.block_period_s),
                is_syncing=lambda: self.sync.is_syncing,
                best_height=self.sync.best_height,
                snapshot_height=lambda: self.snapshots.newest,
                stopped_reason=self.stopped_reason,
            )
        )

    def _build_rpc(self) -> RpcThread:
        ledger = NodeLedger(
            LedgerParts(
                chain=self.chain,
                profile=profile_of_chain(self.documents.profile),
                pool=self.intake.pool,
                pool_lock=self.intake.lock,
                submit=self.intake.submit,
                monotonic_s=time.monotonic,
                sync_progress=lambda: self.sync.progress,
                peer_count=lambda: len(self.network.connected()),
            )
        )
        parts = NodeParts(
            settings=self.settings,
            documents=self.documents,
            chain=self.chain,
            state=lambda: self.shell.state,
            observer=self.observer,
            network=self.network,
            votes=self.votes,
            clock=self.clock,
            stopped_reason=self.stopped_reason,
            reload_membership=self._reload_from_thread,
            load_evidence=self.evidence.load,
        )
        backends = Backends(
            ledger=ledger,
            consensus=NodeConsensus(parts),
            operator=NodeOperator(parts),
            clock_s=lambda: self.clock.now_ms() // 1_000,
        )
        return RpcThread(self.settings, backends, clock=self.clock, metrics=self.metrics)

    def stopped_reason(self) -> str:
        """Say why this validator refuses to sign; empty when it does not."""
        state = self.shell.state
        if state.validator is None:
            return ""
        if state.sign_state.is_silent:
            return "votes may have been forgotten; silent until a quorum of the others is heard"
        if state.sign_state.silent_through >= state.height:
            return f"silent through height {state.sign_state.silent_through}"
        return ""

    def _announce_block(self, new: NewBlock) -> None:
        """Tell pool, core, peers and metrics of a block just made final, in this order."""
        block = new.block
        self.intake.upon_head(
            PoolHead(header=block.header, view=self.chain.head_view()), block.transactions
        )
        self.shell.announce_head(block.header, new.tally, has_content=self.intake.has_content)
        self.votes.discard_settled(new.tally.validators)
        self.network.announce_status()
        self.rpc.upon_head(block.height)
        self.snapshots.upon_head(block.height)
        self.observer.saw_block(block, new.validators)
        LOG.info(
            "block final",
            height=block.height,
            round=block.header.extra_data.round,
            transactions=len(block.transactions),
            gas=block.header.gas_used,
            proposer=block.header.coinbase,
            hash=block.hash,
        )

    def _share_transaction(self, transaction: Transaction, source: str) -> None:
        is_peer = source.startswith(PEER_SOURCE)
        peer = Address(bytes.fromhex(source[len(PEER_SOURCE) :])) if is_peer else None
        self.sharing.add(transaction.raw, peer)
        self.rpc.upon_pending(transaction)

    def _tell_content(self, has_content: bool) -> None:
        def tell() -> None:
            self.shell.post(events.ContentChanged(has_content=has_content, now_ms=0))

        self._on_loop(tell)

    def _tell_connected(self, peer: Address) -> None:
        self.shell.post(events.PeerConnected(peer=peer, now_ms=0))

    def _tell_votes(self, votes: tuple[ValidatorVote, ...]) -> None:
        def tell() -> None:
            self.shell.post(events.PendingVotesChanged(votes=votes, now_ms=0))

        self._on_loop(tell)

    def _tell_syncing(self, is_syncing: bool) -> None:
        self.shell.post(events.SyncChanged(is_syncing=is_syncing, now_ms=0))

    def _drop_skipped(self, skipped: tuple[Skipped, ...]) -> None:
        self.intake.drop_skipped(skipped)

    def _validators_at(self, height: Height) -> tuple[Address, ...] | None:
        if height == self.chain.head.height + 1:
            return self.importer.tally.validators
        if not self.chain.base <= height <= self.chain.head.height:
            return None
        return self.chain.load_header(height).extra_data.validators

    def _request_sync(self, height: Height, source: Address) -> None:
        LOG.debug("a validator is ahead", height=height, peer=source)
        self.sync.hint()

    def _report_own_key(self, message: Message) -> None:
        LOG.error(
            "our validator key is used by another process; this node stopped signing. "
            "Stop the other process, never run one key twice",
            height=message.signed.payload.height,
        )

    def _restore_pool(self) -> None:
        path = self.settings.data_dir / "pool"
        if path.exists():
            try:
                taken = self.intake.restore(path.read_bytes())
                LOG.info("waiting transactions restored", count=taken)
            except LedgerError as error:
                LOG.warning("waiting transactions not restored", reason=str(error))
            path.unlink()

    def _save_pool(self) -> None:
        try:
            (self.settings.data_dir / "pool").write_bytes(self.intake.encode())
        except OSError as error:
            LOG.warning("waiting transactions not saved", reason=str(error))

    def _on_loop(self, work: Callable[[], None]) -> None:
        """Run ``work`` on the node's thread; ignored before the start and after the end."""
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(work)

    def _catch_signals(self) -> None:
        assert self.loop is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self.tasks.stop)
        self.loop.add_signal_handler(signal.SIGHUP, self.reload)

    def reload(self) -> None:
        """Read the membership file again; a bad one changes nothing."""
        try:
            self._reload()
        except LedgerError as error:
            LOG.error("membership not reloaded; the old one stays", reason=str(error))

    def _reload(self) -> None:
        self.network.reload(load_membership(self.settings.p2p.membership))
        LOG.info("membership reloaded", version=self.network.membership.version)

    def _reload_from_thread(self) -> None:
        """Reload on the node's own loop and wait for it, for whoever asks over RPC.

        Raises:
            LedgerError: The document may not be used; the old one stays.
        """

        async def reload() -> None:
            self._reload()

        assert self.loop is not None
        asyncio.run_coroutine_threadsafe(reload(), self.loop).result(timeout=RELOAD_TIMEOUT_S)


def _pool_limits(settings: Settings) -> PoolLimits:
    return PoolLimits(
        count_max=settings.pool.count_max,
        size_max_bytes=settings.pool.size_mb_max * 2**20,
        per_sender_max=settings.pool.per_sender_max,
        age_max_s=settings.pool.age_s_max,
    )
