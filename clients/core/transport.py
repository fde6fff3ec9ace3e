"""JSON-RPC to one node over HTTP: the only module of the light client that opens a connection.

Answers are bounded in size, nesting and time; redirects are not followed. What they say is
believed nowhere: `answers` checks their form, `headers` and `proofs` their truth.

Spec: LIGHT-BOUNDS.
"""

import itertools
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

import aiohttp

from clients.core.answers import MalformedAnswer
from clients.core.bodies import read_bounded
from node.primitives.errors import InvalidInput, MalformedMessage, Unavailable
from node.primitives.json_text import decode_json, is_list, is_object

ANSWER_SIZE_MAX: Final = 16 * 1024 * 1024 + 65_536
"""Longest answer read, in bytes: a node's own bound, and its frame."""

TIMEOUT_S: Final = 10.0
"""Longest a request may take in all."""

BATCH_COUNT_MAX: Final = 500
"""Most calls in one batch."""


class NodeUnavailable(Unavailable):
    """A node that does not answer, or not in time."""

    code = "light.node_unavailable"


class CallRefused(InvalidInput):
    """A node answered a call with an error."""

    code = "light.call_refused"


class Node(Protocol):
    """One node that may be asked; over HTTP, or a liar in a test."""

    @property
    def name(self) -> str:
        """Return what the node is called in reports."""
        ...

    async def call(self, method: str, *params: object) -> object:
        """Return the result of a call.

        Raises:
            NodeUnavailable: No answer in time.
            CallRefused: The answer is an error.
            MalformedAnswer: It is no answer.
        """
        ...

    async def batch(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[object]:
        """Return the results of several calls, in order.

        Raises:
            NodeUnavailable: No answer in time.
            CallRefused: One of the answers is an error.
            MalformedAnswer: They are no answers.
        """
        ...


class HttpNode:
    """A node's public RPC port."""

    def __init__(
        self, name: str, url: str, session: aiohttp.ClientSession, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Keep the address; nothing is opened yet."""
        self._name = name
        self.url = url
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._ids = itertools.count(1)

    @property
    def name(self) -> str:
        """Return what the node is called in reports."""
        return self._name

    async def call(self, method: str, *params: object) -> object:
        """Return the result of a call.

        Raises:
            NodeUnavailable: No answer in time.
            CallRefused: The answer is an error.
            MalformedAnswer: It is no answer to this call.

        Spec: LIGHT-BOUNDS.
        """
        request = self._request(method, params)
        return _result_of(await self._post(request), request["id"])

    async def batch(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[object]:
        """Return the results of at most `BATCH_COUNT_MAX` calls, in order.

        Raises:
            NodeUnavailable: No answer in time.
            CallRefused: One of the answers is an error.
            MalformedAnswer: They are not the answers to these calls.

        Spec: LIGHT-BOUNDS.
        """
        if len(calls) > BATCH_COUNT_MAX:
            raise InvalidInput(f"batch of {len(calls)} calls, at most {BATCH_COUNT_MAX}")
        if not calls:
            return []
        requests = [self._request(method, params) for method, params in calls]
        answers = await self._post(requests)
        if not is_list(answers) or len(answers) != len(requests):
            raise MalformedAnswer(f"{self.name}: expected a list of {len(requests)} answers")
        return [
            _result_of(answer, request["id"])
            for answer, request in zip(answers, requests, strict=True)
        ]

    def _request(self, method: str, params: Sequence[object]) -> dict[str, object]:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}

    async def _post(self, request: object) -> object:
        try:
            async with self._session.post(
                self.url,
                data=json.dumps(request).encode(),
                headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                body = await _read_bounded(response)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise NodeUnavailable(f"{self.name} ({self.url}) does not answer: {reason}") from error
        try:
            return decode_json(body)
        except MalformedMessage as error:
            raise MalformedAnswer(f"{self.name}: {error.message}") from error


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """Read a body to its end, or refuse it at the bound.

    Raises:
        MalformedAnswer: It is longer.

    Spec: LIGHT-BOUNDS.
    """
    body = await read_bounded(response, ANSWER_SIZE_MAX)
    if body is None:
        raise MalformedAnswer(f"answer of over {ANSWER_SIZE_MAX} bytes", rule="LIGHT-BOUNDS")
    return body


def _result_of(answer: object, request_id: object) -> object:
    if not is_object(answer):
        raise MalformedAnswer("answer: expected an object")
    error = answer.get("error")
    if error is not None:
        fields = error if is_object(error) else {}
        text, details = fields.get("message"), fields.get("data")
        shown = text[:200] if isinstance(text, str) else "no message"
        reason = details.get("code") if is_object(details) else None
        raise CallRefused(f"the node refused the call: {shown}", reason=str(reason or "")[:100])
    if answer.get("id") != request_id or "result" not in answer:
        raise MalformedAnswer("answer: not to this request")
    return answer["result"]


@asynccontextmanager
async def http_nodes(addresses: Sequence[tuple[str, str]]) -> AsyncGenerator[tuple[HttpNode, ...]]:
    """Open one session for the nodes given as (name, URL), for the length of a ``with`` block."""
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False
    ) as session:
        yield tuple(HttpNode(name, url, session) for name, url in addresses)
