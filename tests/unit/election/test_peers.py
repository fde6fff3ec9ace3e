"""Files from the other municipalities' services over HTTP: who is asked, with what token."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from joserfc import jwt

from services.election.board.files import FileRef
from services.election.board.library import HttpPeers
from services.election.settings import PeerSettings
from services.kit.keys import algorithm_of, generate_key
from tests.support.clock import FakeClock

SUBJECT = b"\x05" * 32
DIGEST = b"\x06" * 32
GOKA = 2
KEY = generate_key()


def ref(*, size_max: int = 100, is_restricted: bool = False) -> FileRef:
    return FileRef(
        subject=SUBJECT,
        digest=DIGEST,
        digester=lambda _data: DIGEST,
        path="roll/batch-0.bin",
        size_max=size_max,
        is_restricted=is_restricted,
    )


@dataclass
class Peer:
    """A service that answers whatever it is asked with the same body."""

    url: str = ""
    status: int = 200
    body: bytes = b"file"
    asked: list[web.Request] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        headers = {"Location": "/elsewhere"} if self.status == 302 else {}
        return web.Response(status=self.status, body=self.body, headers=headers)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    found = Peer()
    application = web.Application()
    application.router.add_get("/{path:.*}", found.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    found.url = f"http://{host}:{port}"
    yield found
    await runner.cleanup()


def peers_of(peer: Peer) -> HttpPeers:
    settings = PeerSettings(municipality=GOKA, name="election-goka", url=peer.url, tenant="goka")
    return HttpPeers([settings], name="election-tsukuba", key=KEY, clock=FakeClock())


async def test_a_public_file_is_asked_for_without_a_token(peer: Peer) -> None:
    assert await peers_of(peer).fetch(GOKA, ref()) == b"file"

    (request,) = peer.asked
    assert request.path == f"/elections/{SUBJECT.hex()}/files/{DIGEST.hex()}"
    assert request.headers["Daicho-Tenant"] == "goka"
    assert "Authorization" not in request.headers


async def test_a_restricted_file_is_asked_for_with_a_token_for_that_service(peer: Peer) -> None:
    assert await peers_of(peer).fetch(GOKA, ref(is_restricted=True)) == b"file"

    scheme, _, token = peer.asked[0].headers["Authorization"].partition(" ")
    assert scheme == "Bearer"
    claims = jwt.decode(token, KEY, algorithms=[algorithm_of(KEY)]).claims
    assert (claims["iss"], claims["aud"], claims["tenant"]) == (
        "election-tsukuba",
        "election-goka",
        "goka",
    )


@pytest.mark.parametrize("status", [302, 401, 404, 500])
async def test_whatever_is_no_file_is_nothing(peer: Peer, status: int) -> None:
    peer.status = status

    assert await peers_of(peer).fetch(GOKA, ref()) is None
    assert len(peer.asked) == 1


async def test_a_longer_file_than_the_one_named_is_not_taken(peer: Peer) -> None:
    peer.body = bytes(101)

    assert await peers_of(peer).fetch(GOKA, ref(size_max=101)) == peer.body
    assert await peers_of(peer).fetch(GOKA, ref(size_max=100)) is None


async def test_a_silent_peer_is_nothing(peer: Peer) -> None:
    peers = peers_of(peer)
    peer.url = "http://127.0.0.1:1"

    assert await peers_of(peer).fetch(GOKA, ref()) is None
    assert peers.municipalities == (GOKA,)
