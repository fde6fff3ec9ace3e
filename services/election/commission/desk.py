"""The commission's desk: what officers do with the roll, codes, counters and the record.

Each deed and its recorded act are one transaction. Two-person deeds are in ``decisions``.

Spec: ROLL-IMPORT, ROLL-FIX, CODE-ISSUE, ROLL-ACTS.
"""

import asyncio
from datetime import date
from functools import partial
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from clients.voting.manifest import InvalidManifest, decode_manifest
from services.election.commission.acts import Act, Actor, note_act
from services.election.commission.batches import count_batches, list_active
from services.election.commission.desk_documents import (
    EidView,
    ElectorQuery,
    ElectorsView,
    ElectorView,
    FaultView,
    FixedView,
    FixOrder,
    ImportOrder,
    ImportReport,
    ManifestBody,
    NewRoll,
    PartView,
    RollView,
    UploadPart,
)
from services.election.commission.elector_file import ElectorFile, read_elector_file
from services.election.commission.enrolment import Registrar
from services.election.commission.invitations import (
    count_codes,
)
from services.election.commission.rolls import (
    ElectorMissing,
    ImportChange,
    Listed,
    ManifestUnfit,
    Roll,
    RollMissing,
    RollNotReady,
    announce,
    begin_roll,
    count_electors,
    find_elector,
    find_persons,
    fix_roll,
    import_electors,
    load_roll,
    read_hex32,
)
from services.election.commission.uploads import UploadWrong, drop_parts, join_parts, keep_part
from services.kit.clock import JAPAN
from services.kit.envelope import Erased
from services.kit.operations import Call, operation
from services.kit.problems import Fault, InvalidRequest
from services.kit.reads import reference_of, role_of

OFFICER: Final = "election-officer"
POLLING: Final = "polling-officer"
PURPOSE: Final = "election.commission"
LEVEL: Final = 2

ELIGIBLE_PART_BYTES: Final = 65_536

_REFUSALS: Final = (RollMissing, RollNotReady, Erased)


def actor_of(call: Call[Any, Any], *, second: str | None = None) -> Actor:
    """Return the officer who calls."""
    name, role = reference_of(call.caller), role_of(call.caller)
    return Actor(name=name, role=role, at=call.at, second=second)


class DeskOperations:
    """The officers' handlers for the roll."""

    def __init__(self, registrar: Registrar) -> None:
        """Hold what they need."""
        self._registrar = registrar

    @operation(
        "POST",
        "/commission/{draft}",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        request=NewRoll,
        response=RollView,
        status=201,
        refusals=_REFUSALS,
    )
    async def begin_roll(self, call: Call[NewRoll, None]) -> RollView:
        """Begin a roll for a draft."""
        draft = read_hex32(call.path["draft"])
        day = parse_day(call.body.reference_day, "/reference_day")

        async def work(tx: AsyncConnection) -> None:
            vaults = self._registrar.vaults
            root = await vaults.create(tx, call.tenant, draft, self._registrar.clock)
            await begin_roll(
                tx,
                tenant=call.tenant,
                draft=draft,
                reference_day=day,
                styles=call.body.styles,
                root_key=root,
            )
            roll = await load_roll(tx, tenant=call.tenant, draft=draft)
            await note_act(tx, roll, Act.BEGUN, actor_of(call), styles=len(roll.styles))

        await self._registrar.database.transact(work)
        return await self._show(call)

    @operation(
        "GET",
        "/commission/{draft}",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        response=RollView,
        refusals=_REFUSALS,
    )
    async def show_roll(self, call: Call[None, None]) -> RollView:
        """Show where a roll stands."""
        return await self._show(call)

    async def _show(self, call: Call[Any, Any]) -> RollView:
        async with self._registrar.database.read() as tx:
            roll = await self._registrar.roll_of(tx, call)
            counts = await count_batches(tx, roll)
            return RollView(
                draft=roll.draft.hex(),
                state=roll.state.value,
                eid=None if roll.eid is None else roll.eid.hex(),
                electors=await count_electors(tx, roll),
                root=None if roll.eligible_root is None else roll.eligible_root.hex(),
                size=roll.eligible_size,
                file_digest=None if roll.eligible_digest is None else roll.eligible_digest.hex(),
                batches=counts.batches,
                entries=counts.entries,
                cancels=counts.cancels,
                frozen=[each.style for each in await list_active(tx, roll)],
                codes=await count_codes(tx, roll),
                is_sealed_at_attestor=roll.is_sealed_at_attestor,
            )

    @operation(
        "PUT",
        "/commission/{draft}/uploads/{part}",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        request=UploadPart,
        refusals=[UploadWrong, *_REFUSALS],
    )
    async def keep_upload(self, call: Call[UploadPart, None]) -> None:
        """Keep a part of the register's extract."""
        text = call.path["part"]
        part = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else -1

        async def work(tx: AsyncConnection) -> None:
            roll, vault = await self._registrar.open_roll(tx, call)
            await keep_part(tx, roll, part, bytes.fromhex(call.body.data), vault)

        await self._registrar.database.transact(work)

    @operation(
        "POST",
        "/commission/{draft}/import",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        request=ImportOrder,
        response=ImportReport,
        refusals=[UploadWrong, *_REFUSALS],
    )
    async def import_roll(self, call: Call[ImportOrder, None]) -> ImportReport:
        """Make the roll equal to the extract handed in, whole or not at all."""
        order = call.body
        async with self._registrar.database.read() as tx:
            roll, vault = await self._registrar.open_roll(tx, call)
            digest = bytes.fromhex(order.sha256)
            data = await join_parts(tx, roll, parts=order.parts, digest=digest, vault=vault)
        today = call.at.astimezone(JAPAN).date()
        found = await asyncio.to_thread(
            partial(read_elector_file, data, styles=roll.styles, today=today)
        )
        if found.fault_count:
            return _report(found, None, is_taken=False)

        async def work(tx: AsyncConnection) -> ImportChange:
            now, vault = await self._registrar.open_roll(tx, call)
            change = await import_electors(
                tx, now, found.electors, vault, is_dry_run=order.is_dry_run
            )
            if not order.is_dry_run:
                await drop_parts(tx, now)
                await note_act(
                    tx,
                    now,
                    Act.IMPORTED,
                    actor_of(call),
                    file=order.sha256,
                    rows=len(found.electors),
                    added=change.added,
                    changed=change.changed,
                    struck_off=change.struck_off,
                )
            return change

        change = await self._registrar.database.transact(work)
        return _report(found, change, is_taken=not order.is_dry_run)

    @operation(
        "POST",
        "/commission/{draft}/fix",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        request=FixOrder,
        response=FixedView,
        refusals=_REFUSALS,
    )
    async def fix_roll(self, call: Call[FixOrder, None]) -> FixedView:
        """Fix the roll and its eligible list."""

        async def work(tx: AsyncConnection) -> None:
            roll = await self._registrar.roll_of(tx, call)
            eligible = await fix_roll(tx, roll, expected=call.body.electors)
            root = eligible.tree.root.hex()
            await note_act(tx, roll, Act.FIXED, actor_of(call), root=root, size=eligible.tree.count)

        await self._registrar.database.transact(work)
        shown = await self._show(call)
        return FixedView(
            root=shown.root or "", size=shown.size, file_digest=shown.file_digest or ""
        )

    @operation(
        "GET",
        "/commission/{draft}/eligible/{part}",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        response=PartView,
        refusals=_REFUSALS,
    )
    async def show_eligible(self, call: Call[None, None]) -> PartView:
        """Show a part of the eligible list's file."""
        async with self._registrar.database.read() as tx:
            roll = await self._registrar.roll_of(tx, call)
            if roll.eligible_root is None:
                raise RollNotReady("the roll is not fixed", state=roll.state)
            data = (await self._registrar.vaults.eligible(tx, roll)).file
        parts = -(-len(data) // ELIGIBLE_PART_BYTES)
        text = call.path["part"]
        part = int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else parts
        if part >= parts:
            raise RollMissing("there is no such part")
        start = part * ELIGIBLE_PART_BYTES
        return PartView(parts=parts, data=data[start : start + ELIGIBLE_PART_BYTES].hex())

    @operation(
        "POST",
        "/commission/{draft}/announced",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        request=ManifestBody,
        response=EidView,
        refusals=[ManifestUnfit, *_REFUSALS],
    )
    async def take_manifest(self, call: Call[ManifestBody, None]) -> EidView:
        """Take over the manifest of the announced election."""
        try:
            manifest = decode_manifest(bytes.fromhex(call.body.manifest))
        except InvalidManifest as error:
            raise ManifestUnfit("not a manifest", rule="ELECTION-MANIFEST") from error

        async def work(tx: AsyncConnection) -> bytes:
            roll = await self._registrar.roll_of(tx, call)
            return await take_announcement(tx, self._registrar, roll, manifest, actor_of(call))

        return EidView(eid=(await self._registrar.database.transact(work)).hex())

    @operation(
        "POST",
        "/commission/{draft}/electors/find",
        purpose=PURPOSE,
        roles=[OFFICER, POLLING],
        authentication_level=LEVEL,
        request=ElectorQuery,
        response=ElectorsView,
        is_personal=True,
        refusals=[ElectorMissing, *_REFUSALS],
    )
    async def find_electors(self, call: Call[ElectorQuery, None]) -> ElectorsView:
        """Find electors by number, or by name and birth date."""
        query = call.body
        async with self._registrar.database.read() as tx:
            roll, vault = await self._registrar.open_roll(tx, call)
            found: tuple[Listed, ...]
            if query.number is not None:
                found = (await find_elector(tx, roll, vault.slot_of(query.number), vault),)
            elif query.name is not None and query.birth_date is not None:
                born = parse_day(query.birth_date, "/birth_date")
                found = await find_persons(tx, roll, name=query.name, born=born, vault=vault)
            else:
                raise InvalidRequest("give a number, or a name and a birth date")
        for listed in found:
            call.note_read(f"slot:{listed.slot.hex()[:32]}")
        return ElectorsView(electors=[_elector_view(listed) for listed in found])


async def take_announcement(
    tx: AsyncConnection, registrar: Registrar, roll: Roll, manifest: Any, actor: Actor
) -> bytes:
    """Take over an announced manifest and record it, once."""
    key = registrar.key.public_key
    compressed = bytes([2 + key[64] % 2]) + key[1:33]
    was_announced = roll.eid is not None
    eid = await announce(
        tx,
        roll,
        manifest,
        receipt_key=compressed.hex(),
        modulus=registrar.tokens.modulus,
    )
    if not was_announced:
        await note_act(tx, roll, Act.ANNOUNCED, actor, eid=eid.hex())
    return eid


def parse_day(text: str, pointer: str) -> date:
    """Return the day of a request.

    Raises:
        InvalidRequest: There is no such day.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        fault = Fault(pointer=pointer, kind="date")
        raise InvalidRequest("no such day", faults=(fault,)) from error


def _report(found: ElectorFile, change: ImportChange | None, *, is_taken: bool) -> ImportReport:
    return ImportReport(
        is_taken=is_taken,
        rows=len(found.electors),
        added=0 if change is None else change.added,
        changed=0 if change is None else change.changed,
        struck_off=0 if change is None else change.struck_off,
        unchanged=0 if change is None else change.unchanged,
        fault_count=found.fault_count,
        faults=[
            FaultView(row=fault.row, column=fault.column, kind=fault.kind.value)
            for fault in found.faults
        ],
    )


def _elector_view(listed: Listed) -> ElectorView:
    elector = listed.elector
    return ElectorView(
        number=elector.number,
        name=elector.name,
        address=elector.address,
        birth_date=elector.birth_date.isoformat(),
        district=elector.district,
        style=elector.style,
        state="closed" if listed.closed else "open",
    )
