"""One question about one certificate, and the check of the answer.

The library parses answers and verifies none. Here: who signed it, that it answers this question
about this certificate of this generation, and that it is from now.

Spec: ID-OCSP-SIGNER, ID-OCSP-MATCH, ID-OCSP-NONCE.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from clients.identity.certificate import UNREADABLE, CardCertificate, CardKey, find_extension
from clients.identity.crl import STRONG_HASHES
from clients.identity.path import TrustedAuthority
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
from clients.identity.signature import is_accepted_key
from node.primitives.errors import InvalidInput

RESPONSE_SIZE_MAX: Final = 32 * 1024
"""Longest OCSP response read, in bytes."""

RESPONDERS_MAX: Final = 4
"""Most certificates looked at in a response."""

NONCE_SIZE: Final = 32
"""Bytes of the nonce in a question (RFC 8954)."""


class RefusedOcspResponse(InvalidInput):
    """An OCSP response that says nothing; the rule says why."""

    code = "identity.refused_ocsp_response"


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspQuestion:
    """A request, and what its answer must repeat."""

    request: bytes = field(repr=False)
    """The bytes to send: they name a certificate, so they go to its authority only."""
    authority: TrustedAuthority
    """Who is asked."""
    nonce: bytes = field(repr=False)
    """Random, for this question only."""


def build_ocsp_question(
    certificate: CardCertificate, *, authority: TrustedAuthority, nonce: bytes
) -> OcspQuestion:
    """Build the question about a certificate that ``authority`` issued.

    Raises:
        InvalidInput: The nonce is not 32 bytes.
    """
    if len(nonce) != NONCE_SIZE:
        raise InvalidInput(f"ocsp: a nonce has {NONCE_SIZE} bytes", rule="ID-OCSP-NONCE")
    request = (
        ocsp.OCSPRequestBuilder()
        .add_certificate(certificate.parsed, authority.certificate.parsed, hashes.SHA256())
        .add_extension(x509.OCSPNonce(nonce), critical=False)
        .build()
    )
    return OcspQuestion(
        request=request.public_bytes(Encoding.DER), authority=authority, nonce=nonce
    )


def accept_ocsp_response(
    der: bytes, *, question: OcspQuestion, now: datetime, freshness: Freshness
) -> CertificateStatus:
    """Return what an answer says about the certificate asked for.

    Raises:
        RefusedOcspResponse: Malformed, forged, or the answer to something else.

    Spec: ID-OCSP-SIGNER.
    """
    if len(der) > RESPONSE_SIZE_MAX:
        raise _refused("ID-OCSP-MATCH", f"{len(der)} bytes, at most {RESPONSE_SIZE_MAX}")
    try:
        response = ocsp.load_der_ocsp_response(der)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return Undetermined(why=f"the responder says {response.response_status.name.lower()}")
        _check_signer(response, question.authority, now)
        answer = _find_answer(response, question)
        _check_nonce(response, question)
        return _read_status(answer, now, freshness)
    except UNREADABLE as error:
        raise _refused("ID-OCSP-MATCH", "does not decode") from error


def _check_signer(response: ocsp.OCSPResponse, authority: TrustedAuthority, now: datetime) -> None:
    """Check that the authority's own key signed, or that of a responder it appointed.

    Spec: ID-OCSP-SIGNER.
    """
    keys: list[CardKey] = [authority.certificate.key]
    for certificate in response.certificates[:RESPONDERS_MAX]:
        key = certificate.public_key()
        if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) and _is_appointed(
            certificate, authority, now
        ):
            keys.append(key)
    if not any(_is_signed_by(response, key) for key in keys):
        raise _refused("ID-OCSP-SIGNER", "is not signed by the authority or its responder")


def _is_appointed(
    certificate: x509.Certificate, authority: TrustedAuthority, now: datetime
) -> bool:
    usage = find_extension(certificate, x509.ExtendedKeyUsage)
    return (
        usage is not None
        and ExtendedKeyUsageOID.OCSP_SIGNING in usage
        and find_extension(certificate, x509.OCSPNoCheck) is not None
        and certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
        and isinstance(certificate.signature_hash_algorithm, STRONG_HASHES)
        and authority.has_issued(certificate)
    )


def _is_signed_by(response: ocsp.OCSPResponse, key: CardKey) -> bool:
    algorithm = response.signature_hash_algorithm
    if not isinstance(algorithm, STRONG_HASHES) or not is_accepted_key(key):
        return False
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(
                response.signature, response.tbs_response_bytes, padding.PKCS1v15(), algorithm
            )
        else:
            key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def _find_answer(response: ocsp.OCSPResponse, question: OcspQuestion) -> ocsp.OCSPSingleResponse:
    """Return the one answer, when it is about the certificate asked for.

    Spec: ID-OCSP-MATCH.
    """
    answers = list(response.responses)
    if len(answers) != 1:
        raise _refused("ID-OCSP-MATCH", f"holds {len(answers)} answers, expected 1")
    answer, asked = answers[0], ocsp.load_der_ocsp_request(question.request)
    is_same = (
        type(answer.hash_algorithm) is type(asked.hash_algorithm)
        and answer.issuer_name_hash == asked.issuer_name_hash
        and answer.issuer_key_hash == asked.issuer_key_hash
        and answer.serial_number == asked.serial_number
    )
    if not is_same:
        raise _refused("ID-OCSP-MATCH", "answers about another certificate")
    extensions = [*response.extensions, *response.single_extensions]
    if any(extension.critical for extension in extensions):
        raise _refused("ID-OCSP-MATCH", "has a critical extension")
    return answer


def _check_nonce(response: ocsp.OCSPResponse, question: OcspQuestion) -> None:
    """Check that the answer repeats the question's nonce.

    Spec: ID-OCSP-NONCE.
    """
    nonces = [
        extension.value.nonce
        for extension in response.extensions
        if isinstance(extension.value, x509.OCSPNonce)
    ]
    if nonces != [question.nonce]:
        raise _refused("ID-OCSP-NONCE", "does not repeat the nonce of the question")


def _read_status(
    answer: ocsp.OCSPSingleResponse, now: datetime, freshness: Freshness
) -> CertificateStatus:
    """Return the status told; a revocation counts however old the answer is.

    Spec: ID-REVOCATION-STATUS.
    """
    this_update, next_update = answer.this_update_utc, answer.next_update_utc
    if answer.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        revoked_at = answer.revocation_time_utc or this_update
        reason = reason_of(answer.revocation_reason)
        return Revoked(
            method=RevocationMethod.OCSP,
            as_of=this_update,
            reason=RevocationReason.KEY_COMPROMISED if reason is None else reason,
            revoked_at=revoked_at,
        )
    if answer.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
        return Undetermined(why="the responder does not know the certificate")
    stale = find_staleness(
        this_update,
        age_max=freshness.response_age_max,
        skew_max=freshness.clock_skew_max,
        now=now,
    )
    if stale is not None:
        return Undetermined(why=f"the response is {stale}")
    if next_update is not None and next_update <= now:
        return Undetermined(why="the response has ended")
    return Good(method=RevocationMethod.OCSP, as_of=this_update)


def _refused(rule: str, what: str) -> RefusedOcspResponse:
    return RefusedOcspResponse(f"ocsp: the response {what}", rule=rule)
