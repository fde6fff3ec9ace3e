"""The four attributes of a resident, and how long a confirmation of them may be relied on.

They come from the signing certificate, which dies with every move, marriage or change of name; so
they are an attestation of their own with a date, a source and an end, apart from the log-in that
hangs on the authentication certificate.

Spec: ID-ATTRIBUTES, ID-ATTESTATION.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from cryptography import x509

from clients.identity.certificate import CardCertificate, MalformedCertificate, find_extension

_ARC: Final = "1.2.392.200149.8.5.5"

NAME_OID: Final = x509.ObjectIdentifier(f"{_ARC}.1")
NAME_SUBSTITUTES_OID: Final = x509.ObjectIdentifier(f"{_ARC}.2")
SEX_OID: Final = x509.ObjectIdentifier(f"{_ARC}.3")
BIRTH_DATE_OID: Final = x509.ObjectIdentifier(f"{_ARC}.4")
ADDRESS_OID: Final = x509.ObjectIdentifier(f"{_ARC}.5")
ADDRESS_SUBSTITUTES_OID: Final = x509.ObjectIdentifier(f"{_ARC}.6")

ATTRIBUTE_OIDS: Final = (
    NAME_OID,
    BIRTH_DATE_OID,
    SEX_OID,
    ADDRESS_OID,
    NAME_SUBSTITUTES_OID,
    ADDRESS_SUBSTITUTES_OID,
)
"""In the order in which certificates list them."""

TEXT_LENGTH_MAX: Final = 200
"""Longest name or address, in characters."""

ATTESTATION_DAYS_MAX: Final = 365
"""Longest a confirmation is relied on without a new one."""


class Sex(StrEnum):
    """Sex as the resident record has it."""

    MALE = "male"
    """1 in the certificate."""
    FEMALE = "female"
    """2 in the certificate."""
    UNKNOWN = "unknown"
    """3 in the certificate; the card's text application writes 9."""


_SEXES: Final = {"1": Sex.MALE, "2": Sex.FEMALE, "3": Sex.UNKNOWN}

_ERA_STARTS: Final = {
    "1": date(1868, 1, 25),
    "2": date(1912, 7, 30),
    "3": date(1926, 12, 25),
    "4": date(1989, 1, 8),
    "5": date(2019, 5, 1),
}
"""First days of Meiji, Taisho, Showa, Heisei and Reiwa, by the digit of the certificate."""


class MalformedAttributes(MalformedCertificate):
    """A signing certificate whose attributes do not decode."""

    code = "identity.malformed_attributes"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FourAttributes:
    """Name, birth date, sex and address; never printed by accident."""

    name: str
    """With a full-width space between family and given name."""
    birth_date: date | None
    """None where the resident record does not know it."""
    sex: Sex
    """As recorded."""
    address: str
    """Without a postal code."""
    name_substitutes: tuple[int, ...] = ()
    """Positions in the name that stand for characters the certificate cannot hold."""
    address_substitutes: tuple[int, ...] = ()
    """The same for the address."""

    def __repr__(self) -> str:
        """Hide all of it."""
        return "FourAttributes(hidden)"


def decode_attributes(certificate: CardCertificate) -> FourAttributes:
    """Read the four attributes from a signing certificate, whose path the caller has verified.

    Raises:
        MalformedAttributes: One is missing, given twice, or not in its form.

    Spec: ID-ATTRIBUTES.
    """
    texts = _other_names(certificate)
    name, address = texts[NAME_OID], texts[ADDRESS_OID]
    if not 0 < len(name) <= TEXT_LENGTH_MAX or not 0 < len(address) <= TEXT_LENGTH_MAX:
        raise _malformed(f"name and address have 1 to {TEXT_LENGTH_MAX} characters")
    if texts[SEX_OID] not in _SEXES:
        raise _malformed("sex is 1, 2 or 3")
    return FourAttributes(
        name=name,
        birth_date=_decode_birth_date(texts[BIRTH_DATE_OID]),
        sex=_SEXES[texts[SEX_OID]],
        address=address,
        name_substitutes=_decode_substitutes(texts[NAME_SUBSTITUTES_OID], name),
        address_substitutes=_decode_substitutes(texts[ADDRESS_SUBSTITUTES_OID], address),
    )


def _other_names(certificate: CardCertificate) -> dict[x509.ObjectIdentifier, str]:
    names = find_extension(certificate.parsed, x509.SubjectAlternativeName)
    found: dict[x509.ObjectIdentifier, str] = {}
    for name in names or ():
        if not isinstance(name, x509.OtherName) or name.type_id not in ATTRIBUTE_OIDS:
            continue
        if name.type_id in found:
            raise _malformed("an attribute is given twice")
        found[name.type_id] = _decode_utf8_string(name.value)
    if len(found) != len(ATTRIBUTE_OIDS):
        raise _malformed(f"{len(found)} of {len(ATTRIBUTE_OIDS)} attributes present")
    return found


def _decode_utf8_string(der: bytes) -> str:
    """Decode a DER UTF8String of up to 65,535 bytes."""
    header, length = 2, der[1] if len(der) >= 2 else -1
    if length in (0x81, 0x82):
        size = length - 0x80
        header, length = 2 + size, int.from_bytes(der[2 : 2 + size], "big")
        if length < (0x80 if size == 1 else 0x100):
            raise _malformed("a length is not in its shortest form")
    if der[:1] != b"\x0c" or length != len(der) - header:
        raise _malformed("an attribute is no UTF8String")
    try:
        return der[header:].decode()
    except UnicodeDecodeError as error:
        raise _malformed("an attribute is not UTF-8") from error


def _decode_birth_date(text: str) -> date | None:
    """Decode an era digit and YYYYMMDD; the year is taken to be the western one."""
    if len(text) != 9 or not (text.isascii() and text.isdigit()):
        raise _malformed("birth date is nine digits")
    era, year, month, day = text[0], int(text[1:5]), int(text[5:7]), int(text[7:])
    if era == "0" or month == 0 or day == 0:
        return None
    try:
        born = date(year, month, day)
    except ValueError as error:
        raise _malformed("birth date is no day") from error
    if era not in _ERA_STARTS or born < _ERA_STARTS[era]:
        raise _malformed("birth date is not in its era")
    following = _ERA_STARTS.get(str(int(era) + 1))
    if following is not None and born > following:
        raise _malformed("birth date is not in its era")
    return born


def _decode_substitutes(flags: str, text: str) -> tuple[int, ...]:
    if len(flags) != len(text) or not set(flags) <= {"0", "1"}:
        raise _malformed("one flag of 0 or 1 for each character")
    return tuple(at for at, flag in enumerate(flags) if flag == "1")


def _malformed(what: str) -> MalformedAttributes:
    return MalformedAttributes(f"attributes: {what}", rule="ID-ATTRIBUTES")


class AttributesSource(StrEnum):
    """Where a confirmation came from."""

    SIGNING_CERTIFICATE = "signing-certificate"
    """Signed by the authority; revoked when they change."""
    TEXT_APPLICATION = "text-application"
    """Read off the card; its provenance is not verified."""
    OIDC_PROVIDER = "oidc-provider"
    """Told by デジタル認証アプリ."""


class AttributesStatus(StrEnum):
    """How far the attributes may be relied on."""

    CONFIRMED = "confirmed"
    """Provenance verified, nothing known against them."""
    UNVERIFIED = "unverified"
    """Read off the card only."""
    STALE = "stale"
    """A certificate was revoked or ran out since; ask for a new signature."""
    EXPIRED = "expired"
    """Confirmed too long ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributesAttestation:
    """That the four attributes were so on a day, by a source."""

    attributes: FourAttributes
    """What was attested."""
    source: AttributesSource
    """By whom."""
    confirmed_at: datetime
    """When."""
    expires_at: datetime
    """From when on nobody relies on it."""
    stale_since: datetime | None = None
    """When something spoke against them; None while nothing has."""

    def status_at(self, now: datetime) -> AttributesStatus:
        """Return how far the attributes may be relied on at an instant.

        Spec: ID-ATTESTATION.
        """
        if now >= self.expires_at or now < self.confirmed_at:
            return AttributesStatus.EXPIRED
        if self.stale_since is not None and now >= self.stale_since:
            return AttributesStatus.STALE
        if self.source is AttributesSource.TEXT_APPLICATION:
            return AttributesStatus.UNVERIFIED
        return AttributesStatus.CONFIRMED

    def as_stale(self, since: datetime) -> "AttributesAttestation":
        """Return the attestation marked stale; the earlier of two instants stays."""
        if self.stale_since is not None and self.stale_since <= since:
            return self
        return replace(self, stale_since=since)


def attest_attributes(
    attributes: FourAttributes,
    *,
    source: AttributesSource,
    now: datetime,
    certificate_not_after: datetime | None = None,
) -> AttributesAttestation:
    """Confirm attributes from now on, for a year or until the certificate ends, if earlier.

    Spec: ID-ATTESTATION.
    """
    expires_at = now + timedelta(days=ATTESTATION_DAYS_MAX)
    if certificate_not_after is not None:
        expires_at = min(expires_at, certificate_not_after)
    return AttributesAttestation(
        attributes=attributes, source=source, confirmed_at=now, expires_at=expires_at
    )
