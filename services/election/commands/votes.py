"""A municipality's votes about elections: sent once by an officer with the voting account's key.

Spec: ELECTION-DRAFT, ELECTION-TERMS, ELECTION-ABANDON.
"""

import asyncio
import time
from typing import Final

from clients.core.transport import http_nodes
from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput, Unavailable
from node.primitives.transaction import sign_transaction
from node.primitives.types import Address

VOTE_GAS: Final = 3_000_000
WAIT_S: Final = 120.0


class VoteFailed(InvalidInput):
    """A vote that the contract refused: it was given before, or does not fit the state."""

    code = "election.vote_failed"


async def send_vote(
    rpc: str, key: PrivateKey, *, chain_id: int, elections: Address, data: bytes
) -> str:
    """Send a call of ``Elections`` and wait until its block is final; return its hash.

    Raises:
        VoteFailed: The call reverted.
        Unavailable: It is not final in time.
    """
    async with http_nodes([("node", rpc)]) as (node,):
        account = "0x" + key.address.hex()
        nonce = await node.call("eth_getTransactionCount", account, "pending")
        transaction = sign_transaction(
            key,
            chain_id=chain_id,
            nonce=int(str(nonce), 16),
            gas_limit=VOTE_GAS,
            to=elections,
            data=data,
        )
        await node.call("eth_sendRawTransaction", f"0x{transaction.raw.hex()}")
        name = f"0x{transaction.hash.hex()}"
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            receipt = await node.call("eth_getTransactionReceipt", name)
            if isinstance(receipt, dict):
                if receipt["status"] != "0x1":
                    raise VoteFailed(f"{name}: refused; was it given before?")
                return name
            await asyncio.sleep(0.2)
    raise Unavailable(f"{name}: not final after {WAIT_S:.0f} s; look again before you repeat it")
