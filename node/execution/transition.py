"""Transactions applied one after another to a block's journal, under Ethereum's rules alone.

What our own network adds (no fees, gas cap, permissions) is the executor's; here a published
fixture with fees runs as well as one of our blocks. A refused transaction leaves no trace.

Spec: EXEC-RECEIPT, EXEC-BLOCK-GAS, EXEC-REFUSED.
"""

from node.execution.evm import BlockContext, MessageCall, Outcome, run_message
from node.execution.journal import StateJournal
from node.execution.loop import LoopComputation
from node.execution.profile import INTERPRETER_DEFAULT, Interpreter
from node.execution.validity import check_envelope, check_sender, compute_intrinsic_gas
from node.execution.watched import WatchedComputation, Watcher
from node.primitives.errors import InvalidInput, InvalidTransaction, InvariantViolation
from node.primitives.receipt import Receipt, compute_bloom, merge_blooms
from node.primitives.transaction import Transaction
from node.primitives.types import Address
from node.storage.view import StateChanges, StateView


class BlockTransition:
    """A block in the making: its journal, receipts and gas so far."""

    def __init__(
        self,
        *,
        view: StateView,
        context: BlockContext,
        refused_precompiles: tuple[Address, ...] = (),
        interpreter: Interpreter = INTERPRETER_DEFAULT,
    ) -> None:
        """Start a block on ``view``, the parent's state."""
        self.context = context.remember_ancestors()
        self.journal = StateJournal(view)
        self.receipts: list[Receipt] = []
        self.outcomes: list[Outcome] = []
        self.gas_used = 0
        self._refused_precompiles = refused_precompiles
        self._loop = None if interpreter is Interpreter.STOCK else LoopComputation
        self._shadow: BlockTransition | None = None
        if interpreter is Interpreter.SHADOW:
            self._shadow = BlockTransition(
                view=view,
                context=context,
                refused_precompiles=refused_precompiles,
                interpreter=Interpreter.STOCK,
            )

    def apply(
        self,
        transaction: Transaction,
        *,
        must_succeed: bool = False,
        watcher: Watcher | None = None,
    ) -> Outcome:
        """Execute ``transaction`` and append its receipt.

        Args:
            transaction: The next of the block.
            must_succeed: Refuse it if it fails.
            watcher: Told of each step; makes it slow.

        Raises:
            InvalidTransaction: It may not stand here, or failed although it must succeed; nothing
                changed.

        Spec: EXEC-REFUSED, EXEC-OPEN-CALL.
        """
        if self._shadow is not None:
            return self._apply_with_shadow(self._shadow, transaction, must_succeed=must_succeed)
        return self._apply(transaction, must_succeed=must_succeed, watcher=watcher)

    def _apply(
        self, transaction: Transaction, *, must_succeed: bool, watcher: Watcher | None = None
    ) -> Outcome:
        check_envelope(transaction, self.context.chain_id)
        self._check_block_gas(transaction)
        check_sender(transaction, self.journal.load(transaction.sender), self.context.base_fee_wei)
        call = build_message(transaction, self.context.base_fee_wei)
        try:
            outcome = run_message(
                self.journal,
                self.context,
                call,
                refused_precompiles=self._refused_precompiles,
                computation_class=self._loop if watcher is None else WatchedComputation,
                watcher=watcher,
            )
            if must_succeed and not outcome.is_success:
                raise InvalidTransaction(
                    f"an open call must succeed, this one fails: {outcome.error}",
                    rule="EXEC-OPEN-CALL",
                )
        except InvalidTransaction:
            self.journal.abandon_transaction()
            raise
        self._append(transaction, outcome)
        return outcome

    @property
    def bloom(self) -> bytes:
        """Return the union of the receipts' blooms."""
        return merge_blooms(receipt.bloom for receipt in self.receipts)

    def collect_changes(self) -> StateChanges:
        """Return the block's net effect so far.

        Raises:
            InvariantViolation: In shadow mode, when the two interpreters differ.
        """
        changes = self.journal.collect_changes()
        if self._shadow is not None and self._shadow.collect_changes() != changes:
            raise InvariantViolation(
                f"opcode loop and py-evm disagree about the state at height {self.context.height}",
                rule="EXEC-LOOP",
            )
        return changes

    def _apply_with_shadow(
        self, shadow: "BlockTransition", transaction: Transaction, *, must_succeed: bool
    ) -> Outcome:
        """Apply with our loop and with py-evm's opcodes, and stop at a difference.

        Raises:
            InvalidTransaction: Both refuse the transaction.
            InvariantViolation: They differ.

        Spec: EXEC-LOOP.
        """
        own = _attempt(self, transaction, must_succeed=must_succeed)
        stock = _attempt(shadow, transaction, must_succeed=must_succeed)
        if _visible(own) != _visible(stock):
            raise InvariantViolation(
                f"opcode loop and py-evm disagree about 0x{transaction.hash.hex()} at height "
                f"{self.context.height}: {_visible(own)} against {_visible(stock)}; set the "
                "interpreter to stock and report the transaction",
                rule="EXEC-LOOP",
            )
        if isinstance(own, InvalidInput):
            raise own
        return own

    def _check_block_gas(self, transaction: Transaction) -> None:
        """Refuse a transaction that asks for more gas than the block has left.

        Spec: EXEC-BLOCK-GAS.
        """
        left = self.context.gas_limit - self.gas_used
        if transaction.gas_limit > left:
            raise InvalidTransaction(
                f"gas limit {transaction.gas_limit}, the block has {left} left",
                rule="EXEC-BLOCK-GAS",
            )

    def _append(self, transaction: Transaction, outcome: Outcome) -> None:
        """Keep the receipt of a transaction that stands.

        Spec: EXEC-RECEIPT.
        """
        self.gas_used += outcome.gas_used
        self.outcomes.append(outcome)
        self.receipts.append(
            Receipt(
                type=transaction.type,
                is_success=outcome.is_success,
                cumulative_gas_used=self.gas_used,
                bloom=compute_bloom(outcome.logs),
                logs=outcome.logs,
            )
        )


def _attempt(
    transition: BlockTransition, transaction: Transaction, *, must_succeed: bool
) -> Outcome | InvalidInput:
    """Return what applying gives, a refusal included."""
    try:
        return transition._apply(transaction, must_succeed=must_succeed)  # noqa: SLF001
    except InvalidInput as error:
        return error


def _visible(result: Outcome | InvalidInput) -> tuple[object, ...]:
    """Return the part of a result that consensus sees; words for people may differ."""
    if isinstance(result, InvalidInput):
        return (result.rule,)
    return (result.is_success, result.is_revert, result.gas_used, result.output, result.logs)


def build_message(transaction: Transaction, base_fee_wei: int) -> MessageCall:
    """Build the message a transaction sends to the EVM."""
    tip = min(transaction.max_priority_fee_wei, transaction.max_fee_wei - base_fee_wei)
    return MessageCall(
        sender=transaction.sender,
        to=transaction.to,
        gas_limit=transaction.gas_limit,
        intrinsic_gas=compute_intrinsic_gas(transaction),
        value_wei=transaction.value_wei,
        data=transaction.data,
        gas_price_wei=base_fee_wei + tip,
        access_list=tuple(
            (entry.address, tuple(int.from_bytes(key, "big") for key in entry.storage_keys))
            for entry in transaction.access_list
        ),
    )
