"""Imports a block with py-evm's own chain, untouched: the yardstick of the execution benchmark.

Runs as a process of its own, so that nothing of ours replaces its hash or precompiles. Reads a job
on standard input (accounts as genesis state, raw transactions, rounds) and writes the seconds of
processor time of each import.
"""

import json
import sys
import time
from typing import Any

import rlp
from eth.chains.base import MiningChain
from eth.db.atomic import AtomicDB
from eth.vm.forks.shanghai import ShanghaiVM

GAS_LIMIT = 1_000_000_000
PERIOD_S = 12


class StockChain(MiningChain):
    """Shanghai from genesis."""

    chain_id = 1_337
    vm_configuration = ((0, ShanghaiVM),)


def start_chain(accounts: dict[str, Any]) -> MiningChain:
    """Return a chain whose genesis holds ``accounts``."""
    state = {
        bytes.fromhex(address): {
            "nonce": account["nonce"],
            "balance": account["balance"],
            "code": bytes.fromhex(account["code"]),
            "storage": {int(slot): int(value) for slot, value in account["storage"].items()},
        }
        for address, account in accounts.items()
    }
    params = {"difficulty": 0, "gas_limit": GAS_LIMIT, "timestamp": 1, "base_fee_per_gas": 0}
    return StockChain.from_genesis(AtomicDB(), params, state)


def main() -> None:
    """Build the block once, then import it on fresh chains."""
    job = json.load(sys.stdin)
    builder = start_chain(job["accounts"])
    decode = builder.get_vm().get_transaction_builder().decode
    raws = [bytes.fromhex(raw) for raw in job["transactions"]]
    block = builder.mine_all([decode(raw) for raw in raws], gas_limit=GAS_LIMIT)[0].imported_block
    raw_block = rlp.encode(block)
    seconds = []
    for _ in range(job["rounds"]):
        chain = start_chain(job["accounts"])
        start = time.process_time()
        fresh = rlp.decode(raw_block, sedes=type(block))
        chain.import_block(fresh, perform_validation=True)
        seconds.append(time.process_time() - start)
    json.dump({"seconds": seconds, "gas_used": block.header.gas_used}, sys.stdout)


if __name__ == "__main__":
    main()
