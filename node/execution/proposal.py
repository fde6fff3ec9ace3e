"""Builds a block from waiting transactions, on the parent's state.

Candidates are tried in the order given; one that does not fit or is not valid is passed over with
its reason and leaves no trace. Time, gas, count and bytes are bounded here. Time is a question to
the caller, so that this module reads no clock; validation is never cut short.

Spec: EXEC-BUILD.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from node.execution.admission import TransactionRule
from node.execution.evm import AncestorHash
from node.execution.executor import (
    ExecutionResult,
    admit_and_apply,
    finish,
    make_context,
)
from node.execution.profile import INTERPRETER_DEFAULT, ExecutionProfile, Interpreter
from node.execution.rules import compute_transactions_root
from node.execution.transition import BlockTransition
from node.execution.validity import GAS_TRANSACTION, NonceTooHigh
from node.primitives.block import BLOCK_SIZE_MAX, TRANSACTION_COUNT_MAX, Block
from node.primitives.errors import InvalidInput, InvalidTransaction
from node.primitives.header import EXTRA_DATA_SIZE_MAX, ExtraData, Header
from node.primitives.transaction import Transaction
from node.primitives.types import Address, Height, TransactionHash
from node.storage.view import BackedView

BODY_SIZE_MAX: Final = BLOCK_SIZE_MAX - EXTRA_DATA_SIZE_MAX - 4_096
"""Most bytes of transactions in a block, so that header and frame still fit."""

TRANSACTION_FRAMING: Final = 5
"""Most bytes RLP adds to a transaction in a block's body."""

WAITING_RULES: Final = ("EXEC-BLOCK-GAS", "EXEC-BUILD")
"""Rules about this block's room: a later block may take the transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockDraft:
    """What the proposer decides about a block besides its transactions."""

    timestamp_s: int
    """Seconds; after the parent's."""
    coinbase: Address
    """The proposer."""
    extra_data: ExtraData
    """Validators, vote and round; no seals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A candidate that is not in the block."""

    hash: TransactionHash
    """Which."""
    reason: InvalidInput
    """Why; its ``rule`` names what it breaks."""

    @property
    def is_waiting(self) -> bool:
        """Tell whether a later block may take it; otherwise the pool should drop it."""
        return self.reason.rule in WAITING_RULES or isinstance(self.reason, NonceTooHigh)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltBlock:
    """A block ready to be proposed."""

    block: Block
    """It."""
    result: ExecutionResult
    """What executing it gave; keep it, and the proposer need not execute again."""
    skipped: tuple[Skipped, ...]
    """Candidates tried in vain."""


def build_block(  # noqa: PLR0913 - keyword-only, each a different thing
    *,
    parent: Header,
    draft: BlockDraft,
    candidates: Iterable[Transaction],
    view: BackedView,
    profile: ExecutionProfile,
    rule: TransactionRule,
    ancestor_hash: AncestorHash,
    is_time_up: Callable[[], bool],
    interpreter: Interpreter = INTERPRETER_DEFAULT,
) -> BuiltBlock:
    """Build the child of ``parent`` from as many candidates as fit.

    Args:
        parent: The head.
        draft: The proposer's part of the header.
        candidates: In the order to try; only as many are taken as are tried.
        view: The parent's state.
        profile: The network's numbers.
        rule: Who may send.
        ancestor_hash: Hash (b) by height, for BLOCKHASH.
        is_time_up: Asked before each candidate; True ends the block there.
        interpreter: Which opcode loop runs.

    Spec: EXEC-BUILD.
    """
    transition = BlockTransition(
        view=view,
        context=make_context(
            profile,
            height=Height(parent.height + 1),
            timestamp_s=draft.timestamp_s,
            coinbase=draft.coinbase,
            ancestor_hash=ancestor_hash,
        ),
        refused_precompiles=profile.refused_precompiles,
        interpreter=interpreter,
    )
    chosen: list[Transaction] = []
    skipped: list[Skipped] = []
    size_bytes = 0
    for transaction in candidates:
        if _is_full(transition, len(chosen)) or is_time_up():
            break
        size_after = size_bytes + len(transaction.raw) + TRANSACTION_FRAMING
        try:
            if size_after > BODY_SIZE_MAX:
                raise InvalidTransaction("no room left in the block", rule="EXEC-BUILD")
            admit_and_apply(transition, transaction, parent, view, profile, rule)
        except InvalidInput as error:
            skipped.append(Skipped(hash=transaction.hash, reason=error))
            continue
        chosen.append(transaction)
        size_bytes = size_after
    result = finish(transition, view)
    header = _build_header(parent, draft, chosen, result, profile)
    return BuiltBlock(
        block=Block(header=header, transactions=tuple(chosen)),
        result=result,
        skipped=tuple(skipped),
    )


def _is_full(transition: BlockTransition, count: int) -> bool:
    gas_left = transition.context.gas_limit - transition.gas_used
    return gas_left < GAS_TRANSACTION or count >= TRANSACTION_COUNT_MAX


def _build_header(
    parent: Header,
    draft: BlockDraft,
    transactions: list[Transaction],
    result: ExecutionResult,
    profile: ExecutionProfile,
) -> Header:
    return Header(
        parent_hash=parent.hash,
        coinbase=draft.coinbase,
        state_root=result.state_root,
        transactions_root=compute_transactions_root(transactions),
        receipts_root=result.receipts_root,
        bloom=result.bloom,
        height=Height(parent.height + 1),
        gas_limit=profile.block_gas_limit,
        gas_used=result.gas_used,
        timestamp_s=draft.timestamp_s,
        extra_data=draft.extra_data,
    )
