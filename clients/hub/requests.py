"""The texts a device signs for the hub, and the look at a statement before a card signs it.

Pure. A statement that the hub asks to be signed is taken apart again: purpose, hub, device, record
key and binding must be those the device asked for. A hub that lies, or somebody between, gets no
signature for something else.

Spec: WALLET-BIND.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from clients.identity.statement import Purpose, Statement, decode_statement
from node.primitives.errors import InvalidInput
from node.primitives.types import Address

SKEW_MAX: Final = timedelta(minutes=5)
"""How far the hub's clock may be ahead of the device's."""


class StrangeStatement(InvalidInput):
    """The hub asks for a signature under something else than what was asked of it."""

    code = "hub_client.strange_statement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a statement must say."""

    purpose: Purpose
    """What it is for."""
    audience: str
    """The hub's name."""
    device: Address | None = None
    """The device to be bound."""
    record_key_hash: bytes | None = None
    """SHA-256 of its record key."""
    binding: bytes | None = None
    """The earlier binding meant."""


def check_statement(text: bytes, *, wish: Wish, now: datetime) -> Statement:
    """Return the statement, if it says what was wished for and is of now.

    Raises:
        MalformedStatement: It is no statement.
        StrangeStatement: It says something else.

    Spec: WALLET-BIND.
    """
    statement = decode_statement(text)
    wished = replace(
        statement,
        purpose=wish.purpose,
        audience=wish.audience,
        device=wish.device,
        record_key_hash=wish.record_key_hash,
        binding_id=wish.binding,
    )
    if statement != wished:
        raise StrangeStatement(
            "the hub's statement is not the one asked for; nothing was signed", rule="WALLET-BIND"
        )
    if not statement.issued_at - SKEW_MAX <= now < statement.expires_at:
        raise StrangeStatement(
            "the hub's statement is not of now; set this device's clock, nothing was signed",
            rule="WALLET-BIND",
        )
    return statement


def token_request_text(
    *,
    audience: str,
    device: Address,
    service: str,
    purposes: Sequence[str],
    thumbprint: str,
    issued_at: datetime,
    nonce: str,
    grant: str | None = None,
) -> bytes:
    """Return what the device key signs to be given a token.

    Args:
        audience: The hub's name.
        device: The device.
        service: For whom the token is.
        purposes: What for.
        thumbprint: RFC 7638, of the key that proofs will be made with.
        issued_at: When, to the second.
        nonce: 32 hexadecimal digits.
        grant: Under which grant the device's owner acts for another; None for oneself.
    """
    acting = () if grant is None else (f"Grant: {grant}",)
    return "\n".join(
        (
            "DAICHO TOKEN REQUEST 1",
            f"For: {audience}",
            f"Device: 0x{device.hex()}",
            f"Service: {service}",
            f"Purposes: {' '.join(sorted(purposes))}",
            *acting,
            f"Key: {thumbprint}",
            f"Issued: {write_instant(issued_at)}",
            f"Nonce: {nonce}",
        )
    ).encode()


def sector_key_text(
    *, audience: str, resident: str, sector: str, address: Address, issued_at: datetime
) -> bytes:
    """Return what a sector's key signs to be registered.

    Args:
        audience: The hub's name.
        resident: The ``sub`` of the token.
        sector: Which sector.
        address: Of the key.
        issued_at: When, to the second.
    """
    return "\n".join(
        (
            "DAICHO SECTOR KEY 1",
            f"For: {audience}",
            f"Resident: {resident}",
            f"Sector: {sector}",
            f"Address: 0x{address.hex()}",
            f"Issued: {write_instant(issued_at)}",
        )
    ).encode()


def write_instant(at: datetime) -> str:
    """Return an instant as the hub reads it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
