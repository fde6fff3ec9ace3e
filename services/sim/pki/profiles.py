"""Names, extensions and dates of the certificates of cards and their authorities.

As read off real and test certificates; the organisation is a name of our own, so that nothing made
here can be taken for the real thing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from clients.identity.attributes import (
    ADDRESS_OID,
    ADDRESS_SUBSTITUTES_OID,
    ATTRIBUTE_OIDS,
    BIRTH_DATE_OID,
    NAME_OID,
    NAME_SUBSTITUTES_OID,
    SEX_OID,
    Sex,
)
from clients.identity.certificate import CertificateKind

ORGANIZATION: Final = "DAICHO-TEST"
"""Organisation in every name made here."""

SERVICE_NAME: Final = "公的個人認証サービス（模擬）"
"""Organisation in the alternative names of authorities."""

UNITS: Final = {
    CertificateKind.AUTHENTICATION: "JPKI for user authentication",
    CertificateKind.SIGNING: "JPKI for digital signature",
}
"""First organisational unit of each authority."""

_SEX_DIGITS: Final = {Sex.MALE: "1", Sex.FEMALE: "2", Sex.UNKNOWN: "3"}

_ERAS: Final = (
    ("5", date(2019, 5, 1)),
    ("4", date(1989, 1, 8)),
    ("3", date(1926, 12, 25)),
    ("2", date(1912, 7, 30)),
    ("1", date(1868, 1, 25)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedResident:
    """An invented person with a card."""

    name: str = "台帳　花子"
    """With a full-width space."""
    birth_date: date = date(1990, 2, 17)
    """Ends certificates on the fifth birthday after issue."""
    sex: Sex = Sex.FEMALE
    """As recorded."""
    address: str = "茨城県猿島郡境町架空一丁目２番３号"
    """Where the person lives; any text for residents abroad."""
    name_substitutes: tuple[int, ...] = ()
    """Positions in the name of characters that stand for others."""
    address_substitutes: tuple[int, ...] = ()
    """Positions in the address."""
    prefecture: str = "Ibaraki"
    """In the subject of the signing certificate."""
    municipality: str = "Sakai-Machi"
    """In the subject of the signing certificate."""
    window_code: str = "999990001"
    """Issuing window, nine characters: an invented municipality code and four digits."""


def authority_name(kind: CertificateKind) -> x509.Name:
    """Return the name that every generation of an authority shares."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, UNITS[kind]),
            x509.NameAttribute(
                NameOID.ORGANIZATIONAL_UNIT_NAME, "Simulated Agency for Information Systems"
            ),
        ]
    )


def distribution_point_name(kind: CertificateKind, generation: int) -> x509.Name:
    """Return the directory name of an authority's revocation list."""
    return x509.Name(
        [
            *authority_name(kind),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Simulated CRLDP{generation}"),
        ]
    )


def service_alternative_name() -> x509.DirectoryName:
    """Return the Japanese name of the service, as alternative names carry it."""
    return x509.DirectoryName(
        x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, SERVICE_NAME),
            ]
        )
    )


def authentication_subject(resident: SimulatedResident, opaque: str) -> x509.Name:
    """Return the subject of an authentication certificate: ``opaque`` and the window code."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
            x509.NameAttribute(NameOID.COMMON_NAME, opaque + resident.window_code),
        ]
    )


def signing_subject(resident: SimulatedResident, asked_at: datetime, sequence: int) -> x509.Name:
    """Return the subject of a signing certificate: place, time of request, sequence, window."""
    name = f"{asked_at:%Y%m%d%H%M%S}{sequence % 100_000:05d}{resident.window_code}"
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
            x509.NameAttribute(NameOID.LOCALITY_NAME, resident.prefecture),
            x509.NameAttribute(NameOID.LOCALITY_NAME, resident.municipality),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def attribute_names(resident: SimulatedResident) -> x509.SubjectAlternativeName:
    """Return the six otherNames of a signing certificate, in the order real ones have."""
    texts = {
        NAME_OID: resident.name,
        BIRTH_DATE_OID: encode_birth_date(resident.birth_date),
        SEX_OID: _SEX_DIGITS[resident.sex],
        ADDRESS_OID: resident.address,
        NAME_SUBSTITUTES_OID: _flags(resident.name, resident.name_substitutes),
        ADDRESS_SUBSTITUTES_OID: _flags(resident.address, resident.address_substitutes),
    }
    return other_names(texts)


def other_names(texts: Mapping[x509.ObjectIdentifier, str]) -> x509.SubjectAlternativeName:
    """Return otherNames for the attributes given, in their order."""
    return x509.SubjectAlternativeName(
        [
            x509.OtherName(oid, encode_utf8_string(texts[oid]))
            for oid in ATTRIBUTE_OIDS
            if oid in texts
        ]
    )


def encode_utf8_string(text: str) -> bytes:
    """Encode a DER UTF8String."""
    data = text.encode()
    if len(data) < 0x80:
        return bytes([0x0C, len(data)]) + data
    size = (len(data).bit_length() + 7) // 8
    return bytes([0x0C, 0x80 + size]) + len(data).to_bytes(size, "big") + data


def encode_birth_date(born: date) -> str:
    """Encode a birth date: a digit for the era, then YYYYMMDD."""
    era = next((digit for digit, start in _ERAS if born >= start), "0")
    return f"{era}{born:%Y%m%d}"


def _flags(text: str, positions: tuple[int, ...]) -> str:
    return "".join("1" if at in positions else "0" for at in range(len(text)))


def end_of_validity(birth_date: date, issued_on: date, birthdays: int = 5) -> datetime:
    """Return midnight in Japan at the end of the n-th birthday after issue, in UTC.

    A birthday on 29 February is kept on the 28th in other years.
    """
    year = issued_on.year
    if _birthday(birth_date, year) <= issued_on:
        year += 1
    last_day = _birthday(birth_date, year + birthdays - 1)
    midnight = datetime(last_day.year, last_day.month, last_day.day, 15, tzinfo=UTC)
    return midnight - timedelta(seconds=1)


def _birthday(birth_date: date, year: int) -> date:
    try:
        return birth_date.replace(year=year)
    except ValueError:
        return date(year, 2, 28)
