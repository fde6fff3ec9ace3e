"""The numbers of one network that execution obeys, fixed by its genesis.

Spec: EXEC-GAS-LIMIT, EXEC-GAS-CAP, EXEC-PRECOMPILES.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.genesis.profile import ChainProfile
from node.primitives.types import Address

BLOCK_GAS_LIMIT_DEFAULT: Final = 30_000_000
"""Gas of a block at a period of two seconds; derived in docs/adr/0021-gas-limits.md."""

TRANSACTION_GAS_CAP_DEFAULT: Final = 8_000_000
"""Most gas one transaction may ask for; derived there too."""

REFUSED_PRECOMPILES: Final = tuple(Address(bytes(19) + bytes((last,))) for last in (6, 7, 8, 9))
"""bn128 addition, multiplication and pairing, and BLAKE2 compression: too slow for their gas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionProfile:
    """What a network fixes about execution."""

    chain_id: int
    """Chain id every transaction must carry."""
    block_gas_limit: int = BLOCK_GAS_LIMIT_DEFAULT
    """Gas limit of every block, genesis included."""
    transaction_gas_cap: int = TRANSACTION_GAS_CAP_DEFAULT
    """Most gas one transaction may ask for."""
    refused_precompiles: tuple[Address, ...] = REFUSED_PRECOMPILES
    """Precompiles no transaction in a block may reach."""


class Interpreter(StrEnum):
    """Which opcode loop runs blocks: an operator's choice, since all give the same result."""

    STOCK = "stock"
    """py-evm's opcodes."""
    LOOP = "loop"
    """Our own loop, ``execution.loop``."""
    SHADOW = "shadow"
    """Our own, each transaction checked against py-evm's; a difference stops the node."""


INTERPRETER_DEFAULT: Final = Interpreter.LOOP
"""Switched on because fixtures, the EELS differential and shadow runs agree; see docs/adr."""


def profile_of_chain(chain: ChainProfile) -> ExecutionProfile:
    """Return what a genesis file fixes about execution.

    Spec: EXEC-GENESIS-PARAMETERS.
    """
    return ExecutionProfile(
        chain_id=chain.chain_id,
        block_gas_limit=chain.block_gas_limit,
        transaction_gas_cap=chain.transaction_gas_max,
    )
