"""Addresses of residents on the ledger: one for each sector, found by the sector's pseudonym only.

Rows say what is to stand on the ledger and what was read from it; writing is ``publication``'s.
Nothing here holds a resident's id, and the instants kept are those of the sector's windows.

Spec: ID-CHAIN-APART, ID-HUB-STORE.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.identity.chain import STANDING, round_down
from clients.identity.lifecycle import FlagStatus
from clients.identity.pseudonym import ResidentId
from node.primitives.crypto import keccak256
from node.primitives.types import Address
from services.hub.keyring import Keyring
from services.hub.people import Person, iterate_references, read_reference
from services.hub.refusals import AddressTaken
from services.hub.settings import HUB
from services.hub.standing import Standing, level_of
from services.hub.tables import DEVICES, SECTOR_ADDRESSES

TABLE: Final = SECTOR_ADDRESSES

APART_WINDOWS: Final = 2
"""Fewest windows between a person's places in two sectors: one that must pass after the first is
final, and one for it to become final."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """When a sector's addresses go to the ledger."""

    window_s: int
    """Length of a window."""
    apart_max: int
    """Most windows by which a second sector is put off further at random."""

    def next_start(self, sector: str, at_s: int) -> int:
        """Return the first start of a window of a sector after an instant.

        Sectors start their windows at different times, so that no two go together.
        """
        offset = int.from_bytes(keccak256(sector.encode())[:4], "big") % self.window_s
        return (at_s - offset) // self.window_s * self.window_s + offset + self.window_s

    def place(self, sector: str, now_s: int, others: Sequence[int]) -> int:
        """Return when a new address may go to the ledger, apart from the person's other ones.

        Spec: ID-CHAIN-APART.
        """
        start = self.next_start(sector, now_s)
        near_s = (APART_WINDOWS + self.apart_max) * self.window_s
        # Those put off lie ahead of now, each after the one before it.
        recent = [other for other in others if other > start - near_s]
        if not recent:
            return start
        delay = APART_WINDOWS + secrets.randbelow(self.apart_max)
        return self.next_start(sector, max(recent) + delay * self.window_s)


async def register(
    tx: AsyncConnection,
    *,
    person: Person,
    sector: str,
    address: Address,
    keyring: Keyring,
    windows: Windows,
    now: datetime,
) -> Any:
    """Keep an address for a resident's sector, in place of an older one; return its row.

    Raises:
        AddressTaken: It was registered before for anybody or another sector, or is a device's.

    Spec: ID-CHAIN-APART.
    """
    tenant, pseudonym = person.tenant, keyring.name_in(sector, person.id)
    known = await find(tx, tenant=tenant, address=address)
    if known is not None:
        is_same = known.is_current and known.sector == sector and known.pseudonym == pseudonym
        if not is_same:
            raise AddressTaken("address: registered before")
        return known
    device = select(DEVICES.c.binding).where(
        DEVICES.c.tenant == tenant, DEVICES.c.address == address
    )
    if (await tx.execute(device)).scalar() is not None:
        raise AddressTaken("address: a device's")
    own = await list_own(tx, tenant=tenant, resident_id=person.id, keyring=keyring)
    await retire(tx, tenant=tenant, sector=sector, pseudonym=pseudonym, now=now)
    others = [row.not_before_s for row in own if row.sector != sector]
    await tx.execute(
        insert(TABLE).values(
            tenant=tenant,
            address=address,
            sector=sector,
            pseudonym=pseudonym,
            is_current=True,
            not_before_s=windows.place(sector, int(now.timestamp()), others),
            settle_s=0,
            attempts=0,
            sends_until_s=0,
            **wanted(person.standing, now=now),
        )
    )
    return await find(tx, tenant=tenant, address=address)


async def follow_rotation(tx: AsyncConnection, *, tenant: str, keyring: Keyring) -> int:
    """Name addresses anew that stand under a former key of their sector; return how many.

    Repeating it changes nothing, so that it is done at every start.

    Spec: ID-ROTATION.
    """
    count = 0
    for sector in sorted(each for each, former in keyring.former.items() if former):
        query = select(TABLE.c.pseudonym).where(TABLE.c.tenant == tenant, TABLE.c.sector == sector)
        named = {bytes(each) for each in (await tx.execute(query)).scalars()}
        async for reference in iterate_references(tx, tenant=tenant):
            resident_id = read_reference(reference)
            for pseudonym in set(keyring.former_names_in(sector, resident_id)) & named:
                count += 1
                await tx.execute(
                    update(TABLE)
                    .where(
                        TABLE.c.tenant == tenant,
                        TABLE.c.sector == sector,
                        TABLE.c.pseudonym == pseudonym,
                    )
                    .values(pseudonym=keyring.name_in(sector, resident_id))
                )
    return count


async def find(tx: AsyncConnection, *, tenant: str, address: Address) -> Any | None:
    """Return an address's row, None when it was never registered."""
    query = select(TABLE).where(TABLE.c.tenant == tenant, TABLE.c.address == address)
    return (await tx.execute(query)).one_or_none()


async def list_own(
    tx: AsyncConnection, *, tenant: str, resident_id: ResidentId, keyring: Keyring
) -> list[Any]:
    """Return a resident's addresses, by sector; only the keyring finds them together."""
    rows: list[Any] = []
    for sector in sorted(keyring.sectors):
        query = select(TABLE).where(
            TABLE.c.tenant == tenant,
            TABLE.c.sector == sector,
            TABLE.c.pseudonym == keyring.name_in(sector, resident_id),
        )
        rows += (await tx.execute(query.order_by(TABLE.c.address))).all()
    return rows


async def retire(
    tx: AsyncConnection,
    *,
    tenant: str,
    sector: str,
    pseudonym: bytes,
    now: datetime,
    is_erased: bool = False,
) -> None:
    """Let a person's address in a sector go: removed on the ledger, then forgotten here.

    Of somebody erased the name goes at once; random bytes stand in its place.
    """
    values: dict[str, Any] = {
        "is_current": False,
        "status": int(FlagStatus.REMOVED),
        "level": level_of(FlagStatus.REMOVED),
        "checked_s": round_down(now),
    }
    if is_erased:
        values["pseudonym"] = secrets.token_bytes(32)
    mine = [
        TABLE.c.tenant == tenant,
        TABLE.c.sector == sector,
        TABLE.c.pseudonym == pseudonym,
    ]
    if not is_erased:
        mine.append(TABLE.c.is_current)
    # What never went to the ledger need not be taken off it.
    unseen = (TABLE.c.batch.is_(None), TABLE.c.written_status.is_(None))
    await tx.execute(delete(TABLE).where(*mine, *unseen, TABLE.c.sends_until_s == 0))
    await tx.execute(update(TABLE).where(*mine).values(**values))


async def spread(
    tx: AsyncConnection,
    *,
    tenant: str,
    resident_id: ResidentId,
    standing: Standing,
    keyring: Keyring,
    now: datetime,
) -> None:
    """Let every address of a resident want the resident's standing."""
    values = wanted(standing, now=now)
    for sector in sorted(keyring.sectors):
        if sector == HUB:
            continue
        await tx.execute(
            update(TABLE)
            .where(
                TABLE.c.tenant == tenant,
                TABLE.c.sector == sector,
                TABLE.c.pseudonym == keyring.name_in(sector, resident_id),
                TABLE.c.is_current,
            )
            .values(**values)
        )


def wanted(standing: Standing, *, now: datetime) -> dict[str, Any]:
    """Return what the ledger is to say: of who stands, as of the authority's word; else as of now.

    Spec: ID-CHAIN-COARSE.
    """
    at = standing.as_of if standing.status in STANDING else now
    return {
        "status": int(standing.status),
        "level": level_of(standing.status),
        "checked_s": round_down(at),
    }


def state_of(row: Any) -> str:
    """Return how far an address has come."""
    if not row.is_current:
        return "replaced"
    return "waiting" if row.written_status is None else "written"
