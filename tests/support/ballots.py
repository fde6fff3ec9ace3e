"""Ballot-like transactions against ``ballot_like.vy``: the workload of the measurements."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import vyper
from eth_abi import encode

from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.transaction import Transaction, sign_transaction
from node.primitives.types import Address
from tests.support.execution import CHAIN_ID, CONTRACT, SENDER_KEY, PreAccount

ELECTION = 1
GAS_LIMIT = 150_000
REGISTRAR = PrivateKey(b"\x77" * 32)
SOURCE = Path(__file__).with_name("ballot_like.vy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """The contract's code and where its storage begins."""

    runtime: bytes
    slots: dict[str, int]


@lru_cache(maxsize=1)
def compile_ballot_like() -> Compiled:
    """Compile the contract."""
    out = vyper.compile_code(SOURCE.read_text(), output_formats=["bytecode_runtime", "layout"])
    layout = out["layout"]["storage_layout"]
    return Compiled(
        runtime=bytes.fromhex(out["bytecode_runtime"][2:]),
        slots={name: entry["slot"] for name, entry in layout.items()},
    )


def ballot_box() -> PreAccount:
    """Return the contract with its registrar set and its election open."""
    compiled = compile_ballot_like()
    is_open = keccak256(_word(compiled.slots["is_open"]) + _word(ELECTION))
    return PreAccount(
        nonce=1,
        code=compiled.runtime,
        slots={
            compiled.slots["registrar"]: int.from_bytes(REGISTRAR.address, "big"),
            int.from_bytes(is_open, "big"): 1,
        },
    )


def make_ballot(
    number: int,
    *,
    key: PrivateKey = SENDER_KEY,
    nonce: int = 0,
    to: Address = CONTRACT,
    chain_id: int = CHAIN_ID,
) -> Transaction:
    """Return a ballot with the nullifier ``number``, rightly signed."""
    nullifier = keccak256(_word(number))
    signature = REGISTRAR.sign(keccak256(encode(["uint256", "bytes32"], [ELECTION, nullifier])))
    arguments = [
        ELECTION,
        nullifier,
        27 + signature[64],
        int.from_bytes(signature[:32], "big"),
        int.from_bytes(signature[32:64], "big"),
        keccak256(nullifier) * 6,
    ]
    types = ["uint256", "bytes32", "uint256", "uint256", "uint256", "bytes"]
    selector = keccak256(f"cast({','.join(types)})".encode())[:4]
    return sign_transaction(
        key,
        chain_id=chain_id,
        nonce=nonce,
        gas_limit=GAS_LIMIT,
        to=to,
        data=selector + encode(types, arguments),
    )


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")
