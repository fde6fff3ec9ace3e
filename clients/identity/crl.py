"""The authority's daily revocation list: accepted once, then asked many times.

A list speaks for one key of an authority and for the certificates that name its distribution point.
Generations share a name and number their certificates alike, so a list of the wrong one would
condemn or acquit strangers. How old a list may be is asked each time it is used.

Spec: ID-CRL-SIGNATURE, ID-CRL-SCOPE, ID-CRL-NUMBER, ID-CRL-ENTRY.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from clients.identity.certificate import UNREADABLE, CardCertificate
from clients.identity.path import TrustedAuthority
from clients.identity.reference import CertificateReference
from clients.identity.revocation import (
    CertificateStatus,
    Freshness,
    Good,
    RevocationMethod,
    RevocationReason,
    Revoked,
    Undetermined,
    find_staleness,
    reason_of,
)
from node.primitives.errors import InvalidInput

LIST_SIZE_MAX: Final = 32 * 1024 * 1024
"""Longest revocation list read, in bytes: close to a million entries."""

STRONG_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
"""Hashes under which an authority's signature counts."""

_KNOWN_EXTENSIONS: Final = (
    x509.CRLNumber,
    x509.AuthorityKeyIdentifier,
    x509.IssuingDistributionPoint,
)

Value = TypeVar("Value", bound=x509.ExtensionType)


class RefusedRevocationList(InvalidInput):
    """A revocation list that is not to be used; the rule says why."""

    code = "identity.refused_revocation_list"


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationEntry:
    """One revoked certificate."""

    reason: RevocationReason
    """Why."""
    revoked_at: datetime
    """Since when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """A list whose signature and scope hold; ``accept_revocation_list`` makes it."""

    authority_key_hash: bytes = field(repr=False)
    """Which key of which authority it speaks for."""
    number: int
    """Rises from list to list."""
    this_update: datetime
    """The instant it vouches for."""
    next_update: datetime
    """When the next one is due."""
    distribution_names: tuple[x509.Name, ...] = field(repr=False)
    """The distribution points it covers."""
    entries: Mapping[int, RevocationEntry] = field(repr=False)
    """By serial number: personal data."""

    def status_of(
        self,
        certificate: CardCertificate | CertificateReference,
        *,
        issuer: TrustedAuthority,
        now: datetime,
        freshness: Freshness,
    ) -> CertificateStatus:
        """Return what this list knows about a certificate whose path led to ``issuer``.

        Spec: ID-REVOCATION-STATUS.
        """
        if issuer.key_hash != self.authority_key_hash:
            return Undetermined(why="the list is another authority's")
        if not set(certificate.distribution_names) & set(self.distribution_names):
            return Undetermined(why="the list does not cover this certificate")
        stale = find_staleness(
            self.this_update,
            age_max=freshness.list_age_max,
            skew_max=freshness.clock_skew_max,
            now=now,
        )
        entry = self.entries.get(certificate.serial)
        if entry is not None:
            return Revoked(
                method=RevocationMethod.CRL,
                as_of=self.this_update,
                reason=entry.reason,
                revoked_at=entry.revoked_at,
            )
        if stale is not None:
            return Undetermined(why=f"the list is {stale}")
        return Good(method=RevocationMethod.CRL, as_of=self.this_update)


def accept_revocation_list(
    der: bytes, *, authority: TrustedAuthority, number_min: int = 0
) -> RevocationList:
    """Accept a revocation list of one authority.

    Args:
        der: The list as published.
        authority: Whose it must be, by key.
        number_min: Number of the last list accepted from this authority.

    Raises:
        RefusedRevocationList: Malformed, forged, of another scope, or older than the last.

    Spec: ID-CRL-SIGNATURE.
    """
    if len(der) > LIST_SIZE_MAX:
        raise _refused("ID-CRL-SIGNATURE", f"{len(der)} bytes, at most {LIST_SIZE_MAX}")
    try:
        parsed = x509.load_der_x509_crl(der)
        extensions = parsed.extensions
        _check_signature(parsed, authority)
        this_update, next_update = parsed.last_update_utc, parsed.next_update_utc
        entries = _read_entries(parsed)
    except UNREADABLE as error:
        raise _refused("ID-CRL-SIGNATURE", "does not decode") from error
    names = _read_scope(extensions)
    number = _find(extensions, x509.CRLNumber)
    if number is None or number.crl_number < number_min:
        raise _refused("ID-CRL-NUMBER", f"has no number, or one below {number_min}")
    if next_update is None or next_update <= this_update:
        raise _refused("ID-CRL-SCOPE", "does not say when the next is due")
    return RevocationList(
        authority_key_hash=authority.key_hash,
        number=number.crl_number,
        this_update=this_update,
        next_update=next_update,
        distribution_names=names,
        entries=MappingProxyType(entries),
    )


def _check_signature(parsed: x509.CertificateRevocationList, authority: TrustedAuthority) -> None:
    certificate = authority.certificate
    if parsed.issuer != certificate.parsed.subject:
        raise _refused("ID-CRL-SIGNATURE", "is of another issuer")
    if not isinstance(parsed.signature_hash_algorithm, STRONG_HASHES):
        raise _refused("ID-CRL-SIGNATURE", "is signed with a weak hash")
    if not parsed.is_signature_valid(certificate.key):
        raise _refused("ID-CRL-SIGNATURE", "is not signed by this authority's key")


def _read_scope(extensions: x509.Extensions) -> tuple[x509.Name, ...]:
    """Return the directory names a list covers, when it covers them wholly.

    Spec: ID-CRL-SCOPE.
    """
    for extension in extensions:
        if extension.critical and not isinstance(extension.value, _KNOWN_EXTENSIONS):
            raise _refused("ID-CRL-SCOPE", "has an unknown critical extension")
    point = _find(extensions, x509.IssuingDistributionPoint)
    if point is None or not extensions.get_extension_for_class(type(point)).critical:
        raise _refused("ID-CRL-SCOPE", "has no critical issuing distribution point")
    is_partial = (
        point.only_some_reasons is not None
        or point.indirect_crl
        or point.only_contains_ca_certs
        or point.only_contains_attribute_certs
    )
    names = tuple(
        name.value for name in point.full_name or () if isinstance(name, x509.DirectoryName)
    )
    if is_partial or not names:
        raise _refused("ID-CRL-SCOPE", "is partial, indirect, or names no directory entry")
    return names


def _read_entries(parsed: x509.CertificateRevocationList) -> dict[int, RevocationEntry]:
    """Read every entry; a reason that cards do not have counts as a compromised key.

    Spec: ID-CRL-ENTRY.
    """
    entries: dict[int, RevocationEntry] = {}
    for revoked in parsed:
        if revoked.serial_number in entries:
            raise _refused("ID-CRL-ENTRY", "lists one certificate twice")
        flag = None
        for extension in revoked.extensions:
            if isinstance(extension.value, x509.CRLReason):
                flag = extension.value.reason
            elif extension.critical:
                raise _refused("ID-CRL-ENTRY", "has an entry with a critical extension")
        if flag is x509.ReasonFlags.remove_from_crl:
            raise _refused("ID-CRL-ENTRY", "lifts a hold, which only a delta list does")
        entries[revoked.serial_number] = RevocationEntry(
            reason=_reason_or_strictest(flag), revoked_at=revoked.revocation_date_utc
        )
    return entries


def _reason_or_strictest(flag: x509.ReasonFlags | None) -> RevocationReason:
    known = reason_of(flag)
    return RevocationReason.KEY_COMPROMISED if known is None else known


def _find(extensions: x509.Extensions, kind: type[Value]) -> Value | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _refused(rule: str, what: str) -> RefusedRevocationList:
    return RefusedRevocationList(f"revocation list {what}", rule=rule)
