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

from node.primitives.errors import Unavailable
from node.primitives.types import Address
from services.election.parts import Context
from services.election.trustee.tables import ACTS, FINDINGS
from services.kit.decisions import Operator, note_decision
from services.kit.intents import FAILED

ATTEMPTS_MAX: Final = 5
"""Calls of one act."""

"""States of a call that will take no effect."""


class ActGivenUp(Unavailable):
    """The ledger refused an act of this trustee time after time; an officer has it tried again."""

    code = "election.act_given_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """An act that is not tried again by itself."""

    subject: bytes
    """Draft or election."""
    name: str
    """Which act."""
    attempts: int
    """How often it was tried."""


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
            await database.transact(lambda tx: self._ask(tx, _act_of(row), row.attempt + 1))
        return False

    async def list_given_up(self, tx: AsyncConnection) -> tuple[GivenUp, ...]:
        """Return the acts whose last call failed and that are not tried again by themselves."""
        query = select(ACTS).where(
            ACTS.c.tenant == self._context.tenant, ACTS.c.attempt >= ATTEMPTS_MAX
        )
        found = []
        for row in (await tx.execute(query.order_by(ACTS.c.subject, ACTS.c.act))).all():
            subject = bytes(row.subject)
            state = await self._context.call_state(tx, _operation(subject, row.act, row.attempt))
            if state in FAILED:
                found.append(GivenUp(subject=subject, name=row.act, attempts=row.attempt))
        return tuple(found)

    async def resume(
        self, tx: AsyncConnection, subject: bytes, operator: Operator
    ) -> tuple[GivenUp, ...]:
        """Ask once more for every act of a draft or election that was given up; return them."""
        resumed = [each for each in await self.list_given_up(tx) if each.subject == subject]
        for each in resumed:
            row = await self._find(tx, subject, each.name)
            assert row is not None
            await self._ask(tx, _act_of(row), row.attempt + 1)
            await note_decision(
                tx,
                operator,
                tenant=self._context.tenant,
                action="act.resumed",
                about=f"{subject.hex()} {each.name} {row.attempt + 1}",
            )
        return tuple(resumed)

    async def check(self) -> str:
        """Say whether every act went through or is still tried; a readiness check.

        Raises:
            ActGivenUp: One was given up.
        """
        async with self._context.resources.database.read() as tx:
            given_up = await self.list_given_up(tx)
        if given_up:
            first = given_up[0]
            raise ActGivenUp(
                f"{len(given_up)} acts given up, among them '{first.name}' of "
                f"{first.subject.hex()[:16]} after {first.attempts} tries; find out why, then "
                "daicho election resume"
            )
        return "every act went through or is tried"

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


def _act_of(row: Row[Any]) -> Act:
    return Act(
        subject=bytes(row.subject),
        name=row.act,
        contract=Address(bytes(row.contract)),
        data=bytes(row.data),
    )


async def _insert_finding(tx: AsyncConnection, values: Mapping[str, object]) -> None:
    await tx.execute(insert(FINDINGS).values(**values))


def _operation(subject: bytes, name: str, attempt: int) -> str:
    return f"{subject.hex()[:32]}:{name.replace(' ', '-')}:{attempt}"
