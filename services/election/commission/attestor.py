"""The second attestor: a process with a key of its own that repeats every check before it signs.

It holds the roll as it was when it was fixed, the manifest, the trust store and a way to revocation
data of its own; from the registrar it takes only what the voter sent. It remembers what it signed
before the signature leaves, so one version of a slot has one commitment, and a closed slot none.

Spec: ROLL-ATTESTOR.
"""

from datetime import datetime
from enum import StrEnum
from typing import assert_never

from clients.identity.revocation import RevocationMethod
from clients.identity.verifier import CertificateVerifier
from clients.voting.group import Point, decode_point_xy
from clients.voting.manifest import Manifest, decode_manifest
from clients.voting.roll import compute_leaf, decode_entry
from clients.voting.roll_files import CancelReason, CancelRecord, RollReceipt, sign_record
from node.log import Log
from node.primitives.canonical import encode_canonical
from node.primitives.crypto import PrivateKey, sha256
from node.primitives.errors import InvalidInput, Unavailable
from node.primitives.merkle import compute_root
from services.election.commission.attestor_store import AttestorStore, SlotMemory
from services.election.commission.attestor_wire import (
    Ask,
    AskCancel,
    AskEntry,
    AskForget,
    AskManifest,
    AskRollPage,
    AttestorAnswer,
)
from services.election.commission.checking import (
    EntryEvidence,
    EntryFault,
    EntryRefused,
    ExpectedEntry,
    check_evidence,
)
from services.election.commission.matching import MatchedAttributes
from services.kit.clock import Clock

_log = Log("attestor")


class AttestorRefusal(StrEnum):
    """Why the attestor does not sign, besides the faults of an entry."""

    MALFORMED = "malformed"
    """Not a request, or a value in it that decodes to nothing."""
    ROLL_CLOSED = "roll-closed"
    """The roll was taken over before, or does not have the root named."""
    MANIFEST = "manifest"
    """Not of a roll that was taken over, or it names another attestor."""
    ELECTION = "election"
    """The election's manifest was never handed over."""
    TIME = "time"
    """The time to be signed is not the present, or not after the last cancel record."""
    WORLD = "unavailable"
    """What it needs cannot be had now."""


CLOCK_SKEW_S = 120
"""How far registrar and attestor may differ in time."""


class AttestorRefused(InvalidInput):
    """The attestor does not sign this."""

    code = "election.attestor_refused"

    def __init__(self, why: AttestorRefusal | EntryFault) -> None:
        """Name the reason."""
        super().__init__(f"the attestor does not sign: {why}", rule="ROLL-ATTESTOR", why=why)
        self.why = why


def hash_elector(slot: bytes, elector: MatchedAttributes) -> bytes:
    """Return the digest under which the attestor knows an elector; the slot salts it."""
    body = encode_canonical(
        {
            "slot": slot.hex(),
            "name": elector.name,
            "address": elector.address,
            "birth_date": elector.birth_date.isoformat(),
            "sex": None if elector.sex is None else elector.sex.value,
        }
    )
    return sha256(b"daicho attestor elector 1" + body)


class Attestor:
    """Answers the requests of one registrar."""

    def __init__(
        self,
        key: PrivateKey,
        store: AttestorStore,
        verifier: CertificateVerifier,
        *,
        method: RevocationMethod,
        clock: Clock,
    ) -> None:
        """Hold key, memory and trust."""
        self._key = key
        self._store = store
        self._verifier = verifier
        self._method = method
        self._clock = clock
        self._manifests: dict[bytes, tuple[bytes, Manifest]] = {}

    @property
    def public_key(self) -> Point:
        """Return the key that manifests name."""
        return decode_point_xy(self._key.public_key[1:])

    async def answer(self, ask: Ask) -> AttestorAnswer:
        """Answer a request; what it does not sign it refuses with a fixed word."""
        try:
            return AttestorAnswer(signature=(await self._sign(ask)).hex())
        except EntryRefused as error:
            why: str = error.fault
        except AttestorRefused as error:
            why = error.why
        except Unavailable:
            why = AttestorRefusal.WORLD
        except InvalidInput:
            why = AttestorRefusal.MALFORMED
        _log.warning("does not sign", kind=ask.kind, why=why)
        return AttestorAnswer(refusal=why)

    async def _sign(self, ask: Ask) -> bytes:
        match ask:
            case AskRollPage():
                return self._take_page(ask)
            case AskManifest():
                return self._take_manifest(ask)
            case AskEntry():
                return await self._sign_entry(ask)
            case AskCancel():
                return self._sign_cancel(ask)
            case AskForget():
                self._store.forget_electors(bytes.fromhex(ask.draft))
                return b""
            case _:
                assert_never(ask)

    def _take_page(self, ask: AskRollPage) -> bytes:
        """Take over a page; with the last one the whole must have the root that was fixed."""
        draft = bytes.fromhex(ask.draft)
        root = None if ask.root is None else bytes.fromhex(ask.root)
        held = self._store.root_of(draft)
        if held is not None:
            if held != root:
                raise AttestorRefused(AttestorRefusal.ROLL_CLOSED)
            return b""
        self._store.add_rows(
            draft,
            [(bytes.fromhex(row.slot), row.style, bytes.fromhex(row.elector)) for row in ask.rows],
        )
        if root is not None:
            leaves = sorted(compute_leaf(*leaf) for leaf in self._store.leaves_of(draft))
            if compute_root(leaves) != root:
                self._store.forget_rows(draft)
                raise AttestorRefused(AttestorRefusal.ROLL_CLOSED)
            self._store.close_roll(draft, root)
        return b""

    def _take_manifest(self, ask: AskManifest) -> bytes:
        data = bytes.fromhex(ask.manifest)
        manifest = decode_manifest(data)
        draft = bytes.fromhex(manifest.draft_id)
        is_ours = manifest.registrars[0].attestor_key == self.public_key.encode().hex()
        if not is_ours or self._store.root_of(draft) != bytes.fromhex(manifest.eligible.root):
            raise AttestorRefused(AttestorRefusal.MANIFEST)
        self._store.add_election(manifest.eid, draft, data)
        return b""

    async def _sign_entry(self, ask: AskEntry) -> bytes:
        """Repeat the checks of an entry with what is known here, then sign its receipt.

        Spec: ROLL-ATTESTOR.
        """
        eid, data = bytes.fromhex(ask.eid), bytes.fromhex(ask.entry)
        draft, manifest = self._election(eid)
        now = self._clock.now()
        self._check_time(ask.time, now)
        slot = decode_entry(data).slot
        memory = self._slot(eid, draft, slot)
        elector = MatchedAttributes(
            name=ask.elector.name,
            address=ask.elector.address,
            birth_date=ask.elector.birth_date,
            sex=ask.elector.sex,
        )
        if hash_elector(slot, elector) != memory.elector:
            raise AttestorRefused(EntryFault.ELECTOR)
        if memory.closed:
            raise AttestorRefused(EntryFault.CLOSED)
        if ask.time <= memory.cancelled_s:
            raise AttestorRefused(AttestorRefusal.TIME)
        evidence = EntryEvidence(
            entry=data,
            signature=bytes.fromhex(ask.signature),
            certificate=bytes.fromhex(ask.certificate),
            salt=bytes.fromhex(ask.salt),
        )
        is_repeated = decode_entry(data).version == memory.version
        if is_repeated and memory.signed_s <= memory.cancelled_s:
            raise AttestorRefused(EntryFault.VERSION)
        if not is_repeated and ask.time >= manifest.closes_at:
            raise AttestorRefused(EntryFault.WINDOW)
        checked = await check_evidence(
            evidence,
            ExpectedEntry(
                eid=eid,
                slot=slot,
                style=memory.style,
                version=memory.version + (not is_repeated),
                nonce=None,
                elector=elector,
            ),
            verifier=self._verifier,
            method=self._method,
            now=now,
        )
        if is_repeated and checked.commitment != memory.commitment:
            raise AttestorRefused(EntryFault.VERSION)
        if self._slot(eid, draft, slot) != memory:
            # Another request of the slot came between, while the authority was asked.
            raise AttestorRefused(AttestorRefusal.WORLD)
        receipt = RollReceipt(
            eid=eid, commitment=checked.commitment, batch=ask.batch, time_s=ask.time
        )
        self._store.add_entry(eid, slot, checked.entry.version, checked.commitment, ask.time)
        return sign_record(self._key, receipt.digest)

    def _sign_cancel(self, ask: AskCancel) -> bytes:
        """Remember and sign a cancel record of a slot of the roll.

        Spec: ROLL-CANCEL.
        """
        eid, slot = bytes.fromhex(ask.eid), bytes.fromhex(ask.slot)
        draft, _ = self._election(eid)
        self._check_time(ask.time, self._clock.now())
        self._slot(eid, draft, slot)
        record = CancelRecord(
            eid=eid,
            slot=slot,
            reason=CancelReason(ask.reason),
            evidence=bytes.fromhex(ask.evidence),
            time_s=ask.time,
        )
        self._store.add_cancel(eid, slot, record.encode(), ask.reason, ask.time)
        return sign_record(self._key, record.digest)

    def _election(self, eid: bytes) -> tuple[bytes, Manifest]:
        if eid not in self._manifests:
            found = self._store.election(eid)
            if found is None:
                raise AttestorRefused(AttestorRefusal.ELECTION)
            self._manifests[eid] = (found[0], decode_manifest(found[1]))
        return self._manifests[eid]

    def _slot(self, eid: bytes, draft: bytes, slot: bytes) -> SlotMemory:
        memory = self._store.slot(eid, draft, slot)
        if memory is None:
            raise AttestorRefused(EntryFault.SLOT)
        return memory

    def _check_time(self, time_s: int, now: datetime) -> None:
        if abs(time_s - int(now.timestamp())) > CLOCK_SKEW_S:
            raise AttestorRefused(AttestorRefusal.TIME)
