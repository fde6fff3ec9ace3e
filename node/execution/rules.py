"""What a block must be, one function per rule: against its parent, in its body, after execution.

Constants of the header, extra data, validators, votes, seals and the block period are
``consensus``' rules; who may send is ``execution.permissions``'.

Spec: EXEC-PARENT, EXEC-GAS-LIMIT, EXEC-BASE-FEE, EXEC-EMPTY, EXEC-TIMESTAMP, EXEC-BODY, EXEC-ROOT.
"""

from collections.abc import Sequence

from node.execution.profile import ExecutionProfile
from node.primitives.block import TRANSACTION_COUNT_MAX, Block
from node.primitives.errors import InvalidBlock
from node.primitives.header import EMPTY_OMMERS_HASH, EMPTY_ROOT, Header
from node.primitives.transaction import Transaction
from node.primitives.trie import compute_ordered_root
from node.primitives.types import Hash32


def check_header_against_parent(header: Header, parent: Header, profile: ExecutionProfile) -> None:
    """Check everything of a header that its parent and the network's profile decide.

    Raises:
        InvalidBlock: The first rule it breaks.
    """
    check_ancestry(header, parent)
    check_timestamp(header, parent)
    check_gas_limit(header, profile)
    check_gas_used(header)
    check_base_fee(header)
    check_empty_parts(header)


def check_ancestry(header: Header, parent: Header) -> None:
    """Require the parent's hash (b) and the next height.

    Raises:
        InvalidBlock: It has another parent.

    Spec: EXEC-PARENT.
    """
    _expect("height", header.height, parent.height + 1, "EXEC-PARENT", header)
    _expect("parent hash", header.parent_hash, parent.hash, "EXEC-PARENT", header)


def check_timestamp(header: Header, parent: Header) -> None:
    """Require a timestamp after the parent's; consensus also requires the period.

    Raises:
        InvalidBlock: It is not later.

    Spec: EXEC-TIMESTAMP.
    """
    if header.timestamp_s <= parent.timestamp_s:
        raise InvalidBlock(
            f"timestamp {header.timestamp_s} at height {header.height} is not after its parent's "
            f"{parent.timestamp_s}",
            rule="EXEC-TIMESTAMP",
        )


def check_gas_limit(header: Header, profile: ExecutionProfile) -> None:
    """Require the gas limit genesis fixed: it never drifts.

    Raises:
        InvalidBlock: It has another.

    Spec: EXEC-GAS-LIMIT.
    """
    _expect("gas limit", header.gas_limit, profile.block_gas_limit, "EXEC-GAS-LIMIT", header)


def check_gas_used(header: Header) -> None:
    """Require gas used within the limit.

    Raises:
        InvalidBlock: More was used.

    Spec: EXEC-BLOCK-GAS.
    """
    if header.gas_used > header.gas_limit:
        raise InvalidBlock(
            f"gas used {header.gas_used} at height {header.height}, limit {header.gas_limit}",
            rule="EXEC-BLOCK-GAS",
        )


def check_base_fee(header: Header) -> None:
    """Require a base fee of 0, however full the parent was.

    Raises:
        InvalidBlock: It is another.

    Spec: EXEC-BASE-FEE.
    """
    _expect("base fee", header.base_fee_wei, 0, "EXEC-BASE-FEE", header)


def check_empty_parts(header: Header) -> None:
    """Require no ommers and no withdrawals: a withdrawal would mint.

    Raises:
        InvalidBlock: It names some.

    Spec: EXEC-EMPTY.
    """
    _expect("ommers hash", header.ommers_hash, EMPTY_OMMERS_HASH, "EXEC-EMPTY", header)
    _expect("withdrawals root", header.withdrawals_root, EMPTY_ROOT, "EXEC-EMPTY", header)


def check_body(block: Block) -> None:
    """Require the transactions the header commits to, no more than the bound.

    Raises:
        InvalidBlock: There are other transactions, or too many.

    Spec: EXEC-BODY.
    """
    count = len(block.transactions)
    if count > TRANSACTION_COUNT_MAX:
        raise InvalidBlock(
            f"{count} transactions at height {block.height}, at most {TRANSACTION_COUNT_MAX}",
            rule="EXEC-BODY",
        )
    _expect(
        "transactions root",
        compute_transactions_root(block.transactions),
        block.header.transactions_root,
        "EXEC-BODY",
        block.header,
    )


def compute_transactions_root(transactions: Sequence[Transaction]) -> Hash32:
    """Compute the root of a block's transactions."""
    return compute_ordered_root([transaction.raw for transaction in transactions])


def check_gas_and_receipts(
    header: Header, *, gas_used: int, bloom: bytes, receipts_root: Hash32
) -> None:
    """Require what execution gave: gas, bloom and receipts.

    Raises:
        InvalidBlock: The header says something else.

    Spec: EXEC-RECEIPT.
    """
    _expect("gas used", header.gas_used, gas_used, "EXEC-RECEIPT", header)
    _expect("receipts root", header.receipts_root, receipts_root, "EXEC-RECEIPT", header)
    _expect("bloom", header.bloom, bloom, "EXEC-RECEIPT", header)


def check_state_root(header: Header, state_root: Hash32) -> None:
    """Require the state execution led to.

    Raises:
        InvalidBlock: The header names another.

    Spec: EXEC-ROOT.
    """
    _expect("state root", header.state_root, state_root, "EXEC-ROOT", header)


def _expect(
    what: str, found: bytes | int, expected: bytes | int, rule: str, header: Header
) -> None:
    if found != expected:
        raise InvalidBlock(
            f"{what} at height {header.height}: expected {_show(expected)}, found {_show(found)}",
            rule=rule,
        )


def _show(value: bytes | int) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
