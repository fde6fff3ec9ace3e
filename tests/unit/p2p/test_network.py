"""WIRE-MESH, WIRE-GOSSIP, WIRE-STATUS, SYNC-SERVE: nodes on loopback find one another and talk.

Real sockets, real TLS; two to four whole networks.
"""

import asyncio
from pathlib import Path

import pytest

from node.membership.document import Role
from node.p2p.network import EVIDENCE_SIZE_MAX
from node.primitives.crypto import keccak256
from node.primitives.errors import Unavailable
from node.primitives.types import Height, TransactionHash
from tests.support.peers import (
    build_node,
    build_test_member,
    free_port,
    mesh_of,
    node_key,
    running,
    signed_membership,
    until,
)


async def test_four_nodes_form_a_mesh_with_one_connection_per_pair(tmp_path: Path) -> None:
    nodes = mesh_of(tmp_path, 4)
    async with running(*nodes):

        def is_settled() -> bool:
            peers = [peer for node in nodes for peer in node.network.peers()]
            ends = sum(len(node.network.connected()) for node in nodes)
            return (ends, sum(bool(peer.is_dialled) for peer in peers)) == (12, 6)

        # Of two connections that cross, one is ended when both stand already.
        await until(is_settled)


async def test_a_broadcast_reaches_every_other_node_once(tmp_path: Path) -> None:
    nodes = mesh_of(tmp_path, 3)
    async with running(*nodes):
        await until(lambda: all(len(node.network.connected()) == 2 for node in nodes))

        assert nodes[0].network.broadcast(b"a vote") == 2
        for node in nodes[1:]:
            heard = await asyncio.wait_for(node.network.consensus.get(), 30)
            assert (heard.peer, heard.item) == (node_key(0).address, b"a vote")
            assert len(node.network.consensus) == 0


async def test_a_relayed_message_is_passed_on_once_and_not_back(tmp_path: Path) -> None:
    nodes = mesh_of(tmp_path, 3)
    async with running(*nodes):
        await until(lambda: len(nodes[1].network.connected()) == 2)
        sender = node_key(0).address

        assert nodes[1].network.relay(b"a vote", source=sender) == 1
        assert nodes[1].network.relay(b"a vote", source=sender) == 0
        assert (await asyncio.wait_for(nodes[2].network.consensus.get(), 30)).item == b"a vote"


async def test_fresh_transactions_travel_whole_and_second_hand_ones_by_name(
    tmp_path: Path,
) -> None:
    nodes = mesh_of(tmp_path, 2)
    raw = b"\x02 a transaction"
    name = TransactionHash(keccak256(raw))
    async with running(*nodes):
        await until(lambda: all(node.network.connected() for node in nodes))
        nodes[0].ledger.pool[name] = raw
        nodes[0].network.share_transactions([raw], source=b"\x55" * 20)
        second_hand = await asyncio.wait_for(nodes[1].network.transactions.get(), 30)
        nodes[0].network.share_transactions([raw, b"\x02 another"])
        fresh = await asyncio.wait_for(nodes[1].network.transactions.get(), 30)

        assert second_hand.item == (raw,)
        assert fresh.item == (b"\x02 another",), "what the peer knows is not sent again"


async def test_blocks_headers_and_snapshots_are_served(tmp_path: Path) -> None:
    nodes = mesh_of(tmp_path, 2)
    server = nodes[1].ledger
    server.blocks = [b"block %d" % height for height in range(10)]
    server.headers = [b"header %d" % height for height in range(10)]
    server.manifests[Height(8)] = b"manifest"
    server.chunks[(Height(8), 3)] = b"chunk"
    async with running(*nodes):
        await until(nodes[0].network.connected)
        ask, peer = nodes[0].network, node_key(1).address

        assert await ask.request_blocks(peer, Height(4), 3) == (b"block 4", b"block 5", b"block 6")
        assert await ask.request_blocks(peer, Height(8), 9) == (b"block 8", b"block 9")
        assert await ask.request_headers(peer, Height(99), 2) == ()
        assert await ask.request_manifest(peer, Height(8)) == b"manifest"
        assert await ask.request_chunk(peer, Height(8), 3) == b"chunk"
        assert await ask.request_chunk(peer, Height(8), 4) == b""


async def test_a_long_range_is_answered_in_part(tmp_path: Path) -> None:
    nodes = mesh_of(tmp_path, 2)
    nodes[1].ledger.blocks = [bytes(3 << 20)] * 4
    async with running(*nodes):
        await until(nodes[0].network.connected)
        found = await nodes[0].network.request_blocks(node_key(1).address, Height(0), 4)

        assert len(found) == 1, "two of them pass the soft limit of one response"


async def test_a_stranger_cannot_be_asked(tmp_path: Path) -> None:
    nodes = mesh_of(tmp_path, 2)
    async with running(nodes[0]):
        with pytest.raises(Unavailable):
            await nodes[0].network.request_blocks(node_key(1).address, Height(1), 1)


async def test_the_status_tells_height_clock_and_latency(tmp_path: Path) -> None:
    nodes = mesh_of(tmp_path, 2)
    async with running(*nodes):
        await until(nodes[0].network.connected)
        nodes[1].ledger.blocks = [b""] * 8
        nodes[1].network.announce_status()
        await until(lambda: nodes[0].network.peers()[0].height == 7)
        await until(lambda: nodes[0].network.peers()[0].latency_ms is not None)
        status = nodes[0].network.peers()[0]

        assert status.clock_offset_ms is not None
        assert abs(status.clock_offset_ms) < 1_000
        assert (status.name, status.municipality, status.role) == ("goka-1", "Goka", "validator")
        assert (status.why_not, status.membership_mismatch) == ("", "")


async def test_a_missing_member_is_named_with_the_reason(tmp_path: Path) -> None:
    members = [build_test_member(0, port=free_port()), build_test_member(1, port=free_port())]
    members.append(build_test_member(2, role=Role.ARCHIVE))
    node = build_node(tmp_path, 0, signed_membership(members))
    async with running(node):
        await until(lambda: "unreachable" in node.network.peers()[0].why_not
                    or "unreachable" in node.network.peers()[1].why_not)  # fmt: skip
        reasons = {status.name: status.why_not for status in node.network.peers()}

        assert "Connect" in reasons["goka-1"]
        assert "names no endpoint" in reasons["sakai-1"]


async def test_a_node_that_returns_is_connected_again(tmp_path: Path) -> None:
    nodes = mesh_of(tmp_path, 2)
    async with running(nodes[0]):
        async with running(nodes[1]):
            await until(nodes[0].network.connected)
            # Watched while the other stops: what a new dial finds takes the reason's place.
            leaving = asyncio.create_task(
                until(lambda: "stopping" in nodes[0].network.peers()[0].why_not)
            )
        await leaving
        again = build_node(tmp_path, 1, nodes[1].network.membership)
        async with running(again):
            await until(nodes[0].network.connected)


async def test_a_node_without_an_endpoint_dials_in(tmp_path: Path) -> None:
    members = [build_test_member(0, port=free_port()), build_test_member(1)]
    document = signed_membership(members)
    nodes = [build_node(tmp_path, index, document) for index in range(2)]
    async with running(*nodes):
        await until(lambda: all(node.network.connected() for node in nodes))

        assert nodes[1].network.peers()[0].is_dialled


async def test_the_higher_key_dials_when_the_lower_cannot(tmp_path: Path) -> None:
    low, high = sorted(range(2), key=lambda index: node_key(index).address)
    reachable = build_test_member(low, port=free_port())
    unreachable = build_test_member(high, port=free_port())
    documents = signed_membership([reachable, unreachable])
    moved = build_node(tmp_path, high, signed_membership([reachable, build_test_member(high)]))
    async with running(build_node(tmp_path, low, documents), moved):
        await until(moved.network.connected)

        assert moved.network.peers()[0].is_dialled
        assert "membership here version 1" in moved.network.peers()[0].membership_mismatch


async def test_evidence_travels_and_what_is_longer_than_a_frame_stays(tmp_path: Path) -> None:
    nodes = mesh_of(tmp_path, 2)
    async with running(*nodes):
        await until(nodes[0].network.connected)

        assert nodes[0].network.broadcast_evidence(b"two votes") == 1
        assert (await asyncio.wait_for(nodes[1].network.evidence.get(), 30)).item == b"two votes"
        assert nodes[0].network.broadcast_evidence(bytes(EVIDENCE_SIZE_MAX)) == 1
        assert nodes[0].network.broadcast_evidence(bytes(EVIDENCE_SIZE_MAX + 1)) == 0


async def test_who_waits_for_a_change_is_woken(tmp_path: Path) -> None:
    nodes = mesh_of(tmp_path, 2)
    async with running(*nodes):
        while not nodes[0].network.connected():
            await asyncio.wait_for(nodes[0].network.wait_change(), 30)


async def test_a_vote_for_one_node_reaches_that_node_only(tmp_path: Path) -> None:
    nodes = mesh_of(tmp_path, 3)
    async with running(*nodes):
        await until(lambda: all(len(node.network.connected()) == 2 for node in nodes))

        assert nodes[0].network.send(node_key(2).address, b"for you")
        assert not nodes[0].network.send(node_key(5).address, b"for nobody")
        assert (await asyncio.wait_for(nodes[2].network.consensus.get(), 30)).item == b"for you"
        assert len(nodes[1].network.consensus) == 0
