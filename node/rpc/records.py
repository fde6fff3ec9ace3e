"""What a chain looks like to RPC: headers, blocks, transactions and receipts in neutral form.

Our own chain fills these from ``primitives``; a chain with other header and transaction forms (the
published test chain) fills the optional fields as well, so that one renderer serves both. Nothing
here decides anything.
"""

from collections.abc import Callable
from dataclasses import dataclass

from node.primitives.block import Block
from node.primitives.header import Header
from node.primitives.once import once
from node.primitives.receipt import Log, Receipt
from node.primitives.transaction import AccessListEntry, Transaction, TransactionType
from node.primitives.types import Address, BlockHash, Hash32, Height, TransactionHash


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRecord:
    """A header as RPC shows it."""

    hash: BlockHash
    """The block's name on chain."""
    raw: bytes
    """The header's bytes, seals included."""
    parent_hash: BlockHash
    """Name of the parent."""
    ommers_hash: Hash32
    """Keccak of the list of ommers."""
    coinbase: Address
    """Who created the block."""
    state_root: Hash32
    """State after the block."""
    transactions_root: Hash32
    """Trie of transactions by index."""
    receipts_root: Hash32
    """Trie of receipts by index."""
    bloom: bytes
    """256 bytes."""
    difficulty: int
    """1 on our chain."""
    height: Height
    """Block number."""
    gas_limit: int
    """Gas allowed."""
    gas_used: int
    """Gas used."""
    timestamp_s: int
    """Seconds since the epoch."""
    extra_data: bytes
    """As in the header."""
    mix_hash: Hash32
    """As in the header."""
    nonce: bytes
    """Eight bytes."""
    base_fee_wei: int | None = None
    """Absent before London."""
    withdrawals_root: Hash32 | None = None
    """Absent before Shanghai."""
    blob_gas_used: int | None = None
    """Absent before Cancun, and on our chain."""
    excess_blob_gas: int | None = None
    """Absent before Cancun, and on our chain."""
    parent_beacon_root: Hash32 | None = None
    """Absent before Cancun, and on our chain."""
    requests_hash: Hash32 | None = None
    """Absent before Prague, and on our chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """One entry of a set-code transaction's list; never on our chain."""

    chain_id: int
    """Chain it is meant for, or 0."""
    address: Address
    """Whose code is delegated to."""
    nonce: int
    """Nonce of the signer."""
    y_parity: int
    """Signature."""
    r: int
    """Signature."""
    s: int
    """Signature."""


@dataclass(frozen=True, kw_only=True)
class TransactionRecord:
    """A transaction as RPC shows it; its sender is recovered only when asked for."""

    hash: TransactionHash
    """Keccak of ``raw``."""
    raw: bytes
    """Canonical bytes."""
    type: int
    """EIP-2718 type."""
    recover_sender: Callable[[], Address]
    """Recovers the sender from the signature."""
    chain_id: int | None
    """None in an unprotected legacy transaction."""
    nonce: int
    """Sender's count."""
    max_fee_wei: int
    """Most paid per gas; the gas price in types 0 and 1."""
    max_priority_fee_wei: int
    """Tip per gas; equal to ``max_fee_wei`` in types 0 and 1."""
    gas_limit: int
    """Gas allowed."""
    to: Address | None
    """Callee, or None to create."""
    value_wei: int
    """Wei moved."""
    data: bytes
    """Call data."""
    v: int
    """As signed: 27/28, EIP-155, or the parity."""
    r: int
    """Signature."""
    s: int
    """Signature."""
    access_list: tuple[AccessListEntry, ...] = ()
    """Types 1 and up."""
    max_fee_per_blob_gas_wei: int | None = None
    """Blob transactions only; never on our chain."""
    blob_versioned_hashes: tuple[Hash32, ...] = ()
    """Blob transactions only."""
    authorizations: tuple[Authorization, ...] | None = None
    """Set-code transactions only; never on our chain."""

    @once
    def sender(self) -> Address:
        """Return who signed."""
        return self.recover_sender()


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRecord:
    """A block as RPC shows it; ommers are never shown beyond their hashes."""

    header: HeaderRecord
    """Its header."""
    transactions: tuple[TransactionRecord, ...]
    """In the order executed."""
    raw: bytes
    """The block's bytes."""
    ommer_hashes: tuple[Hash32, ...] = ()
    """Empty on our chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptRecord:
    """A receipt as RPC shows it."""

    raw: bytes
    """Consensus bytes."""
    type: int
    """Type of its transaction."""
    is_success: bool | None
    """None before Byzantium, where ``state_root`` stands."""
    state_root: Hash32 | None
    """State after the transaction, before Byzantium only."""
    cumulative_gas_used: int
    """Gas used in the block up to here."""
    bloom: bytes
    """256 bytes."""
    logs: tuple[Log, ...]
    """Events in order."""
    blob_gas_price_wei: int | None = None
    """Price of blob gas in its block; never on our chain."""


def header_record(header: Header) -> HeaderRecord:
    """Show one of our own headers."""
    return HeaderRecord(
        hash=header.hash,
        raw=header.encode(),
        parent_hash=header.parent_hash,
        ommers_hash=header.ommers_hash,
        coinbase=header.coinbase,
        state_root=header.state_root,
        transactions_root=header.transactions_root,
        receipts_root=header.receipts_root,
        bloom=header.bloom,
        difficulty=header.difficulty,
        height=header.height,
        gas_limit=header.gas_limit,
        gas_used=header.gas_used,
        timestamp_s=header.timestamp_s,
        extra_data=header.extra_data.encode(),
        mix_hash=header.mix_hash,
        nonce=header.nonce,
        base_fee_wei=header.base_fee_wei,
        withdrawals_root=header.withdrawals_root,
    )


def transaction_record(transaction: Transaction) -> TransactionRecord:
    """Show one of our own transactions."""
    parity = transaction.signature[64]
    is_legacy = transaction.type is TransactionType.LEGACY
    return TransactionRecord(
        hash=transaction.hash,
        raw=transaction.raw,
        type=int(transaction.type),
        recover_sender=lambda: transaction.sender,
        chain_id=transaction.chain_id,
        nonce=transaction.nonce,
        max_fee_wei=transaction.max_fee_wei,
        max_priority_fee_wei=transaction.max_priority_fee_wei,
        gas_limit=transaction.gas_limit,
        to=transaction.to,
        value_wei=transaction.value_wei,
        data=transaction.data,
        v=parity + 35 + 2 * transaction.chain_id if is_legacy else parity,
        r=int.from_bytes(transaction.signature[:32], "big"),
        s=int.from_bytes(transaction.signature[32:64], "big"),
        access_list=transaction.access_list,
    )


def block_record(block: Block) -> BlockRecord:
    """Show one of our own blocks."""
    return BlockRecord(
        header=header_record(block.header),
        transactions=tuple(transaction_record(tx) for tx in block.transactions),
        raw=block.encode(),
    )


def receipt_record(receipt: Receipt) -> ReceiptRecord:
    """Show one of our own receipts."""
    return ReceiptRecord(
        raw=receipt.encode(),
        type=receipt.type,
        is_success=receipt.is_success,
        state_root=None,
        cumulative_gas_used=receipt.cumulative_gas_used,
        bloom=receipt.bloom,
        logs=receipt.logs,
    )
