"""What ends or hands out: cancel records, exports, destruction, and the second officer's decision.

PAPER is decided by one officer at the polling station, because the attestor's key is the second
and the elector stands there; everything else here waits for another officer.

Spec: ROLL-CANCEL, ROLL-TWO-PERSON, ROLL-EXPORT, ROLL-DESTROY.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.voting.roll_files import CancelReason
from services.election.commission.acts import Act, Actor, note_act
from services.election.commission.cancels import (
    SignedCancel,
    SlotClosed,
    begin_cancel,
    cancel_elector,
    sign_cancel,
)
from services.election.commission.desk import LEVEL, OFFICER, POLLING, PURPOSE, actor_of
from services.election.commission.desk_documents import (
    CancelOrder,
    CancelView,
    DecidedView,
    ExportOrder,
    PartView,
    ProposalAnswer,
    ProposalsView,
    ProposalView,
)
from services.election.commission.enrolment import Registrar
from services.election.commission.export import Export, forget_exports, make_export, read_export
from services.election.commission.proposals import (
    Proposal,
    ProposalKind,
    ProposalMissing,
    SameOfficer,
    decide,
    find_draft,
    list_proposals,
    propose,
)
from services.election.commission.rolls import (
    ElectorMissing,
    Roll,
    RollMissing,
    RollNotReady,
    RollState,
    find_elector,
    load_roll,
    set_state,
)
from services.election.commission.tables import (
    CODE_REQUESTS,
    RESIDENTS,
    SESSIONS,
    UPLOADS,
)
from services.kit.envelope import Erased
from services.kit.operations import Call, Reply, operation

REASONS: Final = {
    "paper": CancelReason.PAPER,
    "death": CancelReason.DEATH,
    "struck-off": CancelReason.STRUCK_OFF,
    "request": CancelReason.REQUEST,
}

_REFUSALS: Final = (RollMissing, RollNotReady, Erased, ElectorMissing)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Destroyed:
    roll: Roll
    keys: tuple[bytes, ...]


class DecisionOperations:
    """The handlers."""

    def __init__(self, registrar: Registrar, exports: Path) -> None:
        """Hold what they need; ``exports`` is where encrypted exports lie."""
        self._registrar = registrar
        self._exports = exports

    @operation(
        "POST",
        "/commission/{draft}/cancels",
        purpose=PURPOSE,
        roles=[OFFICER, POLLING],
        authentication_level=LEVEL,
        request=CancelOrder,
        response=CancelView,
        status=201,
        more_statuses=[202],
        refusals=[SlotClosed, *_REFUSALS],
    )
    async def cancel_elector(self, call: Call[CancelOrder, None]) -> Reply:
        """Cancel an elector's entries; for PAPER the answer is the leave to hand out paper."""
        order = call.body
        reason = REASONS[order.reason]
        if reason is CancelReason.PAPER:
            async with self._registrar.database.read() as tx:
                roll = await self._registrar.roll_of(tx, call)
            signed = await cancel_elector(
                self._registrar,
                roll,
                order.number,
                reason=reason,
                evidence=bytes.fromhex(order.evidence),
                actor=actor_of(call),
            )
            return Reply(body=view_cancel(signed))
        body = order.model_dump()
        proposal = await self._propose(call, ProposalKind.CANCEL, body, number=order.number)
        return Reply(body=CancelView(proposal=proposal), status=202)

    @operation(
        "POST",
        "/commission/{draft}/exports",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        request=ExportOrder,
        response=ProposalAnswer,
        status=202,
        refusals=_REFUSALS,
    )
    async def propose_export(self, call: Call[ExportOrder, None]) -> ProposalAnswer:
        """Propose to hand the restricted store to an accredited auditor."""
        body = call.body.model_dump()
        return ProposalAnswer(proposal=await self._propose(call, ProposalKind.EXPORT, body))

    @operation(
        "POST",
        "/commission/{draft}/destruction",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        response=ProposalAnswer,
        status=202,
        refusals=_REFUSALS,
    )
    async def propose_destruction(self, call: Call[None, None]) -> ProposalAnswer:
        """Propose to destroy the restricted store for good."""
        return ProposalAnswer(proposal=await self._propose(call, ProposalKind.DESTRUCTION, {}))

    async def _propose(
        self,
        call: Call[Any, Any],
        kind: ProposalKind,
        body: dict[str, object],
        *,
        number: str | None = None,
    ) -> str:
        async def work(tx: AsyncConnection) -> str:
            roll = await self._registrar.roll_of(tx, call)
            check_ready(roll, kind)
            vault = await self._registrar.vaults.open(tx, roll.tenant, roll.draft)
            if number is not None:
                await find_elector(tx, roll, vault.slot_of(number), vault)
            return await propose(tx, roll, kind, body, vault, actor=actor_of(call))

        return await self._registrar.database.transact(work)

    @operation(
        "GET",
        "/commission/{draft}/proposals",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        response=ProposalsView,
        is_personal=True,
        refusals=_REFUSALS,
    )
    async def list_proposals(self, call: Call[None, None]) -> ProposalsView:
        """List what waits for a second officer."""
        async with self._registrar.database.read() as tx:
            roll = await self._registrar.roll_of(tx, call)
            vault = await self._registrar.vaults.open(tx, roll.tenant, roll.draft)
            found = await list_proposals(tx, roll, vault)
        return ProposalsView(
            proposals=[
                ProposalView(
                    proposal=each.id,
                    kind=each.kind.value,
                    proposed_by=each.proposed_by,
                    number=str(each.body.get("number", "")),
                    detail=str(each.body.get("reason", each.body.get("auditor", ""))),
                )
                for each in found
            ]
        )

    @operation(
        "POST",
        "/commission/proposals/{proposal}/confirm",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        response=DecidedView,
        refusals=[ProposalMissing, SameOfficer, SlotClosed, *_REFUSALS],
    )
    async def confirm_proposal(self, call: Call[None, None]) -> DecidedView:
        """Confirm what another officer proposed, and do it."""
        database = self._registrar.database
        proposal_id = call.path["proposal"]
        roll, found = await database.transact(
            lambda tx: self._decide(tx, call, proposal_id, is_confirmed=True)
        )
        match found:
            case str():
                signed = await sign_cancel(self._registrar, roll, found)
                kind = ProposalKind.CANCEL.value
                return DecidedView(kind=kind, cancel=view_cancel(signed), destroyed_keys=[])
            case _Destroyed():
                await self._finish_destruction(found)
                keys = [key.hex() for key in found.keys]
                return DecidedView(kind=ProposalKind.DESTRUCTION.value, destroyed_keys=keys)
            case Proposal():
                export = await self._export(roll, found, actor_of(call))
                return DecidedView(
                    kind=ProposalKind.EXPORT.value,
                    export=export.id,
                    digest=export.digest.hex(),
                    destroyed_keys=[],
                )

    @operation(
        "POST",
        "/commission/proposals/{proposal}/refuse",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        refusals=[ProposalMissing, SameOfficer, *_REFUSALS],
    )
    async def refuse_proposal(self, call: Call[None, None]) -> None:
        """Refuse what another officer proposed."""

        async def work(tx: AsyncConnection) -> None:
            roll, proposal = await self._take(tx, call, call.path["proposal"], is_confirmed=False)
            del roll, proposal

        await self._registrar.database.transact(work)

    async def _take(
        self, tx: AsyncConnection, call: Call[Any, Any], proposal_id: str, *, is_confirmed: bool
    ) -> tuple[Roll, Proposal]:
        draft = await find_draft(tx, tenant=call.tenant, proposal_id=proposal_id)
        roll = await load_roll(tx, tenant=call.tenant, draft=draft)
        vault = await self._registrar.vaults.open(tx, roll.tenant, roll.draft)
        actor = actor_of(call)
        proposal = await decide(
            tx, roll, proposal_id, vault, actor=actor, is_confirmed=is_confirmed
        )
        return roll, proposal

    async def _decide(
        self, tx: AsyncConnection, call: Call[Any, Any], proposal_id: str, *, is_confirmed: bool
    ) -> tuple[Roll, str | Proposal | _Destroyed]:
        """Decide and, where it is rows alone, do it in the same transaction."""
        roll, proposal = await self._take(tx, call, proposal_id, is_confirmed=is_confirmed)
        check_ready(roll, proposal.kind)
        caller = actor_of(call)
        actor = Actor(name=proposal.proposed_by, role=caller.role, at=caller.at, second=caller.name)
        match proposal.kind:
            case ProposalKind.EXPORT:
                return roll, proposal
            case ProposalKind.CANCEL:
                return roll, await self._begin_cancel(tx, roll, proposal, actor)
            case ProposalKind.DESTRUCTION:
                return roll, await self._destroy(tx, roll, actor)

    async def _begin_cancel(
        self, tx: AsyncConnection, roll: Roll, proposal: Proposal, actor: Actor
    ) -> str:
        vault = await self._registrar.vaults.open(tx, roll.tenant, roll.draft)
        number = str(proposal.body["number"])
        return await begin_cancel(
            tx,
            roll,
            await find_elector(tx, roll, vault.slot_of(number), vault),
            vault,
            reason=REASONS[str(proposal.body["reason"])],
            evidence=bytes.fromhex(str(proposal.body["evidence"])),
            actor=actor,
        )

    async def _export(self, roll: Roll, proposal: Proposal, caller: Actor) -> Export:
        registrar = self._registrar
        export = await make_export(
            registrar.database,
            registrar.vaults,
            roll,
            auditor=str(proposal.body["auditor"]),
            key=X25519PublicKey.from_public_bytes(bytes.fromhex(str(proposal.body["public_key"]))),
            folder=self._exports,
            clock=registrar.clock,
        )
        actor = Actor(name=proposal.proposed_by, role=caller.role, at=caller.at, second=caller.name)
        await registrar.database.transact(
            lambda tx: note_act(
                tx,
                roll,
                Act.EXPORTED,
                actor,
                auditor_key=str(proposal.body["public_key"]),
                digest=export.digest.hex(),
                size=export.size,
            )
        )
        return export

    async def _destroy(self, tx: AsyncConnection, roll: Roll, actor: Actor) -> _Destroyed:
        """Shred the store's root; what it sealed, and every slot, is beyond reach from now on.

        Spec: ROLL-DESTROY.
        """
        keys = await self._registrar.vaults.destroy(tx, roll, self._registrar.clock)
        for table in (SESSIONS, CODE_REQUESTS, RESIDENTS, UPLOADS):
            await tx.execute(
                delete(table).where(table.c.tenant == roll.tenant, table.c.draft == roll.draft)
            )
        await forget_exports(tx, roll, folder=self._exports)
        await set_state(tx, roll, RollState.DESTROYED)
        named = " ".join(key.hex() for key in keys)
        await note_act(tx, roll, Act.DESTROYED, actor, keys=named)
        return _Destroyed(roll=roll, keys=keys)

    async def _finish_destruction(self, destroyed: _Destroyed) -> None:
        """Drop what memory, the database's file and the attestor still hold."""
        self._registrar.vaults.forget(destroyed.roll)
        await self._registrar.database.scrub()
        await self._registrar.attestor.forget(destroyed.roll.draft)

    @operation(
        "GET",
        "/commission/{draft}/exports/{export}/{part}",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        response=PartView,
        refusals=_REFUSALS,
    )
    async def read_export(self, call: Call[None, None]) -> PartView:
        """Read a part of an export, which only the auditor can open."""
        text = call.path["part"]
        part = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else -1
        async with self._registrar.database.read() as tx:
            roll = await self._registrar.roll_of(tx, call)
            parts, data = await read_export(
                tx, roll, call.path["export"], part, folder=self._exports
            )
        return PartView(parts=parts, data=await asyncio.to_thread(data.hex))


def check_ready(roll: Roll, kind: ProposalKind) -> None:
    """Refuse what the roll's state does not allow.

    Raises:
        RollNotReady: A cancel after the freeze, an export before the announcement, a destruction
            while the election runs.
    """
    match kind:
        case ProposalKind.CANCEL:
            roll.check_state(RollState.ANNOUNCED)
        case ProposalKind.EXPORT:
            roll.check_state(RollState.ANNOUNCED, RollState.FROZEN)
        case ProposalKind.DESTRUCTION:
            roll.check_state(RollState.OPEN, RollState.FIXED, RollState.FROZEN)


def view_cancel(signed: SignedCancel) -> CancelView:
    """Return an acknowledgement as it is answered."""
    return CancelView(
        commitment=signed.commitment.hex(),
        batch=signed.batch,
        time=signed.record.time_s,
        registrar_signature=signed.registrar_signature.hex(),
        attestor_signature=signed.attestor_signature.hex(),
    )
