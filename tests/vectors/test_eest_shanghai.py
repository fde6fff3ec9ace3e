"""EXEC-LOOP: the published Shanghai fixtures hold, under py-evm's opcodes and under our own loop.

EXEC-REFUSED, EXEC-RECEIPT, EXEC-MODEXP, EXEC-INITCODE. Filled by ethereum/execution-spec-tests, run
through our transition, journal and trie. One file is one test, so that workers share them.
"""

import pytest

from node.execution.profile import Interpreter
from tests.support.eest import find_fixtures, load_cases, run_case, unpack_fixtures
from tests.support.vectors import vectors_path

UNREACHABLE = (
    "tests/paris/eip7610_create_collision/test_revert_in_create.py"
    "::test_collision_with_create2_revert_in_initcode"
    "[fork_Shanghai-blockchain_test_from_state_test]"
)
"""EIP-7610: creation at an address that has storage but neither code nor nonce. That takes a
collision of keccak, or a genesis that sets it up."""

CASE_COUNT = 1_752


@pytest.mark.parametrize("interpreter", [Interpreter.STOCK, Interpreter.LOOP])
@pytest.mark.parametrize("name", find_fixtures())
def test_every_case_of_a_file_ends_as_filled(name: str, interpreter: Interpreter) -> None:
    path = unpack_fixtures(vectors_path() / "eest-shanghai.tar.xz") / name
    wrong = {case.name: run_case(case, interpreter) for case in load_cases(path)}

    assert [case for case, why in wrong.items() if why] == [UNREACHABLE] * (UNREACHABLE in wrong)


def test_no_case_is_missing() -> None:
    folder = unpack_fixtures(vectors_path() / "eest-shanghai.tar.xz")

    assert sum(len(load_cases(folder / name)) for name in find_fixtures()) == CASE_COUNT
