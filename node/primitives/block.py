"""A block: header and transactions.

Ommers and withdrawals exist in its bytes and are always empty.
"""

from dataclasses import dataclass
from typing import Final

from node.primitives import rlp
from node.primitives.errors import MalformedMessage
from node.primitives.header import Header, header_from_items
from node.primitives.transaction import Transaction, decode_transaction
from node.primitives.types import BlockHash, Digest, Height, Round, Signature

BLOCK_SIZE_MAX: Final = 8 * 1024 * 1024
"""Longest encoded block accepted, in bytes."""

TRANSACTION_COUNT_MAX: Final = 10_000
"""Most transactions in a block; the gas limit binds long before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A header and the transactions it commits to."""

    header: Header
    """The header, with whatever round and seals this copy carries."""
    transactions: tuple[Transaction, ...] = ()
    """In the order executed."""

    @property
    def height(self) -> Height:
        """Return the header's height."""
        return self.header.height

    @property
    def hash(self) -> BlockHash:
        """Return hash (b)."""
        return self.header.hash

    @property
    def digest(self) -> Digest:
        """Return hash (c), in the round the header carries."""
        return self.header.digest

    def with_round(self, at: Round) -> "Block":
        """Return the block as proposed in round ``at``, without seals."""
        return Block(header=self.header.with_round(at), transactions=self.transactions)

    def with_seals(self, seals: tuple[Signature, ...]) -> "Block":
        """Return the block carrying ``seals``."""
        return Block(header=self.header.with_seals(seals), transactions=self.transactions)

    def encode(self) -> bytes:
        """Return the RLP list [header, transactions, ommers, withdrawals]."""
        transactions = b"".join(
            tx.raw if tx.raw[0] >= 0xC0 else rlp.encode(tx.raw) for tx in self.transactions
        )
        return rlp.wrap_list(
            self.header.encode() + rlp.wrap_list(transactions) + rlp.encode([]) + rlp.encode([])
        )


def decode_block(data: bytes) -> Block:
    """Decode a block from its bytes.

    Raises:
        MalformedMessage: Not a block, or beyond a bound.
        InvalidTransaction: It holds a transaction of a refused type.
    """
    if len(data) > BLOCK_SIZE_MAX:
        raise MalformedMessage(f"block: {len(data)} bytes, at most {BLOCK_SIZE_MAX}")
    return block_from_items(rlp.decode_list(data))


def block_from_items(items: list[rlp.Decoded]) -> Block:
    """Build a block from its decoded RLP items.

    Raises:
        MalformedMessage: Not four items, or ommers or withdrawals are not empty.
        InvalidTransaction: It holds a transaction of a refused type.

    Spec: EXEC-EMPTY.
    """
    header, transactions, ommers, withdrawals = rlp.as_list(items, 4, "block")
    if rlp.as_list(ommers, what="block.ommers"):
        raise MalformedMessage("block: ommers must be empty", rule="EXEC-EMPTY")
    if rlp.as_list(withdrawals, what="block.withdrawals"):
        raise MalformedMessage("block: withdrawals must be empty", rule="EXEC-EMPTY")
    transaction_items = rlp.as_list(transactions, what="block.transactions")
    if len(transaction_items) > TRANSACTION_COUNT_MAX:
        raise MalformedMessage(f"block: over {TRANSACTION_COUNT_MAX} transactions")
    return Block(
        header=header_from_items(rlp.as_list(header, what="header")),
        transactions=tuple(
            decode_transaction(item if isinstance(item, bytes) else rlp.encode(item))
            for item in transaction_items
        ),
    )
