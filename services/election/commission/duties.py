"""What the commission does unattended: hand over to the attestor, finish, batch, freeze.

One pass looks at the state of each roll and of the ledger and does the next thing that is its own.
Every step can be killed and begun again; what it asks of the ledger has an operation id of its own.

Spec: ROLL-BATCH, ROLL-ACTIVE, ROLLC-BATCH, ROLLC-FREEZE.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.voting.manifest import Manifest, decode_manifest
from node.log import Log
from node.primitives.errors import LedgerError, Unavailable
from services.election.board.contracts import encode_call
from services.election.board.files import FileRef, manifest_digest
from services.election.board.state import ElectionState
from services.election.commission.acts import Act, note_act, system_actor
from services.election.commission.attestor import hash_elector
from services.election.commission.attestor_wire import RollRow
from services.election.commission.batches import (
    StoredActive,
    StoredBatch,
    count_batches,
    end_enrolment,
    has_unbatched,
    list_active,
    make_active_lists,
    make_batch,
)
from services.election.commission.cancels import list_unsigned, sign_cancel
from services.election.commission.desk import take_announcement
from services.election.commission.enrolment import Registrar, complete_enrolment, list_checked
from services.election.commission.rolls import (
    Roll,
    RollState,
    list_rolls,
    load_roll,
    page_electors,
    set_state,
)
from services.election.commission.tables import BATCHES, ROLLS
from services.election.parts import Context
from services.kit.events import to_milliseconds

POLL_S: Final = 5.0
FINISHED_AT_ONCE: Final = 200
PAGE: Final = 2_000

BATCH_GAS: Final = 400_000
FREEZE_GAS: Final = 500_000

_log = Log("commission")


class Duties:
    """The commission's unattended work."""

    def __init__(self, context: Context, registrar: Registrar, *, batch_interval_s: int) -> None:
        """Hold what it needs."""
        self._context = context
        self._registrar = registrar
        self._interval_ms = batch_interval_s * 1_000
        self.trouble: str | None = None
        """Code of what kept the last pass from its end."""

    async def run(self) -> None:
        """Do what is due, for ever; a task."""
        news = self._context.pulse.listen()
        while True:
            await self.run_once()
            await news.wait(self._registrar.clock, POLL_S)

    async def run_once(self) -> None:
        """Do what is due of every roll; trouble of one does not keep another waiting."""
        self.trouble = None
        for state, step in (
            (RollState.FIXED, self._prepare),
            (RollState.ANNOUNCED, self._keep),
            (RollState.FROZEN, self._publish_active),
        ):
            async with self._registrar.database.read() as tx:
                rolls = await list_rolls(tx, tenant=self._context.tenant, state=state)
            for roll in rolls:
                try:
                    await step(roll)
                except Unavailable as error:
                    self.trouble = error.code
                    _log.warning("a duty waits", roll=roll.draft.hex()[:16], why=error.code)

    # Before the election

    async def _prepare(self, roll: Roll) -> None:
        """Hand the fixed roll to the attestor and take over the announcement when it is there."""
        if not roll.is_sealed_at_attestor:
            await self._hand_over_roll(roll)
        manifest = await self._find_manifest(roll)
        if manifest is not None:
            actor = system_actor(self._registrar.clock.now())
            await self._registrar.database.transact(
                lambda tx: take_announcement(tx, self._registrar, roll, manifest, actor)
            )

    async def _hand_over_roll(self, roll: Roll) -> None:
        rows: list[RollRow] = []
        async with self._registrar.database.read() as tx:
            vault = await self._registrar.vaults.open(tx, roll.tenant, roll.draft)
            after = b""
            while page := await page_electors(tx, roll, vault, after=after, count_max=PAGE):
                after = page[-1].slot
                rows += [
                    RollRow(
                        slot=listed.slot.hex(),
                        style=listed.elector.style,
                        elector=hash_elector(listed.slot, listed.elector.matched).hex(),
                    )
                    for listed in page
                ]
        assert roll.eligible_root is not None
        await self._registrar.attestor.hand_over_roll(roll.draft, rows, roll.eligible_root)
        await self._registrar.database.transact(lambda tx: _mark_sealed(tx, roll))

    async def _find_manifest(self, roll: Roll) -> Manifest | None:
        """Return the manifest of the election announced from the roll's draft, if it is here."""
        board, files = self._context.board, self._context.files
        async with board.database.read() as tx:
            for eid in await board.list_elections(tx):
                state = await board.load_election(tx, eid)
                if state is None or state.terms.draft_id != roll.draft or not files.has(eid):
                    continue
                ref = FileRef(
                    subject=eid, digest=eid, digester=manifest_digest, path="manifest.json"
                )
                return decode_manifest(files.read(ref))
        return None

    # While it runs

    async def _keep(self, roll: Roll) -> None:
        """Finish what waits for the attestor, batch, and freeze when it is time."""
        registrar, clock = self._registrar, self._registrar.clock
        eid, manifest = roll.announced
        state = await self._state(eid)
        now = clock.now()
        if state is not None and state.abandoned is not None:
            return
        await registrar.attestor.hand_over_manifest(manifest.encode())
        await self._finish(roll)
        is_freezing = int(now.timestamp()) >= manifest.freezes_at
        if state is None or not await self._are_posted(roll, state):
            return
        await self._batch(roll, is_last=is_freezing)
        if is_freezing and await self._are_posted(roll, state):
            await self._freeze(roll)

    async def _are_posted(self, roll: Roll, state: ElectionState) -> bool:
        """Tell whether the ledger has every batch made; it takes them one after the other."""
        async with self._registrar.database.read() as tx:
            return (await count_batches(tx, roll)).batches == len(state.batches)

    async def _state(self, eid: bytes) -> ElectionState | None:
        async with self._context.board.database.read() as tx:
            return await self._context.board.load_election(tx, eid)

    async def _finish(self, roll: Roll) -> None:
        """Finish enrolments and cancel records that a crash or the attestor's absence left."""
        async with self._registrar.database.read() as tx:
            checked = await list_checked(tx, roll, FINISHED_AT_ONCE)
            unsigned = await list_unsigned(tx, roll, FINISHED_AT_ONCE)
        for cancel_id in unsigned:
            await sign_cancel(self._registrar, roll, cancel_id)
        for enrolment in checked:
            try:
                await complete_enrolment(self._registrar, roll, enrolment)
            except Unavailable:
                raise
            except LedgerError as error:
                _log.warning("an entry is not accepted", why=error.code)

    async def _batch(self, roll: Roll, *, is_last: bool) -> None:
        """Close the open batch when its time has come, and ask for it on the ledger."""
        now_ms = to_milliseconds(self._registrar.clock.now())

        async def work(tx: AsyncConnection) -> StoredBatch | None:
            now = await load_roll(tx, tenant=roll.tenant, draft=roll.draft)
            if now.state is not RollState.ANNOUNCED:
                return None
            if not is_last and now_ms - await _last_batch_ms(tx, roll) < self._interval_ms:
                return None
            batch = await make_batch(tx, roll, now_ms)
            if batch is None:
                return None
            await self._call_batch(tx, roll, batch)
            actor = system_actor(self._registrar.clock.now())
            await note_act(
                tx,
                roll,
                Act.BATCH,
                actor,
                number=batch.number,
                root=batch.root.hex(),
                entries=batch.entries,
                cancels=batch.cancels,
            )
            return batch

        batch = await self._registrar.database.transact(work)
        if batch is not None:
            _log.info("batch closed", number=batch.number, entries=batch.entries)

    async def _call_batch(self, tx: AsyncConnection, roll: Roll, batch: StoredBatch) -> None:
        eid, _ = roll.announced
        self._context.files.write(batch.root, batch.body)
        await self._context.board.note_file(
            tx, eid, batch.root, size=len(batch.body), is_restricted=True
        )
        await self._context.call_contract(
            tx,
            f"batch:{eid.hex()}:{batch.number}",
            self._context.contracts.credentials,
            encode_batch_call(eid, batch),
            gas_limit=BATCH_GAS,
            ordered_by=f"roll:{eid.hex()}",
        )

    async def _freeze(self, roll: Roll) -> None:
        """Freeze every style, once all batches are final on the ledger.

        Spec: ROLL-ACTIVE.
        """
        _, manifest = roll.announced

        async def work(tx: AsyncConnection) -> tuple[StoredActive, ...]:
            now = await load_roll(tx, tenant=roll.tenant, draft=roll.draft)
            is_due = now.state is RollState.ANNOUNCED
            if not is_due or await list_unsigned(tx, roll, 1) or await has_unbatched(tx, roll):
                return ()
            await end_enrolment(tx, roll)
            styles = [style.style for style in manifest.styles]
            lists = await make_active_lists(tx, roll, styles)
            await set_state(tx, roll, RollState.FROZEN)
            actor = system_actor(self._registrar.clock.now())
            for each in lists:
                await self._call_freeze(tx, roll, each)
                await note_act(
                    tx,
                    roll,
                    Act.FROZEN,
                    actor,
                    style=each.style,
                    count=each.count,
                    root=each.root.hex(),
                    file_digest=each.file_digest.hex(),
                )
            return lists

        if await self._registrar.database.transact(work):
            _log.info("roll frozen", roll=roll.draft.hex()[:16])

    async def _call_freeze(self, tx: AsyncConnection, roll: Roll, active: StoredActive) -> None:
        eid, _ = roll.announced
        await self._context.call_contract(
            tx,
            f"freeze:{eid.hex()}:{active.style}",
            self._context.contracts.credentials,
            encode_freeze_call(eid, active),
            gas_limit=FREEZE_GAS,
            ordered_by=f"roll:{eid.hex()}",
        )

    async def _publish_active(self, roll: Roll) -> None:
        """Put the active lists among the election's public files."""
        eid, _ = roll.announced
        async with self._registrar.database.read() as tx:
            lists = await list_active(tx, roll)
        await self._keep_files(eid, [each for each in lists if each.count])

    async def _keep_files(self, eid: bytes, lists: Sequence[StoredActive]) -> None:
        board, files = self._context.board, self._context.files
        for each in lists:
            if files.has(each.file_digest):
                continue
            files.write(each.file_digest, each.body)
            await board.database.transact(
                lambda tx, it=each: board.note_file(  # type: ignore[misc]
                    tx, eid, it.file_digest, size=len(it.body), is_restricted=False
                )
            )

    async def check(self) -> str:
        """Say how the duties stand; a readiness check."""
        if self.trouble is not None:
            raise DutyWaits(f"a duty of the commission waits: {self.trouble}")
        return "duties are done"


class DutyWaits(Unavailable):
    """Something the commission does unattended cannot be done now."""

    code = "election.duty_waits"


def encode_batch_call(eid: bytes, batch: StoredBatch) -> bytes:
    """Return the call that posts or confirms a batch."""
    return encode_call(
        "Credentials", "post_batch", eid, batch.number, batch.root, batch.entries, batch.cancels
    )


def encode_freeze_call(eid: bytes, active: StoredActive) -> bytes:
    """Return the call that freezes a style or confirms it."""
    return encode_call(
        "Credentials", "freeze", eid, active.style, active.root, active.count, active.file_digest
    )


async def _mark_sealed(tx: AsyncConnection, roll: Roll) -> None:
    mine = (ROLLS.c.tenant == roll.tenant, ROLLS.c.draft == roll.draft)
    await tx.execute(update(ROLLS).where(*mine).values(sealed_at_attestor=True))


async def _last_batch_ms(tx: AsyncConnection, roll: Roll) -> int:
    query = (
        select(BATCHES.c.made_ms)
        .where(BATCHES.c.tenant == roll.tenant, BATCHES.c.draft == roll.draft)
        .order_by(BATCHES.c.number.desc())
        .limit(1)
    )
    return int((await tx.execute(query)).scalar() or 0)
