"""What an event in the life of a certificate or a person does to devices, attributes and flag.

A table, so that a privacy officer can read it beside the law. The identity service carries it out;
the flag ends by itself when nobody renews it.

Spec: ID-LIFECYCLE, ID-FLAG.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final

from clients.identity.certificate import CertificateKind
from clients.identity.revocation import Good, RevocationReason

GRACE_PERIOD: Final = timedelta(days=30)
"""How long devices go on after a renewal without a tap of the new card."""

FLAG_LIFETIME: Final = timedelta(hours=48)
"""How long a flag outlives the instant the authority vouched for: one sweep may fail."""

WARNING_DAYS: Final = (90, 30, 7)
"""Days before the end of a certificate on which its holder is told."""


class DeviceAction(IntEnum):
    """What becomes of device keys; a higher one is stricter."""

    KEEP = 0
    """They go on."""
    GRACE = 1
    """They go on for the grace period; the holder is asked for a tap."""
    CARD_ONLY = 2
    """They stay and may do nothing; the card itself acts."""
    SUSPEND = 3
    """They stop at once, until the holder taps a new card or comes to the counter."""
    REVOKE = 4
    """They stop for good."""


class AttributeAction(IntEnum):
    """What becomes of the attributes; a higher one is stricter."""

    KEEP = 0
    """They stay confirmed."""
    STALE = 1
    """They are to be confirmed again with the new signing certificate."""
    DELETE = 2
    """They are erased."""


class FlagStatus(IntEnum):
    """What services and the ledger are told; a higher one is stricter."""

    VERIFIED = 0
    """Identity and attributes stand."""
    ATTRIBUTES_UNCONFIRMED = 1
    """The person stands, the attributes do not."""
    GRACE = 2
    """Stands until the grace period ends."""
    DOWNGRADED = 3
    """Known, no longer verified."""
    SUSPENDED = 4
    """Not to be relied on until settled."""
    REMOVED = 5
    """No longer a resident here."""
    EXPIRED = 6
    """Nobody has renewed it; never written, only read off the clock."""


class Scope(IntEnum):
    """Whom an event concerns; a higher one is wider."""

    CERTIFICATE = 0
    """The one certificate."""
    CARD = 1
    """Both certificates of the card."""
    PERSON = 2
    """All cards and devices of the person."""
    GENERATION = 3
    """Everybody whose certificate that generation issued."""


class RecordEvent(StrEnum):
    """What the resident record tells."""

    DIED = "died"
    """The person has died."""
    LEFT = "left"
    """The person has left the country or the municipality's service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """What an event does."""

    scope: Scope
    """Whom it concerns."""
    devices: DeviceAction
    """What becomes of device keys."""
    attributes: AttributeAction
    """What becomes of the attributes."""
    flag: FlagStatus
    """What services are told."""


_SUSPENDED: Final = Consequence(
    scope=Scope.CARD,
    devices=DeviceAction.SUSPEND,
    attributes=AttributeAction.KEEP,
    flag=FlagStatus.SUSPENDED,
)

_RENEWED: Final = Consequence(
    scope=Scope.CERTIFICATE,
    devices=DeviceAction.GRACE,
    attributes=AttributeAction.KEEP,
    flag=FlagStatus.GRACE,
)

_ATTRIBUTES_GONE: Final = Consequence(
    scope=Scope.CERTIFICATE,
    devices=DeviceAction.KEEP,
    attributes=AttributeAction.STALE,
    flag=FlagStatus.ATTRIBUTES_UNCONFIRMED,
)

_REVOCATIONS: Final = {
    RevocationReason.DESTROYED_BEFORE_DELIVERY: _SUSPENDED,
    RevocationReason.KEY_COMPROMISED: _SUSPENDED,
    RevocationReason.AUTHORITY_COMPROMISED: Consequence(
        scope=Scope.GENERATION,
        devices=DeviceAction.SUSPEND,
        attributes=AttributeAction.KEEP,
        flag=FlagStatus.SUSPENDED,
    ),
    RevocationReason.CONTENTS_CHANGED: _ATTRIBUTES_GONE,
    RevocationReason.RENEWED: _RENEWED,
    RevocationReason.NO_LONGER_NEEDED: _RENEWED,
    RevocationReason.ON_HOLD: _SUSPENDED,
}

_EXPIRED_CARD: Final = Consequence(
    scope=Scope.CARD,
    devices=DeviceAction.CARD_ONLY,
    attributes=AttributeAction.STALE,
    flag=FlagStatus.DOWNGRADED,
)

_GONE: Final = Consequence(
    scope=Scope.PERSON,
    devices=DeviceAction.REVOKE,
    attributes=AttributeAction.DELETE,
    flag=FlagStatus.REMOVED,
)


def find_revocation_consequence(reason: RevocationReason, kind: CertificateKind) -> Consequence:
    """Return what a revocation does.

    Changed contents concern the signing certificate, for the other has none; should an
    authentication certificate be revoked so, it is treated as renewed.

    Spec: ID-LIFECYCLE.
    """
    if reason is RevocationReason.CONTENTS_CHANGED and kind is CertificateKind.AUTHENTICATION:
        return _RENEWED
    return _REVOCATIONS[reason]


def find_expiry_consequence(kind: CertificateKind) -> Consequence:
    """Return what the end of a certificate does.

    Spec: ID-LIFECYCLE.
    """
    return _EXPIRED_CARD if kind is CertificateKind.AUTHENTICATION else _ATTRIBUTES_GONE


def find_record_consequence(event: RecordEvent) -> Consequence:
    """Return what an event of the resident record does, whichever it is.

    Spec: ID-LIFECYCLE.
    """
    return {RecordEvent.DIED: _GONE, RecordEvent.LEFT: _GONE}[event]


def combine_consequences(consequences: Iterable[Consequence]) -> Consequence | None:
    """Return the strictest of several consequences in each respect; None of none.

    Spec: ID-LIFECYCLE.
    """
    held = tuple(consequences)
    if not held:
        return None
    return Consequence(
        scope=max(one.scope for one in held),
        devices=max(one.devices for one in held),
        attributes=max(one.attributes for one in held),
        flag=max(one.flag for one in held),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFlag:
    """What services may rely on about a person, and until when."""

    status: FlagStatus
    """As last written."""
    as_of: datetime
    """The instant the authority vouched for."""
    expires_at: datetime
    """From when on it says nothing."""

    def status_at(self, now: datetime) -> FlagStatus:
        """Return the status at an instant; what stopped somebody does not expire.

        Spec: ID-FLAG.
        """
        if self.status in (FlagStatus.SUSPENDED, FlagStatus.REMOVED) or now < self.expires_at:
            return self.status
        return FlagStatus.EXPIRED


def renew_flag(status: FlagStatus, *, good: Good, certificate_not_after: datetime) -> VerifiedFlag:
    """Return a flag that lives from the authority's word, not from our question.

    Spec: ID-FLAG.
    """
    return VerifiedFlag(
        status=status,
        as_of=good.as_of,
        expires_at=min(good.as_of + FLAG_LIFETIME, certificate_not_after + timedelta(seconds=1)),
    )


def find_warning(not_after: datetime, now: datetime) -> int | None:
    """Return the warning that is due: 90, 30 or 7 days; None before, and after the end.

    Spec: ID-FLAG.
    """
    left = not_after - now
    if left < timedelta(0):
        return None
    due = [days for days in WARNING_DAYS if left <= timedelta(days=days)]
    return min(due, default=None)
