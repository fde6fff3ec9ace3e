"""A certificate of a card or phone token: decoded once, bounded, and silent about its holder.

The serial number, the public key and any hash of them that needs no secret can be read off a card
by whoever stands near it. They identify a person, so they never appear in ``repr`` and never leave
the identity service. Whether a certificate is worth anything is ``path``'s to say.

Spec: ID-CERTIFICATE.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.primitives.crypto import sha256
from node.primitives.errors import MalformedMessage

CERTIFICATE_SIZE_MAX: Final = 8 * 1024
"""Longest certificate read, in bytes; a card's are under 2 KiB."""

AUTHENTICATION_POLICY: Final = x509.ObjectIdentifier("1.2.392.200149.8.5.1.3.30")
"""Policy of the certificate for user authentication (利用者証明用)."""

SIGNING_POLICY: Final = x509.ObjectIdentifier("1.2.392.200149.8.5.1.1.20")
"""Policy of the certificate for digital signature (署名用)."""

CardKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
"""Public keys that card certificates may hold."""

UNREADABLE: Final = (
    ValueError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
    TypeError,
    UserWarning,
)
"""What the library raises on bytes that are no certificate, list or response.

A name with a bit string raises ``TypeError``; odd lengths warn, which fails where warnings do.
"""

ExtensionValue = TypeVar("ExtensionValue", bound=x509.ExtensionType)


class CertificateKind(StrEnum):
    """Which of a card's two certificates."""

    AUTHENTICATION = "authentication"
    """For log-in and key binding; holds no attribute of the person."""
    SIGNING = "signing"
    """For applications; holds name, birth date, sex and address."""


class MalformedCertificate(MalformedMessage):
    """Bytes that are no certificate a card could hold."""

    code = "identity.malformed_certificate"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CardCertificate:
    """A decoded certificate; nothing about it has been verified."""

    der: bytes
    """Its bytes."""
    parsed: x509.Certificate
    """The same, decoded."""
    key: CardKey
    """Its public key."""

    def __repr__(self) -> str:
        """Tell the end of validity only."""
        return f"CardCertificate(not_after={self.not_after:%Y-%m-%d})"

    @property
    def serial(self) -> int:
        """Return the serial number: personal data."""
        return self.parsed.serial_number

    @property
    def not_before(self) -> datetime:
        """Return the first instant of validity."""
        return self.parsed.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        """Return the last second of validity."""
        return self.parsed.not_valid_after_utc

    @property
    def key_hash(self) -> bytes:
        """Return the SHA-256 of the public key: personal data."""
        return compute_key_hash(self.key)

    @property
    def distribution_names(self) -> tuple[x509.Name, ...]:
        """Return the directory names under which its revocation list is published."""
        points = find_extension(self.parsed, x509.CRLDistributionPoints)
        return tuple(
            name.value
            for point in points or ()
            for name in point.full_name or ()
            if isinstance(name, x509.DirectoryName)
        )


def decode_certificate(der: bytes) -> CardCertificate:
    """Decode a certificate; padding behind it is the card client's to cut off.

    Raises:
        MalformedCertificate: Not a certificate in DER, too long, or with a key of another kind.

    Spec: ID-CERTIFICATE.
    """
    if len(der) > CERTIFICATE_SIZE_MAX:
        raise MalformedCertificate(
            f"certificate: {len(der)} bytes, at most {CERTIFICATE_SIZE_MAX}",
            rule="ID-CERTIFICATE",
        )
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        certificate.extensions  # noqa: B018 - decoded lazily, and here is where it may fail
        certificate.issuer, certificate.subject  # noqa: B018
        certificate.not_valid_before_utc, certificate.not_valid_after_utc  # noqa: B018
        is_positive = certificate.serial_number > 0
    except UNREADABLE as error:
        raise MalformedCertificate("certificate: does not decode", rule="ID-CERTIFICATE") from error
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise MalformedCertificate("certificate: key is neither RSA nor EC", rule="ID-CERTIFICATE")
    if not is_positive or certificate.version is not x509.Version.v3:
        raise MalformedCertificate(
            "certificate: expected version 3 and a positive serial number", rule="ID-CERTIFICATE"
        )
    return CardCertificate(der=bytes(der), parsed=certificate, key=key)


def compute_key_hash(key: CardKey) -> bytes:
    """Return the SHA-256 of a public key in its X.509 form."""
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def find_extension(
    certificate: x509.Certificate, kind: type[ExtensionValue]
) -> ExtensionValue | None:
    """Return the value of an extension, None where it is absent."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
