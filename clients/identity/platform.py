"""The back end that asks a platform operator, for those who are no verifier themselves.

The operator, certified by the minister, checks path, validity and revocation. What needs no
authority is checked here as well: the profile, and that the card signed this text. Each operator's
own interface is put behind ``PlatformApi``; the results are those that public references list.

Spec: ID-PLATFORM.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from clients.identity.certificate import CertificateKind, decode_certificate
from clients.identity.path import check_profile, check_validity
from clients.identity.report import Check, Report
from clients.identity.revocation import (
    CertificateStatus,
    Good,
    RevocationMethod,
    RevocationReason,
    Revoked,
    Undetermined,
)
from clients.identity.signature import check_signature
from clients.identity.verifier import CardEvidence, Verification, check_status
from node.primitives.errors import Unavailable


class PlatformResult(StrEnum):
    """What a platform operator answers."""

    OK = "ok"
    """Everything holds."""
    EXPIRED = "certificate_has_expired"
    """The certificate's time is over."""
    MISMATCH = "signature_did_not_match"
    """The card did not sign this."""
    REVOKED = "certificate_has_been_revoked"
    """The certificate is revoked."""
    UNSUPPORTED = "unsupported_certificate"
    """Not a certificate of a card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformQuestion:
    """What a platform operator is asked."""

    evidence: CardEvidence
    """Certificate, text and signature; the text stays here, the operator gets its hash."""
    kind: CertificateKind
    """Which certificate it must be."""
    method: RevocationMethod
    """How revocation is to be looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformAnswer:
    """What a platform operator answers, off the wire and in form."""

    result: PlatformResult
    """The verdict."""
    as_of: datetime
    """The instant of the revocation data."""
    reason: RevocationReason | None = None
    """Why it was revoked, where the operator tells."""
    revoked_at: datetime | None = None
    """Since when, where the operator tells."""


PlatformApi: TypeAlias = Callable[[PlatformQuestion], Awaitable[PlatformAnswer]]
"""An operator's interface; raises ``Unavailable`` when it cannot be asked."""

_BROKEN_RULES: Final = {
    PlatformResult.EXPIRED: "ID-PATH-VALIDITY",
    PlatformResult.MISMATCH: "ID-SIGNATURE",
    PlatformResult.UNSUPPORTED: "ID-PATH-ISSUER",
}


class PlatformVerifier:
    """A ``CertificateVerifier`` that relies on an operator for path and revocation."""

    def __init__(self, api: PlatformApi) -> None:
        """Hold the operator's interface."""
        self._api = api

    async def verify(
        self,
        evidence: CardEvidence,
        *,
        kind: CertificateKind,
        method: RevocationMethod,
        now: datetime,
    ) -> Verification:
        """Check dates, profile and signature here, and ask the operator for the rest.

        Raises:
            MalformedCertificate: The certificate does not decode.

        Spec: ID-PLATFORM.
        """
        certificate = decode_certificate(evidence.certificate)
        own = (
            check_validity(certificate, None, now),
            *check_profile(certificate, kind).checks,
            check_signature(certificate.key, evidence.message, evidence.signature),
        )
        question = PlatformQuestion(evidence=evidence, kind=kind, method=method)
        try:
            answer = await self._api(question)
        except Unavailable:
            status: CertificateStatus = Undetermined(why="the operator cannot be reached")
            told: tuple[Check, ...] = ()
        else:
            status, told = _status_of(answer, method), _checks_of(answer)
        return Verification(
            report=Report(checks=(*own, *told, check_status(status))),
            status=status,
            authority_key_hash=None,
            checked_at=now,
        )


def _status_of(answer: PlatformAnswer, method: RevocationMethod) -> CertificateStatus:
    """Translate a verdict; a revocation told without a reason counts as a compromised key."""
    if answer.result is PlatformResult.OK:
        return Good(method=method, as_of=answer.as_of)
    if answer.result is PlatformResult.REVOKED:
        reason = answer.reason
        return Revoked(
            method=method,
            as_of=answer.as_of,
            reason=RevocationReason.KEY_COMPROMISED if reason is None else reason,
            revoked_at=answer.revoked_at or answer.as_of,
        )
    return Undetermined(why=f"the operator says {answer.result}")


def _checks_of(answer: PlatformAnswer) -> tuple[Check, ...]:
    if answer.result in (PlatformResult.OK, PlatformResult.REVOKED):
        return ()
    return (
        Check(
            rule=_BROKEN_RULES[answer.result],
            passed=False,
            expected=str(PlatformResult.OK),
            found=str(answer.result),
        ),
    )
