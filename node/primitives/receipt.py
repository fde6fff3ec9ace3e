"""Receipts, logs and their bloom filters: what a transaction left behind."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from node.primitives import rlp
from node.primitives.crypto import keccak256
from node.primitives.errors import MalformedMessage
from node.primitives.types import Address, Hash32

BLOOM_SIZE: Final = 256
"""Bytes of a bloom filter (2,048 bits)."""

TOPIC_COUNT_MAX: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One event emitted by a contract."""

    address: Address
    """Contract that emitted it."""
    topics: tuple[Hash32, ...]
    """Up to four indexed words; the first usually names the event."""
    data: bytes
    """Unindexed part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Outcome of one transaction, as hashed into the receipts root (EIP-2718 envelope)."""

    type: int
    """The transaction's type."""
    is_success: bool
    """False when the call reverted or ran out of gas."""
    cumulative_gas_used: int
    """Gas used in the block up to and including this transaction."""
    bloom: bytes
    """256 bytes over ``logs``."""
    logs: tuple[Log, ...]
    """Events in order."""

    def encode(self) -> bytes:
        """Return the consensus bytes of the receipt."""
        logs: list[rlp.Item] = [[log.address, log.topics, log.data] for log in self.logs]
        body = rlp.encode(
            [
                b"\x01" if self.is_success else b"",
                rlp.encode_uint(self.cumulative_gas_used),
                self.bloom,
                logs,
            ]
        )
        return body if self.type == 0 else bytes((self.type,)) + body


def decode_receipt(data: bytes) -> Receipt:
    """Decode a receipt from its consensus bytes.

    Raises:
        MalformedMessage: The bytes are no receipt.
    """
    if not data:
        raise MalformedMessage("receipt: empty")
    kind, body = (0, data) if data[0] >= 0xC0 else (data[0], data[1:])
    status, gas, bloom, logs = rlp.as_list(rlp.decode(body), 4, "receipt")
    status_byte = rlp.as_bytes(status, what="receipt.status")
    if status_byte not in (b"", b"\x01"):
        raise MalformedMessage("receipt.status: expected 0 or 1")
    return Receipt(
        type=kind,
        is_success=status_byte == b"\x01",
        cumulative_gas_used=rlp.as_uint(gas, 8, "receipt.cumulativeGasUsed"),
        bloom=rlp.as_bytes(bloom, BLOOM_SIZE, "receipt.logsBloom"),
        logs=tuple(_decode_log(item) for item in rlp.as_list(logs, what="receipt.logs")),
    )


def _decode_log(item: rlp.Decoded) -> Log:
    address, topics, data = rlp.as_list(item, 3, "log")
    topic_items = rlp.as_list(topics, what="log.topics")
    if len(topic_items) > TOPIC_COUNT_MAX:
        raise MalformedMessage(f"log.topics: {len(topic_items)}, at most {TOPIC_COUNT_MAX}")
    return Log(
        address=Address(rlp.as_bytes(address, 20, "log.address")),
        topics=tuple(Hash32(rlp.as_bytes(topic, 32, "log.topic")) for topic in topic_items),
        data=rlp.as_bytes(data, what="log.data"),
    )


def compute_bloom(logs: Iterable[Log]) -> bytes:
    """Compute the 256-byte bloom filter over addresses and topics of ``logs``."""
    bits = 0
    for log in logs:
        bits |= bloom_bits(log.address)
        for topic in log.topics:
            bits |= bloom_bits(topic)
    return bits.to_bytes(BLOOM_SIZE, "big")


def bloom_bits(value: bytes) -> int:
    """Return the three bits that ``value`` sets, as a 2,048-bit integer."""
    digest = keccak256(value)
    bits = 0
    for at in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 2047)
    return bits


def merge_blooms(blooms: Iterable[bytes]) -> bytes:
    """Return the union of 256-byte blooms."""
    bits = 0
    for bloom in blooms:
        bits |= int.from_bytes(bloom, "big")
    return bits.to_bytes(BLOOM_SIZE, "big")
