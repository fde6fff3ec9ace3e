"""Tells each step and frame of a transaction or call: what ``debug_trace*`` stands on.

Field for field what geth's struct logger and call tracer report; RPC gives them their JSON shape.
A block's transactions are executed again on its parent's state, the ones before the wanted one
without watching.

Spec: EXEC-TRACE.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from node.execution.calls import (
    CallRequest,
    CallTooLong,
    Patience,
    StepLimit,
    run_watched,
)
from node.execution.evm import BlockContext, Outcome
from node.execution.journal import StateJournal
from node.execution.transition import BlockTransition
from node.execution.watched import Machine
from node.primitives.transaction import Transaction
from node.primitives.types import Address
from node.storage.view import StateView

SLOAD: Final = 0x54
SSTORE: Final = 0x55

WORD_SIZE: Final = 32

STEP_SIZE: Final = 64
"""What a step or frame is taken to hold besides its words and bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOptions:
    """What a trace should hold."""

    has_stack: bool = True
    """With the stack of each step."""
    has_memory: bool = False
    """With the memory of each step."""
    has_storage: bool = True
    """With the storage each step of SLOAD and SSTORE leaves."""
    has_return_data: bool = False
    """With the return buffer."""
    has_steps: bool = True
    """False collects call frames only."""
    step_count_max: int = 100_000
    """Steps kept; the trace stops beyond and says so."""
    size_max_bytes: int = 32 * 1024 * 1024
    """Bytes of stacks, memory, storage and call data kept; a trace with more is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StructLog:
    """One step of the EVM."""

    pc: int
    """Program counter."""
    op: str
    """Mnemonic."""
    gas: int
    """Gas left before the step."""
    gas_cost: int
    """Gas the step takes, of a call the gas handed over included."""
    depth: int
    """1 for the outermost frame."""
    stack: tuple[int, ...] | None
    """Bottom first; None when not asked for."""
    memory: bytes | None
    """Whole memory before the step; None when not asked for."""
    storage: tuple[tuple[int, int], ...] | None
    """Slots of the frame's account read or written so far, ascending; None when not asked for,
    and at steps that touch no storage."""
    return_data: bytes | None
    """Return buffer; None when not asked for."""
    error: str = ""
    """Why the step failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFrame:
    """One frame of the call tree."""

    kind: str
    """CALL, STATICCALL, DELEGATECALL, CALLCODE, CREATE or CREATE2."""
    sender: Address
    """Caller."""
    to: Address | None
    """Callee or created account."""
    value_wei: int
    """Wei moved."""
    gas_limit: int
    """Gas given."""
    gas_used: int
    """Gas taken."""
    data: bytes
    """Input."""
    output: bytes
    """Output or reason of a revert."""
    error: str = ""
    """Why it failed."""
    calls: tuple["CallFrame", ...] = ()
    """Inner frames in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """How one transaction or call ran."""

    gas_used: int
    """Gas of the transaction."""
    is_success: bool
    """False when it reverted or failed."""
    output: bytes
    """Returned bytes."""
    steps: tuple[StructLog, ...]
    """Empty when only frames were asked for."""
    frame: CallFrame
    """The call tree."""
    is_cut: bool = False
    """Steps beyond the bound were dropped."""


@dataclass(slots=True)
class _OpenFrame:
    """A frame that has not ended."""

    start: CallFrame
    """What is known of it at its beginning."""
    calls: list[CallFrame] = field(default_factory=list)
    """Inner frames that ended."""
    slots: dict[int, int] = field(default_factory=dict)
    """Slots read or written so far."""
    machine: Machine | None = None
    """The frame during the step under way; None when that step is not noted."""
    step_index: int = 0
    """Where that step is noted."""
    is_priced: bool = False
    """Its price is known: an inner frame began."""


class Tracer:
    """A watcher that writes down what it is told."""

    def __init__(self, options: TraceOptions, patience: Patience | None = None) -> None:
        """Start with nothing noted."""
        self._options = options
        self._limit = None if patience is None else StepLimit(patience)
        self._steps: list[StructLog] = []
        self._open: list[_OpenFrame] = []
        self._root: CallFrame | None = None
        self._is_cut = False
        self.size_bytes = 0

    def finish(self, outcome: Outcome, gas_limit: int) -> Trace:
        """Return the trace of the message that gave ``outcome``."""
        root = self._root
        if root is None:
            raise CallTooLong("the trace ended before its message")
        return Trace(
            gas_used=outcome.gas_used,
            is_success=outcome.is_success,
            output=outcome.output,
            steps=tuple(self._steps),
            frame=replace(root, gas_limit=gas_limit, gas_used=outcome.gas_used),
            is_cut=self._is_cut,
        )

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
        """Open a frame; what the caller's step has cost by now is its price.

        Raises:
            CallTooLong: The trace holds more than it may.
        """
        self._count(STEP_SIZE + len(data))
        if self._open:
            self._price_step(self._open[-1])
        start = CallFrame(
            kind=kind,
            sender=sender,
            to=to,
            value_wei=value_wei,
            gas_limit=gas_limit,
            gas_used=0,
            data=data,
            output=b"",
        )
        self._open.append(_OpenFrame(start))

    def leave(self, *, gas_used: int, output: bytes, error: str) -> None:
        """Close the innermost frame.

        Raises:
            CallTooLong: The trace holds more than it may.
        """
        self._count(len(output))
        ended = self._open.pop()
        frame = replace(
            ended.start, gas_used=gas_used, output=output, error=error, calls=tuple(ended.calls)
        )
        if self._open:
            self._open[-1].calls.append(frame)
        else:
            self._root = frame

    def before_step(self, machine: Machine) -> None:
        """Note the state before a step.

        Raises:
            CallTooLong: The run took too long, or the trace holds more than it may.
        """
        if self._limit is not None:
            self._limit.before_step(machine)
        if not self._options.has_steps:
            return
        if len(self._steps) >= self._options.step_count_max:
            self._is_cut = True
            return
        options = self._options
        frame = self._open[-1]
        frame.machine, frame.step_index, frame.is_priced = machine, len(self._steps), False
        step = StructLog(
            pc=machine.pc,
            op=machine.mnemonic,
            gas=machine.gas,
            gas_cost=0,
            depth=machine.depth,
            stack=machine.stack if options.has_stack else None,
            memory=machine.memory if options.has_memory else None,
            storage=_note_slot(machine, frame) if options.has_storage else None,
            return_data=machine.return_data if options.has_return_data else None,
        )
        self._count(
            STEP_SIZE
            + WORD_SIZE * len(step.stack or ())
            + len(step.memory or b"")
            + 2 * WORD_SIZE * len(step.storage or ())
            + len(step.return_data or b"")
        )
        self._steps.append(step)

    def after_step(self, machine: Machine, error: str) -> None:
        """Note what the step cost, and why it failed."""
        frame = self._open[-1]
        if frame.machine is not machine:
            return
        self._price_step(frame)
        if error:
            step = self._steps[frame.step_index]
            self._steps[frame.step_index] = replace(step, error=error)
        frame.machine = None

    def _count(self, size_bytes: int) -> None:
        """Count what is kept: memory is cheap to grow and to hand on, and dear to keep.

        Raises:
            CallTooLong: It is more than may be kept.
        """
        self.size_bytes += size_bytes
        if self.size_bytes > self._options.size_max_bytes:
            raise CallTooLong(f"the trace takes over {self._options.size_max_bytes} bytes")

    def _price_step(self, frame: _OpenFrame) -> None:
        """Note the price of the step under way, once: what an inner frame returns is not part."""
        if frame.machine is None or frame.is_priced:
            return
        step = self._steps[frame.step_index]
        self._steps[frame.step_index] = replace(step, gas_cost=step.gas - frame.machine.gas)
        frame.is_priced = True


def trace_call(
    view: StateView,
    context: BlockContext,
    request: CallRequest,
    options: TraceOptions,
    *,
    patience: Patience | None = None,
) -> Trace:
    """Run ``request`` as ``calls.run_call`` does and tell each step.

    Raises:
        CallRefused: It could not begin.
        CallTooLong: It ran past its patience.

    Spec: EXEC-TRACE.
    """
    tracer = Tracer(options, patience)
    outcome = run_watched(StateJournal(view), context, request, tracer)
    return tracer.finish(outcome, request.gas_limit)


def trace_transactions(
    view: StateView,
    context: BlockContext,
    transactions: Sequence[Transaction],
    options: TraceOptions,
    *,
    index: int | None = None,
    patience: Patience | None = None,
) -> tuple[Trace, ...]:
    """Run a decided block's transactions again and tell each step, or of the one at ``index``.

    Args:
        view: The parent's state.
        context: The block's context.
        transactions: The block's transactions, from the first.
        options: What to note; its bounds hold for all transactions together.
        index: The only one wanted; those before it run unwatched.
        patience: Bounds each watched transaction.

    Raises:
        CallTooLong: One ran past its patience.

    Spec: EXEC-TRACE.
    """
    transition = BlockTransition(view=view, context=context)
    traces = []
    for at, transaction in enumerate(transactions):
        if index is not None and at > index:
            break
        if index is not None and at < index:
            transition.apply(transaction)
            continue
        tracer = Tracer(options, patience)
        outcome = transition.apply(transaction, watcher=tracer)
        trace = tracer.finish(outcome, transaction.gas_limit)
        traces.append(trace)
        options = replace(
            options,
            step_count_max=options.step_count_max - len(trace.steps),
            size_max_bytes=options.size_max_bytes - tracer.size_bytes,
        )
    return tuple(traces)


def _note_slot(machine: Machine, frame: _OpenFrame) -> tuple[tuple[int, int], ...] | None:
    """Return the frame's slots as a step of SLOAD or SSTORE leaves them; None at other steps."""
    stack = machine.stack
    if machine.opcode == SLOAD and stack:
        frame.slots[stack[-1]] = machine.load_slot(stack[-1])
    elif machine.opcode == SSTORE and len(stack) > 1:
        frame.slots[stack[-1]] = stack[-2]
    else:
        return None
    return tuple(sorted(frame.slots.items()))
