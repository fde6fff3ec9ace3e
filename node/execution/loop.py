"""Our own opcode loop: py-evm's computation, its opcodes run in bulk on a stack of integers.

Code is decoded once into *runs*: straight stretches whose fixed gas and stack use are summed, so
that one comparison each replaces one per opcode. That is sound because every exceptional halt has
the same effect (all gas gone, all changes undone), so it does not matter which opcode of a run
halts; what can be seen of gas (GAS, SSTORE's stipend, calls) ends its run and sees the exact
amount. Whatever is not in ``loop_operations`` runs as py-evm has it.

Spec: EXEC-LOOP.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from node.execution.evm import (
    Computation,
    FullStack,
    Halt,
    InsufficientStack,
    InvalidInstruction,
    InvalidJumpDestination,
    OutOfGas,
    Revert,
    StockMemory,
    StockStack,
    VMError,
    find_jump_destinations,
)
from node.execution.loop_calls import CALLS, Meter, run_call
from node.execution.loop_operations import OPERATIONS, Frame, Operation, Stack, log, reach

STACK_DEPTH_MAX: Final = 1_024

RUN_LENGTH_MAX: Final = 64
"""Most opcodes of a run. Runs may overlap, since a jump may land inside one; this bounds how much
decoding a code can cause to 64 times its length."""

PLANS_KEPT: Final = 128
"""Decoded codes kept. A plan holds some 100 bytes per opcode executed."""

END: Final = -1

PUSH, DUP, SWAP, POP, OPERATE = range(5)
"""Kinds of step. The first four are inlined in ``run_frame``, being most of what runs."""

IMMEDIATE, POSITION, NO_STEP = range(5, 8)
"""Kinds that exist while decoding only: the first two become PUSH, the last nothing."""

Step: TypeAlias = tuple[int, int, Operation]
Ending: TypeAlias = Callable[[Frame, Stack, int], int]
Run: TypeAlias = tuple[int, int, int, tuple[Step, ...], Ending, int]
"""Gas, words needed, words added at most, steps, how it ends, and the operand of that."""


class LoopComputation(Computation):
    """Our computation with its opcodes run by ``run_frame``, made without py-evm's checks of us.

    Spec: EXEC-LOOP.
    """

    def __init__(self, state: Any, message: Any, transaction_context: Any) -> None:
        self.state = state
        self.msg = message
        self.transaction_context = transaction_context
        self._gas_meter = Meter(message.gas)
        self._stack = StockStack()
        self._memory = StockMemory()
        self._log_entries: list[Any] = []
        self.children: list[Any] = []
        self.accounts_to_delete: list[Any] = []
        self.beneficiaries: list[Any] = []
        self.gas_returned = self.gas_refunded = 0

    @property
    def leaves_anything(self) -> bool:
        """Tell whether the executor will ask for it: for logs, a refund or a deletion.

        Others are let go at once; a transaction may make ten thousands of calls.
        """
        return bool(
            self._log_entries
            or self.children
            or self.accounts_to_delete
            or self._gas_meter.gas_refunded
        )

    @classmethod
    def apply_computation(
        cls, state: Any, message: Any, transaction_context: Any, parent_computation: Any = None
    ) -> Any:
        """Run a message's precompile or code; a failure of the EVM stays in the computation."""
        computation = cls(state, message, transaction_context)
        try:
            precompile = cls._precompiles.get(message.code_address)
            if precompile is not None:
                precompile(computation)
            elif message.code:
                plan = Plan(message.code) if message.is_create else find_plan(message.code)
                run_frame(Frame(computation), plan)
        except VMError as error:
            computation._error = error
            if error.burns_gas:
                computation._gas_meter.gas_remaining = 0
        return computation


class Plan:
    """A code and the runs of it that were executed, by where they begin."""

    __slots__ = ("code", "runs")

    def __init__(self, code: bytes) -> None:
        """Start with nothing decoded."""
        self.code = code
        self.runs: dict[int, Run] = {}

    def decode(self, start: int) -> Run:
        """Decode and keep the run that begins at ``start``."""
        run = self.runs[start] = decode_run(self.code, start)
        return run


@lru_cache(maxsize=PLANS_KEPT)
def find_plan(code: bytes) -> Plan:
    """Return the plan of a deployed code."""
    return Plan(code)


def run_frame(frame: Frame, plan: Plan) -> None:  # noqa: C901 - inlined for speed
    """Run ``frame`` to its end.

    Raises:
        VMError: It fails; of py-evm's kinds, for the computation to keep.
    """
    stack, meter, runs = frame.stack, frame.meter, plan.runs
    push, pop = stack.append, stack.pop
    at = 0
    while at >= 0:
        run = runs.get(at)
        if run is None:
            run = plan.decode(at)
        gas, needed, added, steps, ending, operand = run
        left = meter.gas_remaining - gas
        if left < 0:
            raise OutOfGas("out of gas")
        meter.gas_remaining = left
        depth = len(stack)
        if depth < needed:
            raise InsufficientStack("stack underflow")
        if depth + added > STACK_DEPTH_MAX:
            raise FullStack("stack overflow")
        for kind, value, operation in steps:
            if kind == PUSH:
                push(value)
            elif kind == DUP:
                push(stack[value])
            elif kind == OPERATE:
                operation(frame, stack, value)
            elif kind == SWAP:
                stack[-1], stack[value] = stack[value], stack[-1]
            else:
                pop()
        at = ending(frame, stack, operand)


def decode_run(code: bytes, start: int) -> Run:
    """Decode the run that begins at ``start``.

    This is most of what running fresh init code costs, hence the plain comparisons.
    """
    steps: list[Step] = []
    keep = steps.append
    gas = depth = needed = added = 0
    at, size = start, len(code)
    for _ in range(RUN_LENGTH_MAX):
        opcode = code[at] if at < size else STOP
        simple = SIMPLE[opcode]
        if simple is None:
            break
        kind, step, price, taken, change = simple
        at += 1
        if kind == IMMEDIATE:
            width = opcode - PUSH0
            value = int.from_bytes(code[at : at + width], "big")
            at += width
            keep((PUSH, value << 8 * (at - size) if at > size else value, nothing))
        elif kind == POSITION:
            keep((PUSH, at - 1, nothing))
        elif kind != NO_STEP:
            keep(step)
        gas += price
        if taken > depth + needed:
            needed = taken - depth
        if change:
            depth += change
            added = max(added, depth)
            if kind == OPERATE and opcode in LAST_OF_RUN:
                return gas, needed, added, tuple(steps), go, at
    else:
        return gas, needed, added, tuple(steps), go, at
    ending, operand, price, taken = decode_ending(code, at, opcode, steps)
    return gas + price, max(needed, taken - depth), added, tuple(steps), ending, operand


def decode_ending(
    code: bytes, at: int, opcode: int, steps: list[Step]
) -> tuple[Ending, int, int, int]:
    """Return how a run ends that meets ``opcode``: ending, operand, gas, words needed.

    A jump to a constant takes that constant off ``steps`` and is checked here, once.
    """
    following = at + 1
    if opcode in (JUMP, JUMPI):
        price, taken = (8, 1) if opcode == JUMP else (10, 2)
        if not steps or steps[-1][0] != PUSH:
            return (jump, 0, price, taken) if opcode == JUMP else (jumpi, following, price, taken)
        target = steps.pop()[1]
        if not is_jump_destination(code, target):
            nowhere = jump_nowhere if opcode == JUMP else jumpi_nowhere
            return nowhere, following, price, taken
        if opcode == JUMP:
            return go, target, price, taken
        return branch, target << 32 | following, price, taken
    if opcode in OWN_ENDINGS:
        return OWN_ENDINGS[opcode], 0, 0, 0
    if opcode in CALLS:
        return call, following << 8 | opcode, 0, CALLS[opcode]
    return run_stock, following << 8 | opcode, 0, 0


def is_jump_destination(code: bytes, target: int) -> bool:
    """Tell whether ``target`` is a JUMPDEST that is no operand of a PUSH."""
    destinations = find_jump_destinations(code)
    return target < len(destinations) and destinations[target] == 1


# Endings: each returns where to go on, or END


def go(_frame: Frame, _stack: Stack, operand: int) -> int:
    """Go on at ``operand``."""
    return operand


def branch(_frame: Frame, stack: Stack, operand: int) -> int:
    """JUMPI to a checked constant, held above 32 bits of what follows."""
    return operand >> 32 if stack.pop() else operand & 0xFFFFFFFF


def jump(frame: Frame, stack: Stack, _operand: int) -> int:
    """JUMP to whatever is on the stack."""
    target = stack.pop()
    if not is_jump_destination(frame.message.code, target):
        raise InvalidJumpDestination("no jump destination")
    return target


def jumpi(frame: Frame, stack: Stack, operand: int) -> int:
    """JUMPI to whatever is on the stack."""
    target = stack.pop()
    if not stack.pop():
        return operand
    if not is_jump_destination(frame.message.code, target):
        raise InvalidJumpDestination("no jump destination")
    return target


def jump_nowhere(_frame: Frame, _stack: Stack, _operand: int) -> int:
    """JUMP to a constant that is no destination."""
    raise InvalidJumpDestination("no jump destination")


def jumpi_nowhere(_frame: Frame, stack: Stack, operand: int) -> int:
    """JUMPI to a constant that is no destination."""
    if stack.pop():
        raise InvalidJumpDestination("no jump destination")
    return operand


def stop(_frame: Frame, _stack: Stack, _operand: int) -> int:
    """STOP, also what follows the last byte."""
    return END


def return_output(frame: Frame, stack: Stack, _operand: int) -> int:
    """RETURN."""
    if len(stack) < 2:
        raise InsufficientStack("stack underflow")
    start, size = stack.pop(), stack.pop()
    held = reach(frame, start, size)
    frame.computation.output = bytes(held[start : start + size])
    return END


def revert(frame: Frame, stack: Stack, operand: int) -> int:
    """REVERT."""
    return_output(frame, stack, operand)
    raise Revert("execution reverted")


def run_stock(frame: Frame, stack: Stack, operand: int) -> int:
    """Run one of py-evm's opcodes; it charges and checks by itself, and pushes one word at most."""
    opcode = operand & 0xFF
    operation = frame.computation.opcodes.get(opcode)
    if operation is None:
        raise InvalidInstruction(f"opcode {opcode:#x}")
    try:
        operation(computation=frame.computation)
    except Halt:
        return END
    if stack:
        top: int | bytes = stack[-1]
        if isinstance(top, bytes):
            stack[-1] = int.from_bytes(top, "big")
    return operand >> 8


def call(frame: Frame, stack: Stack, operand: int) -> int:
    """CALL, CALLCODE, DELEGATECALL or STATICCALL: the low byte of ``operand`` says which."""
    run_call(frame, stack, operand & 0xFF, LoopComputation)
    return operand >> 8


def nothing(_frame: Frame, _stack: Stack, _operand: int) -> None:
    """Fill the place of an operation in an inlined step."""


STOP: Final = 0x00
JUMP: Final = 0x56
JUMPI: Final = 0x57
PUSH0: Final = 0x5F
LAST_OF_RUN: Final = frozenset((0x55, 0x5A))
"""SSTORE and GAS see the gas that is left: nothing after them may be charged before."""

OWN_ENDINGS: Final[dict[int, Ending]] = {0x00: stop, 0xF3: return_output, 0xFD: revert}


Simple: TypeAlias = tuple[int, Step, int, int, int]
"""Kind, step, gas, words taken, and by how many words the stack grows."""


def build_simple() -> tuple[Simple | None, ...]:
    """Return how each opcode is decoded; None for those that end a run."""
    table: list[Simple | None] = [None] * 256
    for opcode, (operation, price, taken, given) in OPERATIONS.items():
        operand = opcode - 0xA0 if operation is log else opcode
        table[opcode] = (OPERATE, (OPERATE, operand, operation), price, taken, given - taken)
    table[0x50] = (POP, (POP, 0, nothing), 2, 1, -1)
    table[0x58] = (POSITION, (PUSH, 0, nothing), 2, 0, 1)
    table[0x5B] = (NO_STEP, (PUSH, 0, nothing), 1, 0, 0)
    table[PUSH0] = (PUSH, (PUSH, 0, nothing), 2, 0, 1)
    for width in range(1, 33):
        table[PUSH0 + width] = (IMMEDIATE, (PUSH, 0, nothing), 3, 0, 1)
    for at in range(1, 17):
        table[0x7F + at] = (DUP, (DUP, -at, nothing), 3, at, 1)
        table[0x8F + at] = (SWAP, (SWAP, -at - 1, nothing), 3, at + 1, 0)
    return tuple(table)


SIMPLE: Final = build_simple()
