"""RPC-HTTP: ordinary requests on one connection, whole, in pieces, in a row, and beside others."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from node.rpc.limits import RpcLimits
from node.rpc.server import LOOPBACK_NAMES, ServerAddress
from tests.support.rpc import RpcChain, serving, until

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def request(body: object, *headers: str, host: str = "127.0.0.1") -> bytes:
    data = json.dumps(body).encode()
    lines = (
        "POST / HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        f"Content-Length: {len(data)}",
        *headers,
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def call(name: object, method: str = "eth_chainId", *params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": name, "method": method, "params": list(params)}


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    async with asyncio.timeout(60):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        body = await reader.readexactly(int(headers["content-length"]))
    return int(first.split()[1]), headers, body


async def read_result(reader: asyncio.StreamReader) -> Any:
    status, _, body = await read_answer(reader)
    assert status == 200
    return json.loads(body)


async def connect(port: int) -> Streams:
    return await asyncio.open_connection("127.0.0.1", port)


def is_librarys(headers: dict[str, str]) -> bool:
    """Tell whether aiohttp answered: it names itself."""
    return "aiohttp" in headers.get("server", "")


async def test_an_ordinary_request_is_answered_without_the_library() -> None:
    with serving(RpcChain()) as served:
        reader, writer = await connect(served.port)
        writer.write(request(call(1)))

        status, headers, body = await read_answer(reader)

        assert (status, headers["content-type"]) == (200, "application/json")
        assert not is_librarys(headers)
        assert headers["date"].endswith("GMT")
        assert json.loads(body)["result"] == "0x4f25"
        writer.close()


async def test_requests_in_a_row_are_answered_in_order_whatever_lane_they_take() -> None:
    methods = ["eth_chainId", "eth_getBlockByNumber", "eth_call", "eth_chainId", "no_such"]
    params: dict[str, list[object]] = {
        "eth_getBlockByNumber": ["0x0", True],
        "eth_call": [{"to": "0x" + "00" * 20}, "latest"],
    }
    asked = [call(at, method, *params.get(method, [])) for at, method in enumerate(methods * 20)]
    asked.insert(7, call("é\"'\u2028"))
    with serving(RpcChain()) as served:
        reader, writer = await connect(served.port)
        writer.write(b"".join(map(request, asked)))

        answers = [await read_result(reader) for _ in asked]

        assert [answer["id"] for answer in answers] == [one["id"] for one in asked]
        assert all("result" in answers[at] for at in (0, 1, 2, 3, 7))
        writer.close()


async def test_a_request_may_come_byte_by_byte() -> None:
    with serving(RpcChain()) as served:
        reader, writer = await connect(served.port)
        for byte in request([call(1), call(2)]):
            writer.write(bytes((byte,)))
            await writer.drain()

        assert [answer["id"] for answer in await read_result(reader)] == [1, 2]
        writer.write(request(call(3)))
        assert (await read_result(reader))["id"] == 3
        writer.close()


async def test_a_notification_is_answered_with_an_empty_body() -> None:
    note = {"jsonrpc": "2.0", "method": "eth_chainId", "params": []}
    with serving(RpcChain()) as served:
        reader, writer = await connect(served.port)
        writer.write(request(note) + request(call(2)))

        assert (await read_answer(reader))[2] == b""
        assert (await read_result(reader))["id"] == 2
        writer.close()


async def test_another_request_passes_the_connection_to_the_library() -> None:
    with serving(RpcChain()) as served:
        reader, writer = await connect(served.port)
        writer.write(request(call(1)))
        assert not is_librarys((await read_answer(reader))[1])
        writer.write(request(call(2), "X-Odd: 1") + request(call(3)))

        for name in (2, 3):
            _, headers, body = await read_answer(reader)
            assert is_librarys(headers)
            assert json.loads(body)["id"] == name
        assert served.server.connection_count == 1
        writer.close()
        await until(lambda: not served.server.connection_count, timeout_s=60)


async def test_a_client_that_ends_its_side_still_hears_the_answer() -> None:
    with serving(RpcChain()) as served:
        reader, writer = await connect(served.port)
        writer.write(request(call(1, "eth_getBlockByNumber", "0x0", True)))
        writer.write_eof()

        assert (await read_result(reader))["id"] == 1
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        pytest.param("localhost:1", 200, id="ours"),
        pytest.param("[::1]:80", 200, id="IPv6"),
        pytest.param("evil.example", 403, id="rebound name"),
        pytest.param("localhost.evil.example", 403, id="longer name"),
    ],
)
async def test_only_the_operators_host_names_are_served(host: str, status: int) -> None:
    address = ServerAddress(host_names=LOOPBACK_NAMES)
    with serving(RpcChain(), address=address) as served:
        reader, writer = await connect(served.port)
        writer.write(request(call(1), host=host))

        assert (await read_answer(reader))[0] == status
        writer.close()


async def test_a_body_beyond_the_bound_is_refused_before_it_is_sent() -> None:
    limits = RpcLimits(body_size_max_bytes=1_000)
    with serving(RpcChain(), limits=limits) as served:
        reader, writer = await connect(served.port)
        writer.write(request("x" * 1_000)[:200])

        assert (await read_answer(reader))[0] == 413
        writer.close()


async def test_beyond_the_bound_of_requests_in_work_one_is_turned_away() -> None:
    limits = replace(RpcLimits(), request_count_max=0)
    with serving(RpcChain(), limits=limits) as served:
        reader, writer = await connect(served.port)
        writer.write(request(call(1, "eth_getBlockByNumber", "0x0", True)) + request(call(2)))

        status, _, body = await read_answer(reader)
        assert (status, json.loads(body)["error"]["code"]) == (503, -32005)
        assert (await read_result(reader))["id"] == 2
        writer.close()


async def test_a_slow_request_is_cut_off_however_steadily_it_drips() -> None:
    limits = RpcLimits(read_timeout_s=0.5)
    with serving(RpcChain(), limits=limits) as served:
        reader, writer = await connect(served.port)
        ended = asyncio.ensure_future(reader.read())
        async with asyncio.timeout(60):
            for byte in request(call(1)):
                if ended.done():
                    break
                writer.write(bytes((byte,)))
                await asyncio.wait([ended], timeout=0.05)
        # The last bytes may meet a connection that is gone.
        assert isinstance(ended.exception(), ConnectionResetError) or ended.result() == b""
        writer.close()
