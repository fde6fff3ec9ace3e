"""EXEC-REFUSED: a refused transaction leaves no trace.

Whether its sender or what it did was refused: EXEC-ADMISSION, EXEC-OPEN-CALL, EXEC-PRECOMPILES.
"""

import pytest

from node.execution.admission import Admission, AdmissionKind
from node.execution.executor import execute_block
from node.execution.profile import REFUSED_PRECOMPILES, ExecutionProfile
from node.primitives.errors import InvalidBlock, InvalidTransaction
from node.primitives.transaction import Transaction
from node.primitives.types import Address
from node.storage.view import StateView
from tests.support.assembler import assemble
from tests.support.execution import (
    CHAIN_ID,
    CONTRACT,
    OTHER_KEY,
    SENDER,
    PreAccount,
    ancestor_hash,
    build,
    execute,
    make_contract,
    make_parent,
    make_transaction,
    make_view,
)

REVERTING = make_contract(assemble("7 0 SSTORE 0 0 REVERT"))
RUNNING_OUT = make_contract(assemble("7 0 SSTORE JUMPDEST 3 JUMP"))


def as_open_call(_view: StateView, _timestamp_s: int, _transaction: Transaction) -> Admission:
    return Admission(kind=AdmissionKind.OPEN_CALL, gas_cap=100_000)


def as_resident(_view: StateView, _timestamp_s: int, _transaction: Transaction) -> Admission:
    return Admission(kind=AdmissionKind.RESIDENT)


def only_other(_view: StateView, _timestamp_s: int, transaction: Transaction) -> Admission:
    if transaction.sender != OTHER_KEY.address:
        raise InvalidTransaction("not listed", rule="EXEC-ADMISSION")
    return Admission(kind=AdmissionKind.SERVICE)


@pytest.mark.parametrize("view", [REVERTING, RUNNING_OUT], ids=["revert", "out of gas"])
def test_an_open_call_that_fails_leaves_no_trace(view: StateView) -> None:
    failing = make_transaction(gas_limit=90_000)
    built = build(view, [failing], rule=as_open_call)  # type: ignore[arg-type]

    assert [skip.reason.rule for skip in built.skipped] == ["EXEC-OPEN-CALL"]
    assert built.block.transactions == ()
    assert built.block.header.state_root == view.root
    assert built.result.gas_used == 0


def test_an_open_call_that_succeeds_stands() -> None:
    view = make_contract(assemble("7 0 SSTORE"))

    assert build(view, [make_transaction(gas_limit=90_000)], rule=as_open_call).skipped == ()


def test_a_residents_failing_call_stands_with_its_receipt() -> None:
    built = build(REVERTING, [make_transaction()], rule=as_resident)

    assert built.skipped == ()
    assert [receipt.is_success for receipt in built.result.receipts] == [False]
    assert built.result.overlay.load_account(SENDER).nonce == 1  # type: ignore[union-attr]


def test_a_block_with_a_failing_open_call_is_invalid() -> None:
    block = build(REVERTING, [make_transaction(gas_limit=90_000)], rule=as_resident).block

    with pytest.raises(InvalidBlock) as refusal:
        execute(REVERTING, block, rule=as_open_call)

    assert refusal.value.rule == "EXEC-OPEN-CALL"


def test_an_admissions_gas_cap_binds_at_its_limit() -> None:
    view = make_contract(assemble("STOP"))
    at_cap = make_transaction(gas_limit=100_000)
    above = make_transaction(gas_limit=100_001)

    assert build(view, [at_cap], rule=as_open_call).skipped == ()
    assert [s.reason.rule for s in build(view, [above], rule=as_open_call).skipped] == [
        "EXEC-ADMISSION"
    ]


def test_a_block_with_a_sender_the_rule_refuses_is_invalid() -> None:
    block = build(REVERTING, [make_transaction()]).block

    with pytest.raises(InvalidBlock) as refusal:
        execute(REVERTING, block, rule=only_other)

    assert refusal.value.rule == "EXEC-ADMISSION"


def test_the_rule_is_asked_about_the_parents_state_and_time() -> None:
    asked: list[tuple[int, int]] = []

    def watching(view: StateView, timestamp_s: int, _transaction: Transaction) -> Admission:
        asked.append((view.load_slot(CONTRACT, 0), timestamp_s))
        return Admission(kind=AdmissionKind.RESIDENT)

    view = make_contract(assemble("7 0 SSTORE"))
    parent = make_parent(view)
    block = build(view, [make_transaction(nonce=0), make_transaction(nonce=1)]).block
    execute_block(
        parent=parent,
        block=block,
        view=view,
        profile=ExecutionProfile(chain_id=CHAIN_ID),
        rule=watching,
        ancestor_hash=ancestor_hash,
    )

    assert asked == [(0, parent.timestamp_s)] * 2


def call_to(address: Address) -> bytes:
    """Call ``address`` without input, carry on whatever happens, then store 1."""
    target = f"0x{address.hex()}"
    return assemble(f"0 0 0 0 0 {target} GAS CALL POP 1 0 SSTORE")


@pytest.mark.parametrize("address", REFUSED_PRECOMPILES, ids=lambda at: f"0x{at[-1]:02x}")
def test_reaching_a_refused_precompile_refuses_the_transaction(address: Address) -> None:
    deeper = Address(b"\xdd" * 20)
    view = make_view(
        {
            CONTRACT: PreAccount(nonce=1, code=call_to(deeper)),
            deeper: PreAccount(nonce=1, code=call_to(address)),
        }
    )
    built = build(view, [make_transaction()])

    assert [skip.reason.rule for skip in built.skipped] == ["EXEC-PRECOMPILES"]
    assert built.block.header.state_root == view.root


def test_a_block_that_reaches_a_refused_precompile_is_invalid() -> None:
    view = make_contract(call_to(REFUSED_PRECOMPILES[2]))
    everything = ExecutionProfile(chain_id=CHAIN_ID, refused_precompiles=())
    block = build(view, [make_transaction()], profile=everything).block

    assert execute(view, block, profile=everything).receipts[0].is_success
    with pytest.raises(InvalidBlock) as refusal:
        execute(view, block)
    assert refusal.value.rule == "EXEC-PRECOMPILES"


def test_reading_a_refused_precompiles_code_is_allowed() -> None:
    view = make_contract(assemble("8 EXTCODESIZE POP 8 BALANCE POP"))

    assert build(view, [make_transaction()]).result.receipts[0].is_success


def test_transactions_around_a_refused_one_are_unharmed() -> None:
    view = make_view(
        {
            CONTRACT: PreAccount(nonce=1, code=assemble("0 SLOAD 1 ADD 0 SSTORE")),
            OTHER_KEY.address: PreAccount(balance_wei=1),
        }
    )
    good = [make_transaction(nonce=0), make_transaction(nonce=1)]
    with_bad = [
        good[0],
        make_transaction(key=OTHER_KEY, value_wei=2),
        make_transaction(key=OTHER_KEY, nonce=5),
        good[1],
    ]

    assert build(view, with_bad).block == build(view, good).block
