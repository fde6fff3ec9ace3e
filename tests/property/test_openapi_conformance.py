"""Whatever is sent to a service on the kit, its answer is one that its OpenAPI document names.

schemathesis makes the requests from the document, valid and not; no answer may be a 5xx, or of a
status, media type or shape that the document does not have.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.kit.service import serve
from tests.support.board_service import Board, board_service
from tests.support.tokens import People

PEOPLE = People()
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The board, served by a loop on a thread of its own."""
    ready = threading.Event()
    found: list[str] = []
    stop = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        async with serve(board_service(PEOPLE, Board(), server={"port": 0})) as at:
            found.append(at)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    with ExitStack() as stack:
        stack.callback(thread.join)
        stack.callback(lambda: loops[0].call_soon_threadsafe(stop.set))
        assert ready.wait(20)
        yield found[0]


def headers_of(kind: str, method: str, path: str) -> dict[str, str]:
    """Return the headers with which a caller of that kind sends a request."""
    tenant = {"Daicho-Tenant": "goka"}
    match kind:
        case "resident":
            return {**tenant, **PEOPLE.resident_headers(method, path)}
        case "staff":
            return {**tenant, **PEOPLE.staff_headers()}
        case "partner":
            return {**tenant, **PEOPLE.partner_headers()}
        case _:
            return tenant


@pytest.fixture(scope="module")
def schema(address: str) -> schemathesis.BaseSchema:
    """The service's own document, read by schemathesis."""
    return schemathesis.openapi.from_dict(
        requests.get(f"{address}/openapi.json", timeout=10).json()
    )


OPERATIONS = (
    ("/notices", "POST"),
    ("/notices", "GET"),
    ("/notices/{id}", "DELETE"),
    ("/notices/{id}/author", "GET"),
    ("/count", "GET"),
)


def test_the_document_has_these_operations_and_no_others(schema: schemathesis.BaseSchema) -> None:
    found = {(each.ok().path, each.ok().method.upper()) for each in schema.get_all_operations()}

    assert found == set(OPERATIONS)


@pytest.mark.parametrize("kind", ["nobody", "resident", "staff", "partner"])
@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=str)
def test_every_answer_is_one_the_document_names(
    address: str, schema: schemathesis.BaseSchema, path: str, method: str, kind: str
) -> None:
    operation = schema[path][method]
    wishes = operation.as_strategy()
    if operation.body or operation.query:
        negative = schemathesis.GenerationMode.NEGATIVE
        wishes = st.one_of(wishes, operation.as_strategy(generation_mode=negative))
    statuses: set[int] = set()

    @settings(
        max_examples=20,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=wishes)
    def ask(case: schemathesis.Case) -> None:
        target = requests.Request(case.method, address + case.formatted_path).prepare().path_url
        headers = headers_of(kind, case.method, target.partition("?")[0])
        response = case.call(base_url=address, headers=headers, timeout=10)
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    ask()

    assert statuses
    assert max(statuses) < 500


def test_a_lie_in_the_document_is_found(address: str) -> None:
    document = requests.get(f"{address}/openapi.json", timeout=10).json()
    del document["paths"]["/count"]["get"]["responses"]["401"]
    operation = schemathesis.openapi.from_dict(document)["/count"]["GET"]
    case = operation.Case()

    with pytest.raises(FailureGroup):
        case.validate_response(case.call(base_url=address), checks=CHECKS)
