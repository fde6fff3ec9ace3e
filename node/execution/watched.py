"""The EVM under observation: each step and each frame is told to a watcher.

For calls that must end in time and for traces; blocks are never executed this way. A watcher may
stop the run by raising, which abandons the whole message. py-evm's types stop here and in ``evm``.
"""

from typing import Any, Protocol

from node.execution.evm import (
    Computation,
    Halt,
    InvalidOpcode,
    VMError,
    describe_error,
)
from node.primitives.types import Address

CALL_KINDS = {
    0xF0: "CREATE",
    0xF1: "CALL",
    0xF2: "CALLCODE",
    0xF4: "DELEGATECALL",
    0xF5: "CREATE2",
    0xFA: "STATICCALL",
}
"""Opcodes that open a frame."""


class Machine:
    """What a watcher may look at before a step: one frame of the EVM as plain values."""

    __slots__ = ("_computation", "opcode", "pc")

    def __init__(self, computation: Any, pc: int, opcode: int) -> None:
        """Look into ``computation`` before the opcode at ``pc``."""
        self._computation = computation
        self.pc = pc
        self.opcode = opcode

    @property
    def mnemonic(self) -> str:
        """Return the opcode's name."""
        name: str | None = getattr(self._computation.opcodes.get(self.opcode), "mnemonic", None)
        if self.opcode == 0xFF:
            return "SELFDESTRUCT"
        return {"SHA3": "KECCAK256"}.get(name, name) if name else f"opcode {self.opcode:#x}"

    @property
    def gas(self) -> int:
        """Return the gas left now."""
        gas: int = self._computation._gas_meter.gas_remaining  # noqa: SLF001
        return gas

    @property
    def depth(self) -> int:
        """Return the depth of the frame; 1 is the outermost."""
        depth: int = self._computation.msg.depth
        return depth + 1

    @property
    def address(self) -> Address:
        """Return the account whose storage the frame uses."""
        return Address(self._computation.msg.storage_address)

    @property
    def stack(self) -> tuple[int, ...]:
        """Return the stack, bottom first."""
        return tuple(
            value if isinstance(value, int) else int.from_bytes(value, "big")
            for value in self._computation._stack.values  # noqa: SLF001
        )

    @property
    def memory(self) -> bytes:
        """Return the whole memory."""
        return bytes(self._computation._memory._bytes)  # noqa: SLF001

    @property
    def return_data(self) -> bytes:
        """Return the return buffer."""
        return bytes(self._computation.return_data)

    def load_slot(self, slot: int) -> int:
        """Return a slot of the frame's account as it now is."""
        value: int = self._computation.state.get_storage(self.address, slot)
        return value


class Watcher(Protocol):
    """Who is told of frames and steps."""

    def enter(
        self,
        *,
        kind: str,
        sender: Address,
        to: Address,
        value_wei: int,
        gas_limit: int,
        data: bytes,
    ) -> None:
        """Take note of a frame that begins."""
        ...

    def leave(self, *, gas_used: int, output: bytes, error: str) -> None:
        """Take note of the innermost frame's end."""
        ...

    def before_step(self, machine: Machine) -> None:
        """Take note of a step that is about to be made."""
        ...

    def after_step(self, machine: Machine, error: str) -> None:
        """Take note of the step made last in this frame; inner frames came between."""
        ...


class WatchedComputation(Computation):
    """Our computation, telling ``state.watcher`` of each step and frame."""

    current_opcode = 0

    @classmethod
    def apply_message(
        cls, state: Any, message: Any, transaction_context: Any, parent_computation: Any = None
    ) -> Any:
        """Run a message, as a frame unless it belongs to a creation."""
        if message.is_create:
            return super().apply_message(state, message, transaction_context, parent_computation)
        kind = CALL_KINDS[parent_computation.current_opcode] if parent_computation else "CALL"
        to = message.code_address if kind in ("CALLCODE", "DELEGATECALL") else message.to
        state.watcher.enter(
            kind=kind,
            sender=_caller(kind, message),
            to=Address(to),
            value_wei=message.value,
            gas_limit=message.gas,
            data=bytes(message.data),
        )
        computation = super().apply_message(state, message, transaction_context, parent_computation)
        _tell_end(state.watcher, computation)
        return computation

    @classmethod
    def apply_create_message(
        cls, state: Any, message: Any, transaction_context: Any, parent_computation: Any = None
    ) -> Any:
        """Run a creation as a frame."""
        kind = CALL_KINDS[parent_computation.current_opcode] if parent_computation else "CREATE"
        state.watcher.enter(
            kind=kind,
            sender=Address(message.sender),
            to=Address(message.storage_address),
            value_wei=message.value,
            gas_limit=message.gas,
            data=bytes(message.code),
        )
        computation = super().apply_create_message(
            state, message, transaction_context, parent_computation
        )
        _tell_end(state.watcher, computation)
        return computation

    @classmethod
    def apply_computation(
        cls, state: Any, message: Any, transaction_context: Any, parent_computation: Any = None
    ) -> Any:
        """Run py-evm's loop with the watcher told of each step; no code has none, as in geth."""
        with cls(state, message, transaction_context) as computation:
            precompile = cls._precompiles.get(message.code_address)
            if precompile is not None:
                precompile(computation)
                return computation
            if not message.code:
                return computation
            watcher = state.watcher
            code = computation.code
            while True:
                pc, opcode = code.program_counter, code.peek()
                code.program_counter = pc + 1
                computation.current_opcode = opcode
                machine = Machine(computation, pc, opcode)
                watcher.before_step(machine)
                operation = cls.opcodes.get(opcode) or InvalidOpcode(opcode)
                try:
                    operation(computation=computation)
                except Halt:
                    watcher.after_step(machine, "")
                    break
                except VMError as error:
                    watcher.after_step(machine, describe_error(error))
                    raise
                watcher.after_step(machine, "")
        return computation


def _caller(kind: str, message: Any) -> Address:
    """Return who opened a frame: of a DELEGATECALL the account it runs in, not its caller."""
    return Address(message.storage_address if kind == "DELEGATECALL" else message.sender)


def _tell_end(watcher: Watcher, computation: Any) -> None:
    watcher.leave(
        gas_used=computation.get_gas_used(),
        output=bytes(computation.output),
        error=describe_error(computation.error) if computation.is_error else "",
    )
