"""EXEC-LOOP: our opcode loop does what py-evm does, whatever the code.

The judge is the shadow: both run, and a difference raises. Codes are random, with stacks deep
enough that most opcodes find their words, and call each other, themselves, precompiles and nobody.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.execution.profile import ExecutionProfile, Interpreter
from node.primitives.types import Address
from tests.support.assembler import OPCODES, assemble
from tests.support.execution import (
    CHAIN_ID,
    CONTRACT,
    PreAccount,
    build,
    make_transaction,
    make_view,
)

CALLEE = Address(b"\xdd" * 20)
PROFILE = ExecutionProfile(chain_id=CHAIN_ID, refused_precompiles=())
EDGES = [0, 1, 2, 31, 32, 255, 256, 2**31, 2**64, 2**128, 2**255 - 1, 2**255, 2**256 - 1]

small = st.integers(0, 96)
words = st.one_of(small, st.sampled_from(EDGES), st.integers(0, 2**256 - 1))
targets = st.sampled_from(
    [f"0x{CALLEE.hex()}", f"0x{CONTRACT.hex()}", "0xee", "1", "2", "3", "4", "5", "6", "9"]
)
plain = sorted(set(OPCODES) - {f"PUSH{n}" for n in range(1, 33)} - {"INVALID"})


CALL_KINDS = ["CALL", "CALLCODE", "DELEGATECALL", "STATICCALL"]
MEMORY_KINDS = [
    *("MSTORE", "MSTORE8", "KECCAK256", "CALLDATACOPY", "CODECOPY", "RETURNDATACOPY", "LOG2"),
    *("CREATE", "CREATE2", "SSTORE", "REVERT", "RETURN", "EXP", "MULMOD", "SLOAD"),
]


def write_call(kind: str, gas: int, to: str, value: int, numbers: list[int]) -> str:
    values = [value] if kind in ("CALL", "CALLCODE") else []
    return " ".join([*map(str, numbers), *map(str, values), to, str(gas), kind])


def write_operation(kind: str, numbers: list[int]) -> str:
    return " ".join([*map(str, numbers), kind])


call_steps = st.builds(
    write_call,
    st.sampled_from(CALL_KINDS),
    st.sampled_from([0, 700, 30_000, 2**256 - 1]),
    targets,
    st.sampled_from([0, 0, 1, 10**30]),
    st.lists(small, min_size=4, max_size=4),
)
memory_steps = st.builds(
    write_operation, st.sampled_from(MEMORY_KINDS), st.lists(small, min_size=4, max_size=4)
)
steps = st.one_of(words.map(str), words.map(str), st.sampled_from(plain), call_steps, memory_steps)
codes = st.lists(steps, min_size=1, max_size=40).map(lambda parts: assemble(" ".join(parts)))
prefixed = codes.map(lambda code: assemble("7 " * 6) + code)
anything = st.one_of(prefixed, codes, st.binary(min_size=1, max_size=80))


cases = given(
    first=anything,
    second=anything,
    data=st.binary(max_size=70),
    gas_limit=st.sampled_from([30_000, 60_000, 200_000]),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@cases
def test_any_code_does_the_same_in_both(
    first: bytes, second: bytes, data: bytes, gas_limit: int
) -> None:
    check_in_shadow(first, second, data, gas_limit)


@pytest.mark.nightly
@settings(max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@cases
def test_any_code_does_the_same_in_both_at_length(
    first: bytes, second: bytes, data: bytes, gas_limit: int
) -> None:
    check_in_shadow(first, second, data, gas_limit)


def check_in_shadow(first: bytes, second: bytes, data: bytes, gas_limit: int) -> None:
    view = make_view(
        {
            CONTRACT: PreAccount(nonce=1, balance_wei=5, code=first, slots={0: 1, 7: 9}),
            CALLEE: PreAccount(nonce=1, balance_wei=5, code=second, slots={1: 2}),
        }
    )
    calls = [
        make_transaction(data=data, gas_limit=gas_limit, value_wei=1),
        make_transaction(nonce=1, data=data[::-1], gas_limit=gas_limit),
    ]
    creation = make_transaction(nonce=2, to=None, data=second, gas_limit=400_000)

    built = build(view, [*calls, creation], profile=PROFILE, interpreter=Interpreter.SHADOW)

    assert len(built.result.receipts) == 3
