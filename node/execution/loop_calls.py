"""The four call opcodes of our loop: gas handed over, value moved, the callee run or answered.

Accounts without code and our own precompiles are answered on the spot; other callees run as a
child computation, which py-evm's transaction executor later asks for logs and refunds.

Spec: EXEC-LOOP.
"""

from dataclasses import dataclass
from typing import Any, Final

from node.execution.evm import OutOfGas, WriteProtection
from node.execution.journal import StateJournal
from node.execution.loop_operations import GAS_STIPEND, Frame, Stack, charge, reach
from node.execution.precompiles import OWN_PRECOMPILES
from node.primitives.types import Address

CALL: Final = 0xF1
CALLCODE: Final = 0xF2
DELEGATECALL: Final = 0xF4
STATICCALL: Final = 0xFA
CALLS: Final = {CALL: 7, CALLCODE: 7, DELEGATECALL: 6, STATICCALL: 6}
"""Call opcodes and the words they take."""

GAS_COLD_ACCOUNT: Final = 2_600
GAS_WARM_ACCOUNT: Final = 100
GAS_VALUE: Final = 9_000
GAS_NEW_ACCOUNT: Final = 25_000
DEPTH_MAX: Final = 1_024

COPIED_MAX: Final = 1_024
"""Most bytes of input copied for a callee; of more it gets a view, since handing over a megabyte
costs 100 gas. The view ends with the call, before the caller's memory can grow again."""

ADDRESS_MASK: Final = 2**160 - 1


class Meter:
    """A gas meter with the fields py-evm's opcodes use."""

    __slots__ = ("gas_refunded", "gas_remaining", "start_gas")

    def __init__(self, gas: int) -> None:
        """Start full."""
        self.start_gas = self.gas_remaining = gas
        self.gas_refunded = 0

    def consume_gas(self, amount: int, reason: str) -> None:
        """Take gas.

        Raises:
            OutOfGas: There is less.
        """
        left = self.gas_remaining - amount
        if left < 0:
            raise OutOfGas(reason)
        self.gas_remaining = left

    def return_gas(self, amount: int) -> None:
        """Give gas back."""
        self.gas_remaining += amount

    def refund_gas(self, amount: int) -> None:
        """Promise a refund; a negative one takes a promise back."""
        self.gas_refunded += amount


@dataclass(slots=True, kw_only=True)
class ChildMessage:
    """What py-evm calls a message, of a call."""

    gas: int
    sender: Address
    to: Address
    value: int
    data: bytes | memoryview
    code: bytes
    depth: int
    code_address: Address
    is_static: bool
    should_transfer_value: bool
    storage_address: Address
    is_create: bool = False
    is_delegation: bool = False
    refund: int = 0

    @property
    def data_as_bytes(self) -> bytes:
        """Return the input."""
        return bytes(self.data)


def run_call(frame: Frame, stack: Stack, opcode: int, computation_class: Any) -> None:
    """Run the call opcode ``opcode``, whose words are known to be on the stack.

    Raises:
        OutOfGas: It costs more than is left.
        WriteProtection: It moves value inside a static call.
    """
    has_value = opcode in (CALL, CALLCODE)
    asked, target = stack.pop(), (stack.pop() & ADDRESS_MASK).to_bytes(20, "big")
    value = stack.pop() if has_value else 0
    if value and opcode == CALL and frame.is_static:
        raise WriteProtection("value in a static call")
    data_start, data_size, output_start, output_size = (
        stack.pop(),
        stack.pop(),
        stack.pop(),
        stack.pop(),
    )
    reach(frame, data_start, data_size)
    held = reach(frame, output_start, output_size)
    callee = Address(target)
    gas = _hand_over_gas(frame, callee, asked, value, is_new_charged=opcode == CALL)
    computation = frame.computation
    if (value and frame.journal.get_balance(frame.address) < value) or (
        frame.message.depth >= DEPTH_MAX
    ):
        computation.return_data = b""
        frame.meter.gas_remaining += gas
        stack.append(0)
        return
    with memoryview(held) as whole, whole[data_start : data_start + data_size] as part:
        data = part if data_size > COPIED_MAX else bytes(part)
        message = _build_message(frame, opcode, callee, gas, value, data)
        is_success, output, left = _run_message(frame, message, computation_class)
    computation.return_data = output
    if output and output_size:
        size = min(output_size, len(output))
        frame.memory._bytes[output_start : output_start + size] = output[:size]  # noqa: SLF001
    frame.meter.gas_remaining += left
    stack.append(1 if is_success else 0)


def _hand_over_gas(
    frame: Frame, callee: Address, asked: int, value: int, *, is_new_charged: bool
) -> int:
    """Charge for the call and return the gas the callee gets: 63/64 of the rest at most."""
    journal = frame.journal
    if frame.state.is_address_warm(callee):
        charge(frame, GAS_WARM_ACCOUNT)
    else:
        journal.mark_address_warm(callee)
        charge(frame, GAS_COLD_ACCOUNT)
    extra = GAS_VALUE if value else 0
    if value and is_new_charged and journal.account_is_empty(callee):
        extra += GAS_NEW_ACCOUNT
    charge(frame, extra)
    left: int = frame.meter.gas_remaining
    given = min(asked, left - left // 64)
    frame.meter.gas_remaining = left - given
    return given + (GAS_STIPEND if value else 0)


def _build_message(
    frame: Frame, opcode: int, callee: Address, gas: int, value: int, data: bytes | memoryview
) -> ChildMessage:
    caller = frame.message
    is_delegate = opcode == DELEGATECALL
    runs_here = is_delegate or opcode == CALLCODE
    return ChildMessage(
        gas=gas,
        sender=caller.sender if is_delegate else frame.address,
        to=frame.address if runs_here else callee,
        value=caller.value if is_delegate else value,
        data=data,
        code=frame.journal.get_code(callee),
        depth=caller.depth + 1,
        code_address=callee,
        is_static=frame.is_static or opcode == STATICCALL,
        should_transfer_value=opcode in (CALL, CALLCODE),
        storage_address=frame.address if runs_here else callee,
    )


def _run_message(
    frame: Frame, message: ChildMessage, computation_class: Any
) -> tuple[bool, bytes, int]:
    """Return whether the callee succeeded, its output, and the gas it left."""
    journal = frame.journal
    mark = journal.record()
    _move_value(journal, message)
    precompile = OWN_PRECOMPILES.get(message.code_address)
    if precompile is not None:
        price = precompile[0](message.data)
        if price > message.gas:
            journal.discard(mark)
            return False, b"", 0
        return True, precompile[1](message.data), message.gas - price
    if not message.code and message.code_address not in computation_class.get_precompiles():
        return True, b"", message.gas
    child = computation_class.apply_computation(
        frame.state, message, frame.computation.transaction_context, frame.computation
    )
    if child.is_error:
        journal.discard(mark)
    elif child.leaves_anything:
        frame.computation.children.append(child)
    return child.is_success, child.output, child.get_gas_remaining()


def _move_value(journal: StateJournal, message: ChildMessage) -> None:
    """Move the value and touch the callee, as py-evm's ``apply_message`` does."""
    if message.should_transfer_value and message.value:
        balance = journal.get_balance(message.sender)
        journal.set_balance(message.sender, balance - message.value)
        balance = journal.get_balance(message.storage_address)
        journal.set_balance(message.storage_address, balance + message.value)
    journal.touch_account(message.storage_address)
