"""One part of the export's entries, checked by a worker: proof, opening, promises, card.

Spec: AUDIT-ACCREDITED, ROLL-ENTRY, ROLL-COMMITMENT, ROLL-RECEIPT, ROLL-MATCH.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from clients.auditor.election.ballots import is_signed_by
from clients.auditor.election.entries import SealedEntry, commitment_of, parse_entry
from clients.auditor.election.persons import find_person_faults
from clients.auditor.election.records import parse_json
from clients.auditor.election.restricted import ElectorLine, EntryLine
from clients.auditor.election.revocations import Issued
from clients.auditor.election.transcripts import ROLL_RECEIPT, InvalidRecord, int_bytes
from clients.identity.attributes import MalformedAttributes, decode_attributes
from clients.identity.certificate import (
    CardCertificate,
    CertificateKind,
    MalformedCertificate,
    decode_certificate,
)
from clients.identity.path import TrustStore, build_trust_store, verify_path
from clients.identity.signature import is_card_signature
from node.primitives.errors import InvalidInput

STATUS_AGE_MAX: Final = {"crl": timedelta(hours=72), "ocsp": timedelta(hours=1)}
"""How old an authority's word may have been when the registrar relied on it."""

CLOCK_SKEW_MAX: Final = timedelta(minutes=5)

TIME_MAX_S: Final = 253_402_300_799
"""The last second that has a date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """A line of the export that is an entry's."""

    number: int
    """From 1."""
    line: bytes = field(repr=False)
    """Its bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryJob:
    """Entries for a worker, with the electors whose slots they name."""

    eid: bytes
    """The election."""
    signers: tuple[bytes, ...]
    """P64 of registrar and attestor."""
    authorities: tuple[bytes, ...]
    """Trusted authorities in DER; none when the auditor named none."""
    lines: tuple[Numbered, ...]
    """The entries."""
    electors: Mapping[bytes, bytes] = field(repr=False)
    """Electors' lines by slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What is remembered of an entry: where it must show, and what must be mixed for it."""

    slot: bytes = field(repr=False)
    """Its slot."""
    style: int
    """Its ballot style."""
    version: int
    """Its version."""
    state: str
    """What the commission says became of it."""
    time: int
    """When both keys took it."""
    batch: int
    """The batch it was promised to."""
    commitment: bytes
    """cm."""
    row: bytes
    """P33(A) and P33(B)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryAnswer:
    """What a worker says of an entry, in fixed words."""

    number: int
    """Line of the export."""
    entry_faults: tuple[str, ...]
    """What does not hold of entry, commitment and promise."""
    card_faults: tuple[str, ...]
    """What does not hold of card and certificate."""
    promise: Promise | None
    """None when the line cannot be read."""
    issued: Issued | None = field(repr=False, default=None)
    """Which certificate of which authority, where it has a path."""


def answer_entries(job: EntryJob) -> list[EntryAnswer]:
    """Check a part of the entries; runs in a worker.

    Spec: AUDIT-ACCREDITED.
    """
    kinds = tuple((CertificateKind.SIGNING, der) for der in job.authorities)
    store = build_trust_store(kinds) if kinds else None
    return [_answer(each, job, store) for each in job.lines]


def _answer(each: Numbered, job: EntryJob, store: TrustStore | None) -> EntryAnswer:
    try:
        line = parse_json(each.line, EntryLine, "export")
        entry = parse_entry(bytes.fromhex(line.entry))
    except InvalidInput as error:
        why = error.message if isinstance(error, InvalidRecord) else "points off the curve"
        return EntryAnswer(
            number=each.number, entry_faults=(why,), card_faults=("unreadable",), promise=None
        )
    data = job.electors.get(bytes.fromhex(line.slot))
    elector = None if data is None else parse_json(data, ElectorLine, "export")
    card_faults, issued = _find_card_faults(line, entry, elector, store)
    return EntryAnswer(
        number=each.number,
        entry_faults=_find_entry_faults(line, entry, elector, job),
        card_faults=card_faults,
        promise=Promise(
            slot=bytes.fromhex(line.slot),
            style=entry.style,
            version=line.entry_version,
            state=line.state,
            time=line.time,
            batch=line.batch,
            commitment=bytes.fromhex(line.commitment),
            row=entry.row,
        ),
        issued=issued,
    )


def _find_entry_faults(
    line: EntryLine, entry: SealedEntry, elector: ElectorLine | None, job: EntryJob
) -> tuple[str, ...]:
    commitment = bytes.fromhex(line.commitment)
    promised = ROLL_RECEIPT.digest(
        job.eid, commitment, int_bytes(line.batch, 4), int_bytes(line.time, 8)
    )
    signatures = (line.registrar_signature, line.attestor_signature)
    by_registrar, by_attestor = (
        is_signed_by(signer, promised, bytes.fromhex(text))
        for signer, text in zip(job.signers, signatures, strict=True)
    )
    holds = {
        "of another election": entry.eid == job.eid,
        "of another slot or version than the line's": (entry.slot.hex(), entry.version)
        == (line.slot, line.entry_version),
        "of no elector's slot": elector is not None,
        "of another style than the elector's": elector is None or entry.style == elector.style,
        "no proof of its randomness": entry.is_proven(),
        "another commitment": commitment_of(entry.digest, bytes.fromhex(line.salt)) == commitment,
        "not promised by the registrar": by_registrar,
        "not promised by the attestor": by_attestor,
    }
    return tuple(what for what, is_met in holds.items() if not is_met)


def _find_card_faults(
    line: EntryLine, entry: SealedEntry, elector: ElectorLine | None, store: TrustStore | None
) -> tuple[tuple[str, ...], Issued | None]:
    try:
        certificate = decode_certificate(bytes.fromhex(line.certificate))
        shown = decode_attributes(certificate)
    except (MalformedCertificate, MalformedAttributes):
        return ("no signing certificate",), None
    faults: list[str] = []
    if not is_card_signature(certificate.key, entry.card_text, bytes.fromhex(line.signature)):
        faults.append("the card did not sign this entry")
    if elector is not None:
        faults += [f"another {what}" for what in find_person_faults(elector, shown)]
    if line.time > TIME_MAX_S or line.status.checked_at > TIME_MAX_S:
        return (*faults, "a time without a date"), None
    faults += _find_status_faults(line)
    if store is None:
        return tuple(faults), None
    path_faults, issued = _find_path_faults(line, certificate, store)
    return (*faults, *path_faults), issued


def _find_status_faults(line: EntryLine) -> list[str]:
    """Check that what the registrar says of revocation was fresh when it relied on it."""
    status = line.status
    checked = datetime.fromtimestamp(status.checked_at, UTC)
    taken = datetime.fromtimestamp(line.time, UTC)
    age_max = int(STATUS_AGE_MAX[status.method].total_seconds())
    skew = int(CLOCK_SKEW_MAX.total_seconds())
    holds = {
        "a status looked up after the entry was taken": checked <= taken + CLOCK_SKEW_MAX,
        "a status that was too old": -skew <= status.checked_at - status.as_of <= age_max,
    }
    return [what for what, is_met in holds.items() if not is_met]


def _find_path_faults(
    line: EntryLine, certificate: CardCertificate, store: TrustStore
) -> tuple[list[str], Issued | None]:
    taken = datetime.fromtimestamp(line.time, UTC)
    path = verify_path(certificate, store, kind=CertificateKind.SIGNING, at=taken)
    faults = [f"the certificate breaks {rule}" for rule in sorted(set(path.report.broken_rules))]
    if path.authority is None:
        return faults, None
    key_hash = path.authority.key_hash
    if line.status.authority not in ("", key_hash.hex()):
        faults.append("a status of another authority")
    return faults, Issued(authority=key_hash, serial=certificate.serial)
