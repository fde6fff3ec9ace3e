"""The ladder of check-in: from card and PIN down to an entry by staff, and what each is worth.

Nobody is turned away for want of a PIN, a card or a network; the record says how far its contents
may be relied on instead. Only a signature authenticates. A certificate that is revoked or has no
path to a trusted authority opens no rung with the card; number B and staff entry stay.

Spec: KIOSK-RUNG, KIOSK-PATH, KIOSK-REVOCATION.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from clients.card.card import MyNumberCard
from clients.card.codes import Code
from clients.identity.attributes import TEXT_LENGTH_MAX, FourAttributes
from clients.identity.certificate import CardCertificate, CertificateKind
from clients.identity.crl import RevocationList
from clients.identity.path import TrustStore, verify_path
from clients.identity.revocation import (
    OFFLINE_SHELTER,
    CertificateStatus,
    Freshness,
    Good,
    Revoked,
    Undetermined,
)
from clients.identity.statement import Purpose, Statement, encode_statement
from node.primitives.errors import InvalidInput

STATEMENT_LIFETIME: Final = timedelta(minutes=5)
"""How long a holder may take from reading the text to the signature."""


class Rung(StrEnum):
    """How somebody was received, strongest first."""

    SIGNATURE = "signature"
    """PIN and signature of the authentication key: authenticated."""
    NUMBER_B = "number-b"
    """照合番号B from the face of the card: attributes off the card, holder not authenticated."""
    TAP = "tap"
    """The certificate was read: recognised, not authenticated; whoever holds the card can."""
    STAFF = "staff"
    """Written down by staff."""


class CertificateRefused(InvalidInput):
    """The card's certificate is revoked, or no trusted authority's; take a lower rung."""

    code = "kiosk.certificate_refused"


class InvalidEntry(InvalidInput):
    """What staff entered has no name, or is too long."""

    code = "kiosk.invalid_entry"


@dataclass(frozen=True, slots=True, kw_only=True)
class KioskTrust:
    """What a kiosk knows without a network."""

    store: TrustStore
    """Authorities it trusts."""
    lists: tuple[RevocationList, ...] = ()
    """The last revocation list of each authority."""
    freshness: Freshness = OFFLINE_SHELTER
    """How old a list may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCheckIn:
    """The card signed the text its holder read."""

    certificate: CardCertificate
    """Of the authentication key: personal data."""
    text: bytes = field(repr=False)
    """The statement."""
    signature: bytes = field(repr=False)
    """Over the statement."""
    revocation: Good | Undetermined
    """What was known, and of when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberBCheckIn:
    """The card gave its attributes for the number printed on it."""

    attributes: FourAttributes
    """Of unverified source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TapCheckIn:
    """The card was near."""

    certificate: CardCertificate
    """Of the authentication key: personal data."""
    revocation: Good | Undetermined
    """What was known, and of when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffCheckIn:
    """Staff wrote it down."""

    name: str = field(repr=False)
    """As told."""
    note: str = field(default="", repr=False)
    """What else is needed to find the person again, such as the number of a tag handed out."""
    entered_by: str
    """Who wrote it."""


CheckIn = SignedCheckIn | NumberBCheckIn | TapCheckIn | StaffCheckIn


def rung_of(check_in: CheckIn) -> Rung:
    """Return how somebody was received.

    Spec: KIOSK-RUNG.
    """
    match check_in:
        case SignedCheckIn():
            return Rung.SIGNATURE
        case NumberBCheckIn():
            return Rung.NUMBER_B
        case TapCheckIn():
            return Rung.TAP
        case StaffCheckIn():
            return Rung.STAFF


def is_authenticated(check_in: CheckIn) -> bool:
    """Return whether the holder proved more than having the card.

    Spec: KIOSK-RUNG.
    """
    return isinstance(check_in, SignedCheckIn)


def build_check_in_statement(*, audience: str, nonce: bytes, now: datetime) -> Statement:
    """Return the statement to show before the PIN is asked for, and then to have signed.

    Args:
        audience: Name of the identity service that will read it.
        nonce: 32 random bytes, drawn by the kiosk for this person.
        now: The present.
    """
    issued_at = now.replace(microsecond=0)
    return Statement(
        purpose=Purpose.CHECK_IN,
        audience=audience,
        nonce=nonce,
        issued_at=issued_at,
        expires_at=issued_at + STATEMENT_LIFETIME,
    )


def check_in_by_signature(
    card: MyNumberCard, code: Code, *, statement: Statement, trust: KioskTrust, now: datetime
) -> SignedCheckIn:
    """Have the card sign the statement its holder read.

    The certificate that comes with the signature is the one that is judged.

    Raises:
        CertificateRefused: Revoked, or not a trusted authority's.
        CodeWrong, CodeLastTry, CodeLocked and other errors of the card.

    Spec: KIOSK-PATH.
    """
    text = encode_statement(statement)
    signed = card.sign(CertificateKind.AUTHENTICATION, text, code)
    revocation = judge_certificate(signed.certificate, trust, now)
    return SignedCheckIn(
        certificate=signed.certificate, text=text, signature=signed.signature, revocation=revocation
    )


def check_in_by_number_b(card: MyNumberCard, code: Code) -> NumberBCheckIn:
    """Read the attributes with the number on the card's face.

    Raises:
        CodeWrong, CodeLastTry, CodeLocked and other errors of the card.
    """
    return NumberBCheckIn(attributes=card.read_attributes(code))


def check_in_by_tap(card: MyNumberCard, *, trust: KioskTrust, now: datetime) -> TapCheckIn:
    """Recognise a card without asking its holder anything.

    Raises:
        CertificateRefused: Revoked, or not a trusted authority's.

    Spec: KIOSK-PATH.
    """
    certificate = card.read_certificate(CertificateKind.AUTHENTICATION)
    return TapCheckIn(
        certificate=certificate, revocation=judge_certificate(certificate, trust, now)
    )


def check_in_by_staff(*, name: str, note: str, entered_by: str) -> StaffCheckIn:
    """Take down who has no card.

    Raises:
        InvalidEntry: No name, no author, or longer than 200 characters.
    """
    is_named = bool(name.strip()) and bool(entered_by.strip())
    if not is_named or max(len(name), len(note), len(entered_by)) > TEXT_LENGTH_MAX:
        raise InvalidEntry(
            f"entry: name and author have 1 to {TEXT_LENGTH_MAX} characters, the note at most as "
            "many",
            rule="KIOSK-RUNG",
        )
    return StaffCheckIn(name=name.strip(), note=note.strip(), entered_by=entered_by.strip())


def judge_certificate(
    certificate: CardCertificate, trust: KioskTrust, now: datetime
) -> Good | Undetermined:
    """Return what is known of a certificate's revocation, if its path holds.

    Unknown is not good, and is written into the record; offline it is no reason to turn somebody
    away. Revoked is.

    Raises:
        CertificateRefused: Revoked, or the path does not hold.

    Spec: KIOSK-PATH, KIOSK-REVOCATION.
    """
    path = verify_path(certificate, trust.store, kind=CertificateKind.AUTHENTICATION, at=now)
    if path.authority is None or not path.report.passed:
        raise CertificateRefused(
            "kiosk: the certificate's path does not hold",
            rule="KIOSK-PATH",
            broken=list(path.report.broken_rules),
        )
    known: list[CertificateStatus] = [
        one.status_of(certificate, issuer=path.authority, now=now, freshness=trust.freshness)
        for one in trust.lists
    ]
    revoked = next((status for status in known if isinstance(status, Revoked)), None)
    if revoked is not None:
        raise CertificateRefused(
            "kiosk: the certificate is revoked",
            rule="KIOSK-REVOCATION",
            reason=revoked.reason.name.lower(),
        )
    good = [status for status in known if isinstance(status, Good)]
    if good:
        return max(good, key=lambda status: status.as_of)
    unknown = [status for status in known if isinstance(status, Undetermined)]
    return unknown[0] if unknown else Undetermined(why="the kiosk has no revocation list")
