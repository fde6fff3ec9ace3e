"""The text a card holder reads is, byte for byte, the text the card signs.

One statement is one short document in Japanese and English with a fixed first line, so that no
signature made for something else can pass for it. It has a single spelling: decoding renders the
fields again and compares. The device whose key is bound signs the same bytes as an Ethereum
personal message (EIP-191), which wallets show before they sign.

Spec: ID-STATEMENT-TEXT, ID-STATEMENT-PURPOSE.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final

from clients.identity.certificate import CertificateKind
from node.primitives.crypto import keccak256
from node.primitives.errors import MalformedMessage
from node.primitives.types import Address, Hash32

STATEMENT_SIZE_MAX: Final = 2 * 1024
"""Longest statement read, in bytes."""

LIFETIME_MAX: Final = timedelta(minutes=15)
"""Longest time between issue and expiry."""

NONCE_SIZE: Final = 32
"""Bytes of a nonce."""

BINDING_ID_SIZE: Final = 16
"""Bytes of the random name of a binding."""

RECORD_KEY_HASH_SIZE: Final = 32
"""Bytes of the SHA-256 of a record key."""

JAPAN: Final = timezone(timedelta(hours=9))
"""Times are shown in Japan's."""

TAG: Final = "DAICHO CARD STATEMENT 1"
"""First line: the domain, and the version of the form."""

NONE: Final = "なし / none"
"""How an absent field reads."""

WARNING_JAPANESE: Final = "カードはこの文をそのまま署名します。覚えがなければ中止してください。"
WARNING_ENGLISH: Final = "The card signs exactly this text. If you did not ask for it, stop."

_AUDIENCE: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,98}[a-z0-9])?")

_LABELS: Final = (
    "目的 / Purpose: ",
    "宛先 / For: ",
    "端末の鍵 / Device key: ",
    "記録の鍵 / Record key: ",
    "登録番号 / Binding: ",
    "確認番号 / Nonce: ",
    "発行 / Issued: ",
    "期限 / Expires: ",
)


class Purpose(StrEnum):
    """What a holder asks for with the card."""

    LOG_IN = "log-in"
    """Be recognised, on any device."""
    BIND_DEVICE = "bind-device"
    """Let a device act for the holder."""
    REBIND_DEVICE = "rebind-device"
    """Let a new device take the place of an old one."""
    REVOKE_DEVICE = "revoke-device"
    """Stop a device, also without having it."""
    CONFIRM_ATTRIBUTES = "confirm-attributes"
    """Show name, birth date, sex and address."""
    CHECK_IN = "check-in"
    """Be received at a shelter or counter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PurposeRule:
    """What a statement of one purpose contains."""

    kind: CertificateKind
    """Which of the card's keys signs."""
    has_device: bool
    """Whether it names a device key, which then counter-signs."""
    has_binding: bool
    """Whether it names an earlier binding."""
    japanese: str
    """What the holder reads."""
    english: str
    """The same."""


PURPOSES: Final = {
    Purpose.LOG_IN: PurposeRule(
        kind=CertificateKind.AUTHENTICATION,
        has_device=False,
        has_binding=False,
        japanese="本人としてログインします",
        english="Log in as yourself",
    ),
    Purpose.BIND_DEVICE: PurposeRule(
        kind=CertificateKind.AUTHENTICATION,
        has_device=True,
        has_binding=False,
        japanese="この端末の鍵を、あなたの本人確認と結びつけます",
        english="Bind the key of this device to your verified identity",
    ),
    Purpose.REBIND_DEVICE: PurposeRule(
        kind=CertificateKind.AUTHENTICATION,
        has_device=True,
        has_binding=True,
        japanese="前の登録をやめ、この端末の鍵を代わりに結びつけます",
        english="Bind the key of this device in place of an earlier binding",
    ),
    Purpose.REVOKE_DEVICE: PurposeRule(
        kind=CertificateKind.AUTHENTICATION,
        has_device=False,
        has_binding=True,
        japanese="この登録の端末を、使えなくします",
        english="Stop the device of this binding",
    ),
    Purpose.CONFIRM_ATTRIBUTES: PurposeRule(
        kind=CertificateKind.SIGNING,
        has_device=False,
        has_binding=False,
        japanese="氏名・生年月日・性別・住所を確認のため渡します",
        english="Hand over name, date of birth, sex and address for confirmation",
    ),
    Purpose.CHECK_IN: PurposeRule(
        kind=CertificateKind.AUTHENTICATION,
        has_device=False,
        has_binding=False,
        japanese="この場所で受付をします",
        english="Check in at this place",
    ),
}
"""Every purpose."""


class MalformedStatement(MalformedMessage):
    """Bytes that are no statement, or fields of which none can be made."""

    code = "identity.malformed_statement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The fields of a statement; ``encode_statement`` checks them."""

    purpose: Purpose
    """What is asked for."""
    audience: str
    """Who may act on it: the identity service's name."""
    nonce: bytes
    """32 random bytes of that service, for one use."""
    issued_at: datetime
    """When the service asked, to the second."""
    expires_at: datetime
    """From when on the service does not act on it."""
    device: Address | None = None
    """Address of the device key to be bound."""
    record_key_hash: bytes | None = None
    """SHA-256 of the device's public key for sealed records, if it has one."""
    binding_id: bytes | None = None
    """The earlier binding meant."""


def encode_statement(statement: Statement) -> bytes:
    """Return the text to show and to sign, in UTF-8.

    Raises:
        MalformedStatement: A field out of form, missing, or not of this purpose.

    Spec: ID-STATEMENT-TEXT.
    """
    _check_fields(statement)
    rule = PURPOSES[statement.purpose]
    values = (
        f"{statement.purpose} {rule.japanese} / {rule.english}",
        statement.audience,
        _show(statement.device, prefix="0x"),
        _show(statement.record_key_hash),
        _show(statement.binding_id),
        statement.nonce.hex(),
        statement.issued_at.astimezone(JAPAN).isoformat(),
        statement.expires_at.astimezone(JAPAN).isoformat(),
    )
    lines = (label + value for label, value in zip(_LABELS, values, strict=True))
    return "\n".join((TAG, *lines, WARNING_JAPANESE, WARNING_ENGLISH)).encode()


def decode_statement(text: bytes) -> Statement:
    """Read the fields of a statement that somebody signed.

    Raises:
        MalformedStatement: Not a statement in its single spelling.

    Spec: ID-STATEMENT-TEXT.
    """
    if len(text) > STATEMENT_SIZE_MAX:
        raise _malformed(f"{len(text)} bytes, at most {STATEMENT_SIZE_MAX}")
    try:
        lines = text.decode().split("\n")
    except UnicodeDecodeError as error:
        raise _malformed("it is not UTF-8") from error
    if len(lines) != len(_LABELS) + 3 or lines[0] != TAG:
        raise _malformed("its first line or its number of lines is another document's")
    values = [line.removeprefix(label) for line, label in zip(lines[1:-2], _LABELS, strict=True)]
    statement = _statement_of(values)
    if encode_statement(statement) != text:
        raise _malformed("it is not in its single spelling")
    return statement


def is_audience(text: str) -> bool:
    """Return whether ``text`` is a host name in lower case of at most 100 characters."""
    return _AUDIENCE.fullmatch(text) is not None


def compute_device_hash(text: bytes) -> Hash32:
    """Return the hash a device key signs for a statement (EIP-191, version 0x45)."""
    return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(text)).encode() + text)


def _statement_of(values: list[str]) -> Statement:
    purpose, audience, device, record_key, binding, nonce, issued, expires = values
    try:
        return Statement(
            purpose=Purpose(purpose.partition(" ")[0]),
            audience=audience,
            nonce=bytes.fromhex(nonce),
            issued_at=datetime.fromisoformat(issued).astimezone(UTC),
            expires_at=datetime.fromisoformat(expires).astimezone(UTC),
            device=None if device == NONE else Address(bytes.fromhex(device.removeprefix("0x"))),
            record_key_hash=None if record_key == NONE else bytes.fromhex(record_key),
            binding_id=None if binding == NONE else bytes.fromhex(binding),
        )
    except (ValueError, OverflowError) as error:
        raise _malformed("a field does not read") from error


def _check_fields(statement: Statement) -> None:
    """Check every field, and that the purpose has exactly the fields it needs.

    Spec: ID-STATEMENT-PURPOSE.
    """
    rule = PURPOSES[statement.purpose]
    sizes = (
        (statement.nonce, NONCE_SIZE),
        (statement.device, 20),
        (statement.record_key_hash, RECORD_KEY_HASH_SIZE),
        (statement.binding_id, BINDING_ID_SIZE),
    )
    if any(value is not None and len(value) != size for value, size in sizes):
        raise _malformed("a field has another length")
    if not is_audience(statement.audience):
        raise _malformed("the audience is a host name in lower case")
    if (statement.device is not None) is not rule.has_device:
        raise _malformed("a device key where none belongs, or none where one does")
    if (statement.binding_id is not None) is not rule.has_binding:
        raise _malformed("a binding where none belongs, or none where one does")
    if statement.record_key_hash is not None and not rule.has_device:
        raise _malformed("a record key without a device")
    _check_times(statement)


def _check_times(statement: Statement) -> None:
    for instant in (statement.issued_at, statement.expires_at):
        if instant.tzinfo is None or instant.microsecond:
            raise _malformed("an instant is aware and in whole seconds")
    lifetime = statement.expires_at - statement.issued_at
    if not timedelta(0) < lifetime <= LIFETIME_MAX:
        raise _malformed(f"it lives up to {int(LIFETIME_MAX.total_seconds())} seconds")


def _show(value: bytes | None, prefix: str = "") -> str:
    return NONE if value is None else prefix + value.hex()


def _malformed(what: str) -> MalformedStatement:
    return MalformedStatement(f"statement: {what}", rule="ID-STATEMENT-TEXT")
