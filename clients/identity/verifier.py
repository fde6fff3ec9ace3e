"""Who answers for a card's signature: the verification back ends behind one protocol.

A municipality that has notified J-LIS verifies by itself: ``DirectVerifier`` over the trust store
and a ``RevocationSource`` of that connection, or of the simulated authorities in development.
Others ask a platform operator (``platform``).

Spec: ID-VERIFIER.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, assert_never

from clients.identity.certificate import CardCertificate, CertificateKind, decode_certificate
from clients.identity.crl import RefusedRevocationList, RevocationList, accept_revocation_list
from clients.identity.ocsp import (
    NONCE_SIZE,
    OcspQuestion,
    RefusedOcspResponse,
    accept_ocsp_response,
    build_ocsp_question,
)
from clients.identity.path import TrustedAuthority, TrustStore, verify_path
from clients.identity.reference import CertificateReference
from clients.identity.report import Check, Report
from clients.identity.revocation import (
    ONLINE,
    CertificateStatus,
    Freshness,
    Good,
    RevocationMethod,
    Revoked,
    Undetermined,
    find_staleness,
)
from clients.identity.signature import check_signature
from node.primitives.errors import Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class CardEvidence:
    """What a card hands over."""

    certificate: bytes = field(repr=False)
    """In DER."""
    message: bytes = field(repr=False)
    """What was shown and signed."""
    signature: bytes = field(repr=False)
    """By the card's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a back end says about evidence; kept as the record of the check."""

    report: Report
    """One check for each rule."""
    status: CertificateStatus
    """Revocation, with how and as of when."""
    authority_key_hash: bytes | None = field(repr=False)
    """Generation that issued the certificate; None where unknown or not told."""
    checked_at: datetime
    """When."""

    @property
    def passed(self) -> bool:
        """Return whether the holder of the card's key is who the certificate says, now."""
        return self.report.passed and isinstance(self.status, Good)


class CertificateVerifier(Protocol):
    """A back end that answers for evidence of a card."""

    async def verify(
        self,
        evidence: CardEvidence,
        *,
        kind: CertificateKind,
        method: RevocationMethod,
        now: datetime,
    ) -> Verification:
        """Return what is to be said about evidence.

        Raises:
            MalformedCertificate: The certificate does not decode.
        """
        ...


class RevocationSource(Protocol):
    """A way to the authorities' revocation data; what it brings is not trusted."""

    async def fetch_list(self, authority: TrustedAuthority) -> bytes:
        """Return the newest revocation list.

        Raises:
            Unavailable: It cannot be had now.
        """
        ...

    async def ask(self, question: OcspQuestion) -> bytes:
        """Return the OCSP response to a question.

        Raises:
            Unavailable: It cannot be had now.
        """
        ...


def _random_nonce() -> bytes:
    return secrets.token_bytes(NONCE_SIZE)


class DirectVerifier:
    """Verifies paths, signatures and revocation itself. Lists are kept until they are too old."""

    def __init__(
        self,
        store: TrustStore,
        source: RevocationSource,
        *,
        freshness: Freshness = ONLINE,
        new_nonce: Callable[[], bytes] = _random_nonce,
    ) -> None:
        """Hold what it trusts and where it asks."""
        self._store = store
        self._source = source
        self._freshness = freshness
        self._new_nonce = new_nonce
        self._lists: dict[bytes, RevocationList] = {}

    async def verify(
        self,
        evidence: CardEvidence,
        *,
        kind: CertificateKind,
        method: RevocationMethod,
        now: datetime,
    ) -> Verification:
        """Check path, signature and revocation.

        Raises:
            MalformedCertificate: The certificate does not decode.

        Spec: ID-VERIFIER.
        """
        certificate = decode_certificate(evidence.certificate)
        path = verify_path(certificate, self._store, kind=kind, at=now)
        signature = check_signature(certificate.key, evidence.message, evidence.signature)
        status: CertificateStatus = Undetermined(why="no trusted authority to ask")
        if path.authority is not None:
            status = await self.find_status(
                certificate, issuer=path.authority, method=method, now=now
            )
        checks = (*path.report.checks, signature, check_status(status))
        return Verification(
            report=Report(checks=checks),
            status=status,
            authority_key_hash=None if path.authority is None else path.authority.key_hash,
            checked_at=now,
        )

    async def find_status(
        self,
        certificate: CardCertificate,
        *,
        issuer: TrustedAuthority,
        method: RevocationMethod,
        now: datetime,
    ) -> CertificateStatus:
        """Return the revocation status; undetermined when the authority cannot be reached.

        Spec: ID-REVOCATION-STATUS.
        """
        match method:
            case RevocationMethod.CRL:
                return await self._status_by_list(certificate, issuer, now)
            case RevocationMethod.OCSP:
                return await self._status_by_question(certificate, issuer, now)
            case _:
                assert_never(method)

    @property
    def store(self) -> TrustStore:
        """Return whom it trusts."""
        return self._store

    async def fetch_lists(self) -> dict[bytes, str]:
        """Fetch the newest list of every authority; return what went wrong, by its key.

        Spec: ID-VERIFIER.
        """
        faults = {}
        for authority in self._store.authorities:
            fault = await self._fetch_list(authority)
            if fault is not None:
                faults[authority.key_hash] = fault
        return faults

    def held_list(self, authority_key_hash: bytes) -> RevocationList | None:
        """Return the last list accepted from an authority."""
        return self._lists.get(authority_key_hash)

    def find_listed_status(
        self, reference: CertificateReference, *, now: datetime
    ) -> CertificateStatus:
        """Return what the lists at hand say of a certificate verified before; asks nobody.

        Spec: ID-REVOCATION-STATUS, ID-REFERENCE.
        """
        issuer = self._store.find_by_key(reference.authority_key_hash)
        if issuer is None:
            return Undetermined(why="its authority is trusted no more")
        held = self._lists.get(issuer.key_hash)
        if held is None:
            return Undetermined(why="no list")
        return held.status_of(reference, issuer=issuer, now=now, freshness=self._freshness)

    async def _status_by_list(
        self, certificate: CardCertificate, issuer: TrustedAuthority, now: datetime
    ) -> CertificateStatus:
        held = self._lists.get(issuer.key_hash)
        fault = None
        if held is None or now >= held.next_update or self._is_stale(held, now):
            fault = await self._fetch_list(issuer)
            held = self._lists.get(issuer.key_hash)
        if held is None:
            return Undetermined(why=fault or "no list")
        return held.status_of(certificate, issuer=issuer, now=now, freshness=self._freshness)

    async def _fetch_list(self, issuer: TrustedAuthority) -> str | None:
        """Take an authority's newest list over; return what went wrong."""
        try:
            der = await self._source.fetch_list(issuer)
            held = self._lists.get(issuer.key_hash)  # another call may have been faster
            self._lists[issuer.key_hash] = accept_revocation_list(
                der, authority=issuer, number_min=0 if held is None else held.number
            )
        except Unavailable:
            return "the authority's list cannot be fetched"
        except RefusedRevocationList as error:
            return f"the authority's list is refused: {error}"
        return None

    def _is_stale(self, held: RevocationList, now: datetime) -> bool:
        return (
            find_staleness(
                held.this_update,
                age_max=self._freshness.list_age_max,
                skew_max=self._freshness.clock_skew_max,
                now=now,
            )
            is not None
        )

    async def _status_by_question(
        self, certificate: CardCertificate, issuer: TrustedAuthority, now: datetime
    ) -> CertificateStatus:
        question = build_ocsp_question(certificate, authority=issuer, nonce=self._new_nonce())
        try:
            der = await self._source.ask(question)
            return accept_ocsp_response(der, question=question, now=now, freshness=self._freshness)
        except Unavailable:
            return Undetermined(why="the authority's responder cannot be reached")
        except RefusedOcspResponse as error:
            return Undetermined(why=f"the authority's response is refused: {error}")


def check_status(status: CertificateStatus) -> Check:
    """Return the check that a status is good.

    Spec: ID-REVOCATION-STATUS.
    """
    match status:
        case Good(method=method, as_of=as_of):
            found = f"good by {method} as of {as_of:%Y-%m-%dT%H:%M:%SZ}"
        case Revoked(reason=reason):
            found = f"revoked, reason {int(reason)}"
        case Undetermined(why=why):
            found = f"undetermined: {why}"
        case _:
            assert_never(status)
    return Check(
        rule="ID-REVOCATION-STATUS",
        passed=isinstance(status, Good),
        expected="good, by fresh data",
        found=found,
    )
