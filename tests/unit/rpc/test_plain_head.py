"""RPC-HTTP: which heads are ordinary, and that aiohttp's parser reads every one of them alike."""

import asyncio

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from node.rpc.plain_head import HEAD_SIZE_MAX, PlainHead, read_plain_head

ORDINARY = (
    b"POST / HTTP/1.1",
    b"Host: Node.example:8545",
    b"Accept: */*",
    b"Accept-Encoding: gzip, deflate",
    b"User-Agent: Python/3.11 aiohttp/3.13",
    b"Content-Type: application/json",
    b"Content-Length: 17",
)


def head(*lines: bytes) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n"


def test_an_ordinary_head_is_read() -> None:
    data = head(*ORDINARY)

    assert read_plain_head(data + b"x" * 17) == PlainHead(len(data), 17, "node.example:8545")


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((b"GET / HTTP/1.1", *ORDINARY[1:]), id="another method"),
        pytest.param((b"POST / HTTP/1.0", *ORDINARY[1:]), id="an old version"),
        pytest.param((b"POST  / HTTP/1.1", *ORDINARY[1:]), id="two spaces"),
        pytest.param((b"POST http://x/ HTTP/1.1", *ORDINARY[1:]), id="absolute target"),
        pytest.param((*ORDINARY, b"Transfer-Encoding: chunked"), id="chunks"),
        pytest.param((*ORDINARY, b"Expect: 100-continue"), id="expects an answer first"),
        pytest.param((*ORDINARY, b"Upgrade: websocket"), id="upgrade"),
        pytest.param((*ORDINARY, b"Connection: close"), id="last request"),
        pytest.param((*ORDINARY, b"Origin: https://wallet.example"), id="a web page"),
        pytest.param((*ORDINARY, b"Content-Encoding: gzip"), id="compressed"),
        pytest.param((*ORDINARY, b"X-Forwarded-For: 10.0.0.1"), id="through a proxy"),
        pytest.param((*ORDINARY, b"Content-Length: 17"), id="length twice"),
        pytest.param((*ORDINARY, b"content-length: 18"), id="two lengths"),
        pytest.param((*ORDINARY, b"Content-Length : 18"), id="space before the colon"),
        pytest.param((*ORDINARY, b" folded"), id="folded line"),
        pytest.param((*ORDINARY, b"Accept-Language: a\nHost: b"), id="bare line feed"),
        pytest.param((*ORDINARY, b"Pragma: a\rb"), id="bare carriage return"),
        pytest.param((*ORDINARY, b"Pragma: \x00"), id="NUL"),
        pytest.param((*ORDINARY, b"Pragma: \xe3\x81\x82"), id="not ASCII"),
        pytest.param((*ORDINARY, b"Pragma"), id="no colon"),
        pytest.param(ORDINARY[:-1], id="no length"),
        pytest.param((*ORDINARY[:-1], b"Content-Length: +17"), id="signed length"),
        pytest.param((*ORDINARY[:-1], b"Content-Length: 1_7"), id="length with a mark"),
        pytest.param((*ORDINARY[:-1], b"Content-Length: 1000000000"), id="gigabytes"),
        pytest.param((*ORDINARY[:-2], b"Content-Length: 17"), id="no type"),
        pytest.param((ORDINARY[0], *ORDINARY[2:]), id="no host"),
        pytest.param((*ORDINARY, b"Pragma: " + b"a" * HEAD_SIZE_MAX), id="long"),
    ],
)
def test_any_other_head_is_left_to_the_library(lines: tuple[bytes, ...]) -> None:
    assert read_plain_head(head(*lines)) is None


LINES = st.sampled_from(
    [
        *ORDINARY[1:],
        *(b"Connection: keep-alive", b"content-type:application/json; charset=utf-8"),
        *(
            b"Content-Length:  9 ",
            b"Content-Length: 09",
            b"Content-Length: 1 7",
            b"Host:",
            b"host:x",
        ),
        *(b"host:x", b"Transfer-Encoding: chunked", b"Pragma: a\tb", b"Accept: ,,"),
        *(b": x", b"Accept", b""),
        *(
            b"Host: a b",
            b"Host: a/b",
            b"Host: a,b",
            b"Upgrade: h2c",
            b"accept:",
            b"Cache-Control: x",
        ),
    ]
)
STARTS = st.sampled_from(
    [b"POST / HTTP/1.1", b"POST /v1?a=b#c HTTP/1.1", b'POST /"<> HTTP/1.1', b"POST / HTTP/1.1 "]
)


@settings(max_examples=600)
@given(STARTS, st.permutations(ORDINARY[1:]), st.lists(LINES, max_size=3), st.booleans())
def test_what_is_taken_the_library_reads_alike(
    start: bytes, usual: list[bytes], more: list[bytes], is_usual: bool
) -> None:
    data = head(start, *(usual if is_usual else usual[:3]), *more)
    found = read_plain_head(data)
    if found is None:
        return

    loop = asyncio.new_event_loop()
    try:
        parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16)
        messages, upgraded, _ = parser.feed_data(data[: found.size] + b"x" * found.length + b"POST")
    finally:
        loop.close()

    ((message, _payload),) = messages
    assert (message.method, message.should_close, upgraded) == ("POST", False, False)
    assert (message.chunked, message.upgrade, message.compression) == (False, False, None)
    assert int(message.headers["Content-Length"]) == found.length
    assert message.headers["Host"].lower() == found.host
    assert data[: found.size].count(b"\r\n\r\n") == 1
