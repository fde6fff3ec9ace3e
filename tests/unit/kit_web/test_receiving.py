"""Events of other services: taken once, only signed by their source, acknowledged when kept."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from joserfc.jwk import OKPKey

from node.primitives.errors import Unavailable
from services.kit.app import build_app
from services.kit.event_signatures import EventSigner, EventVerifier
from services.kit.events import Event, encode_event
from services.kit.problems import Conflict
from services.kit.receiving import event_page
from tests.support.board_service import Board, board_service
from tests.support.databases import open_current
from tests.support.tokens import NOW, People

KEY, OTHER_KEY = OKPKey.generate_key("Ed25519"), OKPKey.generate_key("Ed25519")
HUB = "urn:daicho:goka:hub"
SIGNER = EventSigner(KEY, key_id="k1")


class Receiver:
    """What the board does with events."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.failure: Exception | None = None

    async def __call__(self, tx: Any, event: Event) -> None:
        del tx
        if self.failure is not None:
            raise self.failure
        self.taken.append(event.id)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def client(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Any]:
    database = await open_current(f"sqlite+aiosqlite:///{tmp_path}/board.db")
    page = event_page(database, EventVerifier({HUB: {"k1": KEY}}), receiver)
    app = build_app(board_service(People(), Board(), pages=(page,)))
    async with TestClient(TestServer(app)) as opened:
        yield opened
    await database.close()


def event(number: int = 1, data: Mapping[str, object] | None = None) -> bytes:
    """Return an encoded event of the hub."""
    return encode_event(
        Event(
            id=f"event-{number}",
            source=HUB,
            type="jp.daicho.hub.person-verified.v1",
            subject="pairwise-1",
            tenant="goka",
            time=NOW,
            data=data or {},
        )
    )


async def send(client: Any, body: bytes, signature: str | None) -> int:
    headers = {"Content-Type": "application/cloudevents+json"}
    if signature is not None:
        headers["Daicho-Signature"] = signature
    response = await client.post("/events", data=body, headers=headers)
    return int(response.status)


async def test_a_signed_event_is_taken_once(client: Any, receiver: Receiver) -> None:
    body = event()

    answers = [await send(client, body, SIGNER.sign(body)) for _ in range(2)]

    assert answers == [204, 204]
    assert receiver.taken == ["event-1"]


@pytest.mark.parametrize(
    ("signature", "status"),
    [
        pytest.param(None, 401, id="unsigned"),
        pytest.param("x", 401, id="not a signature"),
        pytest.param(SIGNER.sign(event(2)), 401, id="of another event"),
        pytest.param(EventSigner(OTHER_KEY, key_id="k1").sign(event()), 401, id="another's"),
    ],
)
async def test_an_event_that_its_source_did_not_sign_is_refused(
    client: Any, receiver: Receiver, signature: str | None, status: int
) -> None:
    assert await send(client, event(), signature) == status
    assert receiver.taken == []


async def test_another_event_under_the_same_id_is_a_conflict(client: Any) -> None:
    first, second = event(data={"n": 1}), event(data={"n": 2})

    await send(client, first, SIGNER.sign(first))

    assert await send(client, second, SIGNER.sign(second)) == 409


async def test_an_event_stays_with_its_sender_while_the_world_is_down(
    client: Any, receiver: Receiver
) -> None:
    body = event()
    receiver.failure = Unavailable("the shelf does not answer")
    first = await send(client, body, SIGNER.sign(body))
    receiver.failure = None

    assert (first, await send(client, body, SIGNER.sign(body))) == (503, 204)
    assert receiver.taken == ["event-1"]


async def test_an_event_that_cannot_be_handled_is_set_aside_and_acknowledged(
    client: Any, receiver: Receiver
) -> None:
    body = event()
    receiver.failure = Conflict("does not fit")

    assert await send(client, body, SIGNER.sign(body)) == 204
    assert receiver.taken == []


async def test_what_is_no_event_is_refused(client: Any) -> None:
    assert await send(client, b"{}", SIGNER.sign(b"{}")) == 400
    response = await client.post("/events", json={})
    assert response.status == 415
