"""What an identity service keeps of a certificate: enough to ask the revocation list again.

No subject, no attributes, no signature; still personal data, so it is stored encrypted only.

Spec: ID-REFERENCE.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from clients.identity.certificate import CardCertificate, CertificateKind
from clients.identity.path import TrustedAuthority
from node.primitives.canonical import encode_canonical
from node.primitives.errors import MalformedMessage
from node.primitives.json_text import decode_json


class MalformedReference(MalformedMessage):
    """Bytes that are no reference to a certificate."""

    code = "identity.malformed_reference"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CertificateReference:
    """A certificate whose path was verified once; never printed by accident."""

    kind: CertificateKind
    """Which of a card's two."""
    authority_key_hash: bytes
    """Generation that issued it, by its key."""
    serial: int
    """Serial number: personal data."""
    key_hash: bytes
    """SHA-256 of its public key: personal data."""
    not_after: datetime
    """Last second of validity."""
    distribution_names: tuple[x509.Name, ...]
    """Directory names under which its revocation list is published."""

    def __repr__(self) -> str:
        """Tell kind and end of validity only."""
        return f"CertificateReference({self.kind}, not_after={self.not_after:%Y-%m-%d})"


def refer_to(
    certificate: CardCertificate, *, kind: CertificateKind, issuer: TrustedAuthority
) -> CertificateReference:
    """Return what is kept of a certificate whose path led to ``issuer``.

    Spec: ID-REFERENCE.
    """
    return CertificateReference(
        kind=kind,
        authority_key_hash=issuer.key_hash,
        serial=certificate.serial,
        key_hash=certificate.key_hash,
        not_after=certificate.not_after,
        distribution_names=certificate.distribution_names,
    )


def encode_reference(reference: CertificateReference) -> bytes:
    """Return a reference's canonical bytes, to be encrypted."""
    return encode_canonical(
        {
            "kind": reference.kind.value,
            "authority": reference.authority_key_hash.hex(),
            "serial": f"{reference.serial:x}",
            "key": reference.key_hash.hex(),
            "not_after_s": int(reference.not_after.timestamp()),
            "points": [name.rfc4514_string() for name in reference.distribution_names],
        }
    )


def decode_reference(data: bytes) -> CertificateReference:
    """Read a reference.

    Raises:
        MalformedReference: It is none.
    """
    try:
        fields = decode_json(data)
        if not isinstance(fields, dict):
            raise MalformedReference("certificate reference: no object", rule="ID-REFERENCE")
        return CertificateReference(
            kind=CertificateKind(fields["kind"]),
            authority_key_hash=bytes.fromhex(fields["authority"]),
            serial=int(fields["serial"], 16),
            key_hash=bytes.fromhex(fields["key"]),
            not_after=datetime.fromtimestamp(fields["not_after_s"], UTC),
            distribution_names=tuple(
                x509.Name.from_rfc4514_string(text) for text in fields["points"]
            ),
        )
    except (MalformedMessage, KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise MalformedReference(
            "certificate reference: a field does not read", rule="ID-REFERENCE"
        ) from error
