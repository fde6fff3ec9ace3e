"""Executes blocks of our network: Ethereum's transition under the network's own rules.

``execute_block`` checks a block another node made; ``proposal.build_block`` makes one through the
same ``admit_and_apply``, so what is built is what is accepted. Both return the block's effect and
an overlay with its state root, and touch nothing else; the caller keeps the result by block hash
until the block is decided, so that a block is executed once per node.

Spec: EXEC-ADMISSION, EXEC-OPEN-CALL, EXEC-ONCE.
"""

from dataclasses import dataclass

from node.execution.admission import TransactionRule
from node.execution.evm import AncestorHash, BlockContext, Outcome
from node.execution.profile import INTERPRETER_DEFAULT, ExecutionProfile, Interpreter
from node.execution.rules import (
    check_body,
    check_gas_and_receipts,
    check_header_against_parent,
    check_state_root,
)
from node.execution.transition import BlockTransition
from node.execution.validity import check_form
from node.primitives.block import Block
from node.primitives.errors import InvalidBlock, InvalidInput, InvalidTransaction
from node.primitives.header import MIX_HASH, Header
from node.primitives.once import once
from node.primitives.receipt import Receipt
from node.primitives.transaction import Transaction
from node.primitives.trie import compute_ordered_root
from node.primitives.types import Address, Hash32, Height
from node.storage.state import StateOverlay, build_overlay
from node.storage.view import BackedView, StateChanges, StateView


@dataclass(frozen=True, kw_only=True)
class ExecutionResult:
    """What executing a block gave."""

    receipts: tuple[Receipt, ...]
    """By index of transaction."""
    changes: StateChanges
    """Net effect on the parent's state."""
    gas_used: int
    """Gas of all transactions."""
    bloom: bytes
    """Union of the receipts' blooms."""
    overlay: StateOverlay
    """The state after the block, over the parent's view."""

    @property
    def state_root(self) -> Hash32:
        """Return the root of the state after the block."""
        return self.overlay.root

    @once
    def receipts_root(self) -> Hash32:
        """Compute the root of the receipts."""
        return compute_ordered_root([receipt.encode() for receipt in self.receipts])


def execute_block(
    *,
    parent: Header,
    block: Block,
    view: BackedView,
    profile: ExecutionProfile,
    rule: TransactionRule,
    ancestor_hash: AncestorHash,
    interpreter: Interpreter = INTERPRETER_DEFAULT,
) -> ExecutionResult:
    """Check ``block`` against its parent, execute it on ``view``, and check what it claims.

    Args:
        parent: The block's parent, already accepted.
        block: The block; seals and round do not matter here.
        view: The parent's state.
        profile: The network's numbers.
        rule: Who may send, asked about the parent's state.
        ancestor_hash: Hash (b) by height, for BLOCKHASH.
        interpreter: Which opcode loop runs.

    Raises:
        InvalidBlock: It breaks a rule; the cause is chained when a transaction does.

    Spec: EXEC-ONCE.
    """
    header = block.header
    check_header_against_parent(header, parent, profile)
    check_body(block)
    transition = BlockTransition(
        view=view,
        context=build_context(header, profile, ancestor_hash),
        refused_precompiles=profile.refused_precompiles,
        interpreter=interpreter,
    )
    for index, transaction in enumerate(block.transactions):
        try:
            admit_and_apply(transition, transaction, parent, view, profile, rule)
        except InvalidInput as error:
            raise InvalidBlock(
                f"transaction {index} at height {header.height}: {error.message}", rule=error.rule
            ) from error
    result = finish(transition, view)
    check_gas_and_receipts(
        header,
        gas_used=result.gas_used,
        bloom=result.bloom,
        receipts_root=result.receipts_root,
    )
    check_state_root(header, result.state_root)
    return result


def admit_and_apply(
    transition: BlockTransition,
    transaction: Transaction,
    parent: Header,
    view: StateView,
    profile: ExecutionProfile,
    rule: TransactionRule,
) -> Outcome:
    """Apply ``transaction`` if the network's rules admit it.

    The rule is asked about the parent's state, never about what earlier transactions of the block
    made of it, so that admission does not depend on the order within a block.

    Raises:
        InvalidTransaction: A rule refuses it; nothing changed.

    Spec: EXEC-ADMISSION, EXEC-OPEN-CALL.
    """
    check_form(transaction, profile)
    admission = rule(view, parent.timestamp_s, transaction)
    if admission.gas_cap is not None and transaction.gas_limit > admission.gas_cap:
        raise InvalidTransaction(
            f"gas limit {transaction.gas_limit}, at most {admission.gas_cap} for this "
            f"{admission.kind}",
            rule="EXEC-ADMISSION",
        )
    return transition.apply(transaction, must_succeed=admission.must_succeed)


def finish(transition: BlockTransition, view: BackedView) -> ExecutionResult:
    """Collect a block's effect and compute the state it leads to."""
    changes = transition.collect_changes()
    return ExecutionResult(
        receipts=tuple(transition.receipts),
        changes=changes,
        gas_used=transition.gas_used,
        bloom=transition.bloom,
        overlay=build_overlay(view, changes),
    )


def build_context(
    header: Header, profile: ExecutionProfile, ancestor_hash: AncestorHash
) -> BlockContext:
    """Build what contracts may read of the block with ``header``."""
    return make_context(
        profile,
        height=header.height,
        timestamp_s=header.timestamp_s,
        coinbase=header.coinbase,
        ancestor_hash=ancestor_hash,
    )


def make_context(
    profile: ExecutionProfile,
    *,
    height: Height,
    timestamp_s: int,
    coinbase: Address,
    ancestor_hash: AncestorHash,
) -> BlockContext:
    """Build the context of a block of this network: base fee 0, PREVRANDAO a constant.

    Spec: EXEC-PREVRANDAO.
    """
    return BlockContext(
        chain_id=profile.chain_id,
        height=height,
        timestamp_s=timestamp_s,
        coinbase=coinbase,
        gas_limit=profile.block_gas_limit,
        mix_hash=MIX_HASH,
        base_fee_wei=0,
        ancestor_hash=ancestor_hash,
    )
