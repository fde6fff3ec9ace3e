"""ID-BIND, ID-HUB-STORE: whatever the hub is sent, it answers as its OpenAPI document says.

schemathesis makes the requests, as nobody, as an enrolled resident, as staff and as a service.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import schemathesis

from tests.support.conformance import ask_everything, on_thread, read_schema
from tests.support.hub import Holder, RunningHub, running_hub

OPERATIONS = (
    ("/challenges", "POST"),
    ("/bindings", "POST"),
    ("/revocations", "POST"),
    ("/card-logins", "POST"),
    ("/tokens", "POST"),
    ("/jwks", "GET"),
    ("/status", "GET"),
    ("/devices", "GET"),
    ("/devices/{binding}", "PATCH"),
    ("/devices/{binding}", "DELETE"),
    ("/attributes", "POST"),
    ("/attributes/text", "POST"),
    ("/sectors/{sector}", "PUT"),
    ("/sectors", "GET"),
    ("/queries", "GET"),
    ("/grants", "POST"),
    ("/grants/{grant}", "DELETE"),
    ("/grants/codes", "POST"),
    ("/export", "GET"),
    ("/residents/status", "POST"),
    ("/staff/grants", "POST"),
    ("/staff/record-events", "POST"),
    ("/staff/record-events/import", "POST"),
)


class Asked:
    """A running hub and a resident it knows, reached from another thread."""

    def __init__(self, hub: RunningHub, holder: Holder) -> None:
        self.hub = hub
        self.holder = holder
        self.loop = asyncio.get_running_loop()

    def headers_of(self, kind: str, method: str, path: str) -> dict[str, str]:
        tenant = {"Daicho-Tenant": "goka"}
        match kind:
            case "resident":
                token = asyncio.run_coroutine_threadsafe(
                    self.hub.token(self.holder), self.loop
                ).result(30)
                return {**tenant, **self.hub.headers(self.holder, token, method, path)}
            case "staff":
                return {**tenant, **self.hub.staff_headers()}
            case "service":
                return {**tenant, **self.hub.partner_headers()}
            case _:
                return tenant


@asynccontextmanager
async def asked_in(folder: Path) -> AsyncIterator[Asked]:
    async with running_hub(folder, has_relay=False) as hub:
        holder = hub.holder()
        await hub.bind(holder)
        yield Asked(hub, holder)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("hub")
    with on_thread(lambda: asked_in(folder)) as found:
        yield found


@pytest.fixture(scope="module")
def schema(asked: Asked) -> schemathesis.BaseSchema:
    return read_schema(asked.hub.url)


@pytest.mark.parametrize("kind", ["nobody", "resident", "staff", "service"])
@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=str)
def test_every_answer_is_one_the_document_names(
    asked: Asked, schema: schemathesis.BaseSchema, path: str, method: str, kind: str
) -> None:
    statuses = ask_everything(
        asked.hub.url,
        schema[path][method],
        lambda method, path: asked.headers_of(kind, method, path),
        example_count=6,
    )

    assert statuses
    assert max(statuses) < 500
