"""EVM time and gas of a ballot at the ballot box, every proof checked, as a validator executes it.

A block of one relay's batch is executed with receipts and state root on a state in memory; the
figure is the block's time by the number of its ballots. Targets: 90,000 gas and 4 ms for a ballot
of one race in a batch. The block without transactions says what of it is not the ballots'.
"""

import argparse
import gc
import time
from typing import Final

from node.execution.profile import Interpreter
from node.primitives.transaction import Transaction
from tests.bench.record import record
from tests.support.election import MIN_INTERVAL_S, STYLES, Voter
from tests.support.election_ledger import ElectionLedger

BATCHES: Final = ((8, 1), (8, 10), (8, 50), (8, 100), (9, 1), (9, 10), (9, 50))
"""Style and number of ballots."""
TARGET_GAS: Final = 90_000
TARGET_MS: Final = 4.0


def time_block(chain: ElectionLedger, *transactions: Transaction, repeats: int) -> float:
    """Return the least milliseconds of executing a block of these transactions."""
    block = chain.ledger.build(*transactions).block
    gc.collect()
    gc.disable()
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        chain.ledger.execute(block)
        best = min(best, time.process_time() - start)
    gc.enable()
    return best * 1_000


def measure_batch(
    chain: ElectionLedger, style: int, count: int, *, repeats: int
) -> dict[str, object]:
    """Measure first ballots of ``count`` keys, then their second ones."""
    voters = [Voter(f"{style} {count} {at}", style=style) for at in range(count)]
    figures: dict[str, object] = {}
    for name in ("first", "again"):
        sent = chain.send_batch(*[voter.make_ballot() for voter in voters])
        spent_ms = time_block(chain, sent, repeats=repeats)
        made = chain.ledger.make(sent)
        assert len(made.result.receipts[0].logs) == count
        figures |= {
            f"{name}_gas_per_ballot": made.result.gas_used // count,
            f"{name}_ms_per_ballot": round(spent_ms / count, 3),
        }
        chain.ledger.make(seconds=MIN_INTERVAL_S)
    return {"races": len(STYLES[style]), "ballots": count, **figures}


def main() -> None:
    """Measure every batch with both loops and record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    figures: dict[str, object] = {"target_gas": TARGET_GAS, "target_ms": TARGET_MS}
    for interpreter in (Interpreter.LOOP, Interpreter.STOCK):
        chain = ElectionLedger(interpreter)
        empty_ms = time_block(chain, repeats=repeats)
        rows = [measure_batch(chain, style, count, repeats=repeats) for style, count in BATCHES]
        figures[str(interpreter)] = {"empty_block_ms": round(empty_ms, 3), "batches": rows}
    record("ballots", figures)


if __name__ == "__main__":
    main()
