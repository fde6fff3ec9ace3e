"""EXEC-ROOT, EXEC-RECEIPT: on random programs @ethereumjs and we agree on every result.

Whatever a program computes it stores, so one wrong result anywhere changes a state root.
"""

from pathlib import Path
from typing import Any

import pytest

from node.execution.profile import Interpreter
from node.genesis.profile import PERMISSIONS_ADDRESS
from node.primitives import rlp
from node.primitives.crypto import keccak256
from node.primitives.types import Address
from tests.support.javascript import run_peer
from tests.support.ledger import GOVERNOR_KEY, SERVICE_KEYS, Ledger
from tests.support.programs import ProgramMaker, wrap


def make_chain(
    seed: int, program_count: int, call_count: int, interpreter: Interpreter = Interpreter.STOCK
) -> Ledger:
    """Deploy programs that call each other, then call each of them."""
    ledger, maker = Ledger(interpreter=interpreter), ProgramMaker(seed)
    addresses = [
        Address(keccak256(rlp.encode([GOVERNOR_KEY.address, rlp.encode_uint(nonce)]))[12:])
        for nonce in range(program_count)
    ]
    targets = [*addresses, PERMISSIONS_ADDRESS, GOVERNOR_KEY.address, Address(b"\x99" * 20)]
    for start in range(0, program_count, 10):
        deployments = [
            ledger.call(
                GOVERNOR_KEY, None, wrap(maker.make(targets)), gas_limit=2_500_000, nonce_ahead=at
            )
            for at in range(min(10, program_count - start))
        ]
        made = ledger.make(*deployments)
        assert len(made.block.transactions) == len(deployments), made.skipped
        assert all(receipt.is_success for receipt in made.result.receipts)
    for _ in range(call_count):
        for start in range(0, program_count, 20):
            calls = [
                ledger.call(
                    SERVICE_KEYS[0], to, maker.make_call_data(), gas_limit=1_400_000, nonce_ahead=at
                )
                for at, to in enumerate(addresses[start : start + 20])
            ]
            made = ledger.make(*calls)
            assert len(made.block.transactions) == len(calls), made.skipped
    return ledger


def assert_agreement(ledger: Ledger, folder: Path) -> None:
    (folder / "genesis.json").write_bytes(ledger.genesis_file)
    (folder / "chain.rlp").write_bytes(ledger.export())
    report: Any = run_peer(
        "replay.mjs", str(folder / "genesis.json"), str(folder / "chain.rlp"), timeout_s=500
    )
    assert report["failure"] is None
    assert len(report["blocks"]) == ledger.head.height


@pytest.mark.parametrize(
    ("seed", "interpreter"),
    [
        pytest.param(1, Interpreter.STOCK, id="stock opcodes"),
        pytest.param(2, Interpreter.LOOP, id="our own loop"),
    ],
)
def test_random_programs_give_the_peer_s_roots(
    seed: int, interpreter: Interpreter, tmp_path: Path
) -> None:
    ledger = make_chain(seed, program_count=40, call_count=1, interpreter=interpreter)

    outcomes = [
        receipt.is_success
        for height in range(5, ledger.head.height + 1)
        for receipt in ledger.chain.load_receipts(height)  # type: ignore[arg-type]
    ]
    assert 0.2 < sum(outcomes) / len(outcomes) < 0.95, "programs should both end and fail"
    assert_agreement(ledger, tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_random_programs_give_the_peer_s_roots(seed: int, tmp_path: Path) -> None:
    interpreter = (Interpreter.STOCK, Interpreter.LOOP)[seed % 2]
    assert_agreement(make_chain(seed, 120, 2, interpreter), tmp_path)
