"""EXEC-GAS-LIMIT, EXEC-PRECOMPILES: a block full of the dearest work is checked within its round.

Row 23 of the fault catalogue: MODEXP, storage and pairing, each with the operands that take longest
for their gas. Processor time is read against a fixed loop of additions measured beside it, so that
a busy machine does not decide; ``python -m tests.bench execution_gas`` measures every opcode.
"""

import pytest

from node.consensus.parameters import ConsensusParameters
from node.execution.profile import Interpreter, profile_of_chain
from node.genesis.build import build_genesis
from node.genesis.parse import parse_genesis
from node.primitives.types import Address
from tests.bench.execution_gas import Work, measure, precompiles, state
from tests.bench.rpc import measure_machine
from tests.support.ledger import describe

MILLION_ADDITIONS_MS = 40.0
"""On the machine by which the gas limits were chosen (ADR 0021)."""

PROFILE = profile_of_chain(parse_genesis(build_genesis(describe())).profile)
CHOSEN = ("SSTORE new slots", "0x05 modexp 8 bytes, exponent 8")
WORKS = [work for work in (*state(), *precompiles()) if work.name in CHOSEN]


@pytest.mark.parametrize("work", [pytest.param(work, id=work.name) for work in WORKS])
def test_a_full_block_of_dear_work_fits_the_first_round(work: Work) -> None:
    ms_per_million_gas = measure(work, Interpreter.LOOP)
    slowness = min(measure_machine() for _ in range(3)) / MILLION_ADDITIONS_MS

    block_ms = ms_per_million_gas * PROFILE.block_gas_limit / 1e6 / slowness

    assert block_ms < ConsensusParameters().round_timeout_base_ms


@pytest.mark.parametrize("number", [6, 7, 8, 9])
def test_no_block_may_reach_what_would_not_fit(number: int) -> None:
    assert Address(number.to_bytes(20, "big")) in PROFILE.refused_precompiles
