"""TLS certificates that a node issues to itself with its node key, and whom they are trusted from.

Each node keeps a P-256 TLS key. Its certificate is signed, as X.509 asks, by the node's secp256k1
key, so every peer can check it knowing nothing but the membership document: the trust anchors are
made from the members' node keys. A certificate is renewed by its own node alone; the identity
that consensus knows never depends on its dates. Only module that imports ``cryptography.x509``.

Spec: WIRE-TLS, WIRE-EXPIRY.
"""

import datetime
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from node.primitives.crypto import address_of_public_key, sha256
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.types import Address, Signature

LIFETIME_DAYS: Final = 365
"""How long a certificate is meant to be used."""

RENEW_DAYS: Final = 60
"""A node renews its certificate when fewer days are left."""

CERTIFICATE_SIZE_MAX: Final = 4_096
"""Longest peer certificate looked at, in bytes of DER."""

FINGERPRINT_SIZE: Final = 32

_ECDSA_WITH_SHA256: Final = bytes.fromhex("300a06082a8648ce3d040302")
"""DER of the AlgorithmIdentifier ecdsa-with-SHA256."""

_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME; see WIRE-EXPIRY for why dates cut nobody off."""


class InvalidCertificate(InvalidInput):
    """A peer's certificate that names no node."""

    code = "peer.certificate"


class NodeIdentity(Protocol):
    """The node key as peers need it: ``PrivateKey``, or a remote signer's stand-in."""

    @property
    def address(self) -> Address:
        """Return the address of the key."""
        ...

    @property
    def public_key(self) -> bytes:
        """Return the uncompressed public key, 65 bytes."""
        ...

    def sign(self, message_hash: bytes) -> Signature:
        """Sign a 32-byte hash.

        Raises:
            Unavailable: The signer does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """A TLS key and its certificate, as PEM. The key is not shown."""

    key_pem: bytes
    """PKCS #8 private key, unencrypted: its file must be readable by the node only."""
    certificate_pem: bytes
    """The certificate signed by the node key."""

    def __repr__(self) -> str:
        """Name the identity by its fingerprint only."""
        return f"TlsIdentity(fingerprint={self.certificate.fingerprint.hex()})"

    @property
    def certificate(self) -> "PeerCertificate":
        """Return what peers will read in the certificate."""
        der = ssl.PEM_cert_to_DER_cert(self.certificate_pem.decode("ascii"))
        return read_certificate(der)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where a node keeps its TLS key and certificate."""

    certificate: Path
    """PEM of the certificate."""
    key: Path
    """PEM of the key, mode 0600."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCertificate:
    """What a certificate says to a peer."""

    fingerprint: bytes
    """SHA-256 of its DER bytes."""
    node: Address
    """Address of the node key named as its issuer."""
    not_after_s: int
    """When it should have been renewed."""

    def days_left(self, now_s: int) -> int:
        """Return whole days until renewal is due; negative when overdue."""
        return (self.not_after_s - now_s) // 86_400


def create_tls_identity(
    identity: NodeIdentity, *, now_s: int, lifetime_days: int = LIFETIME_DAYS
) -> TlsIdentity:
    """Draw a TLS key and let the node key sign its certificate.

    Raises:
        Unavailable: The signer of the node key does not answer.

    Spec: WIRE-TLS.
    """
    tls_key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _certificate_builder(issuer=identity.address, now_s=now_s, lifetime_days=lifetime_days)
        .subject_name(_name(identity.address, "daicho tls"))
        .public_key(tls_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
    )
    der = _sign_with_node_key(builder, identity)
    return TlsIdentity(
        key_pem=tls_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        certificate_pem=ssl.DER_cert_to_PEM_cert(der).encode("ascii"),
    )


def save_tls_identity(files: TlsFiles, tls: TlsIdentity) -> None:
    """Write key and certificate, replacing what was there; the key is readable by us only.

    Raises:
        Misconfigured: The files cannot be written.
    """
    try:
        _replace_file(files.key, tls.key_pem, 0o600)
        _replace_file(files.certificate, tls.certificate_pem, 0o644)
    except OSError as error:
        raise Misconfigured(
            f"{error.filename}: cannot be written ({error.strerror}); "
            "check p2p.certificate and p2p.certificate_key"
        ) from error


def load_tls_identity(files: TlsFiles, *, identity: NodeIdentity) -> TlsIdentity:
    """Read key and certificate and check that they are this node's.

    Raises:
        Misconfigured: A file is missing or unreadable, or they are another node's.

    Spec: WIRE-TLS.
    """
    try:
        tls = TlsIdentity(files.key.read_bytes(), files.certificate.read_bytes())
    except OSError as error:
        raise Misconfigured(
            f"{error.filename}: cannot be read ({error.strerror}); "
            "check p2p.certificate and p2p.certificate_key"
        ) from error
    check_tls_identity(tls, identity=identity)
    return tls


def renew_tls_identity(files: TlsFiles, *, identity: NodeIdentity, now_s: int) -> bool:
    """Make a new key and certificate when there is none or it runs out soon; tell whether.

    Nothing else changes with it: peers know the node by the key that signed it.

    Raises:
        Misconfigured: What is there belongs to another node, or cannot be read or replaced.
        Unavailable: The signer of the node key does not answer.

    Spec: WIRE-EXPIRY.
    """
    if files.certificate.exists() or files.key.exists():
        current = load_tls_identity(files, identity=identity).certificate
        if current.days_left(now_s) >= RENEW_DAYS:
            return False
    save_tls_identity(files, create_tls_identity(identity, now_s=now_s))
    return True


def check_tls_identity(tls: TlsIdentity, *, identity: NodeIdentity) -> None:
    """Refuse a TLS key and certificate that do not belong together or to this node.

    Raises:
        Misconfigured: They are unreadable, do not fit, or another node key signed them.
    """
    remedy = "remove both files and the node makes a new pair"
    try:
        certificate = x509.load_pem_x509_certificate(tls.certificate_pem)
        key = serialization.load_pem_private_key(tls.key_pem, password=None)
    except (ValueError, TypeError) as error:
        raise Misconfigured(f"TLS key or certificate is unreadable; {remedy}") from error
    issuer = x509.load_der_x509_certificate(_trust_anchor(identity.public_key))
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise Misconfigured(f"TLS certificate was signed by another node; {remedy}") from error
    if key.public_key() != certificate.public_key():
        raise Misconfigured(f"TLS key and certificate do not belong together; {remedy}")


def read_certificate(der: bytes) -> PeerCertificate:
    """Read what a peer's certificate says. OpenSSL has already checked its signature.

    Raises:
        InvalidCertificate: Too long, no certificate, or its issuer names no node.
    """
    if len(der) > CERTIFICATE_SIZE_MAX:
        raise InvalidCertificate(f"certificate: {len(der)} bytes, at most {CERTIFICATE_SIZE_MAX}")
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
        node = bytes.fromhex(str(names[0].value).removeprefix("0x")) if len(names) == 1 else b""
        not_after_s = int(certificate.not_valid_after_utc.timestamp())
    except (ValueError, x509.InvalidVersion) as error:
        raise InvalidCertificate("certificate: unreadable, or its issuer is no node") from error
    if len(node) != 20:
        raise InvalidCertificate("certificate: its issuer names no node")
    return PeerCertificate(fingerprint=sha256(der), node=Address(node), not_after_s=not_after_s)


def trust_anchors_pem(public_keys: Iterable[bytes]) -> str:
    """Return trust anchors, one per node key (64 bytes each), for a TLS context.

    An anchor is trusted for being in the list, so its own signature means nothing and is made
    with a key thrown away at once.

    Spec: WIRE-TLS.
    """
    return "".join(ssl.DER_cert_to_PEM_cert(_trust_anchor(b"\x04" + key)) for key in public_keys)


def check_curve(name: str = "secp256k1") -> None:
    """Refuse an OpenSSL that cannot check what node keys sign.

    Raises:
        Misconfigured: The OpenSSL of this Python was built without the curve.

    Spec: WIRE-TLS.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ecdh_curve(name)
    except (ValueError, ssl.SSLError) as error:
        raise Misconfigured(
            f"{ssl.OPENSSL_VERSION} was built without the curve {name}; "
            "use a Python with a complete OpenSSL"
        ) from error


def configure_tls(context: ssl.SSLContext) -> None:
    """Set what both ends demand: TLS 1.3, a certificate from the other end, no resumption.

    Spec: WIRE-TLS, WIRE-EXPIRY.
    """
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.verify_flags |= _NO_CHECK_TIME


def _replace_file(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _trust_anchor(public_key: bytes) -> bytes:
    """Return DER of a certificate that stands for the node key ``public_key`` (65 bytes)."""
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), public_key)
    address = address_of_public_key(public_key)
    throwaway = ec.generate_private_key(ec.SECP256R1())
    return (
        x509.CertificateBuilder()
        .issuer_name(_name(address))
        .subject_name(_name(address))
        .serial_number(1)
        .not_valid_before(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(9999, 12, 31, tzinfo=datetime.UTC))
        .public_key(key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(throwaway, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


def _certificate_builder(
    *, issuer: Address, now_s: int, lifetime_days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.fromtimestamp(now_s, tz=datetime.UTC)
    return (
        x509.CertificateBuilder()
        .issuer_name(_name(issuer))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=lifetime_days))
    )


def _sign_with_node_key(builder: x509.CertificateBuilder, identity: NodeIdentity) -> bytes:
    """Return DER of the certificate, signed by a key that may live in another process."""
    draft = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    body = draft.tbs_certificate_bytes
    signature = identity.sign(sha256(body))
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    bits = _der(0x03, b"\x00" + encode_dss_signature(r, s))
    return _der(0x30, body + _ECDSA_WITH_SHA256 + bits)


def _der(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    size_bytes = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size_bytes))) + size_bytes + body


def _name(address: Address, unit: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, "0x" + address.hex())]
    if unit is not None:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return x509.Name(attributes)
