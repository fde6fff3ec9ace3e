"""Asks a running service everything its OpenAPI document allows, and what it does not."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

Given = TypeVar("Given")


@contextmanager
def on_thread(opened: Callable[[], AbstractAsyncContextManager[Given]]) -> Iterator[Given]:
    """Keep an asynchronous context open on a loop of its own thread, and give what it gives."""
    ready = threading.Event()
    found: list[Any] = []

    async def run() -> None:
        stop = asyncio.Event()
        try:
            async with opened() as given_out:
                found.extend((given_out, asyncio.get_running_loop(), stop))
                ready.set()
                await stop.wait()
        finally:
            ready.set()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert ready.wait(60)
        assert found, "the service did not start"
        yield found[0]
    finally:
        if found:
            found[1].call_soon_threadsafe(found[2].set)
        thread.join()


def read_schema(address: str) -> schemathesis.BaseSchema:
    """Return a service's own document, read by schemathesis."""
    return schemathesis.openapi.from_dict(
        requests.get(f"{address}/openapi.json", timeout=10).json()
    )


def operations_of(schema: schemathesis.BaseSchema) -> set[tuple[str, str]]:
    """Return path and method of every operation."""
    return {(each.ok().path, each.ok().method.upper()) for each in schema.get_all_operations()}


def ask_everything(
    address: str,
    operation: schemathesis.APIOperation,
    headers_of: Callable[[str, str], dict[str, str]],
    *,
    example_count: int = 20,
) -> set[int]:
    """Send requests to one operation, valid and not, and check every answer; return statuses.

    Args:
        address: Where the service listens.
        operation: The operation.
        headers_of: Headers of a caller for a method and a path.
        example_count: Requests sent.
    """
    wishes = operation.as_strategy()
    if operation.body or operation.query:
        negative = schemathesis.GenerationMode.NEGATIVE
        wishes = st.one_of(wishes, operation.as_strategy(generation_mode=negative))
    statuses: set[int] = set()

    @settings(
        max_examples=example_count,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=wishes)
    def ask(case: schemathesis.Case) -> None:
        target = requests.Request(case.method, address + case.formatted_path).prepare().path_url
        headers = headers_of(case.method, target.partition("?")[0])
        response = case.call(base_url=address, headers=headers, timeout=10)
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    ask()
    return statuses
