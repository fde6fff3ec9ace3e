"""Messages without a signature: calls, gas estimates, access lists. Nothing they do is kept.

What ``eth_call``, ``eth_estimateGas`` and ``eth_createAccessList`` stand on. A call runs on the
state after a block, in that block's context. Gas bounds every run; ``Patience`` bounds its steps
and time too, because a step of the EVM is cheap in gas and dear in Python.

Spec: EXEC-CALL.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from node.execution.evm import BlockContext, MessageCall, Outcome, run_message
from node.execution.journal import StateJournal
from node.execution.loop import LoopComputation
from node.execution.validity import INITCODE_SIZE_MAX, compute_intrinsic_gas
from node.execution.watched import Machine, WatchedComputation, Watcher
from node.primitives.errors import InvalidInput, Unavailable
from node.primitives.transaction import AccessListEntry
from node.primitives.types import Address, Hash32
from node.storage.view import StateView

STEPS_BETWEEN_LOOKS: Final = 1_024
"""Steps between two questions about the time."""

ACCESS_LIST_ROUNDS_MAX: Final = 8
"""Most runs until an access list stops changing."""

GAS_STIPEND: Final = 2_300

PRECOMPILE_LAST: Final = 9


class CallRefused(InvalidInput):
    """A call that could not begin: balance, intrinsic gas or init code."""

    code = "call.refused"


class CallFailed(InvalidInput):
    """A call that must succeed, to be estimated, and does not."""

    code = "call.failed"

    def __init__(self, outcome: "CallOutcome") -> None:
        super().__init__(outcome.error)
        self.outcome = outcome


class CallTooLong(Unavailable):
    """A call ran past the steps or the time it was given."""

    code = "call.too_long"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """A message to run without a signature."""

    sender: Address
    """Caller; the zero address when none was given."""
    to: Address | None
    """Callee, or None to run init code."""
    gas_limit: int
    """Gas allowed, already capped."""
    value_wei: int = 0
    """Wei moved."""
    data: bytes = b""
    """Call data or init code."""
    max_fee_wei: int = 0
    """Most paid per gas; 0 pays nothing, whatever the base fee."""
    max_priority_fee_wei: int = 0
    """Tip per gas."""
    nonce: int | None = None
    """Sender's nonce as the client believes it; no call depends on it."""
    access_list: tuple[AccessListEntry, ...] = ()
    """Addresses and slots declared warm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOutcome:
    """What a call did."""

    is_success: bool
    """False when it reverted or failed."""
    is_revert: bool = False
    """It failed by REVERT; ``output`` is the reason."""
    output: bytes = b""
    """Returned bytes, deployed code, or the reason of a revert."""
    gas_used: int = 0
    """Gas used, intrinsic gas included, refund subtracted."""
    gas_refunded: int = 0
    """The refund that was subtracted."""
    error: str = ""
    """Why it failed, for people; empty on success."""
    accessed: tuple[AccessListEntry, ...] = ()
    """Addresses and slots it touched, ascending; only when asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a call may take."""

    step_count_max: int
    """Most steps of the EVM."""
    is_time_up: Callable[[], bool]
    """Asked now and then; True ends the call."""


class StepLimit:
    """A watcher that ends a call that takes too long."""

    def __init__(self, patience: Patience) -> None:
        """Count from zero."""
        self._patience = patience
        self._steps = 0

    def before_step(self, machine: Machine) -> None:
        """Count the step.

        Raises:
            CallTooLong: It is one too many, or the time is up.
        """
        del machine
        self._steps += 1
        if self._steps > self._patience.step_count_max:
            raise CallTooLong(f"the call takes over {self._patience.step_count_max} steps")
        if self._steps % STEPS_BETWEEN_LOOKS == 0 and self._patience.is_time_up():
            raise CallTooLong("the call takes too long")

    def after_step(self, machine: Machine, error: str) -> None:
        """Nothing to note."""

    def enter(self, **frame: object) -> None:
        """Nothing to note."""

    def leave(self, **end: object) -> None:
        """Nothing to note."""


def run_call(
    view: StateView,
    context: BlockContext,
    request: CallRequest,
    *,
    patience: Patience | None = None,
    is_access_wanted: bool = False,
) -> CallOutcome:
    """Run ``request`` on ``view`` and forget its effects.

    Raises:
        CallRefused: It could not begin.
        CallTooLong: It ran past its patience.

    Spec: EXEC-CALL.
    """
    journal = StateJournal(view)
    watcher = None if patience is None else StepLimit(patience)
    outcome = run_watched(journal, context, request, watcher)
    accessed = _collect_accessed(journal, context, request, outcome) if is_access_wanted else ()
    return CallOutcome(
        is_success=outcome.is_success,
        is_revert=outcome.is_revert,
        output=outcome.output,
        gas_used=outcome.gas_used,
        gas_refunded=outcome.gas_refunded,
        error=outcome.error or "",
        accessed=accessed,
    )


def run_watched(
    journal: StateJournal, context: BlockContext, request: CallRequest, watcher: Watcher | None
) -> Outcome:
    """Run ``request`` on ``journal``, telling ``watcher``.

    Raises:
        CallRefused: It could not begin.
    """
    message, context = _build_message(journal, context, request)
    return run_message(
        journal,
        context,
        message,
        computation_class=LoopComputation if watcher is None else WatchedComputation,
        watcher=watcher,
    )


def estimate_gas(
    view: StateView,
    context: BlockContext,
    request: CallRequest,
    *,
    patience: Patience | None = None,
) -> int:
    """Return the least gas limit, up to ``request.gas_limit``, with which the call succeeds.

    The gas used is no answer: refunds come after, and a callee gets 63/64 of what is left.

    Raises:
        CallRefused: It could not begin.
        CallFailed: It fails even with all the gas.
        CallTooLong: It ran past its patience.

    Spec: EXEC-CALL.
    """

    def succeeds(gas_limit: int) -> bool:
        try:
            attempt = replace(request, gas_limit=gas_limit)
            return run_call(view, context, attempt, patience=patience).is_success
        except CallRefused:
            return False

    whole = run_call(view, context, request, patience=patience)
    if not whole.is_success:
        raise CallFailed(whole)
    enough = request.gas_limit
    too_little = whole.gas_used - 1
    guess = (whole.gas_used + whole.gas_refunded + GAS_STIPEND) * 64 // 63
    if guess < enough:
        if succeeds(guess):
            enough = guess
        else:
            too_little = guess
    while too_little + 1 < enough:
        middle = min((too_little + enough) // 2, max(too_little, 1) * 2)
        if succeeds(middle):
            enough = middle
        else:
            too_little = middle
    return enough


def build_access_list(
    view: StateView,
    context: BlockContext,
    request: CallRequest,
    *,
    patience: Patience | None = None,
) -> CallOutcome:
    """Run the call until the access list it is given is the one it uses.

    Raises:
        CallRefused: It could not begin.
        CallTooLong: It ran past its patience.

    Spec: EXEC-CALL.
    """
    outcome = run_call(view, context, request, patience=patience, is_access_wanted=True)
    for _ in range(ACCESS_LIST_ROUNDS_MAX):
        if outcome.accessed == request.access_list:
            break
        request = replace(request, access_list=outcome.accessed)
        outcome = run_call(view, context, request, patience=patience, is_access_wanted=True)
    return outcome


def _build_message(
    journal: StateJournal, context: BlockContext, request: CallRequest
) -> tuple[MessageCall, BlockContext]:
    intrinsic = compute_intrinsic_gas(request)
    if request.gas_limit < intrinsic:
        raise CallRefused(f"gas limit {request.gas_limit} is below the intrinsic {intrinsic}")
    if request.to is None and len(request.data) > INITCODE_SIZE_MAX:
        raise CallRefused(f"init code of {len(request.data)} bytes, at most {INITCODE_SIZE_MAX}")
    if request.max_priority_fee_wei > request.max_fee_wei:
        raise CallRefused("tip above the fee")
    price = 0
    if request.max_fee_wei:
        if request.max_fee_wei < context.base_fee_wei:
            raise CallRefused(
                f"fee {request.max_fee_wei} is below the base fee {context.base_fee_wei}"
            )
        price = min(request.max_fee_wei, context.base_fee_wei + request.max_priority_fee_wei)
    else:
        context = replace(context, base_fee_wei=0)
    needed = request.gas_limit * request.max_fee_wei + request.value_wei
    balance = journal.get_balance(request.sender)
    if balance < needed:
        raise CallRefused(f"balance {balance} wei of the sender, {needed} needed")
    message = MessageCall(
        sender=request.sender,
        to=request.to,
        gas_limit=request.gas_limit,
        intrinsic_gas=intrinsic,
        value_wei=request.value_wei,
        data=request.data,
        gas_price_wei=price,
        access_list=tuple(
            (entry.address, tuple(int.from_bytes(key, "big") for key in entry.storage_keys))
            for entry in request.access_list
        ),
    )
    return message, context.remember_ancestors()


def _collect_accessed(
    journal: StateJournal, context: BlockContext, request: CallRequest, outcome: Outcome
) -> tuple[AccessListEntry, ...]:
    """Return what the call touched, without what is warm or paid for anyway."""
    implied = {request.sender, request.to, outcome.created, context.coinbase}
    return tuple(
        AccessListEntry(
            address=address,
            storage_keys=tuple(Hash32(slot.to_bytes(32, "big")) for slot in slots),
        )
        for address, slots in journal.accessed.items()
        if slots or (address not in implied and int.from_bytes(address, "big") > PRECOMPILE_LAST)
    )
