"""Who stands where, for polling stations and for the turnout table.

The list for polling stations says of each elector one word, so that a station without the network
knows whom to ask at the commission before it hands out paper.

Spec: ROLL-CANCEL, ROLL-TURNOUT.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.voting.roll_files import CancelReason
from services.election.commission.rolls import Roll, page_electors
from services.election.commission.tables import ELECTORS, ENROLMENTS
from services.election.commission.turnout import Cell
from services.election.commission.vault import Vault

MARKS_PAGE: Final = 1_000
"""Electors in one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """An elector's line in the list for polling stations."""

    slot: bytes
    """Slot; tells where the next page begins."""
    number: str
    """Elector number."""
    district: str
    """Polling district."""
    mark: str
    """``online``: no paper before a cancel record; ``paper``: had it; ``closed``: no elector any
    more; ``none``: nothing online."""


async def list_marks(
    tx: AsyncConnection, roll: Roll, vault: Vault, *, after: bytes
) -> tuple[Mark, ...]:
    """Return a page of the list."""
    page = await page_electors(tx, roll, vault, after=after, count_max=MARKS_PAGE)
    slots = [listed.slot for listed in page]
    online = await _active_slots(tx, roll, slots)
    return tuple(
        Mark(
            slot=listed.slot,
            number=listed.elector.number,
            district=listed.elector.district,
            mark=_mark(listed.closed, is_online=listed.slot in online),
        )
        for listed in page
    )


def _mark(closed: int, *, is_online: bool) -> str:
    if closed:
        return "paper" if closed == CancelReason.PAPER else "closed"
    return "online" if is_online else "none"


async def _active_slots(tx: AsyncConnection, roll: Roll, slots: list[bytes]) -> set[bytes]:
    table = ENROLMENTS
    query = select(table.c.slot).where(
        table.c.tenant == roll.tenant,
        table.c.draft == roll.draft,
        table.c.slot.in_(slots),
        table.c.state.in_(("accepted", "checked")),
    )
    return {bytes(slot) for slot in (await tx.execute(query)).scalars()}


async def count_turnout(tx: AsyncConnection, roll: Roll) -> dict[tuple[str, str], Cell]:
    """Return electors and active entries by age band and district.

    Spec: ROLL-TURNOUT.
    """
    mine = (ELECTORS.c.tenant == roll.tenant, ELECTORS.c.draft == roll.draft)
    groups = (ELECTORS.c.band, ELECTORS.c.district)
    everyone = select(*groups, func.count()).where(*mine).group_by(*groups)
    joined = ELECTORS.join(
        ENROLMENTS,
        (ENROLMENTS.c.tenant == ELECTORS.c.tenant)
        & (ENROLMENTS.c.draft == ELECTORS.c.draft)
        & (ENROLMENTS.c.slot == ELECTORS.c.slot)
        & (ENROLMENTS.c.state == "accepted"),
    )
    enrolled = select(*groups, func.count()).select_from(joined).where(*mine).group_by(*groups)
    active = await _by_group(tx, enrolled)
    return {
        group: Cell(electors=count, enrolled=active.get(group, 0))
        for group, count in (await _by_group(tx, everyone)).items()
    }


async def _by_group(tx: AsyncConnection, query: Any) -> dict[tuple[str, str], int]:
    rows = (await tx.execute(query)).all()
    return {(band, district): int(count) for band, district, count in rows}
