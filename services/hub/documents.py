"""What the hub reads and answers."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from clients.identity.statement import Purpose
from services.kit.documents import Document, Line

LISTED_MAX: Final = 100
"""Most of anything in one answer."""

AddressText = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{40}$")]
Hex16 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
SignatureText = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{130}$")]
Base64 = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/=]*$", max_length=16_384)]
Instant = Annotated[
    str,
    StringConstraints(pattern=r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$", max_length=20),
]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.-]{0,63}$")]
Purposes = Annotated[list[Word], Field(min_length=1, max_length=16)]


class ChallengeRequest(Document):
    """Which statement is asked for."""

    purpose: Purpose
    device: AddressText | None = None
    record_key_hash: Hex32 | None = None
    binding: Hex16 | None = None


class ChallengeAnswer(Document):
    """What is to be shown and signed."""

    challenge: Hex16
    text: str
    expires_at: str


class Presented(Document):
    """A signed statement."""

    challenge: Hex16
    text: Annotated[str, StringConstraints(max_length=2_048)]
    certificate: Base64
    card_signature: Base64
    device_signature: SignatureText | None = None


class PublicKey(Document):
    """A public key of P-256 or Ed25519, as a JWK."""

    kty: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2,4}$")]
    crv: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,16}$")]
    x: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    y: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None


class BindingRequest(Document):
    """A statement that names a device; with another of the attributes when the card is new."""

    statement: Presented
    label: Line | None = None
    attributes: Presented | None = None


class StatementRequest(Document):
    """A statement."""

    statement: Presented


class BindingAnswer(Document):
    """A bound device."""

    binding: str
    device: str
    label: str | None
    status: str
    bound_at: str
    grace_until: str | None
    method: str


class DevicesAnswer(Document):
    """A person's devices."""

    devices: Annotated[list[BindingAnswer], Field(max_length=LISTED_MAX)]


class LabelRequest(Document):
    """What the owner calls a device."""

    label: Line


class WantedToken(Document):
    """A token asked for with the card, for a kiosk."""

    audience: Word
    purposes: Purposes
    key: PublicKey


class CardLogin(Document):
    """A log-in by the card."""

    statement: Presented
    token: WantedToken | None = None


class TokenAsked(Document):
    """A token asked for by a device."""

    device: AddressText
    audience: Word
    purposes: Purposes
    key: PublicKey
    issued_at: Instant
    nonce: Hex16
    grant: Hex16 | None = None
    signature: SignatureText


class TokenAnswer(Document):
    """A token."""

    token: str
    expires_at: str


class KeyDocument(Document):
    """A public key of the hub."""

    kty: str
    crv: str
    x: str
    y: str | None = None
    kid: str
    use: str


class KeySet(Document):
    """The hub's public keys."""

    keys: Annotated[list[KeyDocument], Field(max_length=8)]


class AttributesAnswer(Document):
    """How far the attributes may be relied on; never what they are."""

    status: str
    source: str
    confirmed_at: str
    expires_at: str


class StatusAnswer(Document):
    """How a person stands."""

    status: str
    proofing_level: int
    checked_at: str
    expires_at: str
    certificate_ends: str | None
    warning_days: int | None
    attributes: AttributesAnswer | None


class CardLoginAnswer(StatusAnswer):
    """How a person stands, who has shown the card."""

    devices: Annotated[list[BindingAnswer], Field(max_length=LISTED_MAX)]
    token: TokenAnswer | None


class TextAttributes(Document):
    """Attributes read off the card's text application."""

    name: Line
    birth_date: Annotated[str, StringConstraints(pattern=r"^[12]\d{3}-\d\d-\d\d$", max_length=10)]
    sex: Annotated[str, StringConstraints(pattern=r"^(male|female|unknown)$", max_length=7)]
    address: Line


class SectorRequest(Document):
    """A sector's address, signed for by its key."""

    address: AddressText
    issued_at: Instant
    signature: SignatureText


class SectorAnswer(Document):
    """A sector's address and how far it has come."""

    sector: str
    address: str
    state: str
    height: int | None


class SectorsAnswer(Document):
    """A person's addresses."""

    sectors: Annotated[list[SectorAnswer], Field(max_length=LISTED_MAX)]


class QueryAnswer(Document):
    """Somebody asked the hub about the person."""

    at: str
    service: str
    purpose: str
    what: str


class QueriesAnswer(Document):
    """Who asked, the newest first."""

    queries: Annotated[list[QueryAnswer], Field(max_length=LISTED_MAX)]


class CodeAnswer(Document):
    """A code to show."""

    code: str
    expires_at: str


class GrantRequest(Document):
    """Whom to let act for oneself."""

    delegate: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,32}$")]
    scope: Purposes
    place: Line | None = None
    expires_at: Instant
    basis: Annotated[
        str, StringConstraints(pattern=r"^(guardian|family|carer|emergency)$", max_length=9)
    ]


class StaffGrantRequest(GrantRequest):
    """Whom to let act for somebody who shows a code too."""

    principal: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,32}$")]


class GrantAnswer(Document):
    """A grant; `role` says which side of it the caller is on."""

    grant: str
    role: str
    scope: Annotated[list[str], Field(max_length=16)]
    place: str | None
    basis: str
    expires_at: str
    is_confirmed: bool
    ended_at: str | None


class GrantsAnswer(Document):
    """Grants given and held."""

    grants: Annotated[list[GrantAnswer], Field(max_length=LISTED_MAX)]


class ExportAnswer(Document):
    """Everything the hub holds about a person."""

    status: StatusAnswer
    name: str | None
    birth_date: str | None
    sex: str | None
    address: str | None
    devices: Annotated[list[BindingAnswer], Field(max_length=LISTED_MAX)]
    sectors: Annotated[list[SectorAnswer], Field(max_length=LISTED_MAX)]
    queries: Annotated[list[QueryAnswer], Field(max_length=LISTED_MAX)]
    grants: Annotated[list[GrantAnswer], Field(max_length=LISTED_MAX)]


class ErasureRequest(Document):
    """That the caller means it."""

    confirm: Annotated[str, StringConstraints(pattern=r"^erase$", max_length=5)]


class ErasureAnswer(Document):
    """Commitments of the keys destroyed."""

    commitments: Annotated[list[str], Field(max_length=LISTED_MAX)]


class PersonQuestion(Document):
    """Whom a service asks about, by the name it knows."""

    sub: Hex32
    reason: Word


class PersonAnswer(Document):
    """What a service is told about a person; `sub` is the newest name in its sector."""

    sub: str
    status: str
    proofing_level: int
    checked_at: str
    expires_at: str
    attributes: str


class RecordEventRequest(Document):
    """What the resident record tells, of somebody named by a code."""

    code: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,32}$")]
    event: Annotated[str, StringConstraints(pattern=r"^(died|left)$", max_length=4)]


class RecordEntry(Document):
    """What the resident record tells of somebody, as it writes the person."""

    name: Line
    birth_date: Annotated[str, StringConstraints(pattern=r"^[12]\d{3}-\d\d-\d\d$", max_length=10)]
    address: Line
    event: Annotated[str, StringConstraints(pattern=r"^(died|left)$", max_length=4)]


class RecordImport(Document):
    """A day's events of the resident record."""

    events: Annotated[list[RecordEntry], Field(min_length=1, max_length=LISTED_MAX)]


class ImportOutcome(StrEnum):
    """What became of an entry."""

    DONE = "done"
    """One person was found and is stopped."""
    UNKNOWN = "unknown"
    """Nobody here has confirmed that name, date of birth and address, or not any more."""
    AMBIGUOUS = "ambiguous"
    """Several have."""


class RecordImportAnswer(Document):
    """What became of the entries, in their order."""

    outcomes: Annotated[list[ImportOutcome], Field(max_length=LISTED_MAX)]
