"""What a service hears from its relay: how far its transactions and roots have come.

The relay tells every service of its municipality; what concerns another is passed over.
"""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.errors import InvalidInput
from node.primitives.types import Hash32, Height, TransactionHash
from services.kit.audit import note_anchored
from services.kit.events import Event
from services.kit.intents import STATE_CHANGED, apply_state_change, load_intent

ROOT_ANCHORED: Final = "jp.daicho.audit.root-anchored.v1"
"""Type of the event that tells where a root is anchored."""


async def apply_report(tx: AsyncConnection, event: Event, *, source: str) -> bool:
    """Take a report of the relay if it is for ``source``; return whether it changed something.

    Raises:
        InvalidInput: It is of another type, or malformed.
    """
    if event.type not in (STATE_CHANGED, ROOT_ANCHORED):
        raise InvalidInput("expected a report of the relay")
    if event.data.get("service") != source:
        return False
    if event.type == ROOT_ANCHORED:
        return await note_anchored(
            tx,
            tenant=event.tenant,
            root=Hash32(_digest(event.data.get("root"), "root")),
            transaction_hash=TransactionHash(
                Hash32(_digest(event.data.get("transaction_hash"), "transaction hash"))
            ),
            height=_height(event.data.get("height")),
        )
    if await load_intent(tx, tenant=event.tenant, operation_id=event.subject) is None:
        return False
    await apply_state_change(tx, event)
    return True


def _digest(value: object, what: str) -> bytes:
    try:
        raw = bytes.fromhex(str(value).removeprefix("0x"))
    except ValueError as error:
        raise InvalidInput(f"{what}: expected hexadecimal digits") from error
    if len(raw) != 32:
        raise InvalidInput(f"{what}: expected 32 bytes")
    return raw


def _height(value: object) -> Height:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise InvalidInput("height: expected a number")
    return Height(value)
