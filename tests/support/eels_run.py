"""Executes blocks with the Ethereum execution specification (EELS), Shanghai.

Runs in an environment of its own (``requirements/eels.txt``) and imports nothing of ours. Reads a
JSON list of jobs on standard input and writes a list of results:

job: chain_id, number, coinbase, time, gas_limit, base_fee, prev_randao, block_hashes (oldest
first), pre {address: {nonce, balance, code, storage {slot: value}}}, transactions [canonical bytes]
result: state_root, gas_used, receipts_root, bloom, or {"refused": reason}

Byte strings are hexadecimal without 0x; numbers are numbers, slots and values decimal strings.
"""

import json
import sys
from typing import Any

from ethereum.crypto.hash import Hash32
from ethereum.exceptions import EthereumException
from ethereum.forks.shanghai.bloom import logs_bloom
from ethereum.forks.shanghai.fork import apply_body
from ethereum.forks.shanghai.fork_types import Account, Address
from ethereum.forks.shanghai.state import State, set_account, set_storage, state_root
from ethereum.forks.shanghai.transactions import LegacyTransaction
from ethereum.forks.shanghai.trie import root
from ethereum.forks.shanghai.vm import BlockEnvironment
from ethereum_rlp import rlp
from ethereum_types.bytes import Bytes, Bytes32
from ethereum_types.numeric import U64, U256, Uint


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Execute one block."""
    state = build_state(job["pre"])
    environment = BlockEnvironment(
        chain_id=U64(job["chain_id"]),
        state=state,
        block_gas_limit=Uint(job["gas_limit"]),
        block_hashes=[Hash32(bytes.fromhex(value)) for value in job["block_hashes"]],
        coinbase=Address(bytes.fromhex(job["coinbase"])),
        number=Uint(job["number"]),
        base_fee_per_gas=Uint(job["base_fee"]),
        time=U256(job["time"]),
        prev_randao=Bytes32(bytes.fromhex(job["prev_randao"])),
    )
    transactions = tuple(decode(bytes.fromhex(raw)) for raw in job["transactions"])
    try:
        output = apply_body(environment, transactions, ())
    except EthereumException as error:
        return {"refused": repr(error)}
    return {
        "state_root": bytes(state_root(state)).hex(),
        "gas_used": int(output.block_gas_used),
        "receipts_root": bytes(root(output.receipts_trie)).hex(),
        "bloom": bytes(logs_bloom(output.block_logs)).hex(),
    }


def build_state(accounts: dict[str, Any]) -> State:
    """Build the state before the block."""
    state = State()
    for name, account in accounts.items():
        address = Address(bytes.fromhex(name))
        set_account(
            state,
            address,
            Account(
                nonce=Uint(account["nonce"]),
                balance=U256(account["balance"]),
                code=Bytes(bytes.fromhex(account["code"])),
            ),
        )
        for slot, value in account["storage"].items():
            key = Bytes32(int(slot).to_bytes(32, "big"))
            set_storage(state, address, key, U256(int(value)))
    return state


def decode(raw: bytes) -> LegacyTransaction | Bytes:
    """Return a transaction as a block's body holds it."""
    if raw[0] >= 0xC0:
        return rlp.decode_to(LegacyTransaction, raw)
    return Bytes(raw)


if __name__ == "__main__":
    json.dump([run(job) for job in json.load(sys.stdin)], sys.stdout)
