"""Whether a presented statement is the answer to a challenge, by the right card and device.

The identity service keeps each challenge it issues, marks it used in the same transaction that acts
on it, and stores evidence encrypted. This module decides; it stores nothing.

Spec: ID-STATEMENT-ONCE, ID-STATEMENT-MATCH, ID-STATEMENT-TIME, ID-STATEMENT-DEVICE.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from clients.identity.report import Check, Report, join_reports
from clients.identity.revocation import RevocationMethod
from clients.identity.statement import (
    PURPOSES,
    Purpose,
    Statement,
    compute_device_hash,
    decode_statement,
)
from clients.identity.verifier import CardEvidence, CertificateVerifier, Verification
from node.primitives.crypto import InvalidSignature, recover_address

CLOCK_SKEW_MAX: Final = timedelta(minutes=1)
"""How far the service's machines may differ in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A statement the service has asked for."""

    statement: Statement
    """All of its fields; the client shows and signs exactly these."""
    used_at: datetime | None = None
    """When it was acted on; None while it has not been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedStatement:
    """What a client brings back."""

    text: bytes = field(repr=False)
    """The text shown and signed."""
    certificate: bytes = field(repr=False)
    """The card's certificate in DER."""
    card_signature: bytes = field(repr=False)
    """By the card, over the text."""
    device_signature: bytes | None = field(default=None, repr=False)
    """By the device key, over the same text; None where the purpose names no device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementVerification:
    """Whether the service may act on a statement."""

    statement: Statement
    """What was signed."""
    report: Report
    """Checks of the statement, the card and the device."""
    card: Verification
    """What the back end says about the card."""

    @property
    def passed(self) -> bool:
        """Return whether the service may act."""
        return self.report.passed and self.card.passed


async def verify_presented(
    presented: PresentedStatement,
    *,
    challenge: Challenge,
    verifier: CertificateVerifier,
    now: datetime,
) -> StatementVerification:
    """Check a presented statement against its challenge, asking the authority by OCSP.

    Raises:
        MalformedStatement: The text is no statement.
        MalformedCertificate: The certificate does not decode.

    Spec: ID-STATEMENT-MATCH.
    """
    statement = decode_statement(presented.text)
    card = await verifier.verify(
        CardEvidence(
            certificate=presented.certificate,
            message=presented.text,
            signature=presented.card_signature,
        ),
        kind=PURPOSES[challenge.statement.purpose].kind,
        method=RevocationMethod.OCSP,
        now=now,
    )
    answer = check_answer(presented, statement=statement, challenge=challenge, now=now)
    return StatementVerification(
        statement=statement, report=join_reports((answer, card.report)), card=card
    )


def check_answer(
    presented: PresentedStatement, *, statement: Statement, challenge: Challenge, now: datetime
) -> Report:
    """Check everything about a presented statement but the card."""
    asked = challenge.statement
    return Report(
        checks=(
            _check_once(challenge),
            *(_check_match(name, statement, asked) for name in _FIELDS),
            _check_time(statement, now),
            _check_device(presented, statement),
        )
    )


_FIELDS: Final = (
    "purpose",
    "audience",
    "nonce",
    "device",
    "record_key_hash",
    "binding_id",
    "issued_at",
    "expires_at",
)


def _check_once(challenge: Challenge) -> Check:
    """Check that the challenge has not been used.

    Spec: ID-STATEMENT-ONCE.
    """
    return Check(
        rule="ID-STATEMENT-ONCE",
        passed=challenge.used_at is None,
        expected="a challenge not used before",
        found="unused" if challenge.used_at is None else "used before",
    )


def _check_match(name: str, statement: Statement, asked: Statement) -> Check:
    is_same = getattr(statement, name) == getattr(asked, name)
    return Check(
        rule="ID-STATEMENT-MATCH",
        passed=is_same,
        expected=f"the {name} asked for",
        found="the same" if is_same else f"another {name}",
    )


def _check_time(statement: Statement, now: datetime) -> Check:
    """Check that the statement is neither from the future nor expired.

    Spec: ID-STATEMENT-TIME.
    """
    found = "within its time"
    if now < statement.issued_at - CLOCK_SKEW_MAX:
        found = "from the future"
    elif now >= statement.expires_at:
        found = "expired"
    return Check(
        rule="ID-STATEMENT-TIME",
        passed=found == "within its time",
        expected="issued before and not expired",
        found=found,
    )


def _check_device(presented: PresentedStatement, statement: Statement) -> Check:
    """Check that the key of the device named signed the same bytes.

    Spec: ID-STATEMENT-DEVICE.
    """
    found = "another key signed"
    if statement.device is None:
        found = "none named" if presented.device_signature is None else "a signature too many"
    elif presented.device_signature is None:
        found = "no signature"
    else:
        try:
            signer = recover_address(
                compute_device_hash(presented.text), presented.device_signature
            )
        except InvalidSignature:
            signer = None
        if signer == statement.device:
            found = "signed"
    return Check(
        rule="ID-STATEMENT-DEVICE",
        passed=found in ("signed", "none named"),
        expected="the device named signed the same text",
        found=found,
    )


def is_card_only(purpose: Purpose) -> bool:
    """Return whether a purpose needs nothing but the card, as at a kiosk."""
    return not PURPOSES[purpose].has_device
