"""LIGHT-BOUNDS: what comes over HTTP is bounded, and a strange server raises a named error."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from clients.core import transport
from clients.core.answers import MalformedAnswer
from clients.core.transport import (
    BATCH_COUNT_MAX,
    CallRefused,
    HttpNode,
    NodeUnavailable,
    http_nodes,
)
from node.primitives.errors import InvalidInput

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def node_that(handler: Handler) -> AsyncIterator[HttpNode]:
    """Serve ``handler`` on a free port and give the node that talks to it."""
    app = web.Application()
    app.router.add_post("/", handler)
    async with TestServer(app) as server, http_nodes([("peer", str(server.make_url("/")))]) as made:
        yield made[0]


def saying(text: str) -> Handler:
    async def handle(_request: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/json")

    return handle


async def echo(request: web.Request) -> web.Response:
    body = await request.json()

    def answer(each: dict[str, object]) -> dict[str, object]:
        return {"jsonrpc": "2.0", "id": each["id"], "result": each["params"]}

    return web.json_response(
        [answer(each) for each in body] if isinstance(body, list) else answer(body)
    )


async def test_calls_and_batches_return_results_in_order() -> None:
    async with node_that(echo) as node:
        assert await node.call("any", 1, "two") == [1, "two"]
        assert await node.batch([("any", [1]), ("any", [2])]) == [[1], [2]]
        assert await node.batch([]) == []


async def test_a_batch_has_a_bound() -> None:
    async with node_that(echo) as node:
        assert len(await node.batch([("any", [])] * BATCH_COUNT_MAX)) == BATCH_COUNT_MAX
        with pytest.raises(InvalidInput):
            await node.batch([("any", [])] * (BATCH_COUNT_MAX + 1))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("<html>", id="no JSON"),
        pytest.param("[" * 100_000, id="nested deeply"),
        pytest.param("[]", id="a list"),
        pytest.param('{"id": 1}', id="no result"),
        pytest.param('{"id": 2, "result": 1}', id="another request's"),
        pytest.param('"text"', id="a text"),
    ],
)
async def test_what_is_no_answer_is_named(text: str) -> None:
    async with node_that(saying(text)) as node:
        with pytest.raises(MalformedAnswer):
            await node.call("any")


async def test_a_batch_with_an_answer_missing_is_refused() -> None:
    async with node_that(saying('[{"id": 1, "result": 1}]')) as node:
        with pytest.raises(MalformedAnswer):
            await node.batch([("any", []), ("any", [])])


@pytest.mark.parametrize(
    "error", [pytest.param('{"message": "no"}', id="object"), pytest.param("7", id="number")]
)
async def test_an_error_is_a_refused_call(error: str) -> None:
    async with node_that(saying('{"id": 1, "error": ' + error + "}")) as node:
        with pytest.raises(CallRefused):
            await node.call("any")


async def test_an_answer_is_read_up_to_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '{"id": 1, "result": "%s"}' % ("x" * 100)
    monkeypatch.setattr(transport, "ANSWER_SIZE_MAX", len(text))
    async with node_that(saying(text)) as node:
        assert await node.call("any") == "x" * 100
    monkeypatch.setattr(transport, "ANSWER_SIZE_MAX", len(text) - 1)
    async with node_that(saying(text)) as node:
        with pytest.raises(MalformedAnswer, match="LIGHT-BOUNDS"):
            await node.call("any")


async def test_a_redirect_is_not_followed() -> None:
    async def elsewhere(_request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("http://127.0.0.1:1/")

    async with node_that(elsewhere) as node:
        with pytest.raises(MalformedAnswer):
            await node.call("any")


async def test_a_server_that_takes_too_long_is_unavailable() -> None:
    release = asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with node_that(slow) as made:
        node = HttpNode("slow", made.url, made._session, timeout_s=0.05)
        with pytest.raises(NodeUnavailable, match="slow"):
            await node.call("any")
        release.set()


async def test_nobody_at_the_address_is_unavailable() -> None:
    async with http_nodes([("gone", "http://127.0.0.1:1/")]) as (node,):
        with pytest.raises(NodeUnavailable, match="gone"):
            await node.call("any")
