"""From a certificate to the authority that issued it, by key and not by name.

Generations of one authority share a distinguished name and differ in their keys; an attacker can
take the name too. So the issuer is the trusted authority under whose key the signature verifies.
The X.509 rules at large are ``cryptography``'s verifier to judge; its module calls itself unstable
and is touched here only. Revocation is ``revocation``'s.

Spec: ID-PATH-ISSUER, ID-PATH-VALIDITY, ID-PATH-POLICY, ID-PATH-USAGE, ID-PATH-X509.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509 import verification

from clients.identity.certificate import (
    AUTHENTICATION_POLICY,
    SIGNING_POLICY,
    CardCertificate,
    CertificateKind,
    decode_certificate,
    find_extension,
)
from clients.identity.report import Check, Report
from clients.identity.signature import is_accepted_key
from node.primitives.errors import Misconfigured

AUTHORITIES_MAX: Final = 32
"""Most trusted authorities: two kinds in all generations that can be in use."""

POLICIES: Final = {
    CertificateKind.AUTHENTICATION: AUTHENTICATION_POLICY,
    CertificateKind.SIGNING: SIGNING_POLICY,
}
"""The policy that a certificate of each kind names."""


class UntrustedAuthority(Misconfigured):
    """A certificate in the trust store that cannot be an authority's."""

    code = "identity.untrusted_authority"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedAuthority:
    """One generation of a certification authority, trusted by configuration."""

    kind: CertificateKind
    """What it issues."""
    certificate: CardCertificate
    """Its own, self-signed certificate."""

    @property
    def key_hash(self) -> bytes:
        """Return the SHA-256 of its key, which tells generations apart."""
        return self.certificate.key_hash

    def has_issued(self, certificate: x509.Certificate) -> bool:
        """Return whether this key, and not only this name, issued ``certificate``."""
        try:
            certificate.verify_directly_issued_by(self.certificate.parsed)
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustStore:
    """All authorities an identity service trusts; ``build_trust_store`` checks them."""

    authorities: tuple[TrustedAuthority, ...]
    """In the order given."""

    def find_issuer(self, certificate: CardCertificate) -> TrustedAuthority | None:
        """Return the authority under whose key the certificate verifies, None if there is none.

        Spec: ID-PATH-ISSUER.
        """
        for authority in self.authorities:
            if authority.has_issued(certificate.parsed):
                return authority
        return None

    def find_by_key(self, key_hash: bytes) -> TrustedAuthority | None:
        """Return the authority with a key, None if there is none."""
        for authority in self.authorities:
            if authority.key_hash == key_hash:
                return authority
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PathReport:
    """What became of a certificate's path."""

    report: Report
    """One check for each rule."""
    authority: TrustedAuthority | None
    """The issuer; None when no trusted key issued it."""


def build_trust_store(certificates: tuple[tuple[CertificateKind, bytes], ...]) -> TrustStore:
    """Build a trust store from configured certificates in DER.

    Raises:
        UntrustedAuthority: None, too many, a key named twice, or one that is no self-signed
            certificate of an authority.
        MalformedCertificate: Bytes that are no certificate.

    Spec: ID-TRUST.
    """
    if not 0 < len(certificates) <= AUTHORITIES_MAX:
        raise UntrustedAuthority(
            f"trust store: {len(certificates)} authorities; configure 1 to {AUTHORITIES_MAX}",
            rule="ID-TRUST",
        )
    authorities = tuple(
        TrustedAuthority(kind=kind, certificate=decode_certificate(der))
        for kind, der in certificates
    )
    for authority in authorities:
        _check_authority(authority)
    if len({authority.key_hash for authority in authorities}) != len(authorities):
        raise UntrustedAuthority(
            "trust store: one key twice; name every generation once", rule="ID-TRUST"
        )
    return TrustStore(authorities=authorities)


def _check_authority(authority: TrustedAuthority) -> None:
    certificate = authority.certificate.parsed
    constraints = find_extension(certificate, x509.BasicConstraints)
    usage = find_extension(certificate, x509.KeyUsage)
    is_authority = constraints is not None and constraints.ca
    may_sign = usage is not None and usage.key_cert_sign and usage.crl_sign
    if not (is_authority and may_sign and authority.has_issued(certificate)):
        raise UntrustedAuthority(
            f"trust store: the {authority.kind} authority valid to "
            f"{authority.certificate.not_after:%Y-%m-%d} is no self-signed certificate of an "
            "authority; take the file the authority publishes",
            rule="ID-TRUST",
        )


def verify_path(
    certificate: CardCertificate, store: TrustStore, *, kind: CertificateKind, at: datetime
) -> PathReport:
    """Hold a certificate against the trust store and the profile of ``kind`` at an instant.

    Spec: ID-PATH-ISSUER.
    """
    issuer = store.find_issuer(certificate)
    checks = (
        _check_issuer(issuer, kind),
        check_validity(certificate, issuer, at),
        *check_profile(certificate, kind).checks,
        _check_x509(certificate, issuer, at),
    )
    return PathReport(report=Report(checks=checks), authority=issuer)


def check_profile(certificate: CardCertificate, kind: CertificateKind) -> Report:
    """Return the checks of policy, usage and key, which need no authority."""
    return Report(
        checks=(
            _check_policy(certificate, kind),
            _check_usage(certificate, kind),
            _check_key(certificate),
        )
    )


def _check_issuer(issuer: TrustedAuthority | None, kind: CertificateKind) -> Check:
    found = "no trusted key issued it" if issuer is None else f"{issuer.kind} authority"
    return Check(
        rule="ID-PATH-ISSUER",
        passed=issuer is not None and issuer.kind is kind,
        expected=f"issued under the key of a trusted {kind} authority",
        found=found,
    )


def check_validity(
    certificate: CardCertificate, issuer: TrustedAuthority | None, at: datetime
) -> Check:
    """Check that certificate and authority are both valid.

    Spec: ID-PATH-VALIDITY.
    """
    chain = [certificate] + ([issuer.certificate] if issuer is not None else [])
    found = "valid"
    for link, name in zip(chain, ("certificate", "authority"), strict=False):
        if at < link.not_before:
            found = f"{name} not valid before {link.not_before:%Y-%m-%d}"
        elif at > link.not_after:
            found = f"{name} expired {link.not_after:%Y-%m-%d}"
    return Check(
        rule="ID-PATH-VALIDITY",
        passed=found == "valid",
        expected=f"certificate and authority valid at {at:%Y-%m-%dT%H:%M:%SZ}",
        found=found,
    )


def _check_policy(certificate: CardCertificate, kind: CertificateKind) -> Check:
    """Check that the certificate names exactly the policy of its kind.

    Spec: ID-PATH-POLICY.
    """
    policies = find_extension(certificate.parsed, x509.CertificatePolicies)
    found = [policy.policy_identifier.dotted_string for policy in policies or ()]
    expected = POLICIES[kind].dotted_string
    return Check(
        rule="ID-PATH-POLICY",
        passed=found == [expected],
        expected=expected,
        found=" ".join(found) or "no policy",
    )


def _check_usage(certificate: CardCertificate, kind: CertificateKind) -> Check:
    """Check key usage, and that the certificate is nobody's authority.

    Spec: ID-PATH-USAGE.
    """
    constraints = find_extension(certificate.parsed, x509.BasicConstraints)
    usage = find_extension(certificate.parsed, x509.KeyUsage)
    found = _usage_names(usage)
    expected = ["digital_signature"]
    if kind is CertificateKind.SIGNING:
        expected.append("content_commitment")
    if constraints is not None and constraints.ca:
        found.append("authority")
    return Check(
        rule="ID-PATH-USAGE",
        passed=found == expected and _is_critical(certificate.parsed, x509.KeyUsage),
        expected=" ".join(expected) + ", critical",
        found=" ".join(found) or "no key usage",
    )


def _usage_names(usage: x509.KeyUsage | None) -> list[str]:
    if usage is None:
        return []
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
    )
    return [name for name in names if getattr(usage, name)]


def _is_critical(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(kind).critical
    except x509.ExtensionNotFound:
        return False


def _check_key(certificate: CardCertificate) -> Check:
    """Check the kind and strength of the key.

    Spec: ID-KEY.
    """
    key = certificate.key
    return Check(
        rule="ID-KEY",
        passed=is_accepted_key(key),
        expected="RSA of 2048 to 4096 bits with exponent 65537, or P-384",
        found=f"{type(key).__name__.removesuffix('PublicKey')} of {key.key_size} bits",
    )


def _check_x509(
    certificate: CardCertificate, issuer: TrustedAuthority | None, at: datetime
) -> Check:
    """Ask the library's verifier, with the issuer as the only root.

    It refuses what the rules above do not name: unknown critical extensions, weak hashes, an
    authority without basic constraints.

    Spec: ID-PATH-X509.
    """
    found = "no issuer to start from"
    if issuer is not None:
        verifier = (
            verification.PolicyBuilder()
            .store(verification.Store([issuer.certificate.parsed]))
            .time(at)
            .max_chain_depth(0)
            .extension_policies(ee_policy=_leaf_policy(), ca_policy=_authority_policy())
            .build_client_verifier()
        )
        try:
            verifier.verify(certificate.parsed, [])
            found = "valid"
        except verification.VerificationError:  # its text would quote the holder's subject
            found = "refused by the X.509 verifier"
    return Check(
        rule="ID-PATH-X509", passed=found == "valid", expected="a valid X.509 path", found=found
    )


def _leaf_policy() -> verification.ExtensionPolicy:
    """Account for the extensions of a card's certificate; the source gives no criticality."""
    agnostic = verification.Criticality.AGNOSTIC
    return (
        verification.ExtensionPolicy.permit_all()
        .require_present(x509.KeyUsage, verification.Criticality.CRITICAL, None)
        .require_present(x509.CertificatePolicies, agnostic, None)
    )


def _authority_policy() -> verification.ExtensionPolicy:
    critical = verification.Criticality.CRITICAL
    return (
        verification.ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, critical, None)
        .require_present(x509.KeyUsage, critical, None)
    )
