"""Hands a signed transaction to one node and says what its answer means.

Nothing an answer says is believed beyond deciding when to try again.
"""

from typing import Final

from clients.core.answers import MalformedAnswer
from clients.core.transport import CallRefused, Node, NodeUnavailable
from services.relay.machine import Answer

REFUSED_FOR_GOOD: Final = frozenset(
    {
        "pool.too_large",
        "pool.intrinsic_gas",
        "pool.gas_cap",
        "pool.init_code_too_large",
        "transaction.invalid",
        "input.malformed",
    }
)
"""Codes that the same bytes meet again whenever they are sent."""


async def hand_over(node: Node, raw: bytes) -> tuple[Answer, str]:
    """Send a transaction to a node; return what became of it and the code of a refusal.

    Spec: RELAY-FINAL.
    """
    try:
        await node.call("eth_sendRawTransaction", "0x" + raw.hex())
    except CallRefused as error:
        reason = str(error.values.get("reason", ""))
        match reason:
            case "pool.already_known":
                return Answer.ACCEPTED, ""
            case "pool.nonce_too_low":
                return Answer.MINED, ""
            case code if code in REFUSED_FOR_GOOD:
                return Answer.REFUSED, code
            case _:
                return Answer.BUSY, reason
    except (NodeUnavailable, MalformedAnswer) as error:
        return Answer.BUSY, error.code
    return Answer.ACCEPTED, ""
