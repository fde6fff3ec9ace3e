"""What may be known about a certificate's revocation, and how old the knowledge may be.

``crl`` and ``ocsp`` turn signed bytes into these records. What a revocation means for a person's
devices and attributes is ``lifecycle``'s.

Spec: ID-FRESHNESS.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final, TypeAlias

from cryptography import x509


class RevocationReason(IntEnum):
    """The reasons for which a card's certificate is revoked, by their number in X.509."""

    DESTROYED_BEFORE_DELIVERY = 0
    """The holder never had it; written without a reason code."""
    KEY_COMPROMISED = 1
    """The holder's key, or a lost card."""
    AUTHORITY_COMPROMISED = 2
    """All certificates of a generation."""
    CONTENTS_CHANGED = 3
    """Move, marriage, correction: the signing certificate only."""
    RENEWED = 4
    """A newer one exists."""
    NO_LONGER_NEEDED = 5
    """Given back."""
    ON_HOLD = 6
    """Suspended by telephone; in practice never lifted."""


_FLAGS: Final = {
    x509.ReasonFlags.unspecified: RevocationReason.DESTROYED_BEFORE_DELIVERY,
    x509.ReasonFlags.key_compromise: RevocationReason.KEY_COMPROMISED,
    x509.ReasonFlags.ca_compromise: RevocationReason.AUTHORITY_COMPROMISED,
    x509.ReasonFlags.affiliation_changed: RevocationReason.CONTENTS_CHANGED,
    x509.ReasonFlags.superseded: RevocationReason.RENEWED,
    x509.ReasonFlags.cessation_of_operation: RevocationReason.NO_LONGER_NEEDED,
    x509.ReasonFlags.certificate_hold: RevocationReason.ON_HOLD,
}

REASON_FLAGS: Final = {reason: flag for flag, reason in _FLAGS.items()}
"""The library's name of each reason."""


class RevocationMethod(StrEnum):
    """How a status came to be known."""

    CRL = "crl"
    """From the authority's daily list."""
    OCSP = "ocsp"
    """Asked for this certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """Not revoked, as far as the method can tell."""

    method: RevocationMethod
    """How it was learnt."""
    as_of: datetime
    """The instant the authority vouches for, not that of our question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """Revoked, whatever its dates say."""

    method: RevocationMethod
    """How it was learnt."""
    as_of: datetime
    """The instant the authority vouches for."""
    reason: RevocationReason
    """Why; decides what becomes of devices and attributes."""
    revoked_at: datetime
    """Since when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undetermined:
    """Nothing is known that may be relied on. Never to be read as good."""

    why: str
    """What is missing or too old, without anything that points to a person."""


CertificateStatus: TypeAlias = Good | Revoked | Undetermined
"""What may be known about a certificate's revocation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How old revocation data may be. A policy decision of the municipality."""

    list_age_max: timedelta = timedelta(hours=36)
    """Of a revocation list: one day's list, and half a day to fetch the next."""
    response_age_max: timedelta = timedelta(minutes=10)
    """Of an OCSP response."""
    clock_skew_max: timedelta = timedelta(minutes=5)
    """How far the authority's clock may run ahead of ours."""


ONLINE: Final = Freshness()
"""For services that reach the authority."""

OFFLINE_SHELTER: Final = Freshness(list_age_max=timedelta(hours=72))
"""For a kiosk cut off from the network; the age is shown and goes into the record."""


def reason_of(flag: x509.ReasonFlags | None) -> RevocationReason | None:
    """Return the reason for the library's flag; None for flags no card certificate gets."""
    return RevocationReason.DESTROYED_BEFORE_DELIVERY if flag is None else _FLAGS.get(flag)


def find_staleness(
    this_update: datetime, *, age_max: timedelta, skew_max: timedelta, now: datetime
) -> str | None:
    """Return why revocation data may not be relied on now, None when it may.

    Spec: ID-FRESHNESS.
    """
    if this_update > now + skew_max:
        return "from the future"
    age = now - this_update
    if age > age_max:
        return f"{int(age.total_seconds())} s old, at most {int(age_max.total_seconds())}"
    return None
