"""What the hub wants on the ledger, asked of the relay in batches, and what the ledger says then.

Once a window, for each sector apart: the addresses whose record or right to send differs from what
is wanted go together, those with equal records in one batch. Whatever was late, a new address goes
only after those of other sectors that had an earlier place are final and a window old. What stands
on the ledger is read from sealed blocks only: a hub restored from a backup reads what it forgot,
asks for what is missing.

Spec: ID-CHAIN-APART, ID-CHAIN-WRITE, ID-CHAIN-RECONCILE.
"""

import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.identity.chain import (
    BATCH_MAX,
    BUCKET_S,
    LIFETIME_S,
    STANDING,
    decode_event,
    encode_attest_call,
    encode_record_call,
    encode_revoke_call,
)
from clients.identity.lifecycle import FlagStatus
from node.genesis.profile import PERMISSIONS_ADDRESS
from node.primitives.crypto import keccak256
from node.primitives.receipt import Log
from node.primitives.types import Address
from services.hub.addresses import APART_WINDOWS, Windows
from services.hub.tables import SECTOR_ADDRESSES
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.follower import FinalBlock
from services.kit.outbox import ChainIntent, intend

TABLE: Final = SECTOR_ADDRESSES

ROWS_MAX: Final = 2_000
"""Addresses of one sector put into batches at a time; the rest follow at once."""

POLL_S: Final = 1.0

SENDS_FOR_S: Final = 35 * 86_400
"""How long an address may send without being attested again."""

SENDS_MARGIN_S: Final = 14 * 86_400
"""Time left at which it is attested again."""

RENEW_AFTER_S: Final = 2 * BUCKET_S
"""A standing record is written again when the authority's word is so much newer."""

CHUNKS: Final = (BATCH_MAX, 10, 1)
"""Batch sizes after failures: a batch that fails is cut until the one at fault stands alone."""

GAS_BASE: Final = 120_000
GAS_EACH: Final = 40_000
"""Gas asked for; contracts/gas-report.json measures 26,000 for each new record."""

ATTESTED: Final = keccak256(b"ResidentAttested(address,uint256,uint256)")
REVOKED: Final = keccak256(b"ResidentRevoked(address,uint256)")

OPERATION_PREFIX: Final = "identity:"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Group:
    """What addresses of one batch have in common."""

    status: int
    level: int
    checked_s: int
    is_attested: bool
    """The right to send is to be given."""
    is_revoked: bool
    """The right to send is to be taken back."""
    chunk: int
    """Greatest batch."""


@dataclass(slots=True, kw_only=True)
class Publisher:
    """Asks the relay for batches, window after window."""

    database: Database
    """The hub's database."""
    clock: Clock
    """The present."""
    tenant: str
    """Municipality."""
    source: str
    """The hub, as in its events."""
    registry: Address
    """The contract IdentityStatus."""
    sectors: Sequence[str]
    """Sectors with addresses on the ledger."""
    windows: Windows
    """When each goes."""
    _next_s: dict[str, int] = field(default_factory=dict)
    _served_s: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Publish for ever; a task."""
        while True:
            await self.publish_due()
            await self.clock.sleep(POLL_S)

    async def publish_due(self) -> int:
        """Ask for what is due in the sector whose window began; return how many addresses.

        Never for two sectors at a time: at the start, and when several windows began while nobody
        looked, one sector has its turn and the others wait for their own next windows.

        Spec: ID-CHAIN-APART.
        """
        now = self.clock.now()
        now_s, count, window_s = int(now.timestamp()), 0, self.windows.window_s
        for sector in self.sectors:
            due_s = self._next_s.get(sector)
            # A clock set back must not stop a sector for longer than a window.
            if due_s is None or due_s - now_s > window_s:
                self._next_s[sector] = self.windows.next_start(sector, now_s)
        due = [sector for sector in self.sectors if self._next_s[sector] <= now_s]
        for sector in due:
            self._next_s[sector] = self.windows.next_start(sector, now_s)
        if due:
            turn = min(due, key=lambda sector: self._served_s.get(sector, 0))
            self._served_s[turn] = now_s
            while taken := await self._publish(turn, now):
                count += taken
        return count

    async def _publish(self, sector: str, now: datetime) -> int:
        now_s = int(now.timestamp())

        async def work(tx: AsyncConnection) -> int:
            bound_s = await find_bound(
                tx,
                tenant=self.tenant,
                others=[each for each in self.sectors if each != sector],
                windows=self.windows,
                now_s=now_s,
            )
            rows = await select_due(
                tx, tenant=self.tenant, sector=sector, now_s=now_s, bound_s=bound_s
            )
            for group, members in sorted(group_rows(rows, now_s=now_s).items()):
                ordered = sorted(members)
                for at in range(0, len(ordered), group.chunk):
                    await self._ask(tx, group, ordered[at : at + group.chunk], now)
            return len(rows)

        return await self.database.transact(work)

    async def _ask(
        self, tx: AsyncConnection, group: Group, accounts: list[Address], now: datetime
    ) -> None:
        """Ask for a batch: sending first, then the record; of who stops, the other way round.

        Spec: ID-CHAIN-WRITE.
        """
        batch, now_s = secrets.token_hex(8), int(now.timestamp())
        record = encode_record_call(
            accounts,
            status=FlagStatus(group.status),
            proofing_level=group.level,
            checked_s=group.checked_s,
        )
        calls: list[tuple[str, Address, bytes]] = [("record", self.registry, record)]
        if group.is_attested:
            until_s = now_s - now_s % BUCKET_S + SENDS_FOR_S
            attest = encode_attest_call(accounts, until_s=until_s)
            calls.insert(0, ("attest", PERMISSIONS_ADDRESS, attest))
        if group.is_revoked:
            calls.append(("revoke", PERMISSIONS_ADDRESS, encode_revoke_call(accounts)))
        for name, to, data in calls:
            intent = ChainIntent(
                tenant=self.tenant,
                operation_id=f"{OPERATION_PREFIX}{batch}:{name}",
                sector="identity",
                to=to,
                data=data,
                gas_limit=GAS_BASE + GAS_EACH * len(accounts),
                ordered_by="identity",
            )
            await intend(tx, intent, source=self.source, now=now)
        for account in accounts:
            await tx.execute(
                update(TABLE)
                .where(TABLE.c.tenant == self.tenant, TABLE.c.address == account)
                .values(batch=batch, settle_s=now_s + 2 * self.windows.window_s)
            )


async def find_bound(
    tx: AsyncConnection, *, tenant: str, others: Sequence[str], windows: Windows, now_s: int
) -> int | None:
    """Return before which place a sector's new addresses may go now; None when all may.

    A person's places in two sectors are ``APART_WINDOWS`` apart. So one whose place is so much
    after that of another sector's address waits until that one is final and a window old.

    Spec: ID-CHAIN-APART.
    """
    table = TABLE.c
    is_under_way = table.batch.is_not(None)
    will_go = (table.attempts < len(CHUNKS)) & (table.checked_s + LIFETIME_S > now_s)
    is_unseen = table.shown_s.is_(None) & or_(is_under_way, will_go)
    is_young = table.shown_s > now_s - windows.window_s
    query = select(func.min(table.not_before_s)).where(
        table.tenant == tenant, table.sector.in_(others), or_(is_unseen, is_young)
    )
    first_s = (await tx.execute(query)).scalar()
    return None if first_s is None else int(first_s) + APART_WINDOWS * windows.window_s


async def select_due(
    tx: AsyncConnection, *, tenant: str, sector: str, now_s: int, bound_s: int | None = None
) -> Sequence[Any]:
    """Return addresses of a sector whose record or right to send is not what it should be.

    Of those that the ledger has not shown yet, only the ones with a place before ``bound_s``.

    Spec: ID-CHAIN-APART, ID-CHAIN-RECONCILE.
    """
    table = TABLE.c
    standing = [int(status) for status in STANDING]
    # What is already out of date cannot be written; it runs out by itself.
    is_writable = table.checked_s + LIFETIME_S > now_s
    is_other = or_(
        table.written_status.is_(None),
        table.written_status != table.status,
        table.written_level != table.level,
    )
    is_older = table.status.in_(standing) & (
        table.checked_s - table.written_checked_s >= RENEW_AFTER_S
    )
    sends = table.status.in_(standing) & (table.sends_until_s < now_s + SENDS_MARGIN_S)
    stops = table.status.not_in(standing) & (table.sends_until_s > now_s)
    may_show = true() if bound_s is None else table.not_before_s < bound_s
    query = (
        select(TABLE)
        .where(
            table.tenant == tenant,
            table.sector == sector,
            table.batch.is_(None),
            table.not_before_s <= now_s,
            or_(table.shown_s.is_not(None), may_show),
            table.settle_s <= now_s,
            table.attempts < len(CHUNKS),
            or_((is_other | is_older | sends) & is_writable, stops),
        )
        .order_by(table.address)
        .limit(ROWS_MAX)
    )
    return (await tx.execute(query)).all()


def group_rows(rows: Sequence[Any], *, now_s: int) -> dict[Group, list[Address]]:
    """Put addresses together that want the same."""
    groups: dict[Group, list[Address]] = defaultdict(list)
    for row in rows:
        is_standing = FlagStatus(row.status) in STANDING
        # Of those who do not stand, the record is as of now: the bucket may have gone by since.
        checked_s = row.checked_s if is_standing else now_s - now_s % BUCKET_S
        sends = is_standing and row.sends_until_s < now_s + SENDS_MARGIN_S
        group = Group(
            status=row.status,
            level=row.level,
            checked_s=max(checked_s, row.written_checked_s or 0),
            is_attested=sends,
            is_revoked=not is_standing and row.sends_until_s > now_s,
            chunk=CHUNKS[row.attempts],
        )
        groups[group].append(Address(bytes(row.address)))
    return groups


async def note_block(
    tx: AsyncConnection, block: FinalBlock, *, tenant: str, registry: Address
) -> None:
    """Take over what a final block says about the hub's addresses; a follower's handler.

    Spec: ID-CHAIN-RECONCILE.
    """
    for found in block.logs_of(registry):
        told = decode_event(found.log)
        if told is not None:
            account, record = told
            values = {
                "written_status": int(record.status),
                "written_level": record.proofing_level,
                "written_checked_s": record.checked_s,
                "height": int(block.header.height),
                "shown_s": func.coalesce(TABLE.c.shown_s, int(block.header.timestamp_s)),
                "batch": None,
            }
            await _note(tx, tenant, account, values)
    for found in block.logs_of(PERMISSIONS_ADDRESS):
        sending = _read_sending(found.log)
        if sending is not None:
            # An address that may send was at fault in nothing.
            await _note(tx, tenant, sending[0], {"sends_until_s": sending[1], "attempts": 0})
    await forget_removed(tx, tenant=tenant)


async def forget_removed(tx: AsyncConnection, *, tenant: str) -> None:
    """Forget addresses that were let go and that the ledger shows as removed and silent."""
    await tx.execute(
        delete(TABLE).where(
            TABLE.c.tenant == tenant,
            TABLE.c.is_current.is_(False),
            TABLE.c.written_status == int(FlagStatus.REMOVED),
            TABLE.c.sends_until_s == 0,
        )
    )


async def note_failure(tx: AsyncConnection, *, tenant: str, operation_id: str) -> None:
    """Cut a batch that failed, so that the address at fault comes to stand alone.

    Spec: ID-CHAIN-RECONCILE.
    """
    batch = operation_id.removeprefix(OPERATION_PREFIX).partition(":")[0]
    await tx.execute(
        update(TABLE)
        .where(TABLE.c.tenant == tenant, TABLE.c.batch == batch)
        .values(batch=None, attempts=TABLE.c.attempts + 1, settle_s=0)
    )


async def count_stuck(tx: AsyncConnection, *, tenant: str) -> int:
    """Return how many addresses the ledger refused even alone."""
    query = select(TABLE.c.address).where(TABLE.c.tenant == tenant, TABLE.c.attempts >= len(CHUNKS))
    return len((await tx.execute(query)).all())


async def _note(tx: AsyncConnection, tenant: str, account: Address, values: dict[str, Any]) -> None:
    await tx.execute(
        update(TABLE).where(TABLE.c.tenant == tenant, TABLE.c.address == account).values(**values)
    )


def _read_sending(log: Log) -> tuple[Address, int] | None:
    """Return whose right to send an event gives or takes, and until when."""
    if len(log.topics) != 3 or log.topics[0] not in (ATTESTED, REVOKED):
        return None
    until_s = int.from_bytes(log.data, "big") if log.topics[0] == ATTESTED else 0
    return Address(log.topics[1][12:]), until_s
