"""How a person stands: flag, devices, attributes, from certificates, record and clock. Pure.

The table of consequences is ``clients.identity.lifecycle``'s; this module holds it against what the
lists say now and what was learnt before. What once stopped somebody stays: a certificate is not
good again because it is missing from a later list.

Spec: ID-STANDING, ID-LIFECYCLE, ID-FLAG.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from clients.identity.certificate import CertificateKind
from clients.identity.chain import STANDING
from clients.identity.lifecycle import (
    FLAG_LIFETIME,
    GRACE_PERIOD,
    AttributeAction,
    Consequence,
    DeviceAction,
    FlagStatus,
    RecordEvent,
    combine_consequences,
    find_expiry_consequence,
    find_record_consequence,
    find_revocation_consequence,
)
from clients.identity.revocation import RevocationReason

LEVEL_FULL: Final = 3
"""Proofing level while the card's word stands."""

LEVEL_KNOWN: Final = 1
"""Proofing level of somebody who is known and no longer verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What is known of one of a person's certificates."""

    kind: CertificateKind
    """Which."""
    not_after: datetime
    """Last second of validity."""
    reason: RevocationReason | None = None
    """Why it is revoked, as first learnt; None while it is not."""
    revoked_at: datetime | None = None
    """Since when."""
    vouched_at: datetime | None = None
    """The instant an authority last spoke of it, good or not; None when it is silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a person stands."""

    status: FlagStatus
    """What services and the ledger are told; never EXPIRED, which is read off the clock."""
    devices: DeviceAction
    """What device keys may do."""
    attributes: AttributeAction
    """What became of the attributes."""
    as_of: datetime
    """The instant the authority vouched for."""
    expires_at: datetime
    """From when on the flag says nothing."""
    grace_until: datetime | None = None
    """End of the grace period, when there is one."""

    def status_at(self, now: datetime) -> FlagStatus:
        """Return the status at an instant; what stopped somebody does not expire.

        Spec: ID-FLAG.
        """
        if self.status in (FlagStatus.SUSPENDED, FlagStatus.REMOVED) or now < self.expires_at:
            return self.status
        return FlagStatus.EXPIRED


def compute_standing(
    certificates: Sequence[CertificateFacts],
    *,
    event: RecordEvent | None,
    as_of: datetime,
    now: datetime,
) -> Standing:
    """Return how a person stands whose flag was last vouched for at ``as_of``.

    Spec: ID-STANDING.
    """
    found = combine_consequences(_consequences(certificates, event=event, now=now))
    status = FlagStatus.VERIFIED if found is None else found.flag
    devices = DeviceAction.KEEP if found is None else found.devices
    grace_until = _grace_until(certificates)
    if grace_until is not None and now >= grace_until:
        status = max(status, FlagStatus.DOWNGRADED)
        devices = max(devices, DeviceAction.CARD_ONLY)
    logins = [each for each in certificates if each.kind is CertificateKind.AUTHENTICATION]
    vouched = max([as_of, *(each.vouched_at for each in logins if each.vouched_at is not None)])
    ends = [vouched + FLAG_LIFETIME]
    if status in STANDING:
        ends += [each.not_after + timedelta(seconds=1) for each in logins]
        ends += [grace_until] if grace_until is not None else []
    return Standing(
        status=status,
        devices=devices,
        attributes=AttributeAction.KEEP if found is None else found.attributes,
        as_of=vouched,
        expires_at=min(ends),
        grace_until=grace_until,
    )


def level_of(status: FlagStatus) -> int:
    """Return the proofing level that a status is worth."""
    return LEVEL_FULL if status in STANDING else LEVEL_KNOWN


def _consequences(
    certificates: Iterable[CertificateFacts], *, event: RecordEvent | None, now: datetime
) -> Iterable[Consequence]:
    if event is not None:
        yield find_record_consequence(event)
    for each in certificates:
        if each.reason is not None:
            yield find_revocation_consequence(each.reason, each.kind)
        elif now > each.not_after:
            yield find_expiry_consequence(each.kind)


def _grace_until(certificates: Iterable[CertificateFacts]) -> datetime | None:
    ends = [
        each.revoked_at + GRACE_PERIOD
        for each in certificates
        if each.reason is not None
        and each.revoked_at is not None
        and find_revocation_consequence(each.reason, each.kind).devices is DeviceAction.GRACE
        and each.kind is CertificateKind.AUTHENTICATION
    ]
    return min(ends, default=None)
