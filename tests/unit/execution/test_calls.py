"""EXEC-CALL: calls, estimates and access lists leave no trace and end in time."""

import pytest

from node.execution.calls import (
    CallFailed,
    CallRefused,
    CallRequest,
    CallTooLong,
    Patience,
    build_access_list,
    estimate_gas,
    run_call,
)
from node.execution.executor import make_context
from node.primitives.types import ZERO_ADDRESS, Address, Height
from tests.support.assembler import assemble
from tests.support.execution import (
    COINBASE,
    CONTRACT,
    FUNDS,
    PARENT_TIMESTAMP,
    PROFILE,
    SENDER,
    PreAccount,
    ancestor_hash,
    build,
    make_contract,
    make_transaction,
    make_view,
)

CONTEXT = make_context(
    PROFILE,
    height=Height(7),
    timestamp_s=PARENT_TIMESTAMP,
    coinbase=COINBASE,
    ancestor_hash=ancestor_hash,
)
OTHER = Address(b"\xdd" * 20)
RETURNS_7 = assemble("7 0 MSTORE 32 0 RETURN")
ENDLESS = assemble("JUMPDEST 0 JUMP")
CALLING = assemble(f"0 0 0 0 0 0x{OTHER.hex()} GAS CALL ISZERO")
REVERTS_UNLESS_CALLEE_SUCCEEDS = CALLING + assemble(
    f"{len(CALLING) + 4} JUMPI STOP JUMPDEST 0 0 REVERT"
)
STORES = assemble("GAS 0 SSTORE 0 1 SSTORE")


def request(
    *,
    gas_limit: int = 1_000_000,
    data: bytes = b"",
    sender: Address = SENDER,
    value_wei: int = 0,
    max_fee_wei: int = 0,
    to: Address | None = CONTRACT,
) -> CallRequest:
    return CallRequest(
        sender=sender,
        to=to,
        gas_limit=gas_limit,
        data=data,
        value_wei=value_wei,
        max_fee_wei=max_fee_wei,
    )


def patience(*, steps: int = 10**9, is_time_up: bool = False) -> Patience:
    return Patience(step_count_max=steps, is_time_up=lambda: is_time_up)


def test_a_call_returns_what_the_contract_returns() -> None:
    outcome = run_call(make_contract(RETURNS_7), CONTEXT, request(sender=ZERO_ADDRESS))

    assert outcome.is_success
    assert int.from_bytes(outcome.output, "big") == 7


def test_a_revert_is_told_from_a_failure() -> None:
    reverted = run_call(make_contract(assemble("9 0 MSTORE 32 0 REVERT")), CONTEXT, request())
    failed = run_call(make_contract(assemble("INVALID")), CONTEXT, request())

    assert (reverted.is_success, reverted.is_revert, reverted.output[-1]) == (False, True, 9)
    assert (failed.is_success, failed.is_revert, failed.gas_used) == (False, False, 1_000_000)
    assert failed.error == "invalid opcode"


def test_a_call_leaves_no_trace() -> None:
    view = make_contract(STORES)
    run_call(view, CONTEXT, request())

    assert view.load_slot(CONTRACT, 0) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(request(gas_limit=20_999), id="below the intrinsic gas"),
        pytest.param(request(value_wei=FUNDS + 1), id="value not covered"),
        pytest.param(request(max_fee_wei=FUNDS), id="fee not covered"),
        pytest.param(request(to=None, data=bytes(49_153)), id="init code too long"),
    ],
)
def test_a_call_that_cannot_begin_is_refused(wrong: CallRequest) -> None:
    with pytest.raises(CallRefused):
        run_call(make_contract(RETURNS_7), CONTEXT, wrong)


def test_a_call_ends_at_its_steps_and_at_its_time() -> None:
    view = make_contract(ENDLESS)
    long = request(gas_limit=10**9)

    with pytest.raises(CallTooLong, match="steps"):
        run_call(view, CONTEXT, long, patience=patience(steps=5_000))
    with pytest.raises(CallTooLong, match="too long"):
        run_call(view, CONTEXT, long, patience=patience(is_time_up=True))


def test_patience_does_not_change_the_outcome() -> None:
    view = make_contract(STORES)

    assert run_call(view, CONTEXT, request()) == run_call(
        view, CONTEXT, request(), patience=patience()
    )


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(assemble("STOP"), id="nothing"),
        pytest.param(assemble("1 0 SSTORE"), id="a new slot"),
        pytest.param(assemble("1 0 SSTORE 0 0 SSTORE"), id="a refund"),
        pytest.param(REVERTS_UNLESS_CALLEE_SUCCEEDS, id="63/64 for a callee"),
    ],
)
def test_an_estimate_is_the_least_gas_that_suffices(code: bytes) -> None:
    view = make_view(
        {
            CONTRACT: PreAccount(nonce=1, code=code),
            OTHER: PreAccount(nonce=1, code=assemble("1 0 SSTORE 2 1 SSTORE 3 2 SSTORE")),
        }
    )
    enough = estimate_gas(view, CONTEXT, request())

    assert run_call(view, CONTEXT, request(gas_limit=enough)).is_success
    below = enough - 1
    assert below < 21_000 or not run_call(view, CONTEXT, request(gas_limit=below)).is_success
    assert build(view, [make_transaction(gas_limit=enough)]).result.receipts[0].is_success


def test_an_estimate_of_a_failing_call_gives_its_reason() -> None:
    view = make_contract(assemble("9 0 MSTORE 32 0 REVERT"))

    with pytest.raises(CallFailed) as failure:
        estimate_gas(view, CONTEXT, request())

    assert failure.value.outcome.is_revert
    assert failure.value.outcome.output[-1] == 9


def test_an_access_list_names_what_the_call_touches_and_nothing_implied() -> None:
    view = make_contract(assemble(f"5 SLOAD POP 3 SLOAD POP 0x{OTHER.hex()} BALANCE POP 4 BALANCE"))
    outcome = build_access_list(view, CONTEXT, request())

    assert [(e.address, [k[-1] for k in e.storage_keys]) for e in outcome.accessed] == [
        (CONTRACT, [3, 5]),
        (OTHER, []),
    ]
