"""Who is meant by a pseudonym of a sector, without asking everybody each time.

Kept in memory alone: a table of pseudonyms and residents would connect sectors with a person for
whoever has the database. It is built when a sector is first asked about, from everybody's id and
the keyring, and added to as people enrol.

Spec: ID-PSEUDONYM, ID-HUB-STORE.
"""

from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from services.hub import people
from services.hub.keyring import Keyring
from services.hub.people import Person


@dataclass(slots=True, kw_only=True)
class Names:
    """Pseudonyms of sectors asked about, with the residents' ids."""

    keyring: Keyring
    """Computes pseudonyms."""
    _known: dict[tuple[str, str], dict[bytes, str]] = field(default_factory=dict)
    _enrolled: dict[str, set[str]] = field(default_factory=dict)

    def note(self, person: Person) -> None:
        """Take in somebody who enrols."""
        self._enrolled.setdefault(person.tenant, set()).add(person.reference)
        for (tenant, sector), known in self._known.items():
            if tenant == person.tenant:
                known.update(self._names_of(sector, person.reference))

    async def find(
        self, tx: AsyncConnection, *, tenant: str, sector: str, pseudonym: bytes
    ) -> Person | None:
        """Return whom a pseudonym of a sector means, None when nobody."""
        known = self._known.get((tenant, sector))
        if known is None:
            known = await self._build(tx, tenant=tenant, sector=sector)
        reference = known.get(pseudonym)
        if reference is None:
            return None
        person = await people.load_person(tx, tenant=tenant, reference=reference)
        if person is None:
            # Erased since, or never committed.
            del known[pseudonym]
        return person

    async def _build(self, tx: AsyncConnection, *, tenant: str, sector: str) -> dict[bytes, str]:
        references = {each async for each in people.iterate_references(tx, tenant=tenant)}
        # Who enrolled in a transaction that this one does not see yet.
        references |= self._enrolled.get(tenant, set())
        known: dict[bytes, str] = {}
        for each in references:
            known |= self._names_of(sector, each)
        self._known[tenant, sector] = known
        return known

    def _names_of(self, sector: str, reference: str) -> dict[bytes, str]:
        """Return somebody's name now and the former ones, each with the id.

        Spec: ID-ROTATION.
        """
        resident_id = people.read_reference(reference)
        former = self.keyring.former_names_in(sector, resident_id)
        names = (self.keyring.name_in(sector, resident_id), *former)
        return {bytes(name): reference for name in names}
