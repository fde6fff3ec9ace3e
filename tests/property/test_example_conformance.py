"""RELAY-INTAKE: whatever the noticeboard is sent, it answers as its OpenAPI document says.

schemathesis makes the requests, as every kind of caller. The chain and the relay are away, which
changes no answer: what they are told waits in the outbox.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import schemathesis

from services.example.service import SERVICE
from services.kit.database import open_database
from services.kit.schema import upgrade
from services.kit.service import Resources, serve
from tests.support.clock import FakeClock
from tests.support.conformance import ask_everything, on_thread, operations_of, read_schema
from tests.support.example import example_settings, free_port, write_files
from tests.support.followed import Town
from tests.support.tokens import PUBLIC_URL, People

PEOPLE = People()

OPERATIONS = (
    ("/notices", "POST"),
    ("/notices", "GET"),
    ("/notices/{id}/contact", "GET"),
)


@asynccontextmanager
async def alone(folder: Path) -> AsyncIterator[str]:
    """Serve the noticeboard with nobody to talk to."""
    town = Town()
    write_files(town, folder)
    nowhere = f"http://127.0.0.1:{free_port()}"
    settings = example_settings(town, folder, nowhere, (0, free_port()))
    database = await open_database(settings.kit.database.url)
    try:
        await upgrade(database, versions=SERVICE.versions)
        resources = Resources(
            clock=FakeClock(),
            database=database,
            trust=PEOPLE.trust(public_url=PUBLIC_URL),
            catalogue=SERVICE.load_catalogue(),
        )
        async with serve(await SERVICE.build(settings, resources)) as address:
            yield address
    finally:
        await database.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("example")
    with on_thread(lambda: alone(folder)) as at:
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
        case _:
            return tenant


def test_the_document_has_these_operations_and_no_others(schema: schemathesis.BaseSchema) -> None:
    assert operations_of(schema) == set(OPERATIONS)


@pytest.mark.parametrize("kind", ["nobody", "resident", "staff"])
@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=str)
def test_every_answer_is_one_the_document_names(
    address: str, schema: schemathesis.BaseSchema, path: str, method: str, kind: str
) -> None:
    statuses = ask_everything(
        address, schema[path][method], lambda method, path: headers_of(kind, method, path)
    )

    assert statuses
    assert max(statuses) < 500
