"""A simulated certification authority: issues card certificates, revokes them, and tells so.

It keeps its state in memory and does what it is told, also what a real authority would not: tests
order expired certificates and wrong policies from it. Its keys are made at run time.
"""

import string
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from secrets import choice
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clients.identity.certificate import CertificateKind
from clients.identity.path import POLICIES
from clients.identity.revocation import REASON_FLAGS, RevocationReason
from node.primitives.errors import MalformedMessage
from services.sim.pki.profiles import (
    ORGANIZATION,
    SimulatedResident,
    attribute_names,
    authentication_subject,
    authority_name,
    distribution_point_name,
    end_of_validity,
    service_alternative_name,
    signing_subject,
)

OPAQUE_LENGTH: Final = 14
"""Characters in front of the window code in the subject of an authentication certificate."""

LIST_PERIOD: Final = timedelta(days=1)
"""Between a revocation list and the next."""

RESPONSE_PERIOD: Final = timedelta(minutes=5)
"""For which an OCSP response speaks."""

AuthorityKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"""Keys that simulated authorities and cards hold."""


class KeyType(StrEnum):
    """Algorithms of cards, present and next."""

    RSA_2048 = "rsa-2048"
    """RSA with SHA-256."""
    P_384 = "p-384"
    """ECDSA with SHA-384, from about fiscal 2028."""


KeyMaker: TypeAlias = Callable[[KeyType], AuthorityKey]
"""Gives a new key; tests hand out prepared ones, because RSA keys are slow to make."""


def make_key(key_type: KeyType) -> AuthorityKey:
    """Make a new key."""
    if key_type is KeyType.RSA_2048:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP384R1())


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """A certificate and the key a card holds with it."""

    certificate: x509.Certificate
    """What was issued."""
    key: AuthorityKey
    """The card's private key."""

    @property
    def der(self) -> bytes:
        """Return the certificate's bytes."""
        return self.certificate.public_bytes(serialization.Encoding.DER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """An entry of the revocation list."""

    reason: RevocationReason
    """Why."""
    revoked_at: datetime
    """Since when."""


class SimulatedAuthority:
    """One generation of one authority."""

    def __init__(
        self,
        *,
        kind: CertificateKind,
        generation: int,
        not_before: datetime,
        not_after: datetime,
        key: AuthorityKey,
        responder_key: AuthorityKey,
    ) -> None:
        """Sign the authority's own certificate and that of its OCSP responder."""
        self.kind = kind
        self.generation = generation
        self._key = key
        self._responder_key = responder_key
        self._serial = 0
        self._list_number = 0
        self.revocations: dict[int, Revocation] = {}
        """By serial number."""
        self.certificate = self._sign_itself(not_before, not_after)
        self.responder_certificate = self._issue_responder(not_before, not_after)

    @property
    def der(self) -> bytes:
        """Return the authority's certificate."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def distribution_point(self) -> x509.DirectoryName:
        """Return where the revocation list is published, a name and not an address."""
        return x509.DirectoryName(distribution_point_name(self.kind, self.generation))

    def as_new(self) -> "SimulatedAuthority":
        """Return an authority with the same keys that has issued and revoked nothing."""
        twin = copy(self)
        twin._serial = twin._list_number = 0  # noqa: SLF001 - of the same class
        twin.revocations = {}
        return twin

    def resume(self, *, serial: int, list_number: int) -> None:
        """Go on after a restart: numbers up to ``serial`` were issued, lists go on numbering."""
        self._serial = max(self._serial, serial)
        self._list_number = max(self._list_number, list_number)

    # Issue

    def issue(
        self,
        resident: SimulatedResident,
        *,
        key: AuthorityKey,
        at: datetime,
        not_after: datetime | None = None,
        policy: x509.ObjectIdentifier | None = None,
    ) -> IssuedCertificate:
        """Issue the certificate of this authority's kind to a resident's card.

        Args:
            resident: To whom.
            key: The card's key.
            at: Start of validity.
            not_after: End of validity; by default the fifth birthday.
            policy: Policy named; by default that of the kind.
        """
        end = not_after or end_of_validity(resident.birth_date, at.date())
        builder = self.leaf_builder(resident, key=key, not_before=at, not_after=end)
        builder = builder.add_extension(_policies(policy or POLICIES[self.kind]), critical=True)
        return IssuedCertificate(certificate=self.sign(builder), key=key)

    def leaf_builder(
        self,
        resident: SimulatedResident,
        *,
        key: AuthorityKey,
        not_before: datetime,
        not_after: datetime,
    ) -> x509.CertificateBuilder:
        """Return a card certificate's builder, complete but for its policy."""
        self._serial += 1
        is_signing = self.kind is CertificateKind.SIGNING
        opaque = "".join(choice(string.ascii_uppercase) for _ in range(OPAQUE_LENGTH))
        subject = (
            signing_subject(resident, not_before, self._serial)
            if is_signing
            else authentication_subject(resident, opaque)
        )
        builder = (
            self._builder(subject, key, not_before, not_after)
            .serial_number(self._serial)
            .add_extension(_usage(signs=True, commits=is_signing), critical=True)
            .add_extension(x509.IssuerAlternativeName([service_alternative_name()]), critical=False)
            .add_extension(self._distribution_points(), critical=False)
            .add_extension(self._key_identifier(), critical=False)
        )
        if is_signing:
            builder = builder.add_extension(attribute_names(resident), critical=False)
        return builder

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """Sign whatever a builder holds."""
        return builder.sign(self._key, _hash_for(self._key))

    def _builder(
        self, subject: x509.Name, key: AuthorityKey, not_before: datetime, not_after: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .issuer_name(authority_name(self.kind))
            .subject_name(subject)
            .public_key(key.public_key())
            .not_valid_before(not_before)
            .not_valid_after(not_after)
        )

    def _sign_itself(self, not_before: datetime, not_after: datetime) -> x509.Certificate:
        builder = (
            self._builder(authority_name(self.kind), self._key, not_before, not_after)
            .serial_number(self.generation)
            .add_extension(_usage(issues=True), critical=True)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([service_alternative_name()]), critical=False
            )
            .add_extension(self._distribution_points(), critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
            )
        )
        return self.sign(builder)

    def _issue_responder(self, not_before: datetime, not_after: datetime) -> x509.Certificate:
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
                x509.NameAttribute(NameOID.COMMON_NAME, "Simulated OCSP responder"),
            ]
        )
        builder = (
            self._builder(subject, self._responder_key, not_before, not_after)
            .serial_number(1_000_000 + self.generation)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=True)
            .add_extension(x509.OCSPNoCheck(), critical=False)
            .add_extension(self._key_identifier(), critical=False)
        )
        return self.sign(builder)

    def _distribution_points(self) -> x509.CRLDistributionPoints:
        point = x509.DistributionPoint(
            full_name=[self.distribution_point],
            relative_name=None,
            reasons=None,
            crl_issuer=None,
        )
        return x509.CRLDistributionPoints([point])

    def _key_identifier(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())

    # Revoke

    def revoke(self, certificate: x509.Certificate, reason: RevocationReason, at: datetime) -> None:
        """Enter a certificate into the next list and all answers from now on."""
        self.revocations[certificate.serial_number] = Revocation(reason=reason, revoked_at=at)

    def build_revocation_list(self, at: datetime) -> bytes:
        """Sign today's revocation list, numbered one above the last."""
        self._list_number += 1
        return self.list_builder(at, self._list_number).sign_der(self._key)

    def list_builder(self, at: datetime, number: int) -> "ListBuilder":
        """Return today's list before it is signed."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(authority_name(self.kind))
            .last_update(at)
            .next_update(at + LIST_PERIOD)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(self._key_identifier(), critical=False)
            .add_extension(issuing_distribution_point(self.distribution_point), critical=True)
        )
        for serial in sorted(self.revocations):
            builder = builder.add_revoked_certificate(_entry(serial, self.revocations[serial]))
        return ListBuilder(builder)

    # Answer

    def answer_ocsp(self, request: bytes, at: datetime) -> bytes:
        """Answer a question about one certificate, signed by the delegated responder.

        Raises:
            MalformedMessage: The request does not decode.
        """
        try:
            asked = ocsp.load_der_ocsp_request(request)
            extensions = asked.extensions
        except ValueError as error:
            raise MalformedMessage("ocsp: the request does not decode") from error
        builder = self._response_builder(asked, at)
        for extension in extensions:
            if isinstance(extension.value, x509.OCSPNonce):
                builder = builder.add_extension(extension.value, critical=False)
        response = builder.sign(self._responder_key, _hash_for(self._responder_key))
        return response.public_bytes(serialization.Encoding.DER)

    def _response_builder(self, asked: ocsp.OCSPRequest, at: datetime) -> ocsp.OCSPResponseBuilder:
        revocation = self.revocations.get(asked.serial_number)
        status = ocsp.OCSPCertStatus.GOOD
        if revocation is not None:
            status = ocsp.OCSPCertStatus.REVOKED
        elif not 0 < asked.serial_number <= self._serial or not self._is_asked(asked):
            status = ocsp.OCSPCertStatus.UNKNOWN
        is_revoked = status is ocsp.OCSPCertStatus.REVOKED and revocation is not None
        return (
            ocsp.OCSPResponseBuilder()
            .add_response_by_hash(
                issuer_name_hash=asked.issuer_name_hash,
                issuer_key_hash=asked.issuer_key_hash,
                serial_number=asked.serial_number,
                algorithm=asked.hash_algorithm,
                cert_status=status,
                this_update=at,
                next_update=at + RESPONSE_PERIOD,
                revocation_time=revocation.revoked_at if is_revoked and revocation else None,
                revocation_reason=(
                    _reason_flag(revocation.reason) if is_revoked and revocation else None
                ),
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self.responder_certificate)
            .certificates([self.responder_certificate])
        )

    def _is_asked(self, asked: ocsp.OCSPRequest) -> bool:
        """Return whether the question names this generation's key."""
        digest = hashes.Hash(asked.hash_algorithm)
        digest.update(_key_bits(self._key))
        return digest.finalize() == asked.issuer_key_hash


class ListBuilder:
    """A revocation list about to be signed; tests alter it first."""

    def __init__(self, builder: x509.CertificateRevocationListBuilder) -> None:
        """Hold the builder."""
        self.builder = builder

    def sign_der(self, key: AuthorityKey) -> bytes:
        """Sign with ``key`` and return the bytes."""
        return self.builder.sign(key, _hash_for(key)).public_bytes(serialization.Encoding.DER)


def issuing_distribution_point(name: x509.DirectoryName) -> x509.IssuingDistributionPoint:
    """Return the extension that says which certificates a list covers."""
    return x509.IssuingDistributionPoint(
        full_name=[name],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )


def _entry(serial: int, revocation: Revocation) -> x509.RevokedCertificate:
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(serial)
        .revocation_date(revocation.revoked_at)
    )
    flag = _reason_flag(revocation.reason)
    if flag is not None:
        builder = builder.add_extension(x509.CRLReason(flag), critical=False)
    return builder.build()


def _reason_flag(reason: RevocationReason) -> x509.ReasonFlags | None:
    """Return the flag written; reason 0 is written by leaving it out (RFC 5280)."""
    if reason is RevocationReason.DESTROYED_BEFORE_DELIVERY:
        return None
    return REASON_FLAGS[reason]


def _policies(policy: x509.ObjectIdentifier) -> x509.CertificatePolicies:
    return x509.CertificatePolicies([x509.PolicyInformation(policy, None)])


def _usage(*, signs: bool = False, commits: bool = False, issues: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=commits,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=issues,
        crl_sign=issues,
        encipher_only=False,
        decipher_only=False,
    )


def _hash_for(key: AuthorityKey) -> hashes.SHA256 | hashes.SHA384:
    return hashes.SHA256() if isinstance(key, rsa.RSAPrivateKey) else hashes.SHA384()


def _key_bits(key: AuthorityKey) -> bytes:
    """Return the bits of the public key that OCSP hashes, without the algorithm around them."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    return public.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
