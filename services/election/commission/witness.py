"""The other municipalities' part in the roll: check what the commission adds, and confirm it.

A witness takes each batch in its order: the file has the form, nothing in it was in a batch before,
and its root is what the witness itself computes and confirms on the ledger. At the freeze it checks
that every active commitment was in a confirmed batch under the same style. It never learns a slot
or a name, and keeps (cm, style, A, B), from which mixers take the sealed roll.

Spec: ROLL-WITNESS, ROLL-BATCH, ROLL-ACTIVE.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.voting.roll_files import (
    ActiveList,
    InvalidRollFile,
    RollBatch,
    decode_active_list,
    decode_batch,
)
from node.log import Log
from node.primitives.errors import InvalidInput, Unavailable
from services.election.board.state import ElectionState
from services.election.commission.batches import StoredActive, StoredBatch
from services.election.commission.duties import (
    BATCH_GAS,
    FREEZE_GAS,
    DutyWaits,
    encode_batch_call,
    encode_freeze_call,
)
from services.election.commission.tables import WITNESSED, WITNESSED_BATCHES
from services.election.parts import Context

POLL_S: Final = 5.0
LOOKED_UP_AT_ONCE: Final = 500

_log = Log("witness")


class Commission(Protocol):
    """A way to the commission's batches and lists."""

    async def fetch_batch(self, eid: bytes, number: int, now: datetime) -> bytes | None:
        """Return a batch's file, None while there is none."""
        ...

    async def fetch_active(self, eid: bytes, style: int, now: datetime) -> bytes | None:
        """Return a style's active list, None while there is none."""
        ...


class Witness:
    """One municipality's witness."""

    def __init__(self, context: Context, commissions: dict[int, Commission]) -> None:
        """Hold the ways to the other municipalities' services, by municipality."""
        self._context = context
        self._commissions = commissions
        self.trouble: str | None = None
        """Code of what kept the last pass from its end."""

    async def run(self) -> None:
        """Witness for ever; a task."""
        news = self._context.pulse.listen()
        while True:
            await self.run_once()
            await news.wait(self._context.resources.clock, POLL_S)

    async def run_once(self) -> None:
        """Check and confirm what is new in every election this municipality witnesses."""
        self.trouble = None
        board = self._context.board
        async with board.database.read() as tx:
            ids = await board.list_elections(tx)
            states = [await board.load_election(tx, eid) for eid in ids]
        for state in states:
            if state is None or state.abandoned is not None or state.is_frozen:
                continue
            commission = self._commission_of(state)
            if commission is None:
                continue
            try:
                await self._witness(state, commission)
            except (Unavailable, InvalidInput) as error:
                self.trouble = error.code
                _log.warning("not confirmed", election=state.eid.hex()[:16], why=error.code)

    def _commission_of(self, state: ElectionState) -> Commission | None:
        """Return the way to the commission of an election this municipality witnesses."""
        mine = self._context.settings.municipality.account.lower()
        registrars = state.terms.registrars
        if mine not in registrars[1:]:
            return None
        number = dict(zip(state.terms.trustee_accounts, state.terms.trustees, strict=True))
        return self._commissions.get(number.get(registrars[0], 0))

    async def _witness(self, state: ElectionState, commission: Commission) -> None:
        while await self._take_batch(state, commission):
            pass
        if self._context.resources.clock.now().timestamp() >= state.terms.freezes_at:
            for style in state.terms.styles:
                if style not in state.frozen:
                    await self._take_active(state, commission, style)

    async def _take_batch(self, state: ElectionState, commission: Commission) -> bool:
        """Check and confirm the next batch; False when there is none."""
        eid, board = state.eid, self._context.board
        async with board.database.read() as tx:
            number = await self._count(tx, eid)
        if number > len(state.batches):
            return False  # the one before waits for others; the contract takes them in order
        data = await commission.fetch_batch(eid, number, self._context.resources.clock.now())
        if data is None:
            return False
        batch = decode_batch(data)
        check_styles(batch, state.terms.styles)
        is_decided = number < len(state.batches)
        if is_decided and state.batches[number].root != batch.root:
            raise InvalidRollFile("batch: another than the ledger has", rule="ROLL-WITNESS")
        await board.database.transact(
            lambda tx: self._keep_batch(tx, eid, number, batch, is_decided=is_decided)
        )
        return True

    async def _keep_batch(
        self,
        tx: AsyncConnection,
        eid: bytes,
        number: int,
        batch: RollBatch,
        *,
        is_decided: bool,
    ) -> None:
        """Store and confirm a batch in one transaction, if nothing in it was there before."""
        if await self._count(tx, eid) != number:
            return
        await self._check_new(tx, eid, batch)
        tenant = self._context.tenant
        rows = [
            {
                "tenant": tenant,
                "eid": eid,
                "commitment": entry.commitment,
                "batch": number,
                "style": entry.style,
                "a": entry.a.encode(),
                "b": entry.b.encode(),
            }
            for entry in batch.entries
        ]
        for at in range(0, len(rows), LOOKED_UP_AT_ONCE):
            await tx.execute(insert(WITNESSED), rows[at : at + LOOKED_UP_AT_ONCE])
        cancels = b"".join(batch.cancels)
        await tx.execute(
            insert(WITNESSED_BATCHES).values(
                tenant=tenant, eid=eid, number=number, root=batch.root, cancels=cancels
            )
        )
        stored = StoredBatch(
            number=number,
            root=batch.root,
            entries=len(batch.entries),
            cancels=len(batch.cancels),
            body=batch.encode(),
        )
        self._context.files.write(stored.root, stored.body)
        await self._context.board.note_file(
            tx, eid, stored.root, size=len(stored.body), is_restricted=True
        )
        if is_decided:
            return
        await self._context.call_contract(
            tx,
            f"witness-batch:{eid.hex()}:{number}",
            self._context.contracts.credentials,
            encode_batch_call(eid, stored),
            gas_limit=BATCH_GAS,
            ordered_by=f"roll:{eid.hex()}",
        )

    async def _check_new(self, tx: AsyncConnection, eid: bytes, batch: RollBatch) -> None:
        known = await self._known(tx, eid, [entry.commitment for entry in batch.entries])
        query = select(WITNESSED_BATCHES.c.cancels).where(
            WITNESSED_BATCHES.c.tenant == self._context.tenant, WITNESSED_BATCHES.c.eid == eid
        )
        before = b"".join(bytes(each) for each in (await tx.execute(query)).scalars())
        cancelled = {before[at : at + 32] for at in range(0, len(before), 32)}
        if known or cancelled & set(batch.cancels):
            raise InvalidRollFile("batch: holds what an earlier one had", rule="ROLL-WITNESS")

    async def _take_active(self, state: ElectionState, commission: Commission, style: int) -> None:
        """Check and confirm a style's active list, once."""
        eid, board = state.eid, self._context.board
        operation = f"witness-freeze:{eid.hex()}:{style}"
        async with board.database.read() as tx:
            if await self._context.call_state(tx, operation) is not None:
                return
        data = await commission.fetch_active(eid, style, self._context.resources.clock.now())
        if data is None:
            return
        active = decode_active_list(data)

        async def work(tx: AsyncConnection) -> None:
            known = await self._known(tx, eid, active.commitments)
            check_active(active, style, known)
            stored = StoredActive(
                style=style,
                count=len(active.commitments),
                root=active.root,
                file_digest=active.file_digest,
                body=data,
            )
            if data:
                self._context.files.write(stored.file_digest, data)
                await board.note_file(
                    tx, eid, stored.file_digest, size=len(data), is_restricted=False
                )
            await self._context.call_contract(
                tx,
                operation,
                self._context.contracts.credentials,
                encode_freeze_call(eid, stored),
                gas_limit=FREEZE_GAS,
                ordered_by=f"roll:{eid.hex()}",
            )

        await board.database.transact(work)

    async def _count(self, tx: AsyncConnection, eid: bytes) -> int:
        query = select(func.count()).where(
            WITNESSED_BATCHES.c.tenant == self._context.tenant, WITNESSED_BATCHES.c.eid == eid
        )
        return int((await tx.execute(query)).scalar_one())

    async def _known(
        self, tx: AsyncConnection, eid: bytes, commitments: Sequence[bytes]
    ) -> dict[bytes, int]:
        """Return the styles of those commitments that confirmed batches hold."""
        found: dict[bytes, int] = {}
        table: Any = WITNESSED
        for at in range(0, len(commitments), LOOKED_UP_AT_ONCE):
            some = commitments[at : at + LOOKED_UP_AT_ONCE]
            query = select(table.c.commitment, table.c.style).where(
                table.c.tenant == self._context.tenant,
                table.c.eid == eid,
                table.c.commitment.in_(some),
            )
            found |= {bytes(row.commitment): row.style for row in (await tx.execute(query)).all()}
        return found

    async def check(self) -> str:
        """Say how witnessing stands; a readiness check."""
        if self.trouble is not None:
            raise DutyWaits(f"the witness did not confirm: {self.trouble}")
        return "confirms"


def check_styles(batch: RollBatch, styles: Sequence[int]) -> None:
    """Check that a batch names only styles of the election.

    Raises:
        InvalidRollFile: It names another.

    Spec: ROLL-WITNESS.
    """
    if any(entry.style not in styles for entry in batch.entries):
        raise InvalidRollFile("batch: a style of no race", rule="ROLL-WITNESS")


def check_active(active: ActiveList, style: int, known: dict[bytes, int]) -> None:
    """Check that every active commitment was in a batch under its style.

    Raises:
        InvalidRollFile: One was not.

    Spec: ROLL-WITNESS.
    """
    if any(known.get(commitment) != style for commitment in active.commitments):
        raise InvalidRollFile(
            "active list: a commitment was in no batch of its style", rule="ROLL-WITNESS"
        )
