"""Simulated cards of invented people, and readers to hold them into.

Keys are made once for a test run: RSA-2048 takes a quarter of a second each. Certificates have the
profile of real ones and are signed by authorities made here.
"""

import functools
from datetime import UTC, date, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from clients.identity.certificate import AUTHENTICATION_POLICY, SIGNING_POLICY, CertificateKind
from services.sim.card.card import SimulatedCard
from services.sim.card.files import CardPrivateKey, Habits
from services.sim.card.layout import CardOrder, CardText, Codes, IssuedKey
from services.sim.pki.profiles import (
    SimulatedResident,
    attribute_names,
    authentication_subject,
    authority_name,
    end_of_validity,
    signing_subject,
)

ISSUED_AT = datetime(2025, 10, 27, 0, 0, tzinfo=UTC)
HANAKO = SimulatedResident()
STRICT = Habits()
TEST_CODES = Codes()
FOREIGNER = SimulatedResident(name="ＳＭＩＴＨ　ＪＯＨＮ", birth_date=date(1985, 2, 28))


@functools.cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """Return the RSA key of this name, the same throughout a run."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@functools.cache
def next_generation_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return the P-384 key of this name, the same throughout a run."""
    del name
    return ec.generate_private_key(ec.SECP384R1())


@functools.cache
def issued(
    kind: CertificateKind, resident: SimulatedResident, *, is_next_generation: bool = False
) -> IssuedKey:
    """Return a key with its certificate and the authority's."""
    make = next_generation_key if is_next_generation else rsa_key
    key: CardPrivateKey = make(f"{kind}")
    authority_key: CardPrivateKey = make(f"authority {kind}")
    return IssuedKey(
        key=key,
        certificate=_certificate(kind, resident, key, authority_key),
        authority=_authority(kind, authority_key),
    )


def order_for(
    resident: SimulatedResident = HANAKO,
    *,
    is_child: bool = False,
    is_next_generation: bool = False,
    codes: Codes = TEST_CODES,
    habits: Habits = STRICT,
) -> CardOrder:
    """Return an order for a resident's card; give it to ``SimulatedCard.issue``."""
    keys = [
        issued(kind, resident, is_next_generation=is_next_generation)
        for kind in (CertificateKind.AUTHENTICATION, CertificateKind.SIGNING)
    ]
    return CardOrder(
        authentication=keys[0],
        signing=None if is_child else keys[1],
        text=CardText(
            name=resident.name,
            address=resident.address,
            birth_date=f"{resident.birth_date:%Y%m%d}",
        ),
        codes=codes,
        habits=habits,
    )


def card_of(resident: SimulatedResident = HANAKO, *, habits: Habits = STRICT) -> SimulatedCard:
    """Return a resident's new card."""
    return SimulatedCard.issue(order_for(resident, habits=habits))


def _certificate(
    kind: CertificateKind,
    resident: SimulatedResident,
    key: CardPrivateKey,
    authority_key: CardPrivateKey,
) -> bytes:
    is_signing = kind is CertificateKind.SIGNING
    builder = (
        x509.CertificateBuilder()
        .subject_name(
            signing_subject(resident, ISSUED_AT, 1)
            if is_signing
            else authentication_subject(resident, "0123456789ABCD")
        )
        .issuer_name(authority_name(kind))
        .public_key(key.public_key())
        .serial_number(4711 if is_signing else 4710)
        .not_valid_before(ISSUED_AT)
        .not_valid_after(end_of_validity(resident.birth_date, ISSUED_AT.date()))
        .add_extension(_key_usage(is_signing=is_signing), critical=True)
        .add_extension(_policy(SIGNING_POLICY if is_signing else AUTHENTICATION_POLICY), True)
    )
    if is_signing:
        builder = builder.add_extension(attribute_names(resident), critical=False)
    return _signed(builder, authority_key)


def _authority(kind: CertificateKind, key: CardPrivateKey) -> bytes:
    name = authority_name(kind)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2023, 7, 16, tzinfo=UTC))
        .not_valid_after(datetime(2033, 7, 15, 14, 59, 59, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return _signed(builder, key)


def _signed(builder: x509.CertificateBuilder, key: CardPrivateKey) -> bytes:
    digest = hashes.SHA384() if isinstance(key, ec.EllipticCurvePrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(Encoding.DER)


def _policy(policy: x509.ObjectIdentifier) -> x509.CertificatePolicies:
    return x509.CertificatePolicies([x509.PolicyInformation(policy, None)])


def _key_usage(*, is_signing: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=is_signing,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
