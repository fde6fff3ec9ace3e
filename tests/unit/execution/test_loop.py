"""EXEC-LOOP: the loop's shortcuts, one by one, in the shadow of py-evm's opcodes."""

import pytest

from node.execution import transition
from node.execution.loop import RUN_LENGTH_MAX, decode_run
from node.execution.loop_calls import COPIED_MAX
from node.execution.profile import Interpreter
from node.primitives.errors import InvariantViolation
from node.primitives.receipt import Receipt
from node.primitives.types import Address
from tests.support.assembler import assemble
from tests.support.execution import (
    CONTRACT,
    PreAccount,
    build,
    make_contract,
    make_transaction,
    make_view,
)

CALLEE = Address(b"\xdd" * 20)
TARGET = f"0x{CALLEE.hex()}"
COPY_INPUT = "CALLDATASIZE 0 0 CALLDATACOPY"
BIG = 4 * COPIED_MAX


def receipt_in_shadow(code: bytes, callee: bytes = b"", *, gas_limit: int = 500_000) -> Receipt:
    view = make_view(
        {
            CONTRACT: PreAccount(nonce=1, balance_wei=10, code=code, slots={0: 1, 1: 1}),
            CALLEE: PreAccount(nonce=1, code=callee, slots={0: 1}),
        }
    )
    transaction = make_transaction(data=b"\x05" * 40, gas_limit=gas_limit)
    return build(view, [transaction], interpreter=Interpreter.SHADOW).result.receipts[0]


@pytest.mark.parametrize(
    ("code", "is_success"),
    [
        pytest.param(assemble("1 " * 1_024), True, id="a full stack"),
        pytest.param(assemble("1 " * 1_025), False, id="one too many"),
        pytest.param(assemble("1 " * 1_024 + "DUP1"), False, id="a copy too many"),
        pytest.param(assemble("1 " * 1_024 + "POP 1 POP POP"), True, id="full, then less"),
        pytest.param(assemble("1 ADD"), False, id="a word short"),
        pytest.param(assemble("1 " * 16 + "SWAP16"), False, id="SWAP16 a word short"),
        pytest.param(assemble("3 JUMP JUMPDEST"), True, id="jump to a constant"),
        pytest.param(assemble("4 JUMP JUMPDEST"), False, id="jump past it"),
        pytest.param(assemble("4 JUMP 0x5b"), False, id="jump into a PUSH"),
        pytest.param(assemble("0 4 JUMPI STOP"), True, id="a false branch to nowhere"),
        pytest.param(assemble("1 4 JUMPI STOP"), False, id="a true branch to nowhere"),
        pytest.param(assemble("3 3 ADD JUMP JUMPDEST"), True, id="jump to a sum"),
        pytest.param(assemble("INVALID"), False, id="invalid"),
        pytest.param(b"\x0c", False, id="unassigned"),
        pytest.param(b"\x7f\x01", True, id="a PUSH past the end"),
        pytest.param(assemble(f"{2**255} MLOAD"), False, id="memory out of reach"),
        pytest.param(assemble("PC " * 200), True, id="longer than a run"),
    ],
)
def test_control_flow_and_bounds(code: bytes, *, is_success: bool) -> None:
    assert receipt_in_shadow(code).is_success is is_success


def test_gas_is_read_exactly_in_the_middle_of_code() -> None:
    receipt_in_shadow(assemble("1 2 ADD GAS 5 SSTORE GAS 6 SSTORE GAS GAS SUB 7 SSTORE"))


@pytest.mark.parametrize("left", [2_300, 2_301], ids=["the stipend", "one more"])
def test_sstore_looks_at_the_gas_before_what_follows(left: int) -> None:
    before = 3 + 3
    code = assemble("1 0 SSTORE") + assemble("1 POP " * 50)
    receipt_in_shadow(code, gas_limit=21_000 + 40 * 16 + before + left)


@pytest.mark.parametrize(
    "values", ["0", "2", "0 1", "2 0", "2 1", "0 2", "0 0 1"], ids=lambda values: f"1 {values}"
)
def test_every_way_a_slot_changes_is_priced_and_refunded(values: str) -> None:
    receipt_in_shadow(assemble(" ".join(f"{value} 0 SSTORE" for value in values.split())))
    receipt_in_shadow(assemble(" ".join(f"{value} 9 SSTORE" for value in values.split())))


@pytest.mark.parametrize("kind", ["CALL", "CALLCODE", "DELEGATECALL", "STATICCALL"])
@pytest.mark.parametrize(
    "callee",
    [
        pytest.param(assemble(f"{COPY_INPUT} CALLDATASIZE 0 RETURN"), id="echoes"),
        pytest.param(assemble("64 CALLDATALOAD 0 MSTORE 32 0 REVERT"), id="reverts"),
        pytest.param(assemble("1 0 SSTORE 7 9 LOG0"), id="writes"),
        pytest.param(assemble(f"{COPY_INPUT} 0 0 5000 0 4 GAS STATICCALL"), id="calls"),
        pytest.param(assemble("CALLER SELFDESTRUCT"), id="destroys itself"),
        pytest.param(b"", id="has no code"),
    ],
)
@pytest.mark.parametrize("size", [32, BIG], ids=["small", "large"])
def test_calls_of_every_kind(kind: str, callee: bytes, size: int) -> None:
    value = "3" if kind in ("CALL", "CALLCODE") else ""
    call = f"32 0 {size} 0 {value} {TARGET} GAS {kind}"
    growth = f"1 {size * 3} MSTORE RETURNDATASIZE 2 SSTORE 0 MLOAD 3 SSTORE MSIZE 4 SSTORE"
    code = assemble(f"0x1234 {size} MSTORE {call} 1 SSTORE {growth}")

    assert receipt_in_shadow(code, callee, gas_limit=8_000_000).is_success


@pytest.mark.parametrize("address", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [0, 1, 96, 128, BIG])
@pytest.mark.parametrize("gas", [0, 700, 100_000])
def test_precompiles_are_answered_on_the_spot(address: int, size: int, gas: int) -> None:
    code = assemble(
        f"1 31 MSTORE 1 95 MSTORE8 27 63 MSTORE8 5 97 MSTORE8 64 0 {size} 0 1 {address} {gas} CALL "
        "1 SSTORE RETURNDATASIZE 2 SSTORE 0 MLOAD 3 SSTORE GAS 4 SSTORE"
    )

    assert receipt_in_shadow(code).is_success


def test_a_call_too_dear_or_too_poor_goes_on_after_it() -> None:
    poor = assemble(f"0 0 0 0 11 {TARGET} GAS CALL 1 SSTORE GAS 2 SSTORE")
    stranger = assemble("0 0 0 0 1 0xee GAS CALL 1 SSTORE GAS 2 SSTORE")

    assert receipt_in_shadow(poor).is_success
    assert receipt_in_shadow(stranger).is_success


def test_runs_have_a_bounded_length() -> None:
    *_, steps, _ending, following = decode_run(assemble("1 " * 500), 0)

    assert len(steps) == RUN_LENGTH_MAX
    assert following == 2 * RUN_LENGTH_MAX


def test_the_shadow_stops_the_node_at_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(transition.LoopComputation):
        opcodes = {**transition.LoopComputation.opcodes, 0x31: None}  # noqa: RUF012

    monkeypatch.setattr(transition, "LoopComputation", Wrong)

    with pytest.raises(InvariantViolation) as stop:
        build(
            make_contract(assemble("7 BALANCE")),
            [make_transaction()],
            interpreter=Interpreter.SHADOW,
        )

    assert stop.value.rule == "EXEC-LOOP"
