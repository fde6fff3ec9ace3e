"""The adapter to py-evm: the only module that imports it; its types stop here.

py-evm contributes the Shanghai state, computation and transaction executor. State lives in
``execution.journal`` instead of its account database, blocks and validity rules in
``execution.rules`` and ``execution.executor`` instead of its chain. A ``MessageCall`` goes in, an
``Outcome`` comes out; what the message does wrong ends in the outcome, never in an exception of
py-evm's.

Spec: EXEC-MODEXP, EXEC-INITCODE, EXEC-PRECOMPILES, EXEC-BLOCKHASH.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import Any, Final, TypeAlias

import eth_hash.auto
from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.exceptions import (
    FullStack,
    Halt,
    InsufficientStack,
    InvalidInstruction,
    InvalidJumpDestination,
    OutOfBoundsRead,
    OutOfGas,
    PyEVMError,
    Revert,
    VMError,
    WriteProtection,
)
from eth.vm.code_stream import CodeStream
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.shanghai.computation import ShanghaiComputation
from eth.vm.forks.shanghai.constants import MAX_INITCODE_SIZE
from eth.vm.forks.shanghai.opcodes import SHANGHAI_OPCODES
from eth.vm.forks.shanghai.state import ShanghaiState, ShanghaiTransactionExecutor
from eth.vm.logic.invalid import InvalidOpcode
from eth.vm.memory import Memory as StockMemory
from eth.vm.message import Message
from eth.vm.opcode_values import CREATE, CREATE2, JUMPDEST, PUSH1, PUSH32, SELFDESTRUCT
from eth.vm.stack import Stack as StockStack
from eth.vm.transaction_context import BaseTransactionContext
from eth_utils import ValidationError

from node.execution.journal import StateJournal
from node.execution.precompiles import OWN_PRECOMPILES, Precompile
from node.primitives import rlp
from node.primitives.crypto import keccak256
from node.primitives.errors import InvalidTransaction
from node.primitives.receipt import Log
from node.primitives.types import Address, Hash32, Height

__all__ = [
    "Computation",
    "FullStack",
    "Halt",
    "InsufficientStack",
    "InvalidInstruction",
    "InvalidJumpDestination",
    "InvalidOpcode",
    "OutOfBoundsRead",
    "OutOfGas",
    "Revert",
    "StockMemory",
    "StockStack",
    "VMError",
    "WriteProtection",
]
"""What ``watched`` and the loop build upon."""

eth_hash.auto.keccak.hasher = keccak256

REFUND_QUOTIENT: Final = 5
"""At most this part of the gas used is refunded (EIP-3529)."""

BLOCKHASH_DEPTH: Final = 256
"""How many ancestors BLOCKHASH reaches."""

AncestorHash: TypeAlias = Callable[[Height], Hash32 | None]
"""Hash (b) of the ancestor at a height, or None before genesis."""


class RefusedPrecompile(InvalidTransaction):
    """A transaction reached a precompile its network refuses."""

    code = "transaction.refused_precompile"


class EscapedError(InvalidTransaction):
    """py-evm raised where its rules have no failure; no block may hold such a transaction."""

    code = "transaction.escaped_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockContext:
    """What a contract can read of the block it runs in."""

    chain_id: int
    """CHAINID."""
    height: Height
    """NUMBER."""
    timestamp_s: int
    """TIMESTAMP."""
    coinbase: Address
    """COINBASE; receives the tips."""
    gas_limit: int
    """GASLIMIT."""
    mix_hash: Hash32
    """PREVRANDAO."""
    base_fee_wei: int
    """BASEFEE; 0 on our chain."""
    ancestor_hash: AncestorHash
    """BLOCKHASH, asked for the last 256 ancestors only."""

    def remember_ancestors(self) -> "BlockContext":
        """Return the context asking for each ancestor once: BLOCKHASH is cheaper than a look-up.

        Spec: EXEC-BLOCKHASH.
        """
        if hasattr(self.ancestor_hash, "cache_info"):
            return self
        return replace(self, ancestor_hash=cache(self.ancestor_hash))


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCall:
    """One message for the EVM, checked already: the sender can pay, nonce and gas are right."""

    sender: Address
    """Origin and caller."""
    to: Address | None
    """Callee, or None to create a contract."""
    gas_limit: int
    """Gas allowed."""
    intrinsic_gas: int
    """Part of it due before the first opcode."""
    value_wei: int = 0
    """Wei moved."""
    data: bytes = b""
    """Call data or init code."""
    gas_price_wei: int = 0
    """Effective price: GASPRICE."""
    access_list: tuple[tuple[Address, tuple[int, ...]], ...] = ()
    """Addresses and slots that begin warm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a message did."""

    is_success: bool
    """False when it reverted or failed; only gas and nonce were spent then."""
    gas_used: int
    """Gas charged, refunds deducted."""
    gas_refunded: int
    """The refund that was deducted."""
    output: bytes
    """What it returned, or its revert data."""
    logs: tuple[Log, ...]
    """Events, none when it failed."""
    created: Address | None
    """Address of the contract it created or tried to create."""
    error: str | None
    """Why it failed, in geth's words."""

    @property
    def is_revert(self) -> bool:
        """Tell whether it failed by REVERT, so that ``output`` is the reason."""
        return self.error == _ERROR_NAMES["Revert"]


def run_message(
    journal: StateJournal,
    context: BlockContext,
    call: MessageCall,
    *,
    refused_precompiles: tuple[Address, ...] = (),
    computation_class: type[Any] | None = None,
    watcher: object | None = None,
) -> Outcome:
    """Run ``call`` as one transaction on ``journal``, which keeps its effects.

    Args:
        journal: The block's state so far.
        context: The block.
        call: The message.
        refused_precompiles: Addresses the message must not reach.
        computation_class: The interpreter; by default py-evm's opcodes.
        watcher: Told of each step by ``watched.WatchedComputation``.

    Raises:
        RefusedPrecompile: It reached a refused precompile; the caller must abandon the transaction.
        EscapedError: py-evm raised outside its own rules; likewise.
    """
    journal.begin_transaction()
    state = State(journal, context, refused_precompiles)
    state.watcher = watcher
    if computation_class is not None:
        state.computation_class = computation_class
    try:
        computation = state.get_transaction_executor()(call)
    except (PyEVMError, ValidationError) as error:
        raise EscapedError(f"the EVM gave up: {error}", rule="EXEC-REFUSED") from error
    return Outcome(
        is_success=computation.is_success,
        gas_used=call.gas_limit - computation.gas_returned,
        gas_refunded=computation.gas_refunded,
        output=bytes(computation.output),
        logs=_collect_logs(computation),
        created=Address(computation.msg.storage_address) if call.to is None else None,
        error=None if computation.is_success else describe_error(computation.error),
    )


def _collect_logs(outermost: Any) -> tuple[Log, ...]:
    """Return the logs of all frames that did not fail, in the order emitted.

    py-evm sorts them anew at every depth of the call tree; this sorts once.
    """
    entries: list[tuple[int, bytes, tuple[int, ...], bytes]] = []
    waiting = [outermost]
    while waiting:
        computation = waiting.pop()
        if computation.is_success:
            entries += computation._log_entries  # noqa: SLF001
            waiting += computation.children
    return tuple(
        Log(
            address=Address(address),
            topics=tuple(Hash32(topic.to_bytes(32, "big")) for topic in topics),
            data=data,
        )
        for _order, address, topics, data in sorted(entries)
    )


class State(ShanghaiState):
    """py-evm's state over our journal: no database, no root."""

    def __init__(
        self, journal: StateJournal, context: BlockContext, refused_precompiles: tuple[Address, ...]
    ) -> None:
        self._db = None
        self._account_db = journal
        self.journal = journal
        self.refused_precompiles = refused_precompiles
        self.watcher: object | None = None
        self._ancestor_hash = context.ancestor_hash
        self.block_words = {
            0x41: int.from_bytes(context.coinbase, "big"),
            0x42: context.timestamp_s,
            0x43: context.height,
            0x44: int.from_bytes(context.mix_hash, "big"),
            0x45: context.gas_limit,
            0x46: context.chain_id,
            0x48: context.base_fee_wei,
        }
        self.execution_context = ExecutionContext(
            coinbase=context.coinbase,
            timestamp=context.timestamp_s,
            block_number=context.height,
            difficulty=0,
            mix_hash=context.mix_hash,
            gas_limit=context.gas_limit,
            prev_hashes=(),
            chain_id=context.chain_id,
            base_fee_per_gas=context.base_fee_wei,
        )

    def snapshot(self) -> int:
        """Return a mark to revert to."""
        return self.journal.record()

    def revert(self, snapshot: int) -> None:
        """Undo everything since the mark."""
        self.journal.discard(snapshot)

    def commit(self, snapshot: int) -> None:
        """Keep everything since the mark: nothing to do."""

    def get_ancestor_hash(self, block_number: int) -> bytes:
        """Return hash (b) of one of the last 256 ancestors, or empty.

        Spec: EXEC-BLOCKHASH.
        """
        depth = self.block_number - block_number
        if not 1 <= depth <= BLOCKHASH_DEPTH or block_number < 0:
            return b""
        return self._ancestor_hash(Height(block_number)) or b""

    def get_transaction_context(self, transaction: MessageCall) -> BaseTransactionContext:
        """Return the origin and price the message sees."""
        return BaseTransactionContext(
            gas_price=transaction.gas_price_wei, origin=transaction.sender
        )


class Executor(ShanghaiTransactionExecutor):
    """py-evm's transaction executor, taking a ``MessageCall`` for its transaction."""

    def validate_transaction(self, transaction: MessageCall) -> None:
        """Do nothing: ``execution.rules`` checked the transaction before anything changed."""

    def build_evm_message(self, transaction: MessageCall) -> Message:
        """Buy the gas, count the nonce and build the outermost message."""
        call = transaction
        journal: StateJournal = self.vm_state.journal
        nonce = journal.get_nonce(call.sender)
        price = call.gas_limit * call.gas_price_wei
        if price:
            journal.set_balance(call.sender, journal.get_balance(call.sender) - price)
        journal.set_nonce(call.sender, nonce + 1)
        journal.mark_address_warm(self.vm_state.coinbase)
        is_create = call.to is None
        return Message(
            gas=call.gas_limit - call.intrinsic_gas,
            to=CREATE_CONTRACT_ADDRESS if is_create else call.to,
            sender=call.sender,
            value=call.value_wei,
            data=b"" if is_create else call.data,
            code=call.data if call.to is None else journal.get_code(call.to),
            create_address=compute_contract_address(call.sender, nonce) if is_create else None,
        )

    def finalize_computation(self, transaction: MessageCall, computation: Any) -> Any:
        """Return unused gas, pay the tip, delete what destroyed itself or stayed empty."""
        call = transaction
        journal: StateJournal = self.vm_state.journal
        unused = computation.get_gas_remaining()
        used = call.gas_limit - unused
        refunded = min(computation.get_gas_refund(), used // REFUND_QUOTIENT)
        returned = unused + refunded
        computation.gas_refunded = refunded
        computation.gas_returned = returned
        if call.gas_price_wei:
            balance = journal.get_balance(call.sender) + returned * call.gas_price_wei
            journal.set_balance(call.sender, balance)
        coinbase = self.vm_state.coinbase
        tip = (call.gas_limit - returned) * max(call.gas_price_wei - self.vm_state.base_fee, 0)
        journal.touch_account(coinbase)
        if tip:
            journal.set_balance(coinbase, journal.get_balance(coinbase) + tip)
        for address in sorted(computation.get_accounts_for_deletion()):
            journal.delete_account(address)
        journal.clear_empty_accounts()
        return computation


State.transaction_executor_class = Executor


@lru_cache(maxsize=512)
def find_jump_destinations(code: bytes) -> bytes:
    """Return one byte for each of ``code``'s: 1 where it may be jumped to.

    py-evm decides this anew in every frame, recursing once per byte of a run of PUSH1, so that a
    call of a few hundred gas costs milliseconds. One scan, kept for the codes in use, does not.
    """
    found = bytearray(len(code))
    at = 0
    size = len(code)
    while at < size:
        opcode = code[at]
        if opcode == JUMPDEST:
            found[at] = 1
        elif PUSH1 <= opcode <= PUSH32:
            at += opcode - PUSH1 + 1
        at += 1
    return bytes(found)


class ScannedCode(CodeStream):
    """py-evm's code stream with our scan for jump destinations."""

    def is_valid_opcode(self, position: int) -> bool:
        """Tell whether ``position`` may be jumped to; asked of JUMPDEST bytes only."""
        return find_jump_destinations(self._raw_code_bytes)[position] == 1


class Computation(ShanghaiComputation):
    """py-evm's Shanghai computation with its wrong and slow parts replaced.

    Spec: EXEC-MODEXP, EXEC-INITCODE, EXEC-PRECOMPILES.
    """

    def __init__(
        self, state: State, message: Message, transaction_context: BaseTransactionContext
    ) -> None:
        super().__init__(state, message, transaction_context)
        self.code = ScannedCode(message.code)
        self.gas_returned = self.gas_refunded = 0

    def extend_memory(self, start_position: int, size: int) -> None:
        """Grow the memory where it is too short; py-evm computes both prices either way."""
        if size and start_position + size > len(self._memory._bytes):  # noqa: SLF001
            super().extend_memory(start_position, size)

    @classmethod
    def consume_initcode_gas_cost(cls, computation: Any) -> None:
        """Do nothing: the intrinsic gas holds the price of a transaction's init code."""


State.computation_class = Computation


def compute_contract_address(creator: Address, nonce: int) -> Address:
    """Return the address of the contract ``creator`` makes at ``nonce``."""
    return Address(keccak256(rlp.encode([creator, rlp.encode_uint(nonce)]))[12:])


def describe_error(error: Exception) -> str:
    """Name a failure as geth does, so that tools recognise it."""
    return _ERROR_NAMES.get(type(error).__name__, "execution failed")


_ERROR_NAMES: Final = {
    "Revert": "execution reverted",
    "OutOfGas": "out of gas",
    "InsufficientStack": "stack underflow",
    "FullStack": "stack limit reached 1024",
    "InvalidJumpDestination": "invalid jump destination",
    "InvalidInstruction": "invalid opcode",
    "InsufficientFunds": "insufficient balance for transfer",
    "StackDepthLimit": "max call depth exceeded",
    "ContractCreationCollision": "contract address collision",
    "WriteProtection": "write protection",
    "OutOfBoundsRead": "return data out of bounds",
    "ReservedBytesInCode": "invalid code: must not begin with 0xef",
}


def _limit_initcode(opcode: Any) -> Any:
    """Return a creation opcode that runs out of gas on oversized init code, before all else.

    Spec: EXEC-INITCODE.
    """
    kind = type(opcode)

    def get_gas_cost(self: Any, data: Any) -> int:
        if data.memory_length > MAX_INITCODE_SIZE:
            raise OutOfGas(f"init code of {data.memory_length} bytes, at most {MAX_INITCODE_SIZE}")
        cost: int = kind.get_gas_cost(self, data)
        return cost

    return type(kind.__name__, (kind,), {"get_gas_cost": get_gas_cost})()


def _run_own_precompile(precompile: Precompile, computation: Any) -> Any:
    price, answer = precompile
    data = bytes(computation.msg.data)
    computation.consume_gas(price(data), "precompile")
    computation.output = answer(data)
    return computation


def _run_unless_refused(
    address: Address, precompile: Callable[[Any], Any], computation: Any
) -> Any:
    if address in computation.state.refused_precompiles:
        raise RefusedPrecompile(
            f"precompile 0x{address[-1]:02x} is refused on this network", rule="EXEC-PRECOMPILES"
        )
    return precompile(computation)


Computation.opcodes = {
    **SHANGHAI_OPCODES,
    CREATE: _limit_initcode(SHANGHAI_OPCODES[CREATE]),
    CREATE2: _limit_initcode(SHANGHAI_OPCODES[CREATE2]),
    SELFDESTRUCT: SHANGHAI_OPCODES[SELFDESTRUCT].__wrapped__,
}
Computation._precompiles = {  # noqa: SLF001 - py-evm names its plug point so
    **{
        address: partial(_run_unless_refused, address, precompile)
        for address, precompile in ShanghaiComputation.get_precompiles().items()
    },
    **{
        address: partial(_run_own_precompile, precompile)
        for address, precompile in OWN_PRECOMPILES.items()
    },
}
