"""Enrolment: a slot's next entry, from the nonce to the receipt signed twice and the token.

An enrolment is begun, checked, accepted; later superseded or cancelled. What is checked is stored
before the attestor is asked, so that after a crash the same entry is finished and no second one can
take its version. Acceptance is one transaction: receipt, token, the older entry's end and the
code's. The batch a receipt names is still open when it is stored, or the receipt is signed anew.

Spec: ROLL-ENROL, ROLL-RECEIPT, TOKEN-BLIND.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.identity.revocation import Good, RevocationMethod
from clients.identity.verifier import CertificateVerifier, Verification
from clients.voting.blind_signature import InvalidToken
from clients.voting.group import decode_point
from clients.voting.manifest import Manifest
from clients.voting.roll import compute_leaf
from clients.voting.roll_files import RollReceipt, sign_record
from node.primitives.canonical import encode_canonical
from node.primitives.crypto import PrivateKey
from node.primitives.errors import Unavailable
from node.primitives.json_text import decode_json
from services.election.commission.attestor import AttestorRefusal, AttestorRefused
from services.election.commission.attestor_client import AttestorClient, AttestorDown
from services.election.commission.checking import (
    CheckedEntry,
    EntryEvidence,
    EntryFault,
    EntryRefused,
    ExpectedEntry,
    check_evidence,
)
from services.election.commission.invitations import Session, spend_code
from services.election.commission.rolls import (
    Listed,
    Roll,
    RollState,
    Vaults,
    find_elector,
    load_roll,
    read_hex32,
)
from services.election.commission.tables import BATCHES, ENROLMENTS
from services.election.commission.tokens import TokenKey
from services.election.commission.vault import Vault
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.events import to_milliseconds
from services.kit.operations import Call
from services.kit.problems import Refusal

ENROLMENT_LIFE: Final = timedelta(minutes=30)
ROUNDS_MAX: Final = 5
"""Batches that may close while one receipt is signed."""

_KEPT: Final = ("checked", "accepted", "superseded", "cancelled", "void")
"""States whose version is used up."""

_TAKEN: Final = ("accepted", "superseded", "cancelled")
"""States of entries that were accepted."""


class EnrolmentPending(Refusal):
    """An entry of this slot waits for the attestor; nothing new before it is finished."""

    code = "election.enrolment_pending"
    status = HTTPStatus.CONFLICT


class BatchesTooFast(Unavailable):
    """Batches closed faster than a receipt could be signed; try again."""

    code = "election.batches_too_fast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registrar:
    """What accepting an enrolment needs."""

    database: Database
    """The service's database."""
    clock: Clock
    """Where the present comes from."""
    vaults: Vaults
    """Restricted stores."""
    key: PrivateKey
    """Receipt key."""
    tokens: TokenKey
    """Token key."""
    attestor: AttestorClient
    """The second attestor."""
    verifier: CertificateVerifier
    """Answers for cards."""
    method: RevocationMethod
    """How a certificate's status is learnt."""

    async def roll_of(self, tx: AsyncConnection, call: Call[Any, Any]) -> Roll:
        """Return the roll that a request's path names.

        Raises:
            RollMissing: There is none.
        """
        return await load_roll(tx, tenant=call.tenant, draft=read_hex32(call.path["draft"]))

    async def open_roll(self, tx: AsyncConnection, call: Call[Any, Any]) -> tuple[Roll, Vault]:
        """Return the roll that a request's path names, with its restricted store open.

        Raises:
            RollMissing: There is none.
        """
        roll = await self.roll_of(tx, call)
        return roll, await self.vaults.open(tx, roll.tenant, roll.draft)


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunEnrolment:
    """What a device needs to make its entry."""

    id: str
    """Id of the enrolment."""
    slot: bytes
    """Slot."""
    style: int
    """Ballot style."""
    version: int
    """Version to use."""
    nonce: bytes
    """Nonce to use."""
    expires_s: int
    """Until when."""
    leaf_index: int
    """Place of the slot's leaf on the eligible list."""
    leaf_count: int
    """Length of the list."""
    leaf_proof: tuple[bytes, ...]
    """Proof of the place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedIn:
    """What a device sends to finish."""

    evidence: EntryEvidence
    """The card-signed entry."""
    blinded_token: bytes
    """To be signed, once."""

    @property
    def fingerprint(self) -> bytes:
        """Return what tells a repetition from another entry."""
        each = self.evidence
        parts = (each.entry, each.signature, each.certificate, each.salt, self.blinded_token)
        return sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What a voter gets."""

    version: int
    """Version accepted."""
    receipt: RollReceipt
    """The receipt."""
    registrar_signature: bytes
    """By the registrar."""
    attestor_signature: bytes
    """By the attestor."""
    token_signature: bytes
    """Blind signature of the admission token."""


def _of(roll: Roll) -> tuple[Any, Any]:
    return ENROLMENTS.c.tenant == roll.tenant, ENROLMENTS.c.draft == roll.draft


async def next_batch(tx: AsyncConnection, roll: Roll) -> int:
    """Return the number of the batch that is open."""
    query = select(func.count()).where(
        BATCHES.c.tenant == roll.tenant, BATCHES.c.draft == roll.draft
    )
    return int((await tx.execute(query)).scalar_one())


async def begin_enrolment(
    tx: AsyncConnection, roll: Roll, session: Session, vaults: Vaults, *, now: datetime
) -> BegunEnrolment:
    """Begin the next enrolment of a slot; one that was begun before is void.

    Raises:
        EntryRefused: Enrolment is over, the slot is closed, or it has enrolled too often online.
        EnrolmentPending: An entry of the slot waits for the attestor.

    Spec: ROLL-ENROL.
    """
    vault = await vaults.open(tx, roll.tenant, roll.draft)
    _, manifest = roll.announced
    listed = await find_elector(tx, roll, session.slot, vault)
    _check_open(roll, manifest, listed, now)
    version = await _next_version(tx, roll, session, manifest)
    mine = (*_of(roll), ENROLMENTS.c.slot == session.slot)
    await tx.execute(delete(ENROLMENTS).where(*mine, ENROLMENTS.c.state == "begun"))
    begun_id, nonce = secrets.token_hex(16), secrets.token_bytes(32)
    expires = now + ENROLMENT_LIFE
    style = listed.elector.style
    await tx.execute(
        insert(ENROLMENTS).values(
            tenant=roll.tenant,
            draft=roll.draft,
            id=begun_id,
            slot=session.slot,
            style=style,
            version=version,
            state="begun",
            nonce=vault.seal(nonce, place=f"nonce:{begun_id}"),
            code=session.code,
            is_counter=session.is_counter,
            expires_ms=to_milliseconds(expires),
        )
    )
    eligible = await vaults.eligible(tx, roll)
    place = eligible.places[compute_leaf(session.slot, style)]
    return BegunEnrolment(
        id=begun_id,
        slot=session.slot,
        style=style,
        version=version,
        nonce=nonce,
        expires_s=int(expires.timestamp()),
        leaf_index=place,
        leaf_count=eligible.tree.count,
        leaf_proof=eligible.tree.build_proof(place),
    )


def _check_open(roll: Roll, manifest: Manifest, listed: Listed, now: datetime) -> None:
    if listed.closed:
        raise EntryRefused(EntryFault.CLOSED)
    if roll.state is not RollState.ANNOUNCED or int(now.timestamp()) >= manifest.closes_at:
        raise EntryRefused(EntryFault.WINDOW)


async def _next_version(
    tx: AsyncConnection, roll: Roll, session: Session, manifest: Manifest
) -> int:
    """Return the version after the last that was used up, while there may be another."""
    query = select(ENROLMENTS.c.state, ENROLMENTS.c.version, ENROLMENTS.c.is_counter).where(
        *_of(roll), ENROLMENTS.c.slot == session.slot, ENROLMENTS.c.state.in_(_KEPT)
    )
    rows = (await tx.execute(query)).all()
    if any(row.state == "checked" for row in rows):
        raise EnrolmentPending("an entry of this slot waits for the attestor")
    online = sum(row.state in _TAKEN and not row.is_counter for row in rows)
    if not session.is_counter and online > manifest.limits.max_rekey:
        raise EntryRefused(EntryFault.REKEY)
    return max((row.version for row in rows), default=0) + 1


async def finish_enrolment(
    registrar: Registrar, roll: Roll, session: Session, begun_id: str, handed: HandedIn
) -> Accepted:
    """Check what a device hands in, and accept it. The same again gives the same answer.

    Raises:
        EntryRefused: Something does not hold.
        Unavailable: Authority or attestor cannot be asked now; what is checked is kept.

    Spec: ROLL-ENROL.
    """
    now = registrar.clock.now()
    async with registrar.database.read() as tx:
        row = await _find(tx, roll, session, begun_id)
        vault = await registrar.vaults.open(tx, roll.tenant, roll.draft)
        listed = await find_elector(tx, roll, session.slot, vault)
    if row.state in ("checked", *_TAKEN) and bytes(row.request_hash) == handed.fingerprint:
        return await complete_enrolment(registrar, roll, begun_id)
    if row.state != "begun" or row.expires_ms <= to_milliseconds(now):
        raise EntryRefused(EntryFault.EXPIRED)
    eid, manifest = roll.announced
    _check_open(roll, manifest, listed, now)
    checked = await check_evidence(
        handed.evidence,
        ExpectedEntry(
            eid=eid,
            slot=session.slot,
            style=row.style,
            version=row.version,
            nonce=vault.open(bytes(row.nonce), place=f"nonce:{begun_id}"),
            elector=listed.elector.matched,
        ),
        verifier=registrar.verifier,
        method=registrar.method,
        now=now,
    )
    sign_token(registrar.tokens, handed.blinded_token)
    await registrar.database.transact(
        lambda tx: _keep_checked(tx, roll, begun_id, handed, checked, vault)
    )
    return await complete_enrolment(registrar, roll, begun_id)


def sign_token(tokens: TokenKey, blinded: bytes) -> bytes:
    """Sign a blinded token.

    Raises:
        EntryRefused: It cannot be signed.

    Spec: TOKEN-BLIND.
    """
    try:
        return tokens.sign(blinded)
    except InvalidToken as error:
        raise EntryRefused(EntryFault.TOKEN, rule="TOKEN-BLIND") from error


async def _find(tx: AsyncConnection, roll: Roll, session: Session, begun_id: str) -> Any:
    query = select(ENROLMENTS).where(
        *_of(roll), ENROLMENTS.c.id == begun_id, ENROLMENTS.c.slot == session.slot
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise EntryRefused(EntryFault.EXPIRED)
    return row


async def _keep_checked(
    tx: AsyncConnection,
    roll: Roll,
    begun_id: str,
    handed: HandedIn,
    checked: CheckedEntry,
    vault: Vault,
) -> None:
    """Store a checked entry, if nothing came between; its version is used up from now on."""
    body = encode_evidence(handed, checked.verification)
    done = await tx.execute(
        update(ENROLMENTS)
        .where(*_of(roll), ENROLMENTS.c.id == begun_id, ENROLMENTS.c.state == "begun")
        .values(
            state="checked",
            evidence=vault.seal(body, place=f"evidence:{begun_id}"),
            request_hash=handed.fingerprint,
            commitment=checked.commitment,
            a=checked.entry.a.encode(),
            b=checked.entry.b.encode(),
        )
    )
    if done.rowcount != 1:
        raise EntryRefused(EntryFault.EXPIRED)


def encode_evidence(handed: HandedIn, verification: Verification) -> bytes:
    """Return what the restricted store keeps of an entry."""
    each, status = handed.evidence, verification.status
    assert isinstance(status, Good)
    authority = verification.authority_key_hash
    return encode_canonical(
        {
            "entry": each.entry.hex(),
            "signature": each.signature.hex(),
            "certificate": each.certificate.hex(),
            "salt": each.salt.hex(),
            "blinded_token": handed.blinded_token.hex(),
            "status": {
                "method": status.method.value,
                "as_of": int(status.as_of.timestamp()),
                "checked_at": int(verification.checked_at.timestamp()),
                "authority": "" if authority is None else authority.hex(),
            },
        }
    )


def decode_evidence(data: bytes) -> HandedIn:
    """Return what a device handed in, out of the restricted store."""
    body: Any = decode_json(data)
    return HandedIn(
        evidence=EntryEvidence(
            entry=bytes.fromhex(body["entry"]),
            signature=bytes.fromhex(body["signature"]),
            certificate=bytes.fromhex(body["certificate"]),
            salt=bytes.fromhex(body["salt"]),
        ),
        blinded_token=bytes.fromhex(body["blinded_token"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """A checked entry about to be attested."""

    slot: bytes
    version: int
    commitment: bytes
    batch: int
    listed: Listed
    handed: HandedIn


async def complete_enrolment(registrar: Registrar, roll: Roll, begun_id: str) -> Accepted:
    """Have a checked entry attested and accept it; return what was accepted.

    Raises:
        EntryRefused: The attestor refuses, or the slot was closed meanwhile.
        AttestorDown: It does not answer.

    Spec: ROLL-RECEIPT.
    """
    for _ in range(ROUNDS_MAX):
        async with registrar.database.read() as tx:
            found = await _load_waiting(tx, registrar, roll, begun_id)
        if isinstance(found, Accepted):
            return found
        accepted = await _attest(registrar, roll, begun_id, found)
        taken = await registrar.database.transact(
            lambda tx, accepted=accepted, found=found: _accept(  # type: ignore[misc]
                tx, roll, begun_id, accepted, found
            )
        )
        if taken:
            return accepted
    raise BatchesTooFast("batches closed while the receipt was being signed; try again")


async def _load_waiting(
    tx: AsyncConnection, registrar: Registrar, roll: Roll, begun_id: str
) -> _Waiting | Accepted:
    query = select(ENROLMENTS).where(*_of(roll), ENROLMENTS.c.id == begun_id)
    row = (await tx.execute(query)).one()
    if row.state in _TAKEN:
        return read_accepted(row, roll)
    if row.state != "checked":
        raise EntryRefused(EntryFault.CLOSED if row.state == "void" else EntryFault.ATTESTOR)
    vault = await registrar.vaults.open(tx, roll.tenant, roll.draft)
    body = vault.open(bytes(row.evidence), place=f"evidence:{begun_id}")
    return _Waiting(
        slot=bytes(row.slot),
        version=row.version,
        commitment=bytes(row.commitment),
        batch=await next_batch(tx, roll),
        listed=await find_elector(tx, roll, bytes(row.slot), vault),
        handed=decode_evidence(body),
    )


def read_accepted(row: Any, roll: Roll) -> Accepted:
    """Return what was accepted, off its row."""
    eid, _ = roll.announced
    return Accepted(
        version=row.version,
        receipt=RollReceipt(
            eid=eid, commitment=bytes(row.commitment), batch=row.batch, time_s=row.time_s
        ),
        registrar_signature=bytes(row.registrar_signature),
        attestor_signature=bytes(row.attestor_signature),
        token_signature=bytes(row.token_signature),
    )


async def _attest(registrar: Registrar, roll: Roll, begun_id: str, waiting: _Waiting) -> Accepted:
    eid, manifest = roll.announced
    now_s = int(registrar.clock.now().timestamp())
    receipt = RollReceipt(
        eid=eid,
        commitment=waiting.commitment,
        batch=waiting.batch,
        time_s=max(now_s, waiting.listed.reopened_s + 1),
    )
    try:
        attestor_signature = await registrar.attestor.sign_entry(
            receipt,
            waiting.handed.evidence,
            waiting.listed.elector.matched,
            decode_point(bytes.fromhex(manifest.registrars[0].attestor_key)),
        )
    except AttestorRefused as error:
        if error.why in (AttestorRefusal.ELECTION, AttestorRefusal.TIME):
            raise AttestorDown("attestor: lacks the manifest, or its clock is another") from error
        await registrar.database.transact(lambda tx: _refuse(tx, roll, begun_id))
        is_fault = isinstance(error.why, EntryFault)
        raise EntryRefused(EntryFault(error.why) if is_fault else EntryFault.ATTESTOR) from error
    return Accepted(
        version=waiting.version,
        receipt=receipt,
        registrar_signature=sign_record(registrar.key, receipt.digest),
        attestor_signature=attestor_signature,
        token_signature=sign_token(registrar.tokens, waiting.handed.blinded_token),
    )


async def _refuse(tx: AsyncConnection, roll: Roll, begun_id: str) -> None:
    await tx.execute(
        update(ENROLMENTS)
        .where(*_of(roll), ENROLMENTS.c.id == begun_id, ENROLMENTS.c.state == "checked")
        .values(state="refused", evidence=None)
    )


async def _accept(
    tx: AsyncConnection, roll: Roll, begun_id: str, accepted: Accepted, waiting: _Waiting
) -> bool:
    """Accept a checked entry; False when its batch closed or its state changed meanwhile."""
    now = await load_roll(tx, tenant=roll.tenant, draft=roll.draft)
    if now.state is not RollState.ANNOUNCED:
        raise EntryRefused(EntryFault.WINDOW)
    if await next_batch(tx, roll) != accepted.receipt.batch:
        return False
    mine = (*_of(roll), ENROLMENTS.c.slot == waiting.slot)
    query = select(ENROLMENTS.c.state, ENROLMENTS.c.code).where(
        *_of(roll), ENROLMENTS.c.id == begun_id
    )
    row = (await tx.execute(query)).one()
    if row.state != "checked":
        return False
    await tx.execute(
        update(ENROLMENTS).where(*mine, ENROLMENTS.c.state == "accepted").values(state="superseded")
    )
    await tx.execute(
        update(ENROLMENTS)
        .where(*_of(roll), ENROLMENTS.c.id == begun_id)
        .values(
            state="accepted",
            batch=accepted.receipt.batch,
            time_s=accepted.receipt.time_s,
            registrar_signature=accepted.registrar_signature,
            attestor_signature=accepted.attestor_signature,
            token_signature=accepted.token_signature,
        )
    )
    await spend_code(tx, roll, None if row.code is None else bytes(row.code))
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryStatus:
    """Where an entry of a slot stands; shown unsigned, so that it proves nothing to others."""

    version: int
    """Its version."""
    state: str
    """checked, accepted, superseded or cancelled."""
    commitment: bytes
    """cm."""
    batch: int | None
    """Its batch, once accepted."""
    time_s: int | None
    """Its time, once accepted."""


async def list_entries(tx: AsyncConnection, roll: Roll, slot: bytes) -> tuple[EntryStatus, ...]:
    """Return the entries of a slot, the oldest first."""
    query = select(ENROLMENTS).where(
        *_of(roll), ENROLMENTS.c.slot == slot, ENROLMENTS.c.state.in_(("checked", *_TAKEN))
    )
    return tuple(
        EntryStatus(
            version=row.version,
            state=row.state,
            commitment=bytes(row.commitment),
            batch=row.batch,
            time_s=row.time_s,
        )
        for row in (await tx.execute(query.order_by(ENROLMENTS.c.version))).all()
    )


async def list_checked(tx: AsyncConnection, roll: Roll, count_max: int) -> tuple[str, ...]:
    """Return ids of entries that wait for the attestor."""
    query = select(ENROLMENTS.c.id).where(*_of(roll), ENROLMENTS.c.state == "checked")
    return tuple((await tx.execute(query.order_by(ENROLMENTS.c.id).limit(count_max))).scalars())


async def list_checked_of(tx: AsyncConnection, roll: Roll, slot: bytes) -> tuple[str, ...]:
    """Return ids of a slot's entries that wait for the attestor."""
    query = select(ENROLMENTS.c.id).where(
        *_of(roll), ENROLMENTS.c.slot == slot, ENROLMENTS.c.state == "checked"
    )
    return tuple((await tx.execute(query)).scalars())
