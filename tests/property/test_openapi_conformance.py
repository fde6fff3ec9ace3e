"""Whatever is sent to a service on the kit, its answer is one that its OpenAPI document names.

schemathesis makes the requests from the document, valid and not; no answer may be a 5xx, or of a
status, media type or shape that the document does not have.
"""

from collections.abc import Iterator

import pytest
import requests
import schemathesis
from schemathesis.core.failures import FailureGroup

from services.kit.service import serve
from tests.support.board_service import Board, board_service
from tests.support.conformance import (
    CHECKS,
    ask_everything,
    on_thread,
    operations_of,
    read_schema,
)
from tests.support.tokens import People

PEOPLE = People()

OPERATIONS = (
    ("/notices", "POST"),
    ("/notices", "GET"),
    ("/notices/{id}", "DELETE"),
    ("/notices/{id}/author", "GET"),
    ("/count", "GET"),
)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The board, served by a loop on a thread of its own."""
    with on_thread(lambda: serve(board_service(PEOPLE, Board(), server={"port": 0}))) as at:
        yield at


@pytest.fixture(scope="module")
def schema(address: str) -> schemathesis.BaseSchema:
    return read_schema(address)


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


def test_the_document_has_these_operations_and_no_others(schema: schemathesis.BaseSchema) -> None:
    assert operations_of(schema) == set(OPERATIONS)


@pytest.mark.parametrize("kind", ["nobody", "resident", "staff", "partner"])
@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=str)
def test_every_answer_is_one_the_document_names(
    address: str, schema: schemathesis.BaseSchema, path: str, method: str, kind: str
) -> None:
    statuses = ask_everything(
        address,
        schema[path][method],
        lambda method, path: headers_of(kind, method, path),
    )

    assert statuses
    assert max(statuses) < 500


def test_a_lie_in_the_document_is_found(address: str) -> None:
    document = requests.get(f"{address}/openapi.json", timeout=10).json()
    del document["paths"]["/count"]["get"]["responses"]["401"]
    operation = schemathesis.openapi.from_dict(document)["/count"]["GET"]
    case = operation.Case()

    with pytest.raises(FailureGroup):
        case.validate_response(case.call(base_url=address), checks=CHECKS)
