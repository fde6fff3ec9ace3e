"""Replayed, redirected and harvested statements: ID-STATEMENT-MATCH, ID-STATEMENT-ONCE.

And ID-STATEMENT-TIME, ID-STATEMENT-DEVICE, ID-STATEMENT-TEXT. The attacker sees every statement
ever signed, runs a service of the same kind, and has a card and a device of their own.
"""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from clients.identity.binding import (
    Challenge,
    PresentedStatement,
    StatementVerification,
    verify_presented,
)
from clients.identity.certificate import CertificateKind
from clients.identity.revocation import RevocationReason
from clients.identity.statement import (
    MalformedStatement,
    Purpose,
    Statement,
    compute_device_hash,
    encode_statement,
)
from clients.identity.verifier import DirectVerifier
from node.primitives.crypto import PrivateKey
from services.sim.pki.authority import IssuedCertificate
from services.sim.pki.hierarchy import Hierarchy
from tests.support.identity import NOW, RESIDENT, LocalSource, new_hierarchy, sign_as_card

HOLDERS_DEVICE = PrivateKey(b"\x11" * 32)
ATTACKERS_DEVICE = PrivateKey(b"\x66" * 32)

ASKED = Statement(
    purpose=Purpose.BIND_DEVICE,
    audience="hub.sakai.example",
    nonce=b"\x01" * 32,
    issued_at=NOW,
    expires_at=NOW + timedelta(minutes=10),
    device=HOLDERS_DEVICE.address,
)


def present(
    statement: Statement, card: IssuedCertificate, device: PrivateKey | None = HOLDERS_DEVICE
) -> PresentedStatement:
    """Return a statement signed by a card, and by a device unless there is none."""
    text = encode_statement(statement)
    return PresentedStatement(
        text=text,
        certificate=card.der,
        card_signature=sign_as_card(card.key, text),
        device_signature=None if device is None else device.sign(compute_device_hash(text)),
    )


async def judge(
    presented: PresentedStatement,
    hierarchy: Hierarchy,
    *,
    challenge: Challenge | None = None,
    now: datetime = NOW,
) -> StatementVerification:
    return await verify_presented(
        presented,
        challenge=challenge or Challenge(statement=ASKED),
        verifier=DirectVerifier(hierarchy.trust_store(), LocalSource(hierarchy, now)),
        now=now,
    )


@pytest.fixture
def hierarchy() -> Hierarchy:
    return new_hierarchy()


@pytest.fixture
def card(hierarchy: Hierarchy) -> IssuedCertificate:
    return hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication


async def test_the_honest_statement_passes(hierarchy: Hierarchy, card: IssuedCertificate) -> None:
    verification = await judge(present(ASKED, card), hierarchy)

    assert verification.passed
    assert verification.statement == ASKED


async def test_a_statement_acted_on_before_is_refused(
    hierarchy: Hierarchy, card: IssuedCertificate
) -> None:
    used = Challenge(statement=ASKED, used_at=NOW)

    verification = await judge(present(ASKED, card), hierarchy, challenge=used)

    assert not verification.passed
    assert verification.report.broken_rules == ("ID-STATEMENT-ONCE",)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"audience": "hub.evil.example"}, id="for another audience"),
        pytest.param({"nonce": b"\x02" * 32}, id="of an earlier challenge"),
        pytest.param({"purpose": Purpose.LOG_IN, "device": None}, id="for another purpose"),
        pytest.param({"record_key_hash": b"\x66" * 32}, id="with the attacker's record key"),
        pytest.param(
            {"purpose": Purpose.REBIND_DEVICE, "binding_id": b"\x66" * 16}, id="for re-binding"
        ),
        pytest.param({"expires_at": NOW + timedelta(minutes=15)}, id="living longer"),
        pytest.param({"issued_at": NOW - timedelta(seconds=1)}, id="issued earlier"),
    ],
)
async def test_a_statement_signed_for_something_else_is_refused(
    changes: dict[str, object], hierarchy: Hierarchy, card: IssuedCertificate
) -> None:
    other = replace(ASKED, **changes)  # type: ignore[arg-type]
    device = None if other.device is None else HOLDERS_DEVICE

    verification = await judge(present(other, card, device), hierarchy)

    assert not verification.passed
    assert verification.report.broken_rules == ("ID-STATEMENT-MATCH",)


async def test_the_device_cannot_be_swapped_under_the_holders_signature(
    hierarchy: Hierarchy, card: IssuedCertificate
) -> None:
    honest = present(ASKED, card)
    swapped = encode_statement(replace(ASKED, device=ATTACKERS_DEVICE.address))
    forged = replace(
        honest,
        text=swapped,
        device_signature=ATTACKERS_DEVICE.sign(compute_device_hash(swapped)),
    )

    verification = await judge(forged, hierarchy)

    assert verification.report.broken_rules == ("ID-STATEMENT-MATCH", "ID-SIGNATURE")


async def test_a_holder_lured_into_signing_for_the_attackers_device_binds_nothing(
    hierarchy: Hierarchy, card: IssuedCertificate
) -> None:
    lured = present(replace(ASKED, device=ATTACKERS_DEVICE.address), card, ATTACKERS_DEVICE)

    verification = await judge(lured, hierarchy)

    assert verification.report.broken_rules == ("ID-STATEMENT-MATCH",)


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(None, id="none"),
        pytest.param(b"", id="empty"),
        pytest.param(bytes(65), id="zeros"),
        pytest.param(
            ATTACKERS_DEVICE.sign(compute_device_hash(encode_statement(ASKED))), id="another key"
        ),
        pytest.param(HOLDERS_DEVICE.sign(compute_device_hash(b"something else")), id="other text"),
    ],
)
async def test_a_key_nobody_proved_to_hold_is_not_bound(
    signature: bytes | None, hierarchy: Hierarchy, card: IssuedCertificate
) -> None:
    presented = replace(present(ASKED, card), device_signature=signature)

    verification = await judge(presented, hierarchy)

    assert verification.report.broken_rules == ("ID-STATEMENT-DEVICE",)


async def test_a_statement_without_a_device_takes_no_device_signature(
    hierarchy: Hierarchy, card: IssuedCertificate
) -> None:
    log_in = replace(ASKED, purpose=Purpose.LOG_IN, device=None)
    challenge = Challenge(statement=log_in)

    clean = await judge(present(log_in, card, None), hierarchy, challenge=challenge)
    extra = await judge(present(log_in, card, ATTACKERS_DEVICE), hierarchy, challenge=challenge)

    assert clean.passed
    assert extra.report.broken_rules == ("ID-STATEMENT-DEVICE",)


@pytest.mark.parametrize(
    ("at", "broken"),
    [
        pytest.param(timedelta(minutes=-1), (), id="the service's clock behind, in bounds"),
        pytest.param(timedelta(seconds=-61), ("ID-STATEMENT-TIME",), id="from the future"),
        pytest.param(timedelta(seconds=599), (), id="last second"),
        pytest.param(timedelta(seconds=600), ("ID-STATEMENT-TIME",), id="expired"),
    ],
)
async def test_a_statement_is_acted_on_in_its_time_only(
    at: timedelta, broken: tuple[str, ...], hierarchy: Hierarchy
) -> None:
    card = hierarchy.issue_card(RESIDENT, at=NOW - timedelta(days=1), generation=3)

    verification = await judge(present(ASKED, card.authentication), hierarchy, now=NOW + at)

    assert verification.report.broken_rules == broken


async def test_a_signature_harvested_for_another_document_is_no_statement(
    hierarchy: Hierarchy, card: IssuedCertificate
) -> None:
    contract = "私は下記の契約に同意します。".encode()
    harvested = sign_as_card(card.key, contract)

    with pytest.raises(MalformedStatement):
        await judge(
            replace(present(ASKED, card), text=contract, card_signature=harvested), hierarchy
        )
    verification = await judge(replace(present(ASKED, card), card_signature=harvested), hierarchy)
    assert verification.report.broken_rules == ("ID-SIGNATURE",)


async def test_another_holders_certificate_does_not_go_with_the_signature(
    hierarchy: Hierarchy, card: IssuedCertificate
) -> None:
    victim = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication

    verification = await judge(replace(present(ASKED, card), certificate=victim.der), hierarchy)

    assert verification.report.broken_rules == ("ID-SIGNATURE",)


async def test_the_signing_key_does_not_stand_in_for_the_authentication_key(
    hierarchy: Hierarchy,
) -> None:
    signing = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).signing
    assert signing is not None

    verification = await judge(present(ASKED, signing), hierarchy)

    assert verification.report.broken_rules == (
        "ID-PATH-ISSUER",
        "ID-PATH-POLICY",
        "ID-PATH-USAGE",
    )


async def test_the_authentication_key_does_not_confirm_attributes(
    hierarchy: Hierarchy, card: IssuedCertificate
) -> None:
    asked = replace(ASKED, purpose=Purpose.CONFIRM_ATTRIBUTES, device=None)

    verification = await judge(
        present(asked, card, None), hierarchy, challenge=Challenge(statement=asked)
    )

    assert "ID-PATH-POLICY" in verification.report.broken_rules


@pytest.mark.parametrize("reason", list(RevocationReason))
async def test_a_revoked_card_binds_nothing(
    reason: RevocationReason, hierarchy: Hierarchy, card: IssuedCertificate
) -> None:
    authority = hierarchy.authority(CertificateKind.AUTHENTICATION, 3)
    authority.revoke(card.certificate, reason, NOW)

    verification = await judge(present(ASKED, card), hierarchy)

    assert verification.report.broken_rules == ("ID-REVOCATION-STATUS",)


async def test_an_expired_card_binds_nothing(hierarchy: Hierarchy) -> None:
    old = hierarchy.authority(CertificateKind.AUTHENTICATION, 3).issue(
        RESIDENT,
        key=hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication.key,
        at=NOW - timedelta(days=2),
        not_after=NOW - timedelta(seconds=1),
    )

    verification = await judge(present(ASKED, old), hierarchy)

    assert verification.report.broken_rules == ("ID-PATH-VALIDITY", "ID-PATH-X509")


async def test_verifications_show_nothing_of_the_card(
    hierarchy: Hierarchy, card: IssuedCertificate
) -> None:
    presented = present(ASKED, card)
    verification = await judge(presented, hierarchy)

    said = f"{presented!r} {verification!r}"
    serial = card.certificate.serial_number
    for personal in (card.der.hex(), f"serial_number={serial}", "Name(", RESIDENT.window_code):
        assert personal not in said
