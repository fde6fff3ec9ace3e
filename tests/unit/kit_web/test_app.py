"""A request's path through the kit: what is answered, what is refused, and what is never told."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from openapi_spec_validator import validate

from node.log import HumanFormatter
from node.primitives.errors import Unavailable
from services.kit.app import build_app
from services.kit.auth import Access
from services.kit.documents import Document, Line, find_unbounded
from services.kit.health import ReadinessCheck
from services.kit.logs import ValuesFilter
from services.kit.operations import Call, WrongOperation, operation
from tests.support.board_service import (
    PLANTED_ADDRESS,
    PLANTED_NAME,
    Board,
    Count,
    Faulty,
    board_service,
)
from tests.support.tokens import People

Client = TestClient[web.Request, web.Application]
Open = Callable[..., Awaitable[Client]]

PEOPLE = People()
NOTICE = {"title": "公民館の休館日"}


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
async def open_client(board: Board) -> AsyncIterator[Open]:
    """Return a function that serves the board and a client of it; both are closed at the end."""
    clients: list[Client] = []

    async def serve(**changes: Any) -> Client:
        client = TestClient(TestServer(build_app(board_service(PEOPLE, board, **changes))))
        clients.append(client)
        await client.start_server()
        return client

    yield serve
    for client in clients:
        await client.close()


async def post(client: Client, body: Any = NOTICE, **claims: Any) -> Any:
    """Post a notice as a resident of Goka."""
    headers = PEOPLE.resident_headers("POST", "/notices", **claims)
    return await client.post("/notices", json=body, headers=headers)


async def test_a_resident_posts_and_anyone_reads(open_client: Open) -> None:
    client = await open_client()

    posted = await post(client)
    listed = await client.get("/notices", headers={"Daicho-Tenant": "goka"})

    assert posted.status == 201
    assert await listed.json() == {"notices": [await posted.json()]}


async def test_what_is_read_of_a_person_is_recorded_before_it_is_shown(
    open_client: Open, board: Board
) -> None:
    client = await open_client()
    await post(client)

    response = await client.get("/notices/1/author", headers=PEOPLE.staff_headers())

    assert response.status == 200
    [read] = board.reads
    assert (read.operation, read.purpose, read.subjects) == (
        "read_author",
        "board.moderate",
        ("pairwise-1",),
    )
    assert read.request_id == response.headers["X-Request-Id"]


async def test_what_cannot_be_recorded_is_not_shown(open_client: Open, board: Board) -> None:
    client = await open_client()
    await post(client)
    board.is_audit_broken = True

    response = await client.get("/notices/1/author", headers=PEOPLE.staff_headers())

    assert response.status == 503
    assert "count" not in await response.json()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        pytest.param("POST", "/notices", {}, 401, "auth.token_missing", id="no token"),
        pytest.param(
            "POST", "/notices", PEOPLE.staff_headers(), 403, "auth.caller", id="staff, not resident"
        ),
        pytest.param(
            "POST",
            "/notices",
            {"Authorization": f"DPoP {PEOPLE.resident_token()}"},
            401,
            "auth.proof_invalid",
            id="no proof",
        ),
        pytest.param(
            "GET", "/count", PEOPLE.staff_headers(), 403, "auth.caller", id="staff, not a service"
        ),
        pytest.param(
            "DELETE", "/notices/1", PEOPLE.partner_headers(), 403, "auth.caller", id="a service"
        ),
        pytest.param("GET", "/nowhere", {}, 404, "request.not_found", id="no such address"),
        pytest.param("PUT", "/notices", {}, 405, "request.method", id="no such method"),
        pytest.param(
            "GET", "/notices", {"Daicho-Tenant": "kyoto"}, 404, "request.tenant", id="not served"
        ),
        pytest.param("GET", "/notices", {}, 404, "request.tenant", id="no tenant named"),
        pytest.param(
            "GET",
            "/notices?count_max=51",
            {"Daicho-Tenant": "goka"},
            422,
            "request.invalid",
            id="query out of bounds",
        ),
        pytest.param(
            "GET",
            "/notices?count_max=1&count_max=2",
            {"Daicho-Tenant": "goka"},
            422,
            "request.invalid",
            id="a parameter twice",
        ),
        pytest.param(
            "GET",
            "/notices/9/author",
            PEOPLE.staff_headers(),
            404,
            "request.not_found",
            id="no such notice",
        ),
    ],
)
async def test_a_refusal_is_a_problem_document_with_its_code(
    open_client: Open, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    client = await open_client()

    response = await client.request(method, path, headers=headers)
    problem = await response.json()

    assert response.content_type == "application/problem+json"
    assert (response.status, problem["status"], problem["code"]) == (status, status, code)
    assert problem["type"] == f"urn:daicho:problem:{code}"
    assert problem["instance"].endswith(response.headers["X-Request-Id"])
    assert ("WWW-Authenticate" in response.headers) == (status == 401)


async def test_staff_of_one_municipality_do_not_reach_another(open_client: Open) -> None:
    client = await open_client()

    response = await client.delete(
        "/notices/1", headers={**PEOPLE.staff_headers(), "Daicho-Tenant": "sakai"}
    )

    assert (await response.json())["code"] == "auth.tenant"


async def test_the_host_names_the_municipality(open_client: Open) -> None:
    client = await open_client()

    response = await client.get("/notices", headers={"Host": "board.goka.example:443"})

    assert response.status == 200


@pytest.mark.parametrize(
    ("body", "status", "faults"),
    [
        pytest.param(b"{", 400, None, id="not JSON"),
        pytest.param(b"\xff", 400, None, id="not UTF-8"),
        pytest.param(b"[" * 5_000, 400, None, id="nested too deep"),
        pytest.param(b'{"title": "\\ud800"}', 400, None, id="half a character"),
        pytest.param(b"{}", 422, [("/title", "missing")], id="missing"),
        pytest.param(
            b'{"title": "a", "hanako": 1}', 422, [("", "extra_forbidden")], id="unknown field"
        ),
        pytest.param(
            b'{"title": "a\\u0000"}', 422, [("/title", "string_pattern_mismatch")], id="NUL"
        ),
        pytest.param(
            json.dumps({"title": "a" * 201}).encode(),
            422,
            [("/title", "string_too_long")],
            id="too long",
        ),
    ],
)
async def test_a_wrong_body_is_refused_telling_where_and_never_what(
    open_client: Open, body: bytes, status: int, faults: Any
) -> None:
    client = await open_client()
    headers = PEOPLE.resident_headers("POST", "/notices")

    response = await client.post(
        "/notices", data=body, headers={**headers, "Content-Type": "application/json"}
    )
    problem = await response.json()

    assert response.status == status
    if faults is not None:
        assert [(each["pointer"], each["kind"]) for each in problem["faults"]] == faults
    assert "hanako" not in json.dumps(problem)


async def test_a_body_is_taken_up_to_its_bound(open_client: Open, board: Board) -> None:
    client = await open_client(server={"body_kb_max": 1})

    def body(size: int) -> bytes:
        start = json.dumps(NOTICE).encode()
        return start + b" " * (size - len(start))

    statuses = []
    for size in (1_024, 1_025):
        headers = PEOPLE.resident_headers("POST", "/notices")
        response = await client.post(
            "/notices", data=body(size), headers={**headers, "Content-Type": "application/json"}
        )
        statuses.append(response.status)

    assert statuses == [201, 413]
    assert "1" in (await response.json())["title"]


async def test_a_form_is_not_taken_for_json(open_client: Open) -> None:
    client = await open_client()

    response = await client.post(
        "/notices", data={"title": "a"}, headers=PEOPLE.resident_headers("POST", "/notices")
    )

    assert response.status == 415


async def test_a_body_that_does_not_arrive_is_given_up(open_client: Open) -> None:
    client = await open_client(server={"body_timeout_s": 1})

    async def trickle() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    headers = PEOPLE.resident_headers("POST", "/notices")
    response = await client.post(
        "/notices", data=trickle(), headers={**headers, "Content-Type": "application/json"}
    )

    assert response.status == 408


async def test_too_many_at_once_and_too_slow_are_told_to_come_back(open_client: Open) -> None:
    faulty = Faulty()
    client = await open_client(
        extra=(faulty,), server={"concurrent_max": 1, "request_timeout_s": 1}
    )
    headers = {"Daicho-Tenant": "goka"}

    slow = asyncio.create_task(client.get("/slow", headers=headers))
    await faulty.entered.wait()
    turned_away = await client.get("/notices", headers=headers)
    answered = await slow

    assert (turned_away.status, (await turned_away.json())["code"]) == (503, "service.overloaded")
    assert (answered.status, (await answered.json())["code"]) == (503, "service.timeout")
    assert answered.headers["Retry-After"] == "5"


async def metrics_of(client: Client) -> str:
    return await (await client.get("/metrics")).text()


@pytest.mark.parametrize(("path", "status"), [("/crash", 500), ("/down", 503), ("/wrong", 500)])
async def test_a_failure_tells_no_personal_value_anywhere(
    open_client: Open, caplog: pytest.LogCaptureFixture, path: str, status: int
) -> None:
    client = await open_client(extra=(Faulty(),))

    response = await client.get(path, headers={"Daicho-Tenant": "goka"})
    body = await response.text()
    logs = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)

    assert response.status == status
    assert response.headers["X-Request-Id"] in logs
    for planted in (PLANTED_NAME, PLANTED_ADDRESS):
        assert planted not in body + logs + await metrics_of(client)


async def test_personal_values_in_requests_reach_no_log_metric_or_answer(
    open_client: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    client = await open_client()
    planted = {"title": PLANTED_NAME * 60, "email": PLANTED_ADDRESS, PLANTED_NAME: "x"}

    bodies = [await (await post(client, planted, sub=PLANTED_ADDRESS)).text()]
    for path in (f"/notices/{PLANTED_ADDRESS}/author", f"/{PLANTED_NAME}", "/notices"):
        response = await client.get(
            path, params={"count_max": PLANTED_NAME}, headers={"X-Request-Id": PLANTED_ADDRESS}
        )
        bodies += [await response.text(), str(response.headers)]
    ours = [record for record in caplog.records if record.name.startswith("daicho")]
    logs = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in ours)

    assert ours
    for value in (PLANTED_NAME, PLANTED_ADDRESS):
        assert value not in "".join(bodies) + logs + await metrics_of(client)


@pytest.mark.parametrize(
    ("asked", "is_kept"),
    [
        pytest.param("0123456789abcdef", True, id="16 hexadecimal"),
        pytest.param("a" * 64, True, id="64"),
        pytest.param("a" * 15, False, id="too short"),
        pytest.param("a" * 65, False, id="too long"),
        pytest.param("hanako-at-goka-example", False, id="words"),
    ],
)
async def test_a_request_id_is_taken_over_or_made(
    open_client: Open, asked: str, is_kept: bool
) -> None:
    client = await open_client()

    response = await client.get("/liveness", headers={"X-Request-Id": asked})

    assert (response.headers["X-Request-Id"] == asked) is is_kept


@pytest.mark.parametrize(
    ("wish", "tag", "words"),
    [
        pytest.param("en-GB, ja;q=0.5", "en", "Please log in", id="English"),
        pytest.param("ja-x-easy", "ja-x-easy", "ログインしてください", id="easy Japanese"),
        pytest.param("fr", "ja", "ログインしてください", id="what we lack"),
    ],
)
async def test_problems_speak_the_callers_language(
    open_client: Open, wish: str, tag: str, words: str
) -> None:
    client = await open_client()

    response = await client.post("/notices", headers={"Accept-Language": wish})

    assert response.headers["Content-Language"] == tag
    assert words in (await response.json())["title"]


async def test_readiness_gives_its_reasons(open_client: Open) -> None:
    async def broken() -> str:
        raise Unavailable("the shelf does not answer")

    async def sound() -> str:
        return "answers"

    client = await open_client(
        checks=(
            ReadinessCheck(name="shelf", run=broken),
            ReadinessCheck(name="database", run=sound),
        )
    )

    response = await client.get("/readiness")

    assert response.status == 503
    assert await response.json() == {
        "ready": False,
        "checks": [
            {
                "name": "shelf",
                "is_ok": False,
                "reason": "world.unavailable: the shelf does not answer",
            },
            {"name": "database", "is_ok": True, "reason": "answers"},
        ],
    }
    assert (await client.get("/liveness")).status == 200


async def test_other_origins_may_not_call_unless_listed(open_client: Open) -> None:
    origin = {"Origin": "https://app.goka.example", "Daicho-Tenant": "goka"}
    closed = await open_client()
    opened = await open_client(server={"cors_origins": ("https://app.goka.example",)})

    refused = await closed.options("/notices", headers=origin)
    unnamed = await closed.get("/notices", headers=origin)
    allowed = await opened.options("/notices", headers=origin)
    other = await opened.get("/notices", headers={**origin, "Origin": "https://else.example"})

    assert refused.status == 405
    assert "Access-Control-Allow-Origin" not in unnamed.headers
    assert allowed.status == 204
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.goka.example"
    assert "Access-Control-Allow-Origin" not in other.headers


async def test_the_openapi_document_is_valid_and_says_what_is_asked(open_client: Open) -> None:
    client = await open_client()

    document = await (await client.get("/openapi.json")).json()

    validate(document)
    posted = document["paths"]["/notices"]["post"]
    assert posted["security"] == [{"resident": []}]
    assert (posted["x-purpose"], posted["x-proofing-level"]) == ("board.write", 2)
    assert set(posted["responses"]) >= {"201", "400", "401", "403", "413", "422", "500", "503"}
    assert document["paths"]["/notices/{id}/author"]["get"]["x-roles"] == ["board-editor"]
    assert "security" not in document["paths"]["/notices"]["get"]


class Boundless(Document):
    """A model with a text of any length."""

    line: Line
    text: str
    names: list[Line]


def test_texts_and_lists_without_a_greatest_length_are_found() -> None:
    assert find_unbounded(Boundless) == ["names", "text"]


@operation("POST", "/boundless", purpose="x", request=Boundless)
async def boundless(call: Call[Boundless, None]) -> None:
    """Take anything."""


@operation("GET", "/metrics", purpose="x")
async def reserved(call: Call[None, None]) -> None:
    """Stand where the kit's metrics are."""


@operation("GET", "/notices", purpose="x")
async def second(call: Call[None, None]) -> None:
    """Stand where another operation is."""


@operation("GET", "/person", purpose="x", access=[Access.SERVICE], response=Count, is_personal=True)
async def person(call: Call[None, None]) -> Count:
    """Show a person's data."""
    return Count(count=1)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(boundless, id="boundless"),
        pytest.param(reserved, id="reserved path"),
        pytest.param(second, id="route taken"),
    ],
)
def test_a_service_with_a_wrong_operation_does_not_start(source: Any, board: Board) -> None:
    with pytest.raises(WrongOperation):
        build_app(board_service(PEOPLE, board, extra=(source,)))


def test_personal_operations_need_an_audit(board: Board) -> None:
    service = board_service(PEOPLE, board, extra=(person,))
    parts = {name: getattr(service, name) for name in service.__slots__}

    with pytest.raises(WrongOperation):
        build_app(type(service)(**{**parts, "record_read": None}))


async def test_bytes_that_are_not_http_reach_no_log(open_client: Open) -> None:
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(HumanFormatter())
    handler.addFilter(ValuesFilter())
    client = await open_client()
    logging.getLogger().addHandler(handler)
    try:
        for sent in (
            f"GET /{PLANTED_ADDRESS} HTTQ/9\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: a\r\n{PLANTED_ADDRESS} : x\r\n\r\n",
            f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {PLANTED_ADDRESS}\r\n\r\n",
            f"GET /{PLANTED_ADDRESS * 600} HTTP/1.1\r\nHost: a\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection(client.host, client.port)
            writer.write(sent.encode())
            assert (await reader.read(200)).startswith(b"HTTP/1.0 400")
            writer.close()
    finally:
        logging.getLogger().removeHandler(handler)

    assert "Error handling request" in lines.getvalue()
    assert PLANTED_ADDRESS not in lines.getvalue()
    assert "127.0.0.1" not in lines.getvalue()
