"""Drives a block sync over the network to its end, importing through a function.

The node's own driver is ``node.runtime.sync``; this one has no clock, no metrics and no consensus
to hold back, so that tests of the network need none of them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from node.p2p.network import PeerNetwork
from node.p2p.sync import BlockSync, RangeRequest
from node.primitives.block import Block
from node.primitives.errors import Unavailable
from node.primitives.types import Address, Height

BLOCKS_PER_TURN: Final = 8
"""Blocks executed before answers and peers are looked at again."""

Waiting = dict[asyncio.Task[tuple[bytes, ...]], RangeRequest]


async def catch_up(
    network: PeerNetwork, sync: BlockSync, import_block: Callable[[Block], Awaitable[object]]
) -> Height:
    """Fetch, verify and import until no connected peer has more; return the height reached.

    Args:
        network: Where the peers are.
        sync: Planner and judge, standing at our head.
        import_block: Executes and stores one block; what it raises ends the catch-up.
    """
    waiting: Waiting = {}
    try:
        while True:
            _look_at_peers(network, sync)
            for request in sync.next_requests():
                work = network.request_blocks(request.peer, request.start, request.count)
                waiting[asyncio.create_task(work)] = request
            ready = sync.take_ready(BLOCKS_PER_TURN)
            for block in ready:
                await import_block(block)
            if not ready and not waiting:
                return sync.verified
            await _take_answers(network, sync, waiting, must_wait=not ready)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _take_answers(
    network: PeerNetwork, sync: BlockSync, waiting: Waiting, *, must_wait: bool
) -> None:
    """Hand finished answers to the sync, waiting for one when there is nothing else to do."""
    if not waiting:
        return
    done, _late = await asyncio.wait(
        waiting, timeout=None if must_wait else 0, return_when=asyncio.FIRST_COMPLETED
    )
    for task in done:
        request = waiting.pop(task)
        try:
            blocks = task.result()
        except Unavailable:
            sync.fail(request)
            continue
        for blame in await asyncio.to_thread(sync.receive, request, blocks):
            network.report(blame.peer, blame.offence)


def _look_at_peers(network: PeerNetwork, sync: BlockSync) -> None:
    """Tell the sync who is there and what they say they have."""
    for peer in network.peers():
        node = Address(peer.node)
        if not peer.is_connected:
            sync.lose_peer(node)
        elif peer.height is not None and peer.oldest_height is not None:
            sync.update_peer(node, height=peer.height, oldest=peer.oldest_height)
