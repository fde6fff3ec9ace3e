"""RPC-CORS, RPC-BOUNDS, RPC-ADMIN, RPC-SHUTDOWN, RPC-SUBSCRIBE: the port itself."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from node.rpc.backend import Backends
from node.rpc.limits import RpcLimits
from node.rpc.methods.tables import PUBLIC_METHODS
from node.rpc.server import LOOPBACK_NAMES, RpcServer, ServerAddress, new_id
from node.rpc.service import RpcService
from tests.support.rpc import RpcChain, until

CHAIN_ID = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}


@asynccontextmanager
async def started(
    limits: RpcLimits | None = None, address: ServerAddress | None = None
) -> AsyncIterator[tuple[RpcServer, RpcChain, str]]:
    chain = RpcChain()
    service = RpcService(
        backends=Backends(ledger=chain.backend),
        table=PUBLIC_METHODS,
        limits=limits or RpcLimits(),
        new_id=new_id,
        monotonic_s=asyncio.get_running_loop().time,
    )
    server = RpcServer(service, address or ServerAddress())
    chain.servers.append(server)
    port = await server.start()
    try:
        yield server, chain, f"http://127.0.0.1:{port}/"
    finally:
        await server.stop()


async def test_a_request_is_answered() -> None:
    async with (
        started() as (_, _, url),
        aiohttp.ClientSession() as client,
        client.post(url, json=CHAIN_ID) as response,
    ):
        assert response.status == 200
        assert response.content_type == "application/json"
        assert (await response.json())["result"] == "0x4f25"


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        pytest.param("GET", {}, 405, id="GET"),
        pytest.param("PUT", {}, 405, id="PUT"),
        pytest.param("POST", {"Content-Type": "text/plain"}, 415, id="plain text"),
        pytest.param("POST", {"Content-Encoding": "gzip"}, 415, id="compressed"),
    ],
)
async def test_what_is_no_json_post_is_turned_away(
    method: str, headers: dict[str, str], status: int
) -> None:
    sent = {"Content-Type": "application/json", **headers}
    async with (
        started() as (_, _, url),
        aiohttp.ClientSession() as client,
        client.request(method, url, data=b"{}", headers=sent) as response,
    ):
        assert response.status == status


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        pytest.param("https://wallet.example", True, id="listed"),
        pytest.param("https://evil.example", False, id="not listed"),
    ],
)
async def test_only_pages_of_listed_origins_may_read_answers(origin: str, is_allowed: bool) -> None:
    address = ServerAddress(cors_origins=("https://wallet.example",))
    async with started(address=address) as (_, _, url), aiohttp.ClientSession() as client:
        async with client.options(url, headers={"Origin": origin}) as preflight:
            allowed = preflight.headers.get("Access-Control-Allow-Origin")
        handshake = client.ws_connect(url, headers={"Origin": origin})
        if is_allowed:
            async with handshake as socket:
                assert not socket.closed
        else:
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await handshake

    assert allowed == (origin if is_allowed else None)


async def test_an_operators_port_serves_loopback_names_only() -> None:
    address = ServerAddress(host_names=LOOPBACK_NAMES)
    async with started(address=address) as (_, _, url), aiohttp.ClientSession() as client:
        async with client.post(url, json=CHAIN_ID) as response:
            assert response.status == 200
        async with client.post(url, json=CHAIN_ID, headers={"Host": "evil.example"}) as response:
            assert response.status == 403


@pytest.mark.parametrize("is_chunked", [False, True], ids=["with a length", "chunked"])
async def test_a_body_at_the_bound_is_read_and_one_byte_more_is_not(is_chunked: bool) -> None:
    body = json.dumps(CHAIN_ID).encode()
    headers = {"Content-Type": "application/json"}

    async def parts(data: bytes) -> AsyncIterator[bytes]:
        yield data[:10]
        yield data[10:]

    async with (
        started(RpcLimits(body_size_max_bytes=len(body))) as (_, _, url),
        aiohttp.ClientSession() as client,
    ):
        for data, status in ((body, 200), (body + b" ", 413)):
            sent = parts(data) if is_chunked else data
            async with client.post(url, data=sent, headers=headers) as response:
                assert response.status == status


async def test_a_websocket_is_told_of_heads_and_hangs_up_when_the_server_stops() -> None:
    async with (
        started() as (server, chain, url),
        aiohttp.ClientSession() as client,
        client.ws_connect(url) as socket,
    ):
        await socket.send_json(
            {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
        )
        name = (await socket.receive_json())["result"]
        for _ in range(3):
            chain.mine()
        heard = [(await socket.receive_json())["params"] for _ in range(3)]
        stopping = asyncio.create_task(server.stop())
        last = await socket.receive()
        await stopping

    assert {each["subscription"] for each in heard} == {name}
    assert [each["result"]["number"] for each in heard] == ["0x1", "0x2", "0x3"]
    assert last.type is aiohttp.WSMsgType.CLOSE
    assert server.session_count == 0


async def test_subscribing_needs_a_websocket() -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
    async with (
        started() as (_, _, url),
        aiohttp.ClientSession() as client,
        client.post(url, json=asked) as response,
    ):
        assert (await response.json())["error"]["data"]["code"] == "rpc.not_supported"


async def test_a_request_in_work_ends_when_the_server_stops() -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["0x0", False]}
    async with started() as (server, _, url), aiohttp.ClientSession() as client:
        asking = asyncio.create_task(client.post(url, json=asked))
        await until(lambda: server.connection_count > 0)
        await server.stop()
        outcome = (await asyncio.gather(asking, return_exceptions=True))[0]

    assert isinstance(outcome, (aiohttp.ClientResponse, aiohttp.ClientError))
