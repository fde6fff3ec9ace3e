"""What RPC answers when it does not answer: JSON-RPC codes as execution-apis and geth use them.

Each error has the number clients know and the ledger's own stable code, which goes into
``error.data`` together with the rule and the offending values.

Spec: RPC-ERRORS.
"""

from typing import ClassVar, Final

from node.primitives.errors import InvalidInput


class RpcError(InvalidInput):
    """A request that is answered with an error."""

    code = "rpc.error"
    number: ClassVar[int] = -32000
    """The ``code`` of the JSON-RPC error object."""


class ParseError(RpcError):
    """The body is not JSON."""

    code = "rpc.parse_error"
    number = -32700


class InvalidRequest(RpcError):
    """The JSON is no request."""

    code = "rpc.invalid_request"
    number = -32600


class MethodNotFound(RpcError):
    """No such method here."""

    code = "rpc.method_not_found"
    number = -32601


class InvalidParams(RpcError):
    """A parameter is missing or of the wrong form."""

    code = "rpc.invalid_params"
    number = -32602


class NotFound(RpcError):
    """What the request names does not exist."""

    code = "rpc.not_found"


class LimitExceeded(RpcError):
    """The request is larger than this node answers; the message names the bound."""

    code = "rpc.limit_exceeded"
    number = -32005


class TooManyRequests(RpcError):
    """This client asks more than its share."""

    code = "rpc.too_many_requests"
    number = -32005


class Overloaded(RpcError):
    """The node has as many requests in work as it takes; try again."""

    code = "rpc.overloaded"
    number = -32005


class MethodTimeout(RpcError):
    """The method took longer than it may."""

    code = "rpc.timeout"
    number = -32002


class NotSupported(RpcError):
    """The method exists elsewhere but has no meaning on this ledger."""

    code = "rpc.not_supported"
    number = -32004


class ExecutionFailed(RpcError):
    """A call failed for a reason other than REVERT."""

    code = "rpc.execution_failed"


class ExecutionReverted(RpcError):
    """A call reverted; ``output`` goes into ``error.data`` as execution-apis has it."""

    code = "rpc.execution_reverted"
    number = 3

    def __init__(self, message: str, output: bytes) -> None:
        super().__init__(message)
        self.output = output


UNAVAILABLE_NUMBER: Final = 4444
"""The number for state that was pruned (as execution-apis has it)."""
