"""SYNC-SEALS, SYNC-BLAME, SYNC-SERVE, WIRE-SCORE: a late joiner beside a peer that lies.

Real networks on loopback: an honest node and scripted members that serve forged, old, short or no
blocks. The late joiner ends on the honest chain and the forger is thrown out.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from node.p2p import frames
from node.p2p.frames import BlockRequest
from node.primitives.block import Block
from node.primitives.types import BlockHash, Height
from tests.support.catch_up import catch_up
from tests.support.consensus import KEYS
from tests.support.peers import (
    GENESIS,
    ScriptedPeer,
    build_node,
    build_test_member,
    free_port,
    node_key,
    running,
    scripted,
    signed_membership,
    until,
)
from tests.support.sealed_chain import chain_of, encoded, new_sync, with_other_state

CHAIN = chain_of(100)
SERVED = encoded(CHAIN)
FORGED = encoded(chain_of(100, by=KEYS[:2], label="forged"))
Answer = Callable[[BlockRequest], Sequence[bytes]]


def honestly(request: BlockRequest) -> Sequence[bytes]:
    return SERVED[request.start : request.start + request.count]


def forged_state(request: BlockRequest) -> Sequence[bytes]:
    return [with_other_state(CHAIN[at - 1]).encode() for at in range(request.start, 101)][
        : request.count
    ]


def forged_chain(request: BlockRequest) -> Sequence[bytes]:
    return FORGED[request.start : request.start + request.count]


def old_blocks(request: BlockRequest) -> Sequence[bytes]:
    return SERVED[1 : 1 + request.count]


def nothing(request: BlockRequest) -> Sequence[bytes]:
    return []


async def serve_lies(liar: ScriptedPeer, answer: Answer) -> None:
    """Claim a long chain, and answer requests as told until thrown out."""
    status = frames.Status(
        height=Height(1_000),
        block_hash=GENESIS,
        oldest_height=Height(0),
        snapshot_height=Height(0),
        membership_hash=liar.membership.hash,
        membership_version=liar.membership.version,
    )
    await liar.send(status)
    while True:
        frame = await liar.receive()
        if isinstance(frame, frames.Ping):
            await liar.send(frames.Pong(id=frame.id, clock_ms=1))
        elif isinstance(frame, frames.BlockRequest):
            await liar.send(frames.BlockResponse(id=frame.id, blocks=tuple(answer(frame))))
        elif isinstance(frame, frames.Goodbye):
            return


@pytest.mark.parametrize(
    ("answer", "is_thrown_out"),
    [
        pytest.param(forged_state, True, id="state roots changed"),
        pytest.param(forged_chain, True, id="a chain of its own, sealed by two of four"),
        pytest.param(old_blocks, True, id="old blocks again"),
        pytest.param(nothing, False, id="nothing"),
        pytest.param(lambda request: [b"\xff" * 64], True, id="no blocks at all"),
    ],
)
async def test_a_late_joiner_reaches_the_honest_head(
    tmp_path: Path, answer: Answer, is_thrown_out: bool
) -> None:
    members = [build_test_member(at, port=free_port()) for at in range(2)] + [build_test_member(2)]
    document = signed_membership(members)
    joiner, honest = (build_node(tmp_path, at, document) for at in range(2))
    honest.ledger.blocks = list(SERVED)
    honest.ledger.head = BlockHash(CHAIN[-1].hash)
    imported: list[Block] = []

    async def import_block(block: Block) -> None:
        imported.append(block)

    async with running(joiner), scripted(ScriptedPeer(2, document)) as liar:
        await liar.connect(tmp_path, joiner.network.port)
        lying = asyncio.create_task(serve_lies(liar, answer))
        sync = new_sync()
        await until(lambda: any(peer.height == 1_000 for peer in joiner.network.peers()))
        reached = await catch_up(joiner.network, sync, import_block)
        honest_hashes = [block.hash for block in CHAIN]
        assert [block.hash for block in imported] == honest_hashes[:reached]
        async with running(honest):
            await until(lambda: any(peer.height == 100 for peer in joiner.network.peers()))
            await catch_up(joiner.network, sync, import_block)

        assert [block.hash for block in imported] == honest_hashes
        status = next(p for p in joiner.network.peers() if p.node == node_key(2).address)
        if is_thrown_out:
            await until(lambda: not next(
                p for p in joiner.network.peers() if p.node == node_key(2).address
            ).is_connected)  # fmt: skip
            await asyncio.wait_for(lying, 5)
            assert "forged_block" in dict(status.offences)
        lying.cancel()
        await asyncio.gather(lying, return_exceptions=True)
