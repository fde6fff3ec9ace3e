"""Everybody's certificates against the newest lists, page by page, by jobs that outlive a restart.

The lists are fetched beside it, into memory; a page of people is one transaction that asks nobody.
While no fresh list is at hand nobody's flag is renewed, and flags run out by themselves.

Spec: ID-SWEEP, ID-FLAG.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from clients.identity.revocation import Good, RevocationReason, Revoked, Undetermined
from clients.identity.verifier import DirectVerifier
from node.log import Log
from services.hub import people
from services.hub.people import Card, Person
from services.hub.statements import prune_challenges
from services.hub.statuses import Statuses
from services.kit.clock import Clock
from services.kit.jobs import Job, enqueue

SWEEP: Final = "hub.sweep"
"""Kind of the recurring job that begins a sweep."""

PAGE: Final = "hub.sweep-page"
"""Kind of the job that goes through a page of people."""

PAGE_SIZE: Final = 200
"""People in one transaction."""

FETCH_S: Final = 3_600.0
"""Pause between two looks for newer lists."""

RETRY_S: Final = 5.0
"""The same while a list is missing."""

CHALLENGES_KEPT: Final = timedelta(days=1)
"""How long a challenge is kept after it expired."""

_log = Log("sweep")


@dataclass(slots=True, kw_only=True)
class Sweep:
    """Fetches lists and goes through everybody."""

    verifier: DirectVerifier
    """Whose lists."""
    statuses: Statuses
    """Carries standings out."""
    clock: Clock
    """The present."""
    faults: dict[bytes, str] = field(default_factory=dict)
    """What went wrong at the last fetch, by authority."""

    async def fetch(self) -> None:
        """Keep the lists fresh for ever; a task."""
        while True:
            self.faults = await self.verifier.fetch_lists()
            for fault in sorted(set(self.faults.values())):
                _log.warning("a revocation list is missing", why=fault)
            await self.clock.sleep(RETRY_S if self.faults else FETCH_S)

    async def begin(self, tx: AsyncConnection, job: Job) -> None:
        """Begin a sweep; a job handler."""
        now = self.clock.now()
        await prune_challenges(tx, before=now - CHALLENGES_KEPT)
        await self._next(tx, job, after="", now=now)

    async def page(self, tx: AsyncConnection, job: Job) -> None:
        """Go through a page of people; a job handler.

        Spec: ID-SWEEP.
        """
        now, after = self.clock.now(), str(job.payload["after"])
        references = await people.list_references(
            tx, tenant=job.tenant, after=after, count=PAGE_SIZE
        )
        for reference in references:
            person = await people.load_person(tx, tenant=job.tenant, reference=reference)
            if person is not None:
                await self.renew(tx, person, now=now)
        if len(references) == PAGE_SIZE:
            await self._next(tx, job, after=references[-1], now=now)

    async def renew(self, tx: AsyncConnection, person: Person, *, now: datetime) -> None:
        """Renew one person's flag by the lists at hand.

        Spec: ID-SWEEP, ID-LIFECYCLE.
        """
        vouched: dict[bytes, datetime] = {}
        for card in await people.load_cards(tx, person, envelope=self.statuses.envelope):
            as_of = await self._look_up(tx, person, card, now=now)
            if as_of is not None:
                vouched[card.place] = as_of
        await self.statuses.renew(tx, person, now=now, vouched=vouched)

    async def _look_up(
        self, tx: AsyncConnection, person: Person, card: Card, *, now: datetime
    ) -> datetime | None:
        """Return when the authority spoke of a certificate; note that it is revoked."""
        status = self.verifier.find_listed_status(card.reference, now=now)
        match status:
            case Undetermined():
                return None
            case Good(as_of=as_of):
                if self._is_compromised(card) and card.reason is None:
                    reason = RevocationReason.AUTHORITY_COMPROMISED
                    await people.save_revocation(tx, person, card, reason=reason, at=as_of)
                return as_of
            case Revoked(as_of=as_of, reason=reason, revoked_at=revoked_at):
                if card.reason is None:
                    await people.save_revocation(tx, person, card, reason=reason, at=revoked_at)
                return as_of

    def _is_compromised(self, card: Card) -> bool:
        """Tell whether the list stops the whole generation: one reason 2 is everybody's.

        Spec: ID-LIFECYCLE.
        """
        held = self.verifier.held_list(card.reference.authority_key_hash)
        reasons = {entry.reason for entry in held.entries.values()} if held is not None else set()
        return RevocationReason.AUTHORITY_COMPROMISED in reasons

    async def _next(self, tx: AsyncConnection, job: Job, *, after: str, now: datetime) -> None:
        begun = job.key.partition("/")[0]
        page = Job(
            tenant=job.tenant,
            kind=PAGE,
            key=f"{begun}/{after}",
            due=now,
            payload={"after": after},
        )
        await enqueue(tx, page, now=now)
