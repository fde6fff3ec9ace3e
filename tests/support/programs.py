"""Random EVM programs: most run to their end, and whatever they computed is left in storage.

Each statement pushes suitable arguments, executes one opcode and stores the result, so that any two
executors that differ in one result end with different state roots. The same seed gives the same
programs.
"""

from collections.abc import Sequence
from random import Random
from typing import Final

from node.primitives.types import Address

STATEMENT_COUNT_MAX: Final = 40

WORDS: Final = (
    *(0, 1, 2, 3, 31, 32, 33, 255, 256, 257),
    *(2**64 - 1, 2**128, 2**160 - 1, 2**255 - 1, 2**255, 2**255 + 1, 2**256 - 2, 2**256 - 1),
)
"""Arguments at which arithmetic goes wrong."""

SIMPLE: Final[dict[int, int]] = {
    **dict.fromkeys(range(0x01, 0x08), 2),
    0x08: 3,
    0x09: 3,
    0x0A: 2,
    0x0B: 2,
    **dict.fromkeys(range(0x10, 0x15), 2),
    0x15: 1,
    0x16: 2,
    0x17: 2,
    0x18: 2,
    0x19: 1,
    0x1A: 2,
    0x1B: 2,
    0x1C: 2,
    0x1D: 2,
    **dict.fromkeys((0x30, 0x32, 0x33, 0x34, 0x36, 0x38, 0x3A, 0x3D), 0),
    0x35: 1,
    0x40: 1,
    **dict.fromkeys((0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48), 0),
    **dict.fromkeys((0x58, 0x59, 0x5A, 0x5F), 0),
}
"""Opcodes that take any words and leave one: opcode to count of arguments."""

ADDRESSED: Final = (0x31, 0x3B, 0x3F)
"""BALANCE, EXTCODESIZE, EXTCODEHASH."""

COPIES: Final = (0x37, 0x39)
"""CALLDATACOPY, CODECOPY."""

CALLS: Final[dict[int, bool]] = {0xF1: True, 0xF2: True, 0xF4: False, 0xFA: False}
"""CALL, CALLCODE, DELEGATECALL, STATICCALL, and whether each takes a value."""

ENDS: Final = (
    b"\x00",
    b"\x60\x40\x60\x00\xf3",
    b"\x60\x40\x60\x00\xfd",
    b"\xfe",
    b"\x33\xff",
    b"\x30\xff",
    b"\x5c",
    b"\x5e",
    b"\x49",
    b"\x50",
    b"\x60\x03\x56",
)
"""Stop, return, revert, invalid, selfdestruct twice, three opcodes of later forks, empty stack, bad
jump."""


class ProgramMaker:
    """Makes programs from one seed; ``targets`` are who they call."""

    def __init__(self, seed: int) -> None:
        """Start at ``seed``."""
        self._random = Random(seed)

    def make(self, targets: Sequence[Address]) -> bytes:
        """Make one program."""
        count = self._random.randrange(1, STATEMENT_COUNT_MAX)
        body = b"".join(self._statement(targets, at) for at in range(count))
        return body + (self._random.choice(ENDS) if self._random.random() < 0.4 else b"")

    def make_call_data(self) -> bytes:
        """Make the data of a call."""
        return self._random.randbytes(self._random.choice((0, 1, 4, 31, 32, 68)))

    def _statement(self, targets: Sequence[Address], at: int) -> bytes:
        kind = self._random.random()
        if kind < 0.5:
            opcode, count = self._random.choice(list(SIMPLE.items()))
            code = b"".join(self._word() for _ in range(count)) + bytes((opcode,))
        elif kind < 0.6:
            code = self._memory()
        elif kind < 0.65:
            opcode = self._random.choice(ADDRESSED)
            code = push(self._target(targets)) + bytes((opcode,))
        elif kind < 0.7:
            code = self._small(8) + b"\x54"
        elif kind < 0.78:
            code = self._word() + self._small(8) + b"\x55" + b"\x5a"
        elif kind < 0.82:
            code = self._log()
        elif kind < 0.92:
            code = self._call(targets)
        elif kind < 0.95:
            code = self._create()
        else:
            code = self._loop()
        return code + push(at + 16) + b"\x55"

    def _memory(self) -> bytes:
        code = self._word() + self._small(128) + self._random.choice((b"\x52", b"\x53"))
        if self._random.random() < 0.5:
            copy = bytes((self._random.choice(COPIES),))
            code += self._small(70) + self._word() + self._small(96) + copy
        read = self._random.choice((b"\x20", b"\x51"))
        return code + (self._small(96) if read == b"\x20" else b"") + self._small(96) + read

    def _log(self) -> bytes:
        topics = self._random.randrange(5)
        words = b"".join(self._word() for _ in range(topics))
        return words + self._small(96) + self._small(96) + bytes((0xA0 + topics,)) + b"\x5a"

    def _call(self, targets: Sequence[Address]) -> bytes:
        opcode, takes_value = self._random.choice(list(CALLS.items()))
        gas = push(self._random.choice((0, 2_300, 10_000, 60_000)))
        value = self._small(2) if takes_value else b""
        window = self._small(64) + self._small(64) + self._small(64) + self._small(64)
        call = window + value + push(self._target(targets)) + gas + bytes((opcode,))
        if self._random.random() < 0.5:
            return call + b"\x3d" + b"\x01"
        return call + b"\x50" + b"\x3d\x5f\x5f\x3e" + b"\x5f\x51"

    def _create(self) -> bytes:
        init = self._random.choice(
            (b"\x60\x20\x60\x00\xf3", b"\x60\x00\x60\x00\xfd", b"\x60\x01\x60\x01\x55", b"\xfe")
        ).ljust(32, b"\x00")
        store = push(int.from_bytes(init, "big")) + push(0) + b"\x52"
        if self._random.random() < 0.5:
            return store + self._small(33) + push(0) + self._small(2) + b"\xf0"
        return store + self._small(4) + self._small(33) + push(0) + self._small(2) + b"\xf5"

    def _loop(self) -> bytes:
        """Count a memory word up a few times; jumps are relative, through PC."""
        times = self._random.randrange(1, 6)
        body = push(0) + b"\x51\x60\x01\x01" + b"\x80" + push(0) + b"\x52"
        head = push(0) + push(0) + b"\x52\x58\x5b"
        test = push(times) + b"\x11"
        back = b"\x81\x60\x01\x01\x57"
        return head + body + test + back + b"\x50\x5a"

    def _target(self, targets: Sequence[Address]) -> int:
        if self._random.random() < 0.4:
            return self._random.randrange(1, 6)
        return int.from_bytes(self._random.choice(targets), "big")

    def _word(self) -> bytes:
        if self._random.random() < 0.2:
            return push(self._random.getrandbits(self._random.randrange(1, 257)))
        return push(self._random.choice(WORDS))

    def _small(self, below: int) -> bytes:
        return push(self._random.randrange(below))


def push(value: int) -> bytes:
    """Return the shortest PUSH of ``value``."""
    size = (value.bit_length() + 7) // 8
    return bytes((0x5F + size,)) + value.to_bytes(size, "big")


def wrap(program: bytes) -> bytes:
    """Return init code that leaves ``program`` as the contract's code."""
    size = push(len(program))
    start = len(size) + 9
    return size + b"\x80\x60" + bytes((start,)) + b"\x60\x00\x39\x60\x00\xf3" + program
