"""Which block a request means: a number, a tag, a hash, or EIP-1898's object.

With QBFT the head is final, so ``latest``, ``safe`` and ``finalized`` are one. ``pending`` is the
head's state: the next block is not known before it is decided.

Spec: RPC-BLOCK.
"""

from typing import Final

from node.primitives.types import Hash32, Height
from node.rpc.backend import Json, LedgerBackend
from node.rpc.errors import InvalidParams, NotFound
from node.rpc.hex import parse_hash, parse_quantity
from node.rpc.params import Params, parse_bool, parse_object

HEAD_TAGS: Final = ("latest", "safe", "finalized", "pending")


def find_height(ledger: LedgerBackend, value: Json) -> Height | None:
    """Return the height a block parameter names, or None when there is no such block.

    Raises:
        InvalidParams: It is no block parameter.

    Spec: RPC-BLOCK.
    """
    if isinstance(value, dict):
        return _find_by_object(ledger, value)
    if isinstance(value, str) and len(value) == 66 and value.startswith("0x"):
        return ledger.find_block(parse_hash(value))
    at = parse_height(ledger, value)
    return at if at <= ledger.head().height else None


def parse_height(ledger: LedgerBackend, value: Json) -> Height:
    """Return the height a number or tag names, which may be beyond the head.

    Raises:
        InvalidParams: It is neither.
    """
    if value in HEAD_TAGS:
        return ledger.head().height
    if value == "earliest":
        return Height(0)
    return Height(parse_quantity(value, 63))


def state_height(ledger: LedgerBackend, params: Params, index: int) -> Height:
    """Return the height of an optional state parameter that must exist; the head by default.

    Raises:
        InvalidParams: It is no block parameter.
        NotFound: There is no such block.

    Spec: RPC-BLOCK.
    """
    if not params.has(index):
        return ledger.head().height
    at = params.read(index, lambda value: find_height(ledger, value))
    if at is None:
        raise NotFound("header not found", block=str(params.values[index])[:80])
    return at


def _find_by_object(ledger: LedgerBackend, value: Json) -> Height | None:
    """Read EIP-1898's object; every block we know is canonical.

    Raises:
        InvalidParams: Neither or both of number and hash.
    """
    fields = parse_object(value)
    number, block_hash = fields.get("blockNumber"), fields.get("blockHash")
    if (number is None) == (block_hash is None):
        raise InvalidParams(
            "cannot specify both BlockHash and BlockNumber, choose one or the other"
        )
    if fields.get("requireCanonical") is not None:
        parse_bool(fields["requireCanonical"])
    if block_hash is not None:
        return ledger.find_block(Hash32(parse_hash(block_hash)))
    return find_height(ledger, number)
