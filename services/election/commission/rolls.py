"""The roll: begun, imported, compared with what was there, fixed once, and its eligible list.

Until it is fixed an extract may be imported as often as the register changes; each import replaces
the roll whole, or changes nothing. Fixing is a recorded act: from then on slots, leaves and the
root that the manifest names never change, and who is struck off later gets a cancel record.

Spec: ROLL-IMPORT, ROLL-LEAF, ROLL-FIX.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.identity.attributes import Sex
from clients.voting.manifest import Manifest, decode_manifest
from clients.voting.roll import compute_leaf
from node.primitives.canonical import encode_canonical
from node.primitives.json_text import decode_json
from node.primitives.merkle import Tree
from services.election.commission.elector_file import Elector, age_on
from services.election.commission.matching import normalise_name
from services.election.commission.tables import ELECTORS, ROLLS
from services.election.commission.vault import Vault, context_of, draw_root, owner_of
from services.kit.clock import Clock
from services.kit.envelope import Envelope
from services.kit.problems import Refusal

INSERT_ROWS: Final = 500

BANDS: Final = (18, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80)
"""First age of each band of the turnout tables."""


class RollState(StrEnum):
    """How far a roll has come."""

    OPEN = "open"
    """Imports replace it."""
    FIXED = "fixed"
    """Its eligible list stands."""
    ANNOUNCED = "announced"
    """The election is announced; electors may enrol."""
    FROZEN = "frozen"
    """Every style is frozen."""
    DESTROYED = "destroyed"
    """The restricted store is gone."""


class RollMissing(Refusal):
    """There is no such roll or election here."""

    code = "election.roll_missing"
    status = HTTPStatus.NOT_FOUND


class RollNotReady(Refusal):
    """The roll is not in the state this needs."""

    code = "election.roll_state"
    status = HTTPStatus.CONFLICT


class ElectorMissing(Refusal):
    """The roll has no such elector."""

    code = "election.elector_missing"
    status = HTTPStatus.NOT_FOUND


class ManifestUnfit(Refusal):
    """The manifest is not of this roll: another draft, list, style or key."""

    code = "election.manifest_unfit"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """A roll without its electors."""

    tenant: str
    """Municipality."""
    draft: bytes
    """Draft id."""
    state: RollState
    """How far it has come."""
    reference_day: date
    """Ages are those on this day."""
    styles: frozenset[int]
    """Ballot styles."""
    eid: bytes | None
    """The election, once announced."""
    manifest: Manifest | None
    """Its manifest."""
    eligible_root: bytes | None
    """Root of the eligible list, once fixed."""
    eligible_size: int
    """Electors on it."""
    eligible_digest: bytes | None
    """SHA-256 of its file."""
    is_sealed_at_attestor: bool
    """The attestor has taken the fixed roll over."""

    def check_state(self, *states: RollState) -> None:
        """Refuse what the roll's state does not allow.

        Raises:
            RollNotReady: It is in none of ``states``.
        """
        if self.state not in states:
            raise RollNotReady("the roll is in another state", state=self.state)

    @property
    def announced(self) -> tuple[bytes, Manifest]:
        """Return the election and its manifest.

        Raises:
            RollNotReady: It is not announced.
        """
        if self.eid is None or self.manifest is None:
            raise RollNotReady("the election is not announced", state=self.state)
        return self.eid, self.manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportChange:
    """What an import does to the roll."""

    added: int
    """New electors."""
    changed: int
    """Electors with another entry."""
    struck_off: int
    """Electors no longer there."""
    unchanged: int
    """The rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EligibleList:
    """The published list of leaves, ready to prove places."""

    leaves: tuple[bytes, ...]
    """Ascending."""
    tree: Tree
    """Their tree."""
    places: dict[bytes, int]
    """Place of each leaf."""

    @property
    def file(self) -> bytes:
        """Return ``eligible.bin``."""
        return b"".join(self.leaves)


def build_eligible(leaves: Sequence[bytes]) -> EligibleList:
    """Sort leaves into the eligible list.

    Spec: ROLL-LEAF.
    """
    ordered = tuple(sorted(leaves))
    places = {leaf: at for at, leaf in enumerate(ordered)}
    return EligibleList(leaves=ordered, tree=Tree(ordered), places=places)


class Vaults:
    """Opens the vaults of rolls and keeps them in memory until they are destroyed."""

    def __init__(self, envelope: Envelope) -> None:
        """Hold the kit's envelope."""
        self._envelope = envelope
        self._open: dict[tuple[str, bytes], Vault] = {}
        self._lists: dict[tuple[str, bytes], EligibleList] = {}

    async def create(self, tx: AsyncConnection, tenant: str, draft: bytes, clock: Clock) -> bytes:
        """Return a new sealed root for a roll."""
        return await self._envelope.seal(
            tx,
            owner_of(tenant, draft),
            draw_root(),
            context=context_of(draft),
            now=clock.now(),
        )

    async def open(self, tx: AsyncConnection, tenant: str, draft: bytes) -> Vault:
        """Return the vault of a roll.

        Raises:
            RollMissing: There is no such roll.
            Erased: The store was destroyed.
        """
        held = self._open.get((tenant, draft))
        if held is not None:
            return held
        table = ROLLS
        query = select(table.c.root_key).where(table.c.tenant == tenant, table.c.draft == draft)
        sealed = (await tx.execute(query)).scalar_one_or_none()
        if sealed is None:
            raise RollMissing("there is no such roll")
        root = await self._envelope.open(
            tx, bytes(sealed), tenant=tenant, context=context_of(draft)
        )
        return self._open.setdefault((tenant, draft), Vault(root, draft))

    async def eligible(self, tx: AsyncConnection, roll: Roll) -> EligibleList:
        """Return the fixed eligible list."""
        key = (roll.tenant, roll.draft)
        if key not in self._lists:
            query = select(ELECTORS.c.slot, ELECTORS.c.style).where(*_of(ELECTORS, roll))
            rows = (await tx.execute(query)).all()
            leaves = [compute_leaf(bytes(row.slot), row.style) for row in rows]
            self._lists[key] = build_eligible(leaves)
        return self._lists[key]

    async def destroy(self, tx: AsyncConnection, roll: Roll, clock: Clock) -> tuple[bytes, ...]:
        """Shred the root of a roll; return the commitments of the keys that are gone."""
        owner = owner_of(roll.tenant, roll.draft)
        gone = await self._envelope.shred(
            tx, tenant=roll.tenant, person=owner.person, purposes=[owner.purpose], now=clock.now()
        )
        self.forget(roll)
        return gone

    def forget(self, roll: Roll) -> None:
        """Drop what is in memory of a roll."""
        self._open.pop((roll.tenant, roll.draft), None)
        self._lists.pop((roll.tenant, roll.draft), None)


def _of(table: Any, roll: Roll) -> tuple[Any, Any]:
    return table.c.tenant == roll.tenant, table.c.draft == roll.draft


async def begin_roll(
    tx: AsyncConnection,
    *,
    tenant: str,
    draft: bytes,
    reference_day: date,
    styles: Sequence[int],
    root_key: bytes,
) -> None:
    """Begin an empty roll.

    Raises:
        RollNotReady: The draft has one already.
    """
    if await find_roll(tx, tenant=tenant, draft=draft) is not None:
        raise RollNotReady("the draft has a roll already", state=RollState.OPEN)
    await tx.execute(
        insert(ROLLS).values(
            tenant=tenant,
            draft=draft,
            state=RollState.OPEN.value,
            reference_day=reference_day.isoformat(),
            styles=" ".join(map(str, sorted(set(styles)))),
            root_key=root_key,
            sealed_at_attestor=False,
        )
    )


async def find_roll(tx: AsyncConnection, *, tenant: str, draft: bytes) -> Roll | None:
    """Return a roll by its draft id."""
    query = select(ROLLS).where(ROLLS.c.tenant == tenant, ROLLS.c.draft == draft)
    return _read((await tx.execute(query)).one_or_none())


async def load_roll(tx: AsyncConnection, *, tenant: str, draft: bytes) -> Roll:
    """Return a roll by its draft id.

    Raises:
        RollMissing: There is none.
    """
    roll = await find_roll(tx, tenant=tenant, draft=draft)
    if roll is None:
        raise RollMissing("there is no such roll")
    return roll


async def load_election(tx: AsyncConnection, *, tenant: str, eid: bytes) -> Roll:
    """Return the roll of an announced election.

    Raises:
        RollMissing: There is none.
    """
    query = select(ROLLS).where(ROLLS.c.tenant == tenant, ROLLS.c.eid == eid)
    roll = _read((await tx.execute(query)).one_or_none())
    if roll is None:
        raise RollMissing("there is no such election here")
    return roll


async def list_rolls(tx: AsyncConnection, *, tenant: str, state: RollState) -> tuple[Roll, ...]:
    """Return the rolls in a state."""
    query = select(ROLLS).where(ROLLS.c.tenant == tenant, ROLLS.c.state == state.value)
    rows = (await tx.execute(query.order_by(ROLLS.c.draft))).all()
    return tuple(roll for roll in map(_read, rows) if roll is not None)


def _read(row: Any) -> Roll | None:
    if row is None:
        return None
    return Roll(
        tenant=row.tenant,
        draft=bytes(row.draft),
        state=RollState(row.state),
        reference_day=date.fromisoformat(row.reference_day),
        styles=frozenset(map(int, row.styles.split())),
        eid=None if row.eid is None else bytes(row.eid),
        manifest=None if row.manifest is None else decode_manifest(bytes(row.manifest)),
        eligible_root=None if row.eligible_root is None else bytes(row.eligible_root),
        eligible_size=row.eligible_size or 0,
        eligible_digest=None if row.eligible_digest is None else bytes(row.eligible_digest),
        is_sealed_at_attestor=row.sealed_at_attestor,
    )


async def set_state(tx: AsyncConnection, roll: Roll, state: RollState, **values: object) -> None:
    """Move a roll to another state."""
    await tx.execute(update(ROLLS).where(*_of(ROLLS, roll)).values(state=state.value, **values))


async def import_electors(
    tx: AsyncConnection, roll: Roll, electors: Sequence[Elector], vault: Vault, *, is_dry_run: bool
) -> ImportChange:
    """Make the roll equal to an extract, or only say what that would change.

    Raises:
        RollNotReady: It is fixed.

    Spec: ROLL-IMPORT.
    """
    roll.check_state(RollState.OPEN)
    query = select(ELECTORS.c.slot, ELECTORS.c.record).where(*_of(ELECTORS, roll))
    known = {bytes(row.slot): bytes(row.record) for row in (await tx.execute(query)).all()}
    added, changed, unchanged = [], [], 0
    for elector in electors:
        slot = vault.slot_of(elector.number)
        before = known.pop(slot, None)
        if before is None:
            added.append((slot, elector))
        elif vault.open(before, place=_place(slot)) != encode_elector(elector):
            changed.append((slot, elector))
        else:
            unchanged += 1
    if not is_dry_run:
        gone = [*known, *(slot for slot, _ in changed)]
        for at in range(0, len(gone), INSERT_ROWS):
            some = gone[at : at + INSERT_ROWS]
            await tx.execute(
                delete(ELECTORS).where(*_of(ELECTORS, roll), ELECTORS.c.slot.in_(some))
            )
        rows = [_row(roll, slot, elector, vault) for slot, elector in (*added, *changed)]
        for at in range(0, len(rows), INSERT_ROWS):
            await tx.execute(insert(ELECTORS), rows[at : at + INSERT_ROWS])
    return ImportChange(
        added=len(added), changed=len(changed), struck_off=len(known), unchanged=unchanged
    )


def _row(roll: Roll, slot: bytes, elector: Elector, vault: Vault) -> dict[str, object]:
    return {
        "tenant": roll.tenant,
        "draft": roll.draft,
        "slot": slot,
        "person": person_index(vault, elector.name, elector.birth_date),
        "record": vault.seal(encode_elector(elector), place=_place(slot)),
        "style": elector.style,
        "district": elector.district,
        "band": find_band(age_on(elector.birth_date, roll.reference_day)),
        "closed": 0,
        "reopened_s": 0,
    }


def person_index(vault: Vault, name: str, born: date) -> bytes:
    """Return the keyed index under which name and birth date are found."""
    return vault.index_of("person", f"{normalise_name(name)}\x00{born.isoformat()}")


def find_band(age: int) -> str:
    """Return the age band of an age, as ``20-24``."""
    if age < BANDS[0]:
        return f"0-{BANDS[0] - 1}"
    at = max(place for place, first in enumerate(BANDS) if first <= age)
    return f"{BANDS[at]}+" if at == len(BANDS) - 1 else f"{BANDS[at]}-{BANDS[at + 1] - 1}"


def _place(slot: bytes) -> str:
    return f"elector:{slot.hex()}"


def encode_elector(elector: Elector) -> bytes:
    """Return an elector as it is sealed."""
    return encode_canonical(
        {
            "number": elector.number,
            "name": elector.name,
            "address": elector.address,
            "birth_date": elector.birth_date.isoformat(),
            "sex": None if elector.sex is None else elector.sex.value,
            "district": elector.district,
            "style": elector.style,
            "certificate_name": elector.certificate_name,
            "certificate_address": elector.certificate_address,
        }
    )


def decode_elector(data: bytes) -> Elector:
    """Return an elector that was sealed here."""
    record: Any = decode_json(data)
    return Elector(
        number=record["number"],
        name=record["name"],
        address=record["address"],
        birth_date=date.fromisoformat(record["birth_date"]),
        sex=None if record["sex"] is None else Sex(record["sex"]),
        district=record["district"],
        style=record["style"],
        certificate_name=record["certificate_name"],
        certificate_address=record["certificate_address"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An elector's row."""

    slot: bytes
    """Slot."""
    elector: Elector
    """The elector."""
    closed: int
    """Final reason of a cancel record, or 0."""
    reopened_s: int
    """Time of the last cancel record, or 0."""


async def find_elector(tx: AsyncConnection, roll: Roll, slot: bytes, vault: Vault) -> Listed:
    """Return the elector of a slot.

    Raises:
        ElectorMissing: The roll has none.
    """
    query = select(ELECTORS).where(*_of(ELECTORS, roll), ELECTORS.c.slot == slot)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise ElectorMissing("the roll has no such elector")
    return _listed(row, vault)


async def find_persons(
    tx: AsyncConnection, roll: Roll, *, name: str, born: date, vault: Vault
) -> tuple[Listed, ...]:
    """Return the electors of this name and birth date."""
    query = select(ELECTORS).where(
        *_of(ELECTORS, roll), ELECTORS.c.person == person_index(vault, name, born)
    )
    rows = (await tx.execute(query.order_by(ELECTORS.c.slot).limit(20))).all()
    return tuple(_listed(row, vault) for row in rows)


def _listed(row: Any, vault: Vault) -> Listed:
    slot = bytes(row.slot)
    record = vault.open(bytes(row.record), place=_place(slot))
    return Listed(
        slot=slot,
        elector=decode_elector(record),
        closed=row.closed,
        reopened_s=row.reopened_s,
    )


async def page_electors(
    tx: AsyncConnection, roll: Roll, vault: Vault, *, after: bytes, count_max: int
) -> tuple[Listed, ...]:
    """Return electors by slot, from behind ``after`` on."""
    query = select(ELECTORS).where(*_of(ELECTORS, roll), ELECTORS.c.slot > after)
    rows = (await tx.execute(query.order_by(ELECTORS.c.slot).limit(count_max))).all()
    return tuple(_listed(row, vault) for row in rows)


async def count_electors(tx: AsyncConnection, roll: Roll) -> int:
    """Return how many electors the roll has."""
    query = select(func.count()).select_from(ELECTORS).where(*_of(ELECTORS, roll))
    return int((await tx.execute(query)).scalar_one())


async def fix_roll(tx: AsyncConnection, roll: Roll, *, expected: int) -> EligibleList:
    """Fix the roll: nothing of its eligible list changes any more.

    Raises:
        RollNotReady: It is fixed already, or has not as many electors as the officer expects.

    Spec: ROLL-FIX.
    """
    roll.check_state(RollState.OPEN)
    query = select(ELECTORS.c.slot, ELECTORS.c.style).where(*_of(ELECTORS, roll))
    rows = (await tx.execute(query)).all()
    if not rows or len(rows) != expected:
        raise RollNotReady("the roll has another number of electors", state=roll.state)
    eligible = build_eligible([compute_leaf(bytes(row.slot), row.style) for row in rows])
    await set_state(
        tx,
        roll,
        RollState.FIXED,
        eligible_root=eligible.tree.root,
        eligible_size=eligible.tree.count,
        eligible_digest=sha256(eligible.file).digest(),
    )
    return eligible


async def announce(
    tx: AsyncConnection, roll: Roll, manifest: Manifest, *, receipt_key: str, modulus: int
) -> bytes:
    """Take over the manifest of the announced election; return its id.

    Raises:
        RollNotReady: The roll is not fixed, or has another election already.
        ManifestUnfit: The manifest names another draft, list, style or key.

    Spec: ROLL-FIX.
    """
    if roll.eid == manifest.eid:
        return manifest.eid
    roll.check_state(RollState.FIXED)
    eligible = manifest.eligible
    is_fit = (
        bytes.fromhex(manifest.draft_id) == roll.draft
        and bytes.fromhex(eligible.root) == roll.eligible_root
        and bytes.fromhex(eligible.file_digest) == roll.eligible_digest
        and eligible.size == roll.eligible_size
        and roll.styles <= {style.style for style in manifest.styles}
        and int(manifest.token_modulus, 16) == modulus
        and manifest.registrars[0].receipt_key == receipt_key
    )
    if not is_fit:
        raise ManifestUnfit("the manifest is not of this roll", rule="ROLL-FIX")
    await set_state(tx, roll, RollState.ANNOUNCED, eid=manifest.eid, manifest=manifest.encode())
    return manifest.eid


def read_hex32(text: str) -> bytes:
    """Return the 32 bytes of a path's parameter.

    Raises:
        RollMissing: It names nothing.
    """
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32 or value.hex() != text:
        raise RollMissing("there is no such election or roll here")
    return value
