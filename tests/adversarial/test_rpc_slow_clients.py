"""RPC-SLOW-CLIENT, RPC-BOUNDS: clients that say nothing, say it slowly, or do not listen.

Each holds a connection and hopes to hold memory. The server cuts it off in time and forgets it.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest

from node.rpc.backend import Backends
from node.rpc.limits import RpcLimits
from node.rpc.methods.tables import PUBLIC_METHODS
from node.rpc.server import RpcServer, ServerAddress, new_id
from node.rpc.service import RpcService
from tests.support.rpc import RpcChain, until

SOON_S = 30.0
"""Longest a cut may take in this test, against deadlines of a fraction of a second."""

IMPATIENT = RpcLimits(
    read_timeout_s=0.3,
    write_timeout_s=0.3,
    idle_timeout_s=0.3,
    notification_backlog_max=100,
    connection_count_max=4,
    websocket_count_max=1,
    body_size_max_bytes=2_000_000,
)


@asynccontextmanager
async def started(limits: RpcLimits = IMPATIENT) -> AsyncIterator[tuple[RpcServer, RpcChain, int]]:
    chain = RpcChain()
    service = RpcService(
        backends=Backends(ledger=chain.backend),
        table=PUBLIC_METHODS,
        limits=limits,
        new_id=new_id,
        monotonic_s=asyncio.get_running_loop().time,
    )
    server = RpcServer(service, ServerAddress())
    chain.servers.append(server)
    port = await server.start()
    try:
        yield server, chain, port
    finally:
        await server.stop()


async def is_cut(reader: asyncio.StreamReader) -> bool:
    """Tell whether the server ends the connection soon."""
    try:
        async with asyncio.timeout(SOON_S):
            while await reader.read(65_536):
                pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: x\r\n", id="half a head"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{",
            id="half a body",
        ),
    ],
)
async def test_a_client_that_does_not_finish_is_cut_off(said: bytes) -> None:
    async with started() as (server, _, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)

        assert await is_cut(reader)
        writer.transport.abort()
        await until(lambda: not server.connection_count)


async def test_a_client_that_takes_no_answer_is_cut_off() -> None:
    body = json.dumps(
        [{"jsonrpc": "2.0", "id": at, "method": "debug_getRawBlock", "params": ["0x0"]}
         for at in range(1_000)]
    ).encode()  # fmt: skip
    head = (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    async with started() as (server, _, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_024)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(8):
            writer.write(head + body)

        await until(lambda: not server.connection_count, timeout_s=60)
        writer.transport.abort()


async def test_a_subscriber_that_does_not_listen_is_cut_off() -> None:
    patient = replace(IMPATIENT, write_timeout_s=60.0)
    async with started(patient) as (server, chain, port):
        session = aiohttp.ClientSession()
        socket = await session.ws_connect(f"http://127.0.0.1:{port}/", max_msg_size=0)
        for _ in range(32):
            await socket.send_json(
                {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
            )
            await socket.receive_json()
        transport = socket._response.connection.transport  # type: ignore[union-attr]
        transport.pause_reading()

        def is_forgotten() -> bool:
            chain.mine()
            return not server.session_count

        await until(is_forgotten)
        transport.abort()
        await session.close()


async def test_connections_beyond_the_bound_are_turned_away() -> None:
    async with started() as (server, _, port):
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(12)]
        await until(lambda: server.connection_count == IMPATIENT.connection_count_max)

        for _, writer in held:
            writer.transport.abort()


async def test_websockets_beyond_the_bound_are_turned_away() -> None:
    async with started() as (_, _, port), aiohttp.ClientSession() as client:
        url = f"http://127.0.0.1:{port}/"
        async with client.ws_connect(url):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect(url)

    assert refused.value.status == 503
