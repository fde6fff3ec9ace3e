"""EXEC-TRACE: a trace tells each step and frame, and ends as the receipt says."""

import pytest

from node.execution.calls import CallRequest, CallTooLong, Patience
from node.execution.executor import build_context
from node.execution.tracing import Trace, TraceOptions, trace_call, trace_transactions
from node.primitives.block import Block
from node.primitives.types import Address
from node.storage.view import BackedView
from tests.support.assembler import assemble
from tests.support.execution import (
    CONTRACT,
    PROFILE,
    SENDER,
    PreAccount,
    ancestor_hash,
    build,
    make_contract,
    make_transaction,
    make_view,
)

OTHER = Address(b"\xdd" * 20)
EVERYTHING = TraceOptions(has_memory=True, has_return_data=True)


def trace(view: BackedView, block: Block, options: TraceOptions = EVERYTHING) -> tuple[Trace, ...]:
    context = build_context(block.header, PROFILE, ancestor_hash)
    return trace_transactions(view, context, block.transactions, options)


def test_steps_have_position_name_gas_cost_and_stack() -> None:
    view = make_contract(assemble("1 2 ADD 0 SSTORE"))
    block = build(view, [make_transaction(gas_limit=100_000)]).block
    (found,) = trace(view, block)

    assert [(step.pc, step.op, step.gas, step.gas_cost) for step in found.steps] == [
        (0, "PUSH1", 79_000, 3),
        (2, "PUSH1", 78_997, 3),
        (4, "ADD", 78_994, 3),
        (5, "PUSH1", 78_991, 3),
        (7, "SSTORE", 78_988, 22_100),
        (8, "STOP", 56_888, 0),
    ]
    assert found.steps[2].stack == (1, 2)
    assert found.steps[4].storage == ((0, 3),)
    assert found.steps[3].storage is None
    assert found.gas_used == block.header.gas_used


def test_inner_frames_stand_under_their_callers() -> None:
    view = make_view(
        {
            CONTRACT: PreAccount(
                nonce=1,
                code=assemble(
                    f"0 0 0 0 0x{OTHER.hex()} GAS STATICCALL 0 0 0 CREATE 0 0 0 0 "
                    f"0x{OTHER.hex()} GAS DELEGATECALL"
                ),
            ),
            OTHER: PreAccount(nonce=1, code=assemble("9 0 MSTORE 32 0 REVERT")),
        }
    )
    block = build(view, [make_transaction()]).block
    (found,) = trace(view, block)
    root = found.frame

    assert (root.kind, root.sender, root.to, root.gas_limit) == ("CALL", SENDER, CONTRACT, 500_000)
    assert [frame.kind for frame in root.calls] == ["STATICCALL", "CREATE", "DELEGATECALL"]
    assert [frame.sender for frame in root.calls] == [CONTRACT] * 3
    assert root.calls[0].error == "execution reverted"
    assert root.calls[0].output[-1] == 9
    assert root.gas_used == block.header.gas_used
    assert {step.depth for step in found.steps} == {1, 2}


def test_a_calls_price_includes_the_gas_it_hands_over() -> None:
    view = make_view(
        {
            CONTRACT: PreAccount(nonce=1, code=assemble(f"0 0 0 0 0 0x{OTHER.hex()} 5000 CALL")),
            OTHER: PreAccount(nonce=1, code=assemble("1 POP")),
        }
    )
    (found,) = trace(view, build(view, [make_transaction()]).block)
    (step,) = (step for step in found.steps if step.op == "CALL")

    assert step.gas_cost == 2_600 + 5_000


def test_a_failing_step_says_why() -> None:
    view = make_contract(assemble("1 ADD"))
    (found,) = trace(view, build(view, [make_transaction()]).block)

    assert (found.steps[-1].op, found.steps[-1].error) == ("ADD", "stack underflow")
    assert not found.is_success


def test_one_transaction_of_a_block_sees_those_before_it() -> None:
    view = make_contract(assemble("0 SLOAD 1 ADD 0 SSTORE"))
    block = build(view, [make_transaction(nonce=n) for n in range(3)]).block
    context = build_context(block.header, PROFILE, ancestor_hash)
    (found,) = trace_transactions(view, context, block.transactions, EVERYTHING, index=1)

    assert [step.storage for step in found.steps if step.storage] == [((0, 1),), ((0, 2),)]


def test_frames_alone_keep_no_steps_and_steps_stop_at_their_bound() -> None:
    view = make_contract(assemble("1 2 3 4 5"))
    block = build(view, [make_transaction()]).block
    (frames,) = trace(view, block, TraceOptions(has_steps=False))
    (cut,) = trace(view, block, TraceOptions(step_count_max=2))

    assert frames.steps == ()
    assert (len(cut.steps), cut.is_cut) == (2, True)


def test_a_traced_call_ends_at_its_patience() -> None:
    view = make_contract(assemble("JUMPDEST 0 JUMP"))
    request = CallRequest(sender=SENDER, to=CONTRACT, gas_limit=10**8)
    context = build_context(build(view, []).block.header, PROFILE, ancestor_hash)

    with pytest.raises(CallTooLong):
        trace_call(
            view,
            context,
            request,
            TraceOptions(step_count_max=10),
            patience=Patience(step_count_max=1_000, is_time_up=lambda: False),
        )
