"""The opcodes of our own loop, one function each, on a stack of integers.

A function takes the frame, its stack and the operand found when the code was decoded. Stack depth
and fixed gas were checked for the whole run of opcodes it stands in; only gas that depends on
values is charged here. Opcodes not listed in ``OPERATIONS`` are py-evm's.

Spec: EXEC-LOOP.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from node.execution.evm import OutOfBoundsRead, OutOfGas, WriteProtection
from node.execution.journal import StateJournal
from node.primitives.crypto import keccak256
from node.primitives.types import Address

MASK: Final = 2**256 - 1
SIGN: Final = 2**255
WORD: Final = 2**256

GAS_MEMORY_WORD: Final = 3
GAS_COPY_WORD: Final = 3
GAS_KECCAK_WORD: Final = 6
GAS_EXP_BYTE: Final = 50
GAS_LOG_TOPIC: Final = 375
GAS_LOG_BYTE: Final = 8
GAS_COLD_SLOT: Final = 2_100
GAS_WARM_SLOT: Final = 100
GAS_SLOT_SET: Final = 20_000
GAS_SLOT_RESET: Final = 2_900
GAS_STIPEND: Final = 2_300
REFUND_SLOT_CLEARED: Final = 4_800


class Frame:
    """One call's machine: py-evm's computation and shortcuts into it."""

    __slots__ = (
        "address",
        "computation",
        "data",
        "is_static",
        "journal",
        "memory",
        "message",
        "meter",
        "stack",
        "state",
    )

    def __init__(self, computation: Any) -> None:
        """Look into ``computation``, which stays the owner of everything."""
        message = computation.msg
        self.computation = computation
        self.message = message
        self.state = computation.state
        self.journal: StateJournal = computation.state.journal
        self.meter = computation._gas_meter  # noqa: SLF001
        self.memory = computation._memory  # noqa: SLF001
        self.stack: list[int] = computation._stack.values  # noqa: SLF001
        self.address: Address = message.storage_address
        self.data: bytes | memoryview = message.data
        self.is_static: bool = message.is_static


Stack: TypeAlias = list[int]
Operation: TypeAlias = Callable[[Frame, Stack, int], None]


def charge(frame: Frame, gas: int) -> None:
    """Take ``gas`` from the frame.

    Raises:
        OutOfGas: There is less.
    """
    meter = frame.meter
    left = meter.gas_remaining - gas
    if left < 0:
        raise OutOfGas("out of gas")
    meter.gas_remaining = left


def reach(frame: Frame, start: int, size: int) -> bytearray:
    """Return the memory, grown to hold ``size`` bytes at ``start``; growth is charged.

    Raises:
        OutOfGas: The growth costs more than is left.
    """
    memory = frame.memory
    held: bytearray = memory._bytes  # noqa: SLF001
    if size and start + size > len(held):
        before = len(held) // 32
        after = (start + size + 31) // 32
        charge(
            frame,
            GAS_MEMORY_WORD * (after - before) + after * after // 512 - before * before // 512,
        )
        held.extend(bytes((after - before) * 32))
    return held


# Arithmetic


def add(_frame: Frame, stack: Stack, _operand: int) -> None:
    """ADD."""
    top = stack.pop()
    stack[-1] = (stack[-1] + top) & MASK


def mul(_frame: Frame, stack: Stack, _operand: int) -> None:
    """MUL."""
    top = stack.pop()
    stack[-1] = (stack[-1] * top) & MASK


def sub(_frame: Frame, stack: Stack, _operand: int) -> None:
    """SUB."""
    top = stack.pop()
    stack[-1] = (top - stack[-1]) & MASK


def div(_frame: Frame, stack: Stack, _operand: int) -> None:
    """DIV: by 0 gives 0."""
    top = stack.pop()
    divisor = stack[-1]
    stack[-1] = top // divisor if divisor else 0


def sdiv(_frame: Frame, stack: Stack, _operand: int) -> None:
    """SDIV: truncates toward zero."""
    top, divisor = signed(stack.pop()), signed(stack[-1])
    quotient = abs(top) // abs(divisor) if divisor else 0
    stack[-1] = (quotient if (top < 0) == (divisor < 0) else -quotient) & MASK


def mod(_frame: Frame, stack: Stack, _operand: int) -> None:
    """MOD: by 0 gives 0."""
    top = stack.pop()
    divisor = stack[-1]
    stack[-1] = top % divisor if divisor else 0


def smod(_frame: Frame, stack: Stack, _operand: int) -> None:
    """SMOD: takes the sign of the dividend."""
    top, divisor = signed(stack.pop()), signed(stack[-1])
    rest = abs(top) % abs(divisor) if divisor else 0
    stack[-1] = (-rest if top < 0 else rest) & MASK


def addmod(_frame: Frame, stack: Stack, _operand: int) -> None:
    """ADDMOD: without wrapping in between."""
    total = stack.pop() + stack.pop()
    modulus = stack[-1]
    stack[-1] = total % modulus if modulus else 0


def mulmod(_frame: Frame, stack: Stack, _operand: int) -> None:
    """MULMOD: without wrapping in between."""
    product = stack.pop() * stack.pop()
    modulus = stack[-1]
    stack[-1] = product % modulus if modulus else 0


def exp(frame: Frame, stack: Stack, _operand: int) -> None:
    """EXP."""
    base = stack.pop()
    exponent = stack[-1]
    charge(frame, GAS_EXP_BYTE * ((exponent.bit_length() + 7) // 8))
    stack[-1] = pow(base, exponent, WORD)


def signextend(_frame: Frame, stack: Stack, _operand: int) -> None:
    """SIGNEXTEND."""
    size = stack.pop()
    if size < 31:
        bit = 8 * size + 7
        value = stack[-1]
        if value >> bit & 1:
            stack[-1] = value | (MASK - (1 << bit) + 1)
        else:
            stack[-1] = value & ((1 << bit) - 1)


def signed(value: int) -> int:
    """Return a word read as two's complement."""
    return value - WORD if value & SIGN else value


# Comparison and bits


def lt(_frame: Frame, stack: Stack, _operand: int) -> None:
    """LT."""
    top = stack.pop()
    stack[-1] = 1 if top < stack[-1] else 0


def gt(_frame: Frame, stack: Stack, _operand: int) -> None:
    """GT."""
    top = stack.pop()
    stack[-1] = 1 if top > stack[-1] else 0


def slt(_frame: Frame, stack: Stack, _operand: int) -> None:
    """SLT."""
    top = stack.pop()
    stack[-1] = 1 if signed(top) < signed(stack[-1]) else 0


def sgt(_frame: Frame, stack: Stack, _operand: int) -> None:
    """SGT."""
    top = stack.pop()
    stack[-1] = 1 if signed(top) > signed(stack[-1]) else 0


def eq(_frame: Frame, stack: Stack, _operand: int) -> None:
    """EQ."""
    top = stack.pop()
    stack[-1] = 1 if top == stack[-1] else 0


def iszero(_frame: Frame, stack: Stack, _operand: int) -> None:
    """ISZERO."""
    stack[-1] = 0 if stack[-1] else 1


def bit_and(_frame: Frame, stack: Stack, _operand: int) -> None:
    """AND."""
    top = stack.pop()
    stack[-1] &= top


def bit_or(_frame: Frame, stack: Stack, _operand: int) -> None:
    """OR."""
    top = stack.pop()
    stack[-1] |= top


def bit_xor(_frame: Frame, stack: Stack, _operand: int) -> None:
    """XOR."""
    top = stack.pop()
    stack[-1] ^= top


def bit_not(_frame: Frame, stack: Stack, _operand: int) -> None:
    """NOT."""
    stack[-1] ^= MASK


def byte(_frame: Frame, stack: Stack, _operand: int) -> None:
    """BYTE: the n-th from the left."""
    at = stack.pop()
    stack[-1] = stack[-1] >> (8 * (31 - at)) & 0xFF if at < 32 else 0


def shl(_frame: Frame, stack: Stack, _operand: int) -> None:
    """SHL."""
    bits = stack.pop()
    stack[-1] = (stack[-1] << bits) & MASK if bits < 256 else 0


def shr(_frame: Frame, stack: Stack, _operand: int) -> None:
    """SHR."""
    bits = stack.pop()
    stack[-1] = stack[-1] >> bits if bits < 256 else 0


def sar(_frame: Frame, stack: Stack, _operand: int) -> None:
    """SAR."""
    bits = stack.pop()
    stack[-1] = (signed(stack[-1]) >> min(bits, 256)) & MASK


def keccak(frame: Frame, stack: Stack, _operand: int) -> None:
    """KECCAK256."""
    start, size = stack.pop(), stack[-1]
    charge(frame, GAS_KECCAK_WORD * ((size + 31) // 32))
    held = reach(frame, start, size)
    stack[-1] = int.from_bytes(keccak256(bytes(held[start : start + size])), "big")


# The call and its surroundings


def address(frame: Frame, stack: Stack, _operand: int) -> None:
    """ADDRESS."""
    stack.append(int.from_bytes(frame.address, "big"))


def origin(frame: Frame, stack: Stack, _operand: int) -> None:
    """ORIGIN."""
    stack.append(int.from_bytes(frame.computation.transaction_context.origin, "big"))


def caller(frame: Frame, stack: Stack, _operand: int) -> None:
    """CALLER."""
    stack.append(int.from_bytes(frame.message.sender, "big"))


def callvalue(frame: Frame, stack: Stack, _operand: int) -> None:
    """CALLVALUE."""
    stack.append(frame.message.value)


def calldataload(frame: Frame, stack: Stack, _operand: int) -> None:
    """CALLDATALOAD: 0 beyond the end."""
    start = stack[-1]
    word = bytes(frame.data[start : start + 32])
    stack[-1] = int.from_bytes(word, "big") << 8 * (32 - len(word))


def calldatasize(frame: Frame, stack: Stack, _operand: int) -> None:
    """CALLDATASIZE."""
    stack.append(len(frame.data))


def calldatacopy(frame: Frame, stack: Stack, _operand: int) -> None:
    """CALLDATACOPY: 0 beyond the end."""
    copy_into_memory(frame, stack, frame.data)


def codesize(frame: Frame, stack: Stack, _operand: int) -> None:
    """CODESIZE."""
    stack.append(len(frame.message.code))


def codecopy(frame: Frame, stack: Stack, _operand: int) -> None:
    """CODECOPY: 0 beyond the end."""
    copy_into_memory(frame, stack, frame.message.code)


def returndatasize(frame: Frame, stack: Stack, _operand: int) -> None:
    """RETURNDATASIZE."""
    stack.append(len(frame.computation.return_data))


def returndatacopy(frame: Frame, stack: Stack, _operand: int) -> None:
    """RETURNDATACOPY: reading beyond the end fails."""
    source = frame.computation.return_data
    if stack[-2] + stack[-3] > len(source):
        raise OutOfBoundsRead("return data is shorter")
    copy_into_memory(frame, stack, source)


def copy_into_memory(frame: Frame, stack: Stack, source: bytes | memoryview) -> None:
    """Copy from ``source``, as the three topmost words say: to, from, size."""
    to, start, size = stack.pop(), stack.pop(), stack.pop()
    charge(frame, GAS_COPY_WORD * ((size + 31) // 32))
    if size:
        held = reach(frame, to, size)
        held[to : to + size] = bytes(source[start : start + size]).ljust(size, b"\x00")


def gasprice(frame: Frame, stack: Stack, _operand: int) -> None:
    """GASPRICE."""
    stack.append(frame.computation.transaction_context.gas_price)


def selfbalance(frame: Frame, stack: Stack, _operand: int) -> None:
    """SELFBALANCE."""
    stack.append(frame.journal.get_balance(frame.address))


def block_word(frame: Frame, stack: Stack, operand: int) -> None:
    """COINBASE to BASEFEE: ``operand`` is the opcode."""
    stack.append(frame.state.block_words[operand])


# Memory, storage, logs


def mload(frame: Frame, stack: Stack, _operand: int) -> None:
    """MLOAD."""
    start = stack[-1]
    stack[-1] = int.from_bytes(reach(frame, start, 32)[start : start + 32], "big")


def mstore(frame: Frame, stack: Stack, _operand: int) -> None:
    """MSTORE."""
    start = stack.pop()
    held = reach(frame, start, 32)
    held[start : start + 32] = stack.pop().to_bytes(32, "big")


def mstore8(frame: Frame, stack: Stack, _operand: int) -> None:
    """MSTORE8."""
    start = stack.pop()
    held = reach(frame, start, 1)
    held[start] = stack.pop() & 0xFF


def msize(frame: Frame, stack: Stack, _operand: int) -> None:
    """MSIZE."""
    stack.append(len(frame.memory._bytes))  # noqa: SLF001


def gas_left(frame: Frame, stack: Stack, _operand: int) -> None:
    """GAS; the last of its run, so that nothing after it is charged yet."""
    stack.append(frame.meter.gas_remaining)


def sload(frame: Frame, stack: Stack, _operand: int) -> None:
    """SLOAD."""
    journal, at, slot = frame.journal, frame.address, stack[-1]
    if journal.is_storage_warm(at, slot):
        charge(frame, GAS_WARM_SLOT)
    else:
        journal.mark_storage_warm(at, slot)
        charge(frame, GAS_COLD_SLOT)
    stack[-1] = journal.get_storage(at, slot)


def sstore(frame: Frame, stack: Stack, _operand: int) -> None:
    """SSTORE, net-metered (EIP-2200, EIP-2929, EIP-3529); the last of its run."""
    if frame.is_static:
        raise WriteProtection("SSTORE in a static call")
    if frame.meter.gas_remaining <= GAS_STIPEND:
        raise OutOfGas("SSTORE with the stipend only")
    journal, at = frame.journal, frame.address
    slot, value = stack.pop(), stack.pop()
    gas = 0
    if not journal.is_storage_warm(at, slot):
        journal.mark_storage_warm(at, slot)
        gas = GAS_COLD_SLOT
    current = journal.get_storage(at, slot)
    original = journal.get_storage(at, slot, from_journal=False)
    if value == current or original != current:
        gas += GAS_WARM_SLOT
    else:
        gas += GAS_SLOT_RESET if original else GAS_SLOT_SET
    charge(frame, gas)
    if value != current:
        frame.meter.gas_refunded += compute_refund(original, current, value)
        journal.set_storage(at, slot, value)


def compute_refund(original: int, current: int, value: int) -> int:
    """Compute the refund, negative when an earlier one is taken back, of a slot that changes."""
    if original == current:
        return REFUND_SLOT_CLEARED if original and not value else 0
    refund = 0
    if original and not current:
        refund -= REFUND_SLOT_CLEARED
    if original and not value:
        refund += REFUND_SLOT_CLEARED
    if value == original:
        refund += (GAS_SLOT_RESET if original else GAS_SLOT_SET) - GAS_WARM_SLOT
    return refund


def log(frame: Frame, stack: Stack, operand: int) -> None:
    """LOG0 to LOG4; ``operand`` is the number of topics."""
    if frame.is_static:
        raise WriteProtection("LOG in a static call")
    start, size = stack.pop(), stack.pop()
    topics = tuple(stack.pop() for _ in range(operand))
    charge(frame, GAS_LOG_TOPIC * operand + GAS_LOG_BYTE * size)
    held = reach(frame, start, size)
    computation = frame.computation
    computation._log_entries.append(  # noqa: SLF001
        (
            computation.transaction_context.get_next_log_counter(),
            frame.address,
            topics,
            bytes(held[start : start + size]),
        )
    )


OPERATIONS: Final[dict[int, tuple[Operation, int, int, int]]] = {
    0x01: (add, 3, 2, 1),
    0x02: (mul, 5, 2, 1),
    0x03: (sub, 3, 2, 1),
    0x04: (div, 5, 2, 1),
    0x05: (sdiv, 5, 2, 1),
    0x06: (mod, 5, 2, 1),
    0x07: (smod, 5, 2, 1),
    0x08: (addmod, 8, 3, 1),
    0x09: (mulmod, 8, 3, 1),
    0x0A: (exp, 10, 2, 1),
    0x0B: (signextend, 5, 2, 1),
    0x10: (lt, 3, 2, 1),
    0x11: (gt, 3, 2, 1),
    0x12: (slt, 3, 2, 1),
    0x13: (sgt, 3, 2, 1),
    0x14: (eq, 3, 2, 1),
    0x15: (iszero, 3, 1, 1),
    0x16: (bit_and, 3, 2, 1),
    0x17: (bit_or, 3, 2, 1),
    0x18: (bit_xor, 3, 2, 1),
    0x19: (bit_not, 3, 1, 1),
    0x1A: (byte, 3, 2, 1),
    0x1B: (shl, 3, 2, 1),
    0x1C: (shr, 3, 2, 1),
    0x1D: (sar, 3, 2, 1),
    0x20: (keccak, 30, 2, 1),
    0x30: (address, 2, 0, 1),
    0x32: (origin, 2, 0, 1),
    0x33: (caller, 2, 0, 1),
    0x34: (callvalue, 2, 0, 1),
    0x35: (calldataload, 3, 1, 1),
    0x36: (calldatasize, 2, 0, 1),
    0x37: (calldatacopy, 3, 3, 0),
    0x38: (codesize, 2, 0, 1),
    0x39: (codecopy, 3, 3, 0),
    0x3A: (gasprice, 2, 0, 1),
    0x3D: (returndatasize, 2, 0, 1),
    0x3E: (returndatacopy, 3, 3, 0),
    0x41: (block_word, 2, 0, 1),
    0x42: (block_word, 2, 0, 1),
    0x43: (block_word, 2, 0, 1),
    0x44: (block_word, 2, 0, 1),
    0x45: (block_word, 2, 0, 1),
    0x46: (block_word, 2, 0, 1),
    0x47: (selfbalance, 5, 0, 1),
    0x48: (block_word, 2, 0, 1),
    0x51: (mload, 3, 1, 1),
    0x52: (mstore, 3, 2, 0),
    0x53: (mstore8, 3, 2, 0),
    0x54: (sload, 0, 1, 1),
    0x55: (sstore, 0, 2, 0),
    0x59: (msize, 2, 0, 1),
    0x5A: (gas_left, 2, 0, 1),
    **{0xA0 + topics: (log, 375, 2 + topics, 0) for topics in range(5)},
}
"""By opcode: what it does, its fixed gas, how many words it takes and gives."""
