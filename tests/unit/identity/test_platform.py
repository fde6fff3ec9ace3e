"""ID-PLATFORM: an operator is relied on for path and revocation, and for nothing else."""

from datetime import timedelta

import pytest

from clients.identity.certificate import SIGNING_POLICY, CertificateKind
from clients.identity.platform import (
    PlatformAnswer,
    PlatformQuestion,
    PlatformResult,
    PlatformVerifier,
)
from clients.identity.revocation import Good, RevocationMethod, RevocationReason, Revoked
from clients.identity.verifier import CardEvidence, CertificateVerifier, Verification
from node.primitives.errors import Unavailable
from services.sim.pki.authority import KeyType
from tests.support.identity import NOW, RESIDENT, new_hierarchy, prepared_key, sign_as_card

KIND = CertificateKind.AUTHENTICATION
TEXT = b"text"


def operator(result: PlatformResult, reason: RevocationReason | None = None) -> CertificateVerifier:
    """Return a verifier whose operator always gives one answer."""

    async def answer(question: PlatformQuestion) -> PlatformAnswer:
        assert question.kind is KIND
        return PlatformAnswer(result=result, as_of=NOW, reason=reason)

    return PlatformVerifier(answer)


async def judge(
    verifier: CertificateVerifier, *, message: bytes = TEXT, days_later: int = 0
) -> Verification:
    issued = new_hierarchy().issue_card(RESIDENT, at=NOW, generation=3).authentication
    evidence = CardEvidence(
        certificate=issued.der, message=message, signature=sign_as_card(issued.key, TEXT)
    )
    now = NOW + timedelta(days=days_later)
    return await verifier.verify(evidence, kind=KIND, method=RevocationMethod.OCSP, now=now)


async def test_ok_passes_what_passes_here_too() -> None:
    verification = await judge(operator(PlatformResult.OK))

    assert verification.passed
    assert verification.status == Good(method=RevocationMethod.OCSP, as_of=NOW)


@pytest.mark.parametrize(
    ("result", "broken"),
    [
        (PlatformResult.EXPIRED, ("ID-PATH-VALIDITY", "ID-REVOCATION-STATUS")),
        (PlatformResult.MISMATCH, ("ID-SIGNATURE", "ID-REVOCATION-STATUS")),
        (PlatformResult.REVOKED, ("ID-REVOCATION-STATUS",)),
        (PlatformResult.UNSUPPORTED, ("ID-PATH-ISSUER", "ID-REVOCATION-STATUS")),
    ],
)
async def test_any_other_answer_names_the_rule_it_breaks(
    result: PlatformResult, broken: tuple[str, ...]
) -> None:
    verification = await judge(operator(result))

    assert not verification.passed
    assert verification.report.broken_rules == broken


@pytest.mark.parametrize(
    ("told", "read"),
    [
        (None, RevocationReason.KEY_COMPROMISED),
        (RevocationReason.DESTROYED_BEFORE_DELIVERY, RevocationReason.DESTROYED_BEFORE_DELIVERY),
        (RevocationReason.RENEWED, RevocationReason.RENEWED),
    ],
)
async def test_a_revocation_without_a_reason_is_read_strictly(
    told: RevocationReason | None, read: RevocationReason
) -> None:
    status = (await judge(operator(PlatformResult.REVOKED, told))).status

    assert isinstance(status, Revoked)
    assert status.reason is read


async def test_an_operator_cannot_vouch_for_another_text_or_an_expired_card() -> None:
    other_text = await judge(operator(PlatformResult.OK), message=b"another")
    expired = await judge(operator(PlatformResult.OK), days_later=6 * 366)

    assert other_text.report.broken_rules == ("ID-SIGNATURE",)
    assert expired.report.broken_rules == ("ID-PATH-VALIDITY",)


async def test_an_operator_cannot_vouch_for_another_policy() -> None:
    authority = new_hierarchy().authority(KIND, 3)
    issued = authority.issue(
        RESIDENT, key=prepared_key(KeyType.P_384), at=NOW, policy=SIGNING_POLICY
    )
    evidence = CardEvidence(
        certificate=issued.der, message=TEXT, signature=sign_as_card(issued.key, TEXT)
    )

    verification = await operator(PlatformResult.OK).verify(
        evidence, kind=KIND, method=RevocationMethod.OCSP, now=NOW
    )

    assert verification.report.broken_rules == ("ID-PATH-POLICY",)


async def test_an_operator_out_of_reach_opens_nothing() -> None:
    async def unreachable(_: PlatformQuestion) -> PlatformAnswer:
        raise Unavailable("the operator is down")

    verification = await judge(PlatformVerifier(unreachable))

    assert verification.report.broken_rules == ("ID-REVOCATION-STATUS",)
