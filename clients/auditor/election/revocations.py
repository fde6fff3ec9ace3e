"""The authorities an accredited auditor trusts, and when they revoked which certificate.

Lists come from the authority, not from the commission: what the registrar found at the time stands
in the export, and a list of later says whether the certificate was revoked before it was used.

Spec: AUDIT-ACCREDITED.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from clients.auditor.reporting import read_given
from clients.identity.certificate import UNREADABLE, CertificateKind, MalformedCertificate
from clients.identity.crl import (
    LIST_SIZE_MAX,
    RefusedRevocationList,
    RevocationList,
    accept_revocation_list,
)
from clients.identity.path import TrustStore, build_trust_store
from node.primitives.errors import Misconfigured

AUTHORITY_SIZE_MAX: Final = 64 * 1024
"""Longest file of one authority's certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate, by who issued it: personal data."""

    authority: bytes = field(repr=False)
    """Hash of the authority's key."""
    serial: int = field(repr=False)
    """Serial number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorities:
    """Whom the auditor trusts."""

    store_ders: tuple[bytes, ...] = field(default=(), repr=False)
    """Authorities of signing certificates, in DER."""
    revoked: Mapping[bytes, Mapping[int, int]] = field(default_factory=dict, repr=False)
    """Per authority's key hash: since when certificates are revoked, by serial number."""

    def is_revoked(self, issued: Issued | None, time_s: int) -> bool:
        """Tell whether a certificate was revoked at a time, as far as the lists say."""
        if issued is None:
            return False
        since = self.revoked.get(issued.authority, {}).get(issued.serial)
        return since is not None and since <= time_s


def load_authorities(authorities: Sequence[Path], lists: Sequence[Path]) -> Authorities:
    """Read certificates of authorities and their revocation lists, each in DER or PEM.

    Raises:
        Misconfigured: One cannot be read, is none, or a list is of none of the authorities.

    Spec: AUDIT-ACCREDITED.
    """
    ders = tuple(_read_certificate(path) for path in authorities)
    if not ders:
        if lists:
            raise Misconfigured("--revocations: give the --authority whose list it is as well")
        return Authorities()
    try:
        store = build_trust_store(tuple((CertificateKind.SIGNING, der) for der in ders))
    except MalformedCertificate as error:
        raise Misconfigured(f"--authority: {error.message}; take the published file") from error
    revoked: dict[bytes, dict[int, int]] = {}
    for path in lists:
        accepted = _read_list(path, store)
        held = revoked.setdefault(accepted.authority_key_hash, {})
        for serial, entry in accepted.entries.items():
            since = int(entry.revoked_at.timestamp())
            held[serial] = min(since, held.get(serial, since))
    return Authorities(store_ders=ders, revoked=revoked)


def _read_certificate(path: Path) -> bytes:
    data = read_given(path, AUTHORITY_SIZE_MAX)
    if not data.startswith(b"-----BEGIN"):
        return data
    try:
        return x509.load_pem_x509_certificate(data).public_bytes(Encoding.DER)
    except UNREADABLE as error:
        raise Misconfigured(f"{path}: no certificate; take the published file") from error


def _read_list(path: Path, store: TrustStore) -> RevocationList:
    data = read_given(path, 2 * LIST_SIZE_MAX)
    if data.startswith(b"-----BEGIN"):
        try:
            data = x509.load_pem_x509_crl(data).public_bytes(Encoding.DER)
        except UNREADABLE as error:
            raise Misconfigured(f"{path}: no revocation list; take the published file") from error
    for authority in store.authorities:
        try:
            return accept_revocation_list(data, authority=authority)
        except RefusedRevocationList:
            continue
    raise Misconfigured(f"{path}: no revocation list of an --authority; give the issuer's too")
