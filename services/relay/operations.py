"""What a service asks for, and how its transaction carries the request's name.

The call data a service asks for is followed by a tail: a marker and the operation's word. Contracts
do not read past their arguments, so the call is what it would be without; whoever reads the chain
finds each operation there by its word. A relay that lost its memory learns from it what was sent.

Spec: RELAY-TAIL.
"""

import re
from dataclasses import dataclass
from typing import Final, NewType

from node.primitives import rlp
from node.primitives.crypto import keccak256
from node.primitives.errors import InvalidInput
from node.primitives.types import Address

Word = NewType("Word", bytes)
"""32 bytes that name an operation on chain."""

TAIL_MARK: Final = keccak256(b"daicho relay tail v1")
"""First half of the tail."""

_VOID_MARK: Final = keccak256(b"daicho relay void v1")

TAIL_SIZE: Final = 64

TAIL_GAS: Final = 64 * 16
"""Most gas the tail adds to a transaction."""

FENCE: Final = Word(b"\x00" * 32)
"""Word of a transaction that only uses up a nonce."""

FENCE_GAS: Final = 30_000
"""Gas of such a transaction."""

DATA_SIZE_MAX: Final = 120_000
"""Longest call data of one operation; transactions end at 128 KiB."""

GAS_LIMIT_MAX: Final = 8_000_000
"""Most gas one operation may ask for."""

_OPERATION_ID: Final = re.compile(r"[!-~]{1,128}")


class InvalidOperation(InvalidInput):
    """A request that the relay cannot carry out whatever happens."""

    code = "relay.operation_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One transaction that a service asks for."""

    tenant: str
    """Municipality that asks."""
    service: str
    """Service that asks, as it signs its events."""
    operation_id: str
    """What the service calls it; never used twice."""
    to: Address
    """Contract to call."""
    data: bytes
    """Call data, without tail."""
    gas_limit: int
    """Gas it may use."""

    def __post_init__(self) -> None:
        """Refuse what no transaction can hold.

        Raises:
            InvalidOperation: The id is malformed, or a bound is crossed.
        """
        if not _OPERATION_ID.fullmatch(self.operation_id):
            raise InvalidOperation("operation id: expected 1 to 128 visible ASCII characters")
        if len(self.to) != 20:
            raise InvalidOperation(f"operation address: {len(self.to)} bytes, expected 20")
        if len(self.data) > DATA_SIZE_MAX:
            raise InvalidOperation(
                f"operation data: {len(self.data)} bytes, at most {DATA_SIZE_MAX}"
            )
        if not 21_000 <= self.gas_limit <= GAS_LIMIT_MAX:
            raise InvalidOperation(
                f"operation gas: {self.gas_limit}, expected 21000 to {GAS_LIMIT_MAX}"
            )

    @property
    def word(self) -> Word:
        """Return its name on chain.

        A hash, so that the chain does not show what a service calls its operations.
        """
        return compute_word(self.tenant, self.service, self.operation_id)

    @property
    def fingerprint(self) -> bytes:
        """Return the hash of all it asks for; another one under the same id is refused."""
        gas = rlp.encode_uint(self.gas_limit)
        return keccak256(rlp.encode([self.word, self.to, self.data, gas]))


def compute_word(tenant: str, service: str, operation_id: str) -> Word:
    """Compute the word of an operation.

    Spec: RELAY-TAIL.
    """
    names = [part.encode() for part in (tenant, service, operation_id)]
    return Word(keccak256(TAIL_MARK + rlp.encode(names)))


def compute_void(word: Word) -> Word:
    """Compute the word of the transaction that takes an operation's nonce for good.

    It tells whoever reads the chain that the operation was given up, not only passed over.

    Spec: RELAY-REPLACE.
    """
    return Word(keccak256(_VOID_MARK + word))


def add_tail(data: bytes, word: Word) -> bytes:
    """Return call data with the tail that names its operation.

    Spec: RELAY-TAIL.
    """
    return data + TAIL_MARK + word


def read_tail(data: bytes) -> Word | None:
    """Return the word at the end of call data, None when there is no tail.

    Spec: RELAY-TAIL.
    """
    if len(data) < TAIL_SIZE or data[-TAIL_SIZE:-32] != TAIL_MARK:
        return None
    return Word(data[-32:])
