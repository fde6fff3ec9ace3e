"""ID-ATTRIBUTES, ID-ATTESTATION: the four attributes, and how long they may be relied on."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from clients.identity import attributes
from clients.identity.attributes import (
    AttributesSource,
    AttributesStatus,
    FourAttributes,
    MalformedAttributes,
    Sex,
    attest_attributes,
    decode_attributes,
)
from clients.identity.certificate import CardCertificate, CertificateKind, decode_certificate
from services.sim.pki.authority import KeyType
from services.sim.pki.profiles import SimulatedResident, encode_utf8_string
from tests.support.identity import NOW, RESIDENT, new_hierarchy, openssl, prepared_key

GOOD = {
    attributes.NAME_OID: "台帳　花子",
    attributes.BIRTH_DATE_OID: "419900217",
    attributes.SEX_OID: "2",
    attributes.ADDRESS_OID: "境町一丁目",
    attributes.NAME_SUBSTITUTES_OID: "00010",
    attributes.ADDRESS_SUBSTITUTES_OID: "00000",
}


def certificate_with(texts: dict[x509.ObjectIdentifier, bytes]) -> CardCertificate:
    """Return a certificate with these otherNames; nobody verifies its signature here."""
    key = prepared_key(KeyType.P_384)
    names = [x509.OtherName(oid, value) for oid, value in texts.items()]
    name = x509.Name([])
    certificate = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(name)
        .serial_number(1)
        .public_key(key.public_key())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    authority = new_hierarchy().authority(CertificateKind.SIGNING, 3)
    return decode_certificate(authority.sign(certificate).public_bytes(Encoding.DER))


def encoded(texts: dict[x509.ObjectIdentifier, str]) -> dict[x509.ObjectIdentifier, bytes]:
    return {oid: encode_utf8_string(text) for oid, text in texts.items()}


@pytest.mark.parametrize(
    "resident",
    [
        pytest.param(RESIDENT, id="resident"),
        pytest.param(
            SimulatedResident(name="髙﨑　𠮷男", name_substitutes=(0, 3), sex=Sex.MALE),
            id="substitute characters",
        ),
        pytest.param(
            SimulatedResident(address="国外転出者 " + "境" * 190, birth_date=date(1926, 12, 25)),
            id="resident abroad, first day of Showa",
        ),
        pytest.param(
            SimulatedResident(name="ＴＲＡＮ　ＶＡＮ　ＡＮ", sex=Sex.UNKNOWN), id="foreign resident"
        ),
    ],
)
def test_attributes_survive_the_certificate(resident: SimulatedResident) -> None:
    signing = new_hierarchy().issue_card(resident, at=NOW).signing
    assert signing is not None

    found = decode_attributes(decode_certificate(signing.der))

    assert found == FourAttributes(
        name=resident.name,
        birth_date=resident.birth_date,
        sex=resident.sex,
        address=resident.address,
        name_substitutes=resident.name_substitutes,
    )
    assert resident.name not in repr(found)


def test_openssl_reads_the_same_names(tmp_path: Path) -> None:
    signing = new_hierarchy().issue_card(RESIDENT, at=NOW).signing
    assert signing is not None
    (tmp_path / "leaf.der").write_bytes(signing.der)

    text = openssl(
        *("x509", "-in", str(tmp_path / "leaf.der"), "-inform", "DER", "-noout"),
        *("-ext", "subjectAltName", "-nameopt", "utf8"),
    )

    assert f"othername: 1.2.392.200149.8.5.5.1::{RESIDENT.name}" in text
    assert "othername: 1.2.392.200149.8.5.5.4::419900217" in text


def test_an_authentication_certificate_has_no_attributes() -> None:
    card = new_hierarchy().issue_card(RESIDENT, at=NOW)

    with pytest.raises(MalformedAttributes, match="0 of 6"):
        decode_attributes(decode_certificate(card.authentication.der))


@pytest.mark.parametrize(
    ("oid", "text"),
    [
        pytest.param(attributes.NAME_OID, "", id="no name"),
        pytest.param(attributes.ADDRESS_OID, "境" * 201, id="address too long"),
        pytest.param(attributes.SEX_OID, "9", id="sex in the text application's code"),
        pytest.param(attributes.BIRTH_DATE_OID, "519900217", id="another era"),
        pytest.param(attributes.BIRTH_DATE_OID, "319900217", id="after its era"),
        pytest.param(attributes.BIRTH_DATE_OID, "419900231", id="no such day"),
        pytest.param(attributes.BIRTH_DATE_OID, "41990021", id="eight digits"),
        pytest.param(attributes.BIRTH_DATE_OID, "４19900217", id="a full-width digit"),
        pytest.param(attributes.NAME_SUBSTITUTES_OID, "0001", id="a flag too few"),
        pytest.param(attributes.NAME_SUBSTITUTES_OID, "00020", id="a flag of 2"),
    ],
)
def test_an_attribute_out_of_form_is_refused(oid: x509.ObjectIdentifier, text: str) -> None:
    assert decode_attributes(certificate_with(encoded(GOOD))).name_substitutes == (3,)

    with pytest.raises(MalformedAttributes):
        decode_attributes(certificate_with(encoded(GOOD | {oid: text})))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"\x13\x01A", id="PrintableString"),
        pytest.param(b"\x0c\x02A", id="length beyond the end"),
        pytest.param(b"\x0c\x81\x01A", id="length not in its shortest form"),
        pytest.param(b"\x0c\x01\xff", id="not UTF-8"),
        pytest.param(b"\x0c", id="no length"),
    ],
)
def test_an_attribute_is_a_utf8_string(value: bytes) -> None:
    texts = encoded(GOOD) | {attributes.NAME_OID: value}

    with pytest.raises((MalformedAttributes, ValueError)):
        decode_attributes(certificate_with(texts))


def test_an_unknown_birth_date_is_unknown() -> None:
    texts = encoded(GOOD | {attributes.BIRTH_DATE_OID: "000000000"})

    assert decode_attributes(certificate_with(texts)).birth_date is None


def test_a_confirmation_goes_stale_and_expires() -> None:
    attestation = attest_attributes(
        _read(),
        source=AttributesSource.SIGNING_CERTIFICATE,
        now=NOW,
        certificate_not_after=NOW + timedelta(days=100),
    )
    moved = NOW + timedelta(days=10)
    stale = attestation.as_stale(moved)

    assert attestation.status_at(NOW) is AttributesStatus.CONFIRMED
    assert attestation.status_at(NOW - timedelta(seconds=1)) is AttributesStatus.EXPIRED
    assert stale.status_at(moved - timedelta(seconds=1)) is AttributesStatus.CONFIRMED
    assert stale.status_at(moved) is AttributesStatus.STALE
    assert stale.as_stale(moved + timedelta(days=1)) == stale
    assert stale.as_stale(NOW).stale_since == NOW
    assert stale.status_at(NOW + timedelta(days=100)) is AttributesStatus.EXPIRED


@pytest.mark.parametrize(
    ("source", "status"),
    [
        (AttributesSource.TEXT_APPLICATION, AttributesStatus.UNVERIFIED),
        (AttributesSource.OIDC_PROVIDER, AttributesStatus.CONFIRMED),
    ],
)
def test_what_the_text_application_told_is_never_confirmed(
    source: AttributesSource, status: AttributesStatus
) -> None:
    attestation = attest_attributes(_read(), source=source, now=NOW)

    assert attestation.status_at(NOW + timedelta(days=365, seconds=-1)) is status
    assert attestation.status_at(_a_year_on()) is AttributesStatus.EXPIRED


def _a_year_on() -> datetime:
    return NOW + timedelta(days=365)


def _read() -> FourAttributes:
    return decode_attributes(certificate_with(encoded(GOOD)))
