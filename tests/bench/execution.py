"""Execution alone, as ratios to stock py-evm: transfers and ballots, with and without the loop.

One core, in memory, blocks of 100, each transaction from its own sender. ``import`` decodes the
block from its bytes, recovers senders, executes, computes every root and checks the header, as
``Chain.import_block`` of stock py-evm does; ``admitted`` knows the senders, as a node does that
admitted the transactions to its pool. Processor time, the best of several rounds.
"""

import gc
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from node.execution.profile import ExecutionProfile, Interpreter
from node.primitives.block import decode_block
from node.primitives.crypto import PrivateKey
from node.primitives.transaction import Transaction
from node.primitives.types import Address
from tests.bench.record import ROOT, record
from tests.support.ballots import ballot_box, make_ballot
from tests.support.execution import (
    CHAIN_ID,
    CONTRACT,
    PreAccount,
    build,
    execute,
    make_transaction,
    make_view,
)

COUNT: Final = 100
ROUNDS: Final = 7
PROFILE: Final = ExecutionProfile(chain_id=CHAIN_ID, block_gas_limit=1_000_000_000)
KEYS: Final = [PrivateKey((1_000 + n).to_bytes(32, "big")) for n in range(COUNT)]


def make_ballots() -> list[Transaction]:
    """Return ballots, each of another sender that does not exist yet."""
    return [make_ballot(number, key=key) for number, key in enumerate(KEYS)]


def make_transfers() -> list[Transaction]:
    """Return transfers of 1 wei to accounts that do not exist yet."""
    return [
        make_transaction(key=key, to=Address(bytes((n,)) * 20), value_wei=1, gas_limit=21_000)
        for n, key in enumerate(KEYS, start=20)
    ]


def measure_own(
    pre: Mapping[Address, PreAccount], transactions: list[Transaction], interpreter: Interpreter
) -> dict[str, float]:
    """Return microseconds per transaction of importing and of executing when admitted."""
    view = make_view(pre)
    raw = build(view, transactions, profile=PROFILE).block.encode()
    imported, admitted = [], []
    for _ in range(ROUNDS):
        start = time.process_time()
        block = decode_block(raw)
        execute(view, block, profile=PROFILE, interpreter=interpreter)
        imported.append(time.process_time() - start)
        start = time.process_time()
        execute(view, block, profile=PROFILE, interpreter=interpreter)
        admitted.append(time.process_time() - start)
    return {
        "import_us": round(min(imported) / COUNT * 1e6, 1),
        "admitted_us": round(min(admitted) / COUNT * 1e6, 1),
    }


def measure_stock(
    pre: Mapping[Address, PreAccount], transactions: list[Transaction]
) -> dict[str, float]:
    """Return microseconds per transaction of ``Chain.import_block``."""
    job = {
        "accounts": {
            address.hex(): {
                "nonce": account.nonce,
                "balance": account.balance_wei,
                "code": account.code.hex(),
                "storage": {str(slot): str(value) for slot, value in account.slots.items()},
            }
            for address, account in pre.items()
        },
        "transactions": [transaction.raw.hex() for transaction in transactions],
        "rounds": ROUNDS,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.stock_chain"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return {"import_us": round(min(result["seconds"]) / COUNT * 1e6, 1)}


def main() -> None:
    """Measure both workloads on all interpreters and record figures and ratios."""
    gc.freeze()
    funded = {key.address: PreAccount(balance_wei=10**18) for key in KEYS}
    works = {
        "ballot": ({CONTRACT: ballot_box()}, make_ballots()),
        "transfer": (funded, make_transfers()),
    }
    figures: dict[str, object] = {}
    for name, (pre, transactions) in works.items():
        stock = measure_stock(pre, transactions)
        figures[f"{name}, stock py-evm"] = stock
        for interpreter in (Interpreter.STOCK, Interpreter.LOOP):
            own = measure_own(pre, transactions, interpreter)
            ratio = round(stock["import_us"] / own["import_us"], 2)
            figures[f"{name}, {interpreter}"] = {**own, "times_stock_py_evm": ratio}
    record("execution", figures)


if __name__ == "__main__":
    main()
