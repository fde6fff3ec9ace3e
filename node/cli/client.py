"""A small JSON-RPC client for the commands, over HTTP, without retries."""

import http.client
import json
import urllib.error
import urllib.request
from typing import Any, Final

from node.primitives.errors import InvalidInput, Unavailable
from node.primitives.json_text import decode_json

ANSWER_SIZE_MAX: Final = 64 * 1024 * 1024
TIMEOUT_S: Final = 10.0


class NodeUnreachable(Unavailable):
    """No node answers at that address."""

    code = "cli.node_unreachable"


class CallFailed(InvalidInput):
    """The node answered with an error."""

    code = "cli.call_failed"


class RpcClient:
    """Calls one node."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        """Keep the address; nothing is opened yet."""
        self.url = url
        self.timeout_s = timeout_s

    def call(self, method: str, *params: object) -> Any:
        """Call ``method`` and return its result.

        Raises:
            NodeUnreachable: Nothing answers there.
            CallFailed: The node answered with an error.
        """
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        answer: Any = decode_json(self._post(body.encode()))
        if "error" in answer:
            error = answer["error"]
            raise CallFailed(f"{method}: {error.get('message')}", data=error.get("data"))
        return answer["result"]

    def _post(self, body: bytes) -> bytes:
        request = urllib.request.Request(  # noqa: S310  (operators name http addresses)
            self.url, data=body, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as response:  # noqa: S310
                data: bytes = response.read(ANSWER_SIZE_MAX)
                return data
        except urllib.error.HTTPError as error:
            return error.read(ANSWER_SIZE_MAX) or b'{"error": {"message": "empty answer"}}'
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NodeUnreachable(
                f"no node answers at {self.url} ({error}); is it running?"
            ) from error


def fetch_json(url: str, *, timeout_s: float = TIMEOUT_S) -> tuple[int, Any]:
    """Return status and JSON body of a plain GET, of an error status too.

    Raises:
        NodeUnreachable: Nothing answers there.
    """
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as response:  # noqa: S310
            return response.status, decode_json(response.read(ANSWER_SIZE_MAX))
    except urllib.error.HTTPError as error:
        return error.code, decode_json(error.read(ANSWER_SIZE_MAX) or b"{}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NodeUnreachable(f"nothing answers at {url} ({error}); is it running?") from error
