"""Catches up with peers that are ahead: fetches, has every seal checked, and imports.

Which ranges are asked of whom, and what is believed, is ``p2p.sync``'s business. Here are the
requests, the imports, and when the core is told to hold its votes: only once blocks ahead of us
are verified, because a peer's word about its height proves nothing and must not silence anybody.

Spec: SYNC-RANGE, SYNC-BLAME, QBFT-SYNC-GATE.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from node.consensus.parameters import ConsensusParameters
from node.consensus.validators import ValidatorTally
from node.log import Log
from node.membership.recovery import Recovery, follow_header
from node.p2p.network import PeerNetwork
from node.p2p.sync import BlockSync, RangeRequest
from node.primitives.errors import Unavailable
from node.primitives.header import Header
from node.primitives.types import Height
from node.rpc.backend import SyncProgress
from node.runtime.clock import Clock
from node.runtime.commit import Importer
from node.runtime.metrics import Metrics

LOG = Log("sync")

LOOK_MS: Final = 250
"""Time between two looks at the peers' heights."""

PATIENCE_MS: Final = 1_500
"""How long one block may be missing before it is fetched; consensus usually brings it."""

STALL_MS: Final = 8_000
"""A session without an answer for so long ends; the next look begins another."""

HOLD_VOTES_FROM: Final = 2
"""So many verified blocks ahead of us make votes at our height pointless."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncParts:
    """What catching up needs."""

    network: PeerNetwork
    """Asks peers."""
    importer: Importer
    """Makes blocks final."""
    parameters: ConsensusParameters
    """Of the network."""
    recoveries: tuple[Recovery, ...]
    """Recovery documents in force."""
    tell_syncing: Callable[[bool], None]
    """Tells the core to hold its votes, or to vote again."""
    clock: Clock
    """Time."""
    metrics: Metrics
    """Where progress is shown."""


class Sync:
    """Keeps this node at its peers' head."""

    def __init__(self, parts: SyncParts) -> None:
        """Hold the parts; ``run`` begins."""
        self.is_syncing = False
        self.started_at = parts.importer.head.height
        self._parts = parts
        self._behind_since_ms: int | None = None
        self._has_hint = False

    @property
    def progress(self) -> SyncProgress | None:
        """Return how far the node has come, or None when it has caught up."""
        if not self.is_syncing:
            return None
        head = self._parts.importer.head.height
        return SyncProgress(
            start=self.started_at, current=head, highest=max(head, self.best_height())
        )

    def best_height(self) -> Height:
        """Return the highest head a connected peer tells of; unproven."""
        told = (peer.height for peer in self._parts.network.peers() if peer.is_connected)
        return max((height for height in told if height is not None), default=Height(0))

    def hint(self) -> None:
        """Look at once: a validator's message speaks of a later height."""
        self._has_hint = True

    async def run(self) -> None:
        """Look for peers that are ahead, for ever."""
        while True:
            await self._parts.clock.sleep_ms(LOOK_MS)
            if self._is_due():
                await self._catch_up()

    def _is_due(self) -> bool:
        behind = self.best_height() - self._parts.importer.head.height
        self._parts.metrics.sync_remaining.set(max(0, behind))
        if behind <= 0:
            self._behind_since_ms = None
            return False
        now_ms = self._parts.clock.monotonic_ms()
        if self._behind_since_ms is None:
            self._behind_since_ms = now_ms
        has_hint, self._has_hint = self._has_hint, False
        return has_hint or behind > 1 or now_ms - self._behind_since_ms >= PATIENCE_MS

    async def _catch_up(self) -> None:
        """Fetch and import until no peer is ahead, or none answers."""
        importer = self._parts.importer
        self.started_at = importer.head.height
        session = BlockSync(
            head=importer.head,
            tally=importer.tally,
            parameters=self._parts.parameters,
            advance=partial(
                _advance,
                epoch_length=self._parts.parameters.epoch_length,
                recoveries=self._parts.recoveries,
            ),
        )
        self._tell_peers(session)
        requests: set[asyncio.Task[None]] = set()
        answered_ms = self._parts.clock.monotonic_ms()
        try:
            while not session.is_done:
                self._tell_peers(session)
                requests |= {
                    asyncio.create_task(self._ask(session, request))
                    for request in session.next_requests()
                }
                if await self._import(session):
                    answered_ms = self._parts.clock.monotonic_ms()
                    continue
                if self._parts.clock.monotonic_ms() - answered_ms > STALL_MS:
                    return
                if requests:
                    done, requests = await asyncio.wait(
                        requests, timeout=LOOK_MS / 1_000, return_when=asyncio.FIRST_COMPLETED
                    )
                    for task in done:
                        task.result()
                else:
                    await self._parts.clock.sleep_ms(LOOK_MS)
        finally:
            for task in requests:
                task.cancel()
            await asyncio.gather(*requests, return_exceptions=True)
            self._set_syncing(False)

    def _tell_peers(self, session: BlockSync) -> None:
        for peer in self._parts.network.peers():
            if peer.is_connected and peer.height is not None:
                oldest = peer.oldest_height or Height(0)
                session.update_peer(peer.node, height=peer.height, oldest=oldest)
            else:
                session.lose_peer(peer.node)

    async def _ask(self, session: BlockSync, request: RangeRequest) -> None:
        try:
            blocks = await self._parts.network.request_blocks(
                request.peer, request.start, request.count
            )
        except Unavailable as error:
            LOG.debug("no answer", peer=request.peer, reason=str(error))
            session.fail(request)
            return
        for blame in session.receive(request, blocks):
            LOG.warning("a peer served bad blocks", peer=blame.peer, reason=blame.detail)
            self._parts.network.report(blame.peer, blame.offence)

    async def _import(self, session: BlockSync) -> bool:
        """Import what is verified; tell whether there was anything."""
        blocks = session.take_ready()
        if len(blocks) >= HOLD_VOTES_FROM:
            self._set_syncing(True)
        for block in blocks:
            await self._parts.importer.import_fetched(block)
        return bool(blocks)

    def _set_syncing(self, is_syncing: bool) -> None:
        if is_syncing == self.is_syncing:
            return
        self.is_syncing = is_syncing
        head = self._parts.importer.head.height
        if is_syncing:
            LOG.info("catching up", head=head, best=self.best_height())
        else:
            LOG.info("caught up", head=head, fetched=head - self.started_at)
        self._parts.tell_syncing(is_syncing)


def _advance(
    tally: ValidatorTally,
    header: Header,
    *,
    epoch_length: int,
    recoveries: tuple[Recovery, ...],
) -> ValidatorTally:
    return follow_header(tally, header, epoch_length, recoveries)
