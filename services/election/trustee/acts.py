"""What a trustee does on the ledger: each act once, written down with the call that asks for it.

An act and its call are one transaction of the service's database, so a process killed anywhere has
either done both or neither. A call that failed on the ledger is asked for again a few times, as
long as the ledger's state still wants the act.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.types import Address
from services.election.parts import Context
from services.election.trustee.tables import ACTS, FINDINGS

ATTEMPTS_MAX: Final = 5
"""Calls of one act."""

FAILED: Final = ("failed", "replaced")
"""States of a call that will take no effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An act to be done."""

    subject: bytes
    """Draft or election."""
    name: str
    """Which act, as ``judge R 7 2``."""
    contract: Address
    data: bytes


class Acts:
    """The acts of this trustee."""

    def __init__(self, context: Context) -> None:
        """Hold the database and the relay's outbox."""
        self._context = context

    async def is_due(self, subject: bytes, name: str) -> bool:
        """Tell whether an act is still to be done; ask again for a call that failed.

        The caller has seen that the ledger still wants it.
        """
        database = self._context.resources.database
        async with database.read() as tx:
            row = await self._find(tx, subject, name)
            if row is None:
                return True
            state = await self._context.call_state(tx, _operation(subject, name, row.attempt))
        if state in FAILED and row.attempt < ATTEMPTS_MAX:
            again = Act(
                subject=subject,
                name=name,
                contract=Address(bytes(row.contract)),
                data=bytes(row.data),
            )
            await database.transact(lambda tx: self._ask(tx, again, row.attempt + 1))
        return False

    async def do(self, act: Act) -> None:
        """Write an act down and ask for its call; nothing when it was done before."""
        await self._context.resources.database.transact(lambda tx: self._do(tx, act))

    async def _do(self, tx: AsyncConnection, act: Act) -> None:
        if await self._find(tx, act.subject, act.name) is None:
            await self._ask(tx, act, 1)

    async def _ask(self, tx: AsyncConnection, act: Act, attempt: int) -> None:
        mine = (
            ACTS.c.tenant == self._context.tenant,
            ACTS.c.subject == act.subject,
            ACTS.c.act == act.name,
        )
        if attempt == 1:
            await tx.execute(
                insert(ACTS).values(
                    tenant=self._context.tenant,
                    subject=act.subject,
                    act=act.name,
                    attempt=1,
                    contract=act.contract,
                    data=act.data,
                )
            )
        else:
            await tx.execute(update(ACTS).where(*mine).values(attempt=attempt))
        await self._context.call_contract(
            tx,
            _operation(act.subject, act.name, attempt),
            act.contract,
            act.data,
            ordered_by=f"election:{act.subject.hex()[:32]}",
        )

    async def _find(self, tx: AsyncConnection, subject: bytes, name: str) -> Row[Any] | None:
        query = select(ACTS).where(
            ACTS.c.tenant == self._context.tenant, ACTS.c.subject == subject, ACTS.c.act == name
        )
        return (await tx.execute(query)).one_or_none()

    async def load_finding(self, subject: bytes, about: str, digest: bytes) -> str | None:
        """Return what was found of something checked before, None when it was not checked."""
        query = select(FINDINGS.c.why).where(
            FINDINGS.c.tenant == self._context.tenant,
            FINDINGS.c.subject == subject,
            FINDINGS.c.about == about,
            FINDINGS.c.digest == digest,
        )
        async with self._context.resources.database.read() as tx:
            found = (await tx.execute(query)).scalar()
        return None if found is None else str(found)

    async def note_finding(self, subject: bytes, about: str, digest: bytes, why: str) -> None:
        """Write down what was found."""
        if await self.load_finding(subject, about, digest) is not None:
            return
        values = {
            "tenant": self._context.tenant,
            "subject": subject,
            "about": about,
            "digest": digest,
            "why": why[:500],
        }
        await self._context.resources.database.transact(lambda tx: _insert_finding(tx, values))


async def _insert_finding(tx: AsyncConnection, values: Mapping[str, object]) -> None:
    await tx.execute(insert(FINDINGS).values(**values))


def _operation(subject: bytes, name: str, attempt: int) -> str:
    return f"{subject.hex()[:32]}:{name.replace(' ', '-')}:{attempt}"
