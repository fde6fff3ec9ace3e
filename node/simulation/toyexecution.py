"""Execution small enough for ten thousand runs: real blocks, real transactions, a toy state.

Headers and transactions are the ledger's own records and bytes; only what a transaction does is
left out. The state is the list of transactions ever included, and its root chains their hashes. A
block is valid when its header says what its transactions lead to, no transaction comes twice, and
the constants hold. What the EVM does to a state is tested in ``node.execution``.
"""

from collections.abc import Collection
from functools import lru_cache
from typing import Final

from node.primitives.block import Block
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.errors import InvalidBlock
from node.primitives.header import EMPTY_ROOT, ExtraData, Header
from node.primitives.transaction import Transaction, sign_transaction
from node.primitives.types import Address, BlockHash, Hash32, Height, TransactionHash

CHAIN_ID: Final = 2_128
GAS_LIMIT: Final = 30_000_000
EPOCH_S: Final = 1_800_000_000
"""Timestamp of the genesis block, and true time when a run begins."""

TRANSACTIONS_PER_BLOCK_MAX: Final = 8
_PAYEE: Final = Address(b"\x42" * 20)


@lru_cache(maxsize=1024)
def make_transaction(nonce: int) -> Transaction:
    """Return the signed transaction number ``nonce`` of the simulated sender."""
    key = PrivateKey(keccak256(b"simulated sender"))
    return sign_transaction(
        key, chain_id=CHAIN_ID, nonce=nonce, gas_limit=21_000, to=_PAYEE, value_wei=1
    )


def build_genesis(validators: tuple[Address, ...]) -> Block:
    """Return the first block of a network of ``validators``."""
    header = Header(
        parent_hash=BlockHash(Hash32(bytes(32))),
        coinbase=Address(bytes(20)),
        state_root=keccak256(b"simulated genesis"),
        transactions_root=EMPTY_ROOT,
        receipts_root=EMPTY_ROOT,
        height=Height(0),
        gas_limit=GAS_LIMIT,
        gas_used=0,
        timestamp_s=EPOCH_S,
        extra_data=ExtraData(validators=validators),
    )
    return Block(header=header)


def fill_block(
    parent: Header,
    transactions: tuple[Transaction, ...],
    *,
    coinbase: Address,
    timestamp_s: int,
    extra_data: ExtraData,
) -> Block:
    """Build the block on ``parent`` that holds ``transactions``."""
    root = compute_transactions_root(transactions)
    header = Header(
        parent_hash=parent.hash,
        coinbase=coinbase,
        state_root=compute_state_root(parent, root),
        transactions_root=root,
        receipts_root=EMPTY_ROOT,
        height=Height(parent.height + 1),
        gas_limit=GAS_LIMIT,
        gas_used=21_000 * len(transactions),
        timestamp_s=timestamp_s,
        extra_data=extra_data,
    )
    return Block(header=header, transactions=transactions)


def compute_transactions_root(transactions: tuple[Transaction, ...]) -> Hash32:
    """Commit to ``transactions`` in order."""
    return keccak256(b"".join(tx.hash for tx in transactions)) if transactions else EMPTY_ROOT


def compute_state_root(parent: Header, transactions_root: Hash32) -> Hash32:
    """Commit to the state after a block with that transactions root."""
    if transactions_root == EMPTY_ROOT:
        return parent.state_root
    return keccak256(parent.state_root + transactions_root)


def check_execution(parent: Header, block: Block, included: Collection[TransactionHash]) -> None:
    """Refuse a block whose header does not say what its transactions lead to.

    Args:
        parent: Header of the block it builds on.
        block: The block.
        included: Hashes of all transactions up to the parent.

    Raises:
        InvalidBlock: A root, the gas or a constant is wrong, or a transaction comes twice.
    """
    header = block.header
    hashes = [tx.hash for tx in block.transactions]
    if len(set(hashes)) != len(hashes) or any(digest in included for digest in hashes):
        raise InvalidBlock(f"block {header.height}: a transaction comes twice")
    if header.transactions_root != compute_transactions_root(block.transactions):
        raise InvalidBlock(f"block {header.height}: transactions root does not match")
    if header.state_root != compute_state_root(parent, header.transactions_root):
        raise InvalidBlock(f"block {header.height}: state root does not match")
    if header.gas_limit != GAS_LIMIT or header.gas_used != 21_000 * len(hashes):
        raise InvalidBlock(f"block {header.height}: gas limit or gas used does not match")
