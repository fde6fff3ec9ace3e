"""WIRE-FRAME, WIRE-FRAME-SIZE, WIRE-RATE, WIRE-QUEUE, WIRE-SCORE, WIRE-TIMEOUT: a hostile member.

A member with a real key sends malformed, oversized, truncated and endless frames, reads nothing,
or answers what was not asked. It is dropped with the reason; others notice nothing.
"""

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from node.p2p import frames, limits
from node.p2p.limits import Lane, Offence
from node.p2p.network import CONSENSUS_BOUNDS
from node.p2p.socket import Timings
from node.p2p.wire import FRAME_SIZE_MAX, FrameKind, encode_frame
from node.primitives.errors import Unavailable
from node.primitives.types import Height
from tests.support.peers import (
    PATIENT,
    QUICK,
    ScriptedPeer,
    TestNode,
    build_node,
    build_test_member,
    free_port,
    node_key,
    running,
    scripted,
    signed_membership,
    until,
)

HOSTILE = 2


def city(folder: Path, timings: Timings = QUICK) -> tuple[list[TestNode], ScriptedPeer]:
    """Build two honest nodes and a hostile member."""
    members = [build_test_member(at, port=free_port()) for at in range(2)]
    members.append(build_test_member(HOSTILE))
    document = signed_membership(members)
    nodes = [build_node(folder, at, document, timings=timings) for at in range(2)]
    return nodes, ScriptedPeer(HOSTILE, document)


async def truncated(hostile: ScriptedPeer) -> None:
    frame = encode_frame(frames.TransactionBatch(transactions=(b"\x02" * 100,)))
    await hostile.send_bytes(frame[:-10])


async def oversized(hostile: ScriptedPeer) -> None:
    await hostile.send_bytes(bytes((FrameKind.CONSENSUS,)) + bytes(FRAME_SIZE_MAX + 1))


async def too_long_for_its_kind(hostile: ScriptedPeer) -> None:
    await hostile.send_bytes(bytes((FrameKind.PING,)) + bytes(100))


async def unknown_kind(hostile: ScriptedPeer) -> None:
    await hostile.send_bytes(b"\x7f\xc0")


async def empty(hostile: ScriptedPeer) -> None:
    await hostile.send_bytes(b"")


async def text(hostile: ScriptedPeer) -> None:
    assert hostile.socket is not None
    await hostile.socket.send_str("hello")


async def websocket_ping(hostile: ScriptedPeer) -> None:
    assert hostile.socket is not None
    await hostile.socket.ping(b"x" * 100)


async def a_second_hello(hostile: ScriptedPeer) -> None:
    await hostile.send(hostile.hello())


async def tiny_items(hostile: ScriptedPeer) -> None:
    body = b"\xfa" + (4_000_000).to_bytes(3, "big") + b"\x01" * 4_000_000
    await hostile.send_bytes(bytes((FrameKind.BLOCK_RESPONSE,)) + body)


@pytest.mark.parametrize(
    ("attack", "offence"),
    [
        pytest.param(truncated, Offence.MALFORMED_FRAME, id="truncated frame"),
        pytest.param(oversized, Offence.OVERSIZED_FRAME, id="frame longer than any"),
        pytest.param(too_long_for_its_kind, Offence.MALFORMED_FRAME, id="too long for its kind"),
        pytest.param(unknown_kind, Offence.MALFORMED_FRAME, id="unknown kind"),
        pytest.param(empty, Offence.MALFORMED_FRAME, id="empty frame"),
        pytest.param(text, Offence.UNEXPECTED_FRAME, id="text"),
        pytest.param(websocket_ping, Offence.UNEXPECTED_FRAME, id="WebSocket ping"),
        pytest.param(a_second_hello, Offence.UNEXPECTED_FRAME, id="a second hello"),
        pytest.param(tiny_items, Offence.MALFORMED_FRAME, id="millions of tiny items"),
    ],
)
async def test_a_broken_frame_ends_the_connection_and_bans_the_node(
    tmp_path: Path, attack: Callable[[ScriptedPeer], Awaitable[None]], offence: Offence
) -> None:
    (node, _other), hostile = city(tmp_path)
    async with running(node), scripted(hostile):
        await hostile.connect(tmp_path, node.network.port)
        await until(node.network.connected)
        with suppress(ConnectionError, aiohttp.ClientError):
            await attack(hostile)
        await until(lambda: not node.network.connected())

        assert node.peer(HOSTILE).why_not.startswith(offence.value)
        assert dict(node.peer(HOSTILE).offences) == {offence.value: 1}
        await hostile.close()
        await hostile.open(tmp_path, node.network.port)
        await hostile.send(hostile.hello())
        await hostile.prove(await hostile.expect_hello())
        assert (await hostile.farewell()).reason == "backing_off"


async def test_the_longest_frame_allowed_arrives_whole(tmp_path: Path) -> None:
    (node, _other), hostile = city(tmp_path)
    payload = bytes(FRAME_SIZE_MAX - 16)
    async with running(node), scripted(hostile):
        await hostile.connect(tmp_path, node.network.port)
        await hostile.send(frames.ConsensusMessage(payload=payload))

        heard = await asyncio.wait_for(node.network.consensus.get(), 10)
        assert len(heard.item) == len(payload)


async def test_a_flood_is_cut_off_and_does_not_starve_the_others(tmp_path: Path) -> None:
    """The hostile member sends as fast as it can; the honest one still gets its word in."""
    nodes, hostile = city(tmp_path, PATIENT)
    vote = frames.ConsensusMessage(payload=b"spam" * 50)
    burst = limits.FRAME_RATES[Lane.CONSENSUS].burst

    async def flood() -> None:
        with suppress(ConnectionError, aiohttp.ClientError, RuntimeError):
            while True:
                await hostile.send(vote)

    async with running(*nodes), scripted(hostile):
        await until(lambda: all(node.network.connected() for node in nodes))
        await hostile.connect(tmp_path, nodes[0].network.port)
        flooding = asyncio.create_task(flood())
        # On a slow machine it may be cut off already, and what it said forgotten.
        await until(lambda: len(nodes[0].network.consensus) or nodes[0].peer(HOSTILE).why_not)
        nodes[1].network.broadcast(b"an honest vote")
        honest = node_key(1).address
        heard = 0
        while (await asyncio.wait_for(nodes[0].network.consensus.get(), 30)).peer != honest:
            heard += 1
        await until(lambda: nodes[0].network.connected() == (honest,))
        flooding.cancel()

        assert heard <= burst
        assert "rate_exceeded" in nodes[0].peer(HOSTILE).why_not
        assert len(nodes[0].network.consensus) <= CONSENSUS_BOUNDS.count_max


async def test_an_answer_nobody_asked_for_counts_against_its_sender(tmp_path: Path) -> None:
    (node, _other), hostile = city(tmp_path)
    answer = frames.BlockResponse(id=77, blocks=(b"\xc0",))
    async with running(node), scripted(hostile):
        await hostile.connect(tmp_path, node.network.port)
        await until(node.network.connected)
        await hostile.send(answer)
        await until(lambda: node.peer(HOSTILE).score > 0)
        assert node.network.connected(), "once is forgiven"
        for _ in range(5):
            await hostile.send(answer)
        await until(lambda: not node.network.connected())

        assert "unsolicited_response" in node.peer(HOSTILE).why_not


async def test_an_answer_longer_than_asked_is_not_taken(tmp_path: Path) -> None:
    (node, _other), hostile = city(tmp_path)
    async with running(node), scripted(hostile):
        await hostile.connect(tmp_path, node.network.port)
        await until(node.network.connected)
        asking = asyncio.create_task(
            node.network.request_blocks(node_key(HOSTILE).address, Height(1), 2)
        )
        request = await hostile.receive_until(frames.BlockRequest)
        assert isinstance(request, frames.BlockRequest)
        await hostile.send(frames.BlockResponse(id=request.id, blocks=(b"\xc0",) * 3))
        await until(lambda: dict(node.peer(HOSTILE).offences).get("unsolicited_response"))
        await hostile.close()
        with pytest.raises(Unavailable):
            await asking


async def test_a_peer_that_does_not_answer_times_out_and_late_answers_are_forgiven(
    tmp_path: Path,
) -> None:
    (node, _other), hostile = city(tmp_path, replace(QUICK, request_ms=200))
    async with running(node), scripted(hostile):
        await hostile.connect(tmp_path, node.network.port)
        await until(node.network.connected)
        with pytest.raises(Unavailable, match="no answer"):
            await node.network.request_blocks(node_key(HOSTILE).address, Height(1), 2)
        request = await hostile.receive_until(frames.BlockRequest)
        assert isinstance(request, frames.BlockRequest)
        await hostile.send(frames.BlockResponse(id=request.id, blocks=()))
        await hostile.send(frames.ConsensusMessage(payload=b"after"))
        await asyncio.wait_for(node.network.consensus.get(), 5)

        assert dict(node.peer(HOSTILE).offences) == {"request_timeout": 1}


async def test_a_silent_peer_is_lost(tmp_path: Path) -> None:
    (node, _other), hostile = city(tmp_path, replace(QUICK, idle_ms=300))
    async with running(node), scripted(hostile):
        await hostile.connect(tmp_path, node.network.port)
        await until(node.network.connected)
        while not isinstance(frame := await hostile.receive(), frames.Goodbye):
            assert isinstance(frame, frames.Ping | frames.Status)

        assert frame.reason == "idle"


async def test_a_peer_that_does_not_read_is_lost_and_others_still_hear(tmp_path: Path) -> None:
    nodes, hostile = city(tmp_path, replace(QUICK, send_ms=500, idle_ms=10_000))
    payload = bytes(1 << 20)
    async with running(*nodes), scripted(hostile):
        await until(lambda: all(node.network.connected() for node in nodes))
        await hostile.connect(tmp_path, nodes[0].network.port)
        await until(lambda: len(nodes[0].network.connected()) == 2)
        honest = node_key(1).address
        for _ in range(32):
            nodes[0].network.broadcast(payload)
            heard = await asyncio.wait_for(nodes[1].network.consensus.get(), 10)
            assert len(heard.item) == len(payload)
        await until(lambda: nodes[0].network.connected() == (honest,))

        assert nodes[0].peer(HOSTILE).why_not.startswith("slow_reader")


async def test_requests_beyond_what_may_wait_are_refused(tmp_path: Path) -> None:
    (node, _other), hostile = city(tmp_path)
    node.ledger.blocks = [bytes(3 << 20)] * 4
    async with running(node), scripted(hostile):
        await hostile.connect(tmp_path, node.network.port)
        await until(node.network.connected)
        for number in range(200):
            with suppress(ConnectionError, aiohttp.ClientError):
                await hostile.send(frames.BlockRequest(id=number, start=Height(0), count=1))
        await until(lambda: dict(node.peer(HOSTILE).offences).get("rate_exceeded"))

        assert node.peer(HOSTILE).dropped_count == 0, "answers wait instead of piling up"


async def test_a_listener_that_never_says_who_it_is_is_let_go_when_the_node_stops(
    tmp_path: Path,
) -> None:
    """The node is stopped in the middle of a handshake that it began itself."""
    port = free_port()
    members = [build_test_member(0, port=free_port()), build_test_member(1, port=port)]
    document = signed_membership(members)
    node = build_node(tmp_path, 0, document)
    come = asyncio.Event()

    async def stall(request: web.BaseRequest) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        async for _hello in socket:
            come.set()
        return socket

    server = web.Server(stall)
    context = ScriptedPeer(1, document).server_context(tmp_path)
    listening = await asyncio.get_running_loop().create_server(
        server, "127.0.0.1", port, ssl=context
    )
    # Only then does aiohttp tell of every connection that nobody closed, not of some by chance.
    asyncio.get_running_loop().set_debug(True)
    with warnings.catch_warnings(record=True) as leaks:
        warnings.simplefilter("always")
        async with running(node):
            await asyncio.wait_for(come.wait(), 30)
        listening.close()
        await server.shutdown(1)
        del node
        gc.collect()

    assert [str(leak.message) for leak in leaks if leak.category is ResourceWarning] == []


async def test_a_listener_cannot_send_us_elsewhere(tmp_path: Path) -> None:
    """A member's endpoint answers with a redirect to a port of its choosing."""
    port, trap_port = free_port(), free_port()
    members = [build_test_member(0, port=free_port()), build_test_member(1, port=port)]
    document = signed_membership(members)
    node = build_node(tmp_path, 0, document)
    visits: list[str] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        target = f"http://127.0.0.1:{trap_port}/admin"
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async def trap(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append("came")
        writer.close()

    context = ScriptedPeer(1, document).server_context(tmp_path)
    server = await asyncio.start_server(redirect, "127.0.0.1", port, ssl=context)
    trapped = await asyncio.start_server(trap, "127.0.0.1", trap_port)
    async with running(node):
        await until(lambda: "redirects are refused" in node.peer(1).why_not)
    for each in (server, trapped):
        each.close()
        await each.wait_closed()

    assert visits == []
