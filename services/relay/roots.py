"""Roots that services ask to have anchored: of audit logs, and of any other batch of tier T4.

A root becomes an operation like any other, whose call is ``Anchors.anchor``. Its stream is a hash
of who asks and what the root is about, so the chain tells streams apart and names none.

Spec: RELAY-ROOTS.
"""

from dataclasses import dataclass
from typing import Final

from node.primitives.abi import encode
from node.primitives.crypto import keccak256
from node.primitives.errors import InvalidInput
from node.primitives.types import Address, Hash32
from services.kit.events import Event
from services.relay.operations import Operation, Word, compute_word

ANCHOR_GAS: Final = 250_000
"""Gas of an anchor; the first of a stream measures 150,000 in contracts/gas-report.json."""

LEAF_COUNT_MAX: Final = 2**32
"""Most leaves the contract takes."""

_SIGNATURE: Final = "anchor(bytes32,bytes32,bytes32,uint256)"
_SELECTOR: Final = keccak256(_SIGNATURE.encode())[:4]


@dataclass(frozen=True, slots=True, kw_only=True)
class RootRequest:
    """A root as a service asks for it."""

    operation_id: str
    """The event's id: told again, it is the same root."""
    subject: str
    """What the root is about; roots of one subject are one stream."""
    root: Hash32
    """The root."""
    leaf_count: int
    """Leaves under it."""


def parse_root(event: Event) -> RootRequest:
    """Read the event that asks for a root.

    Raises:
        InvalidInput: The root or the count is malformed.
    """
    text, count = event.data.get("root"), event.data.get("count")
    if not isinstance(text, str) or len(text) != 66 or not text.startswith("0x"):
        raise InvalidInput("root: expected 0x and 64 hexadecimal digits")
    try:
        root = bytes.fromhex(text[2:])
    except ValueError as error:
        raise InvalidInput("root: expected hexadecimal digits") from error
    if not isinstance(count, int) or isinstance(count, bool) or not 0 < count <= LEAF_COUNT_MAX:
        raise InvalidInput(f"root count: expected 1 to {LEAF_COUNT_MAX}")
    return RootRequest(
        operation_id=event.id, subject=event.subject, root=Hash32(root), leaf_count=count
    )


def compute_stream(tenant: str, service: str, subject: str) -> Word:
    """Compute the stream of a service's roots about one subject.

    Spec: RELAY-ROOTS.
    """
    return compute_word(tenant, service, f"stream:{subject}")


def build_anchor(request: RootRequest, *, tenant: str, service: str, to: Address) -> Operation:
    """Build the operation that anchors a root.

    Raises:
        InvalidOperation: The event's id is no operation id.

    Spec: RELAY-ROOTS.
    """
    arguments = [
        compute_stream(tenant, service, request.subject),
        compute_word(tenant, service, request.operation_id),
        request.root,
        request.leaf_count,
    ]
    types = ["bytes32", "bytes32", "bytes32", "uint256"]
    return Operation(
        tenant=tenant,
        service=service,
        operation_id=request.operation_id,
        to=to,
        data=_SELECTOR + encode(types, arguments),
        gas_limit=ANCHOR_GAS,
    )


def read_root(operation: Operation, anchors: Address) -> Hash32 | None:
    """Return the root that an operation anchors, None when it does something else."""
    if operation.to != anchors or operation.data[:4] != _SELECTOR or len(operation.data) < 100:
        return None
    return Hash32(operation.data[68:100])
