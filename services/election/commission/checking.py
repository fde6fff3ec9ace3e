"""What makes a roll entry acceptable: one list of checks, run by the registrar and by the attestor.

Both hold what the voter sent against what they themselves know of the slot; neither takes the
other's word. The first thing that does not hold is named by a fixed word, so that the voter's app
can say what to do, and nothing of the certificate is repeated.

Spec: ROLL-ENROL, ROLL-MATCH.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from clients.identity.attributes import MalformedAttributes, decode_attributes
from clients.identity.certificate import CertificateKind, MalformedCertificate, decode_certificate
from clients.identity.revocation import Good, RevocationMethod, Undetermined
from clients.identity.verifier import CardEvidence, CertificateVerifier, Verification
from clients.voting.encoding import InvalidScalar, RejectedChallenge
from clients.voting.group import InvalidPoint
from clients.voting.roll import (
    InvalidRollEntry,
    RollEntry,
    check_entry,
    compute_commitment,
    decode_entry,
)
from node.primitives.errors import Unavailable
from services.election.commission.matching import MatchedAttributes, find_differences
from services.kit.problems import Fault, InvalidRequest

SALT_BYTES: Final = 32


class EntryFault(StrEnum):
    """What does not hold of an entry."""

    FORM = "form"
    """Not an entry at all."""
    ELECTION = "election"
    """Of another election."""
    SLOT = "slot"
    """Of another elector's slot, or one that is not eligible."""
    STYLE = "style"
    """Of another ballot style."""
    VERSION = "version"
    """Not the next version of the slot."""
    NONCE = "nonce"
    """Not the nonce of this enrolment."""
    PROOF = "proof"
    """Whoever made it does not know its randomness, or it was made for another slot."""
    EXPIRED = "expired"
    """The enrolment was begun too long ago, or another was begun since."""
    WINDOW = "window"
    """Enrolment is over."""
    REKEY = "rekey"
    """No more enrolments online; at a counter."""
    CLOSED = "closed"
    """The elector votes on paper, or is no elector any more."""
    CERTIFICATE = "certificate"
    """Not a valid signing certificate of a card."""
    REVOCATION = "revocation"
    """The certificate is revoked."""
    ELECTOR = "elector"
    """The certificate is another person's."""
    SIGNATURE = "signature"
    """The card did not sign this entry."""
    TOKEN = "token"  # noqa: S105 - a word, no secret
    """The blinded token request cannot be signed."""
    ATTESTOR = "attestor"
    """The second attestor refuses."""


class EntryRefused(InvalidRequest):
    """An enrolment that does not hold; the fault says in what."""

    code = "election.entry_refused"

    def __init__(self, fault: EntryFault, *, rule: str = "ROLL-ENROL") -> None:
        """Name the fault."""
        super().__init__(
            f"roll entry: {fault} does not hold",
            rule=rule,
            faults=(Fault(pointer="/entry", kind=fault.value),),
            fault=fault,
        )
        self.fault = fault


class RevocationUnknown(Unavailable):
    """Nobody can say now whether the certificate is revoked; try again."""

    code = "election.revocation_unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryEvidence:
    """What a voter hands in."""

    entry: bytes = field(repr=False)
    """RE."""
    signature: bytes = field(repr=False)
    """The card's, over the entry's text."""
    certificate: bytes = field(repr=False)
    """The card's signing certificate in DER."""
    salt: bytes = field(repr=False)
    """Of the commitment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedEntry:
    """What the checker itself knows of the slot."""

    eid: bytes
    """The election."""
    slot: bytes
    """The elector's slot."""
    style: int
    """The elector's style."""
    version: int
    """The next version."""
    nonce: bytes | None = field(repr=False)
    """The nonce given out; None at the attestor, which gives out none."""
    elector: MatchedAttributes
    """Who the certificate must name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedEntry:
    """An entry that holds."""

    entry: RollEntry
    """Decoded."""
    commitment: bytes
    """cm."""
    verification: Verification
    """What is known of the certificate, and as of when."""


async def check_evidence(
    evidence: EntryEvidence,
    expected: ExpectedEntry,
    *,
    verifier: CertificateVerifier,
    method: RevocationMethod,
    now: datetime,
) -> CheckedEntry:
    """Hold what a voter handed in against what is known of the slot.

    Raises:
        EntryRefused: Something does not hold.
        RevocationUnknown: The authority cannot be asked now.

    Spec: ROLL-ENROL.
    """
    entry = _decode(evidence)
    for found, wanted, fault in (
        (entry.eid, expected.eid, EntryFault.ELECTION),
        (entry.slot, expected.slot, EntryFault.SLOT),
        (entry.style, expected.style, EntryFault.STYLE),
        (entry.version, expected.version, EntryFault.VERSION),
        (entry.nonce, expected.nonce or entry.nonce, EntryFault.NONCE),
    ):
        if found != wanted:
            raise EntryRefused(fault)
    try:
        check_entry(entry)
    except (InvalidRollEntry, RejectedChallenge) as error:
        raise EntryRefused(EntryFault.PROOF, rule="ROLL-ENTRY") from error
    verification = await _verify(evidence, entry, verifier, method, now)
    try:
        attributes = decode_attributes(decode_certificate(evidence.certificate))
    except MalformedAttributes as error:
        raise EntryRefused(EntryFault.CERTIFICATE) from error
    if find_differences(expected.elector, attributes):
        raise EntryRefused(EntryFault.ELECTOR, rule="ROLL-MATCH")
    return CheckedEntry(
        entry=entry,
        commitment=compute_commitment(entry.digest, evidence.salt),
        verification=verification,
    )


def _decode(evidence: EntryEvidence) -> RollEntry:
    try:
        if len(evidence.salt) != SALT_BYTES:
            raise EntryRefused(EntryFault.FORM, rule="ROLL-COMMITMENT")
        return decode_entry(evidence.entry)
    except (InvalidRollEntry, InvalidPoint, InvalidScalar) as error:
        raise EntryRefused(EntryFault.FORM, rule="ROLL-ENTRY") from error


async def _verify(
    evidence: EntryEvidence,
    entry: RollEntry,
    verifier: CertificateVerifier,
    method: RevocationMethod,
    now: datetime,
) -> Verification:
    card = CardEvidence(
        certificate=evidence.certificate, message=entry.card_text, signature=evidence.signature
    )
    try:
        verification = await verifier.verify(
            card, kind=CertificateKind.SIGNING, method=method, now=now
        )
    except MalformedCertificate as error:
        raise EntryRefused(EntryFault.CERTIFICATE) from error
    broken = set(verification.report.broken_rules)
    if broken - {"ID-SIGNATURE", "ID-REVOCATION-STATUS"}:
        raise EntryRefused(EntryFault.CERTIFICATE)
    if "ID-SIGNATURE" in broken:
        raise EntryRefused(EntryFault.SIGNATURE)
    if isinstance(verification.status, Undetermined):
        raise RevocationUnknown("the certificate's status cannot be had now")
    if not isinstance(verification.status, Good):
        raise EntryRefused(EntryFault.REVOCATION)
    return verification
