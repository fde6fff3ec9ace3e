"""What nodes answer, from JSON into records: every field checked for form, none believed.

Spec: LIGHT-BOUNDS.
"""

from typing import Final

from clients.core.proofs import AccountProof, ReceiptProof
from node.primitives.block import TRANSACTION_COUNT_MAX, Block, decode_block
from node.primitives.errors import MalformedMessage
from node.primitives.header import Header, decode_header
from node.primitives.json_text import is_list, is_object
from node.primitives.trie import PROOF_NODES_MAX

HEADER_SIZE_MAX: Final = 32_768
"""Longest header read, in bytes; extra data is bounded by half of it."""

DATA_SIZE_MAX: Final = 8 * 1024 * 1024
"""Longest byte string of an answer; a block and a receipt are bounded by it."""

_DIGITS: Final = frozenset("0123456789abcdefABCDEF")


class MalformedAnswer(MalformedMessage):
    """A node's answer that is not of the form the method has."""

    code = "light.malformed_answer"


def data_of(value: object, what: str, *, size_max: int = DATA_SIZE_MAX) -> bytes:
    """Return bytes written as 0x and hexadecimal digits.

    Raises:
        MalformedAnswer: They are not, or too many.

    Spec: LIGHT-BOUNDS.
    """
    if not isinstance(value, str) or not value.startswith("0x") or len(value) % 2:
        raise MalformedAnswer(f"{what}: expected 0x and pairs of hexadecimal digits")
    if len(value) > 2 + 2 * size_max:
        raise MalformedAnswer(f"{what}: over {size_max} bytes", rule="LIGHT-BOUNDS")
    digits = value[2:]
    if not _DIGITS.issuperset(digits):
        raise MalformedAnswer(f"{what}: expected hexadecimal digits")
    return bytes.fromhex(digits)


def quantity_of(value: object, what: str) -> int:
    """Return an unsigned integer of at most 64 bits, written as 0x and digits.

    Raises:
        MalformedAnswer: It is not.
    """
    digits = value[2:] if isinstance(value, str) and value.startswith("0x") else ""
    if not 1 <= len(digits) <= 16 or not _DIGITS.issuperset(digits):
        raise MalformedAnswer(f"{what}: expected 0x and 1 to 16 hexadecimal digits")
    return int(digits, 16)


def header_of(value: object) -> Header:
    """Return the header in an answer of `daicho_getFinality`.

    Raises:
        MalformedMessage: There is none, or it does not decode.
    """
    return decode_header(data_of(_field(value, "header"), "header", size_max=HEADER_SIZE_MAX))


def raw_header_of(value: object) -> Header:
    """Return the header in an answer of `debug_getRawHeader`.

    Raises:
        MalformedMessage: It does not decode.
    """
    return decode_header(data_of(value, "header", size_max=HEADER_SIZE_MAX))


def block_of(value: object) -> Block:
    """Return the block in an answer of `debug_getRawBlock`.

    Raises:
        InvalidInput: It does not decode.
    """
    return decode_block(data_of(value, "block"))


def receipts_of(value: object) -> tuple[bytes, ...]:
    """Return the receipts' bytes in an answer of `debug_getRawReceipts`.

    Raises:
        MalformedAnswer: It is no list of bytes, or too long.
    """
    items = _list(value, TRANSACTION_COUNT_MAX, "receipts")
    return tuple(data_of(item, "receipt") for item in items)


def account_proof_of(value: object, slots: tuple[int, ...]) -> AccountProof:
    """Return the proofs in an answer of `eth_getProof`; its own claims are not even read.

    Args:
        value: The answer.
        slots: The slots that were asked for, in that order.

    Raises:
        MalformedAnswer: A proof is missing or malformed.
    """
    storage = _list(_field(value, "storageProof"), len(slots), "storageProof")
    if len(storage) != len(slots):
        raise MalformedAnswer(f"storageProof: expected {len(slots)} proofs, found {len(storage)}")
    return AccountProof(
        account=_nodes(_field(value, "accountProof"), "accountProof"),
        slots={
            slot: _nodes(_field(item, "proof"), "storageProof.proof")
            for slot, item in zip(slots, storage, strict=True)
        },
    )


def receipt_place_of(value: object) -> int:
    """Return the height at which an answer of `daicho_getReceiptProof` claims to be.

    Raises:
        MalformedAnswer: It claims none.
    """
    return quantity_of(_field(value, "blockNumber"), "blockNumber")


def receipt_proof_of(value: object) -> ReceiptProof:
    """Return the proofs in an answer of `daicho_getReceiptProof`.

    Raises:
        MalformedAnswer: A part is missing or malformed.
    """
    return ReceiptProof(
        index=quantity_of(_field(value, "transactionIndex"), "transactionIndex"),
        receipt=data_of(_field(value, "receipt"), "receipt"),
        receipt_nodes=_nodes(_field(value, "receiptProof"), "receiptProof"),
        transaction=data_of(_field(value, "transaction"), "transaction"),
        transaction_nodes=_nodes(_field(value, "transactionProof"), "transactionProof"),
    )


def _nodes(value: object, what: str) -> tuple[bytes, ...]:
    return tuple(data_of(item, what) for item in _list(value, PROOF_NODES_MAX, what))


def _field(value: object, name: str) -> object:
    if not is_object(value) or name not in value:
        raise MalformedAnswer(f"answer: expected an object with {name}")
    return value[name]


def _list(value: object, most: int, what: str) -> list[object]:
    if not is_list(value) or len(value) > most:
        raise MalformedAnswer(f"{what}: expected a list of at most {most}", rule="LIGHT-BOUNDS")
    return value
