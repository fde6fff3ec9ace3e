"""Asks the Ethereum execution specification about blocks of ours, in a process of its own."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node.primitives.block import Block
from node.primitives.header import MIX_HASH
from node.primitives.types import Address
from tests.support.execution import CHAIN_ID, FUNDS, SENDER, PreAccount, ancestor_hash

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_PYTHON = ROOT / ".eels-venv" / "bin" / "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A block and the accounts it starts from; the funded sender is added."""

    pre: Mapping[Address, PreAccount]
    block: Block


def judge(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Return what EELS makes of each job, or skip when its environment is not there."""
    python = Path(os.environ.get("DAICHO_EELS_PYTHON", DEFAULT_PYTHON))
    if not python.exists():
        pytest.skip(f"no EELS at {python}; make it from requirements/eels.txt")
    done = subprocess.run(
        [str(python), str(Path(__file__).with_name("eels_run.py"))],
        input=json.dumps([_write_job(job) for job in jobs]),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


def expected_of(block: Block) -> dict[str, Any]:
    """Return what a block claims, in the form of ``judge``."""
    header = block.header
    return {
        "state_root": header.state_root.hex(),
        "gas_used": header.gas_used,
        "receipts_root": header.receipts_root.hex(),
        "bloom": header.bloom.hex(),
    }


def _write_job(job: Job) -> dict[str, Any]:
    header = job.block.header
    pre = {SENDER: PreAccount(balance_wei=FUNDS), **job.pre}
    return {
        "chain_id": CHAIN_ID,
        "number": header.height,
        "coinbase": header.coinbase.hex(),
        "time": header.timestamp_s,
        "gas_limit": header.gas_limit,
        "base_fee": 0,
        "prev_randao": MIX_HASH.hex(),
        "block_hashes": [ancestor_hash(at).hex() for at in range(header.height)],  # type: ignore[arg-type]
        "pre": {
            address.hex(): {
                "nonce": account.nonce,
                "balance": account.balance_wei,
                "code": account.code.hex(),
                "storage": {str(slot): str(value) for slot, value in account.slots.items()},
            }
            for address, account in pre.items()
        },
        "transactions": [transaction.raw.hex() for transaction in job.block.transactions],
    }
