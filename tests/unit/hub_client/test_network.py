"""WALLET-BIND: answers of a hub are bounded, checked for form, and never sent on elsewhere."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from clients.hub.network import (
    ANSWER_SIZE_MAX,
    HubClient,
    HubRefused,
    HubUnavailable,
    MalformedHubAnswer,
    check_url,
    open_hub,
)
from node.primitives.crypto import PrivateKey
from node.primitives.errors import Misconfigured
from node.primitives.types import Address
from tests.support.identity import NOW

KEY = PrivateKey(b"\x07" * 32)


@asynccontextmanager
async def hub_that_answers(
    status: int, body: bytes, *, location: str = ""
) -> AsyncIterator[tuple[HubClient, list[str]]]:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        headers = {"Location": location} if location else {}
        return web.Response(status=status, body=body, headers=headers)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application) as server:
        url = str(server.make_url("")).rstrip("/")
        async with open_hub(url, "hub.sakai.example", language="en", now=lambda: NOW) as hub:
            yield hub, asked


async def test_a_refusal_carries_the_hubs_words_and_code() -> None:
    body = json.dumps({"code": "hub.device_taken", "title": "Taken\x1b[31m."}).encode()
    async with hub_that_answers(409, body) as (hub, _):
        with pytest.raises(HubRefused) as refusal:
            await hub.ask("POST", "/bindings", {})

    assert refusal.value.values["reason"] == "hub.device_taken"
    assert "Taken" in refusal.value.message
    assert "\x1b" not in refusal.value.message


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        pytest.param(200, b"no json", MalformedHubAnswer, id="no JSON"),
        pytest.param(200, b"[]", MalformedHubAnswer, id="a list"),
        pytest.param(200, b" " * (ANSWER_SIZE_MAX + 1), MalformedHubAnswer, id="too long"),
        pytest.param(200, b"[" * 100_000, MalformedHubAnswer, id="nested without end"),
        pytest.param(503, b"{}", HubUnavailable, id="down"),
        pytest.param(400, b"{}", HubRefused, id="refused without a word"),
    ],
)
async def test_an_answer_out_of_form_is_told(
    status: int, body: bytes, error: type[Exception]
) -> None:
    async with hub_that_answers(status, body) as (hub, _):
        with pytest.raises(error):
            await hub.ask("GET", "/status")


async def test_a_redirect_is_not_followed() -> None:
    async with hub_that_answers(307, b"{}", location="/elsewhere") as (hub, asked):
        with pytest.raises(HubRefused):
            await hub.ask("POST", "/bindings", {})

    assert asked == ["/bindings"]


async def test_a_hub_that_is_not_there_is_told() -> None:
    async with open_hub("http://127.0.0.1:1", "hub", language="ja", now=lambda: NOW) as hub:
        with pytest.raises(HubUnavailable):
            await hub.ask("GET", "/status")


@pytest.mark.parametrize("token", ["", "a.b", "a.e30.c", "a.eyJzdWIiOiAiXG4ifQ.c", "a.!.c"])
async def test_a_token_that_names_nobody_is_refused(token: str) -> None:
    async with hub_that_answers(200, json.dumps({"token": token}).encode()) as (hub, _):
        with pytest.raises(MalformedHubAnswer):
            await hub.take_token(Address(KEY.address), lambda text: KEY.sign(bytes(32)))


@pytest.mark.parametrize(
    "url",
    [
        "http://hub.sakai.example",
        "http://127.0.0.1.evil.example",
        "http://localhost@evil.example",
        "ftp://127.0.0.1",
        "hub.sakai.example",
        "http://[bad",
    ],
)
def test_an_address_open_to_others_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    ["https://hub.sakai.example", "http://127.0.0.1:8600", "http://[::1]:1", "http://localhost"],
)
def test_https_and_this_machine_are_taken(url: str) -> None:
    check_url(url)
