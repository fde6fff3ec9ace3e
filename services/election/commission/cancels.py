"""Cancel records: an elector's entries count no more, signed by registrar and attestor.

The entry is dead from the first transaction on; what waits is the signatures, and nothing is
acknowledged before both are there. At a polling station that is the rule of the paper ballot: no
signed record, no paper. PAPER, DEATH and STRUCK-OFF close the slot for good; after REQUEST the
elector may enrol again. An entry with a later time than the record is not meant by it.

Spec: ROLL-CANCEL.
"""

import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.voting.group import decode_point
from clients.voting.roll_files import CancelReason, CancelRecord, sign_record
from services.election.commission.acts import Act, Actor, note_act
from services.election.commission.attestor import AttestorRefused
from services.election.commission.attestor_client import AttestorDown
from services.election.commission.enrolment import Registrar, next_batch
from services.election.commission.invitations import revoke_codes
from services.election.commission.rolls import Listed, Roll, RollState, find_elector, load_roll
from services.election.commission.tables import CANCELS, ELECTORS, ENROLMENTS
from services.election.commission.vault import Vault
from services.kit.problems import Refusal


class SlotClosed(Refusal):
    """The elector has a final cancel record already: no second paper ballot."""

    code = "election.slot_closed"
    status = HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCancel:
    """A cancel record with both signatures: the acknowledgement."""

    record: CancelRecord
    """What is signed."""
    commitment: bytes
    """What the public sees of it."""
    batch: int
    """Batch of the commitment."""
    registrar_signature: bytes
    """By the registrar."""
    attestor_signature: bytes
    """By the attestor."""


def _of(table: Any, roll: Roll) -> tuple[Any, Any]:
    return table.c.tenant == roll.tenant, table.c.draft == roll.draft


async def begin_cancel(
    tx: AsyncConnection,
    roll: Roll,
    listed: Listed,
    vault: Vault,
    *,
    reason: CancelReason,
    evidence: bytes,
    actor: Actor,
) -> str:
    """Kill the entries of a slot at once, and make the record that says so; return its id.

    A record of the slot and reason that still waits for signatures is taken up again.

    Raises:
        SlotClosed: A final record stands already.
        RollNotReady: The election is not announced, or frozen.

    Spec: ROLL-CANCEL.
    """
    roll.check_state(RollState.ANNOUNCED)
    table = CANCELS
    waiting = select(table.c.id).where(
        *_of(table, roll),
        table.c.slot == listed.slot,
        table.c.reason == reason.value,
        table.c.state == "made",
    )
    known = (await tx.execute(waiting)).scalar_one_or_none()
    if known is not None:
        return str(known)
    if listed.closed:
        raise SlotClosed("the elector's slot is closed already", rule="ROLL-CANCEL")
    eid, _ = roll.announced
    cancel_id, salt = secrets.token_hex(16), secrets.token_bytes(32)
    time_s = max(int(actor.at.timestamp()), listed.reopened_s + 1)
    record = CancelRecord(
        eid=eid, slot=listed.slot, reason=reason, evidence=evidence, time_s=time_s
    )
    await tx.execute(
        insert(table).values(
            tenant=roll.tenant,
            draft=roll.draft,
            id=cancel_id,
            slot=listed.slot,
            reason=reason.value,
            state="made",
            time_s=time_s,
            secret=vault.seal(evidence + salt, place=f"cancel:{cancel_id}"),
            commitment=record.compute_commitment(salt),
        )
    )
    await _kill_entries(tx, roll, listed.slot, reason, time_s)
    await note_act(tx, roll, Act.CANCELLED, actor, reason=reason.name.lower())
    return cancel_id


async def _kill_entries(
    tx: AsyncConnection, roll: Roll, slot: bytes, reason: CancelReason, time_s: int
) -> None:
    mine = (*_of(ENROLMENTS, roll), ENROLMENTS.c.slot == slot)
    await tx.execute(delete(ENROLMENTS).where(*mine, ENROLMENTS.c.state == "begun"))
    for before, after in (("accepted", "cancelled"), ("checked", "void")):
        await tx.execute(
            update(ENROLMENTS).where(*mine, ENROLMENTS.c.state == before).values(state=after)
        )
    await revoke_codes(tx, roll, slot)
    await tx.execute(
        update(ELECTORS)
        .where(*_of(ELECTORS, roll), ELECTORS.c.slot == slot)
        .values(closed=reason.value if reason.is_final else 0, reopened_s=time_s)
    )


async def sign_cancel(registrar: Registrar, roll: Roll, cancel_id: str) -> SignedCancel:
    """Have a record signed by both; only its return is the acknowledgement.

    Raises:
        AttestorDown: The attestor does not answer; repeat, and hand no paper out meanwhile.

    Spec: ROLL-CANCEL.
    """

    async def renew(tx: AsyncConnection) -> SignedCancel | tuple[CancelRecord, bytes]:
        return await _renew(tx, registrar, roll, cancel_id)

    found = await registrar.database.transact(renew)
    if isinstance(found, SignedCancel):
        return found
    record, salt = found
    _, manifest = roll.announced
    signer = decode_point(bytes.fromhex(manifest.registrars[0].attestor_key))
    try:
        attestor_signature = await registrar.attestor.sign_cancel(record, signer)
    except AttestorRefused as error:
        raise AttestorDown("attestor: refuses the record; compare its roll and clock") from error
    registrar_signature = sign_record(registrar.key, record.digest)

    async def keep(tx: AsyncConnection) -> SignedCancel:
        now = await load_roll(tx, tenant=roll.tenant, draft=roll.draft)
        now.check_state(RollState.ANNOUNCED)
        signed = SignedCancel(
            record=record,
            commitment=record.compute_commitment(salt),
            batch=await next_batch(tx, roll),
            registrar_signature=registrar_signature,
            attestor_signature=attestor_signature,
        )
        await tx.execute(
            update(CANCELS)
            .where(*_of(CANCELS, roll), CANCELS.c.id == cancel_id, CANCELS.c.state == "made")
            .values(
                state="signed",
                batch=signed.batch,
                registrar_signature=registrar_signature,
                attestor_signature=attestor_signature,
            )
        )
        return signed

    return await registrar.database.transact(keep)


async def _renew(
    tx: AsyncConnection, registrar: Registrar, roll: Roll, cancel_id: str
) -> SignedCancel | tuple[CancelRecord, bytes]:
    """Return the signed record, or the unsigned one with the present as its time.

    Nobody has seen an unsigned record, and the attestor signs only what is of now.
    """
    query = select(CANCELS).where(*_of(CANCELS, roll), CANCELS.c.id == cancel_id)
    row = (await tx.execute(query)).one()
    vault = await registrar.vaults.open(tx, roll.tenant, roll.draft)
    secret = vault.open(bytes(row.secret), place=f"cancel:{cancel_id}")
    eid, _ = roll.announced
    now_s = int(registrar.clock.now().timestamp())
    time_s = row.time_s if row.state == "signed" else max(now_s, row.time_s)
    record = CancelRecord(
        eid=eid,
        slot=bytes(row.slot),
        reason=CancelReason(row.reason),
        evidence=secret[:32],
        time_s=time_s,
    )
    if row.state == "signed":
        return SignedCancel(
            record=record,
            commitment=bytes(row.commitment),
            batch=row.batch,
            registrar_signature=bytes(row.registrar_signature),
            attestor_signature=bytes(row.attestor_signature),
        )
    await tx.execute(
        update(CANCELS)
        .where(*_of(CANCELS, roll), CANCELS.c.id == cancel_id)
        .values(time_s=time_s, commitment=record.compute_commitment(secret[32:]))
    )
    await tx.execute(
        update(ELECTORS)
        .where(*_of(ELECTORS, roll), ELECTORS.c.slot == row.slot)
        .values(reopened_s=time_s)
    )
    return record, secret[32:]


async def cancel_elector(
    registrar: Registrar,
    roll: Roll,
    number: str,
    *,
    reason: CancelReason,
    evidence: bytes,
    actor: Actor,
) -> SignedCancel:
    """Cancel an elector's entries and return the acknowledgement.

    Raises:
        ElectorMissing: The roll has no such elector.
        SlotClosed: A final record stands already.
        AttestorDown: Not signed yet; repeat.

    Spec: ROLL-CANCEL.
    """

    async def begin(tx: AsyncConnection) -> str:
        now = await load_roll(tx, tenant=roll.tenant, draft=roll.draft)
        vault = await registrar.vaults.open(tx, roll.tenant, roll.draft)
        listed = await find_elector(tx, now, vault.slot_of(number), vault)
        return await begin_cancel(
            tx, now, listed, vault, reason=reason, evidence=evidence, actor=actor
        )

    return await sign_cancel(registrar, roll, await registrar.database.transact(begin))


async def list_unsigned(tx: AsyncConnection, roll: Roll, count_max: int) -> tuple[str, ...]:
    """Return ids of cancel records that wait for signatures."""
    query = select(CANCELS.c.id).where(*_of(CANCELS, roll), CANCELS.c.state == "made")
    return tuple((await tx.execute(query.order_by(CANCELS.c.id).limit(count_max))).scalars())
