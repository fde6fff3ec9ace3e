"""ID-VERIFIER, ID-SOURCE, ID-REVOCATION-STATUS: the direct back end, also over a socket."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web

from clients.identity.certificate import CertificateKind, MalformedCertificate
from clients.identity.crl import LIST_SIZE_MAX
from clients.identity.network import HttpRevocationSource, SourceUnavailable
from clients.identity.ocsp import RESPONSE_SIZE_MAX, OcspQuestion
from clients.identity.path import TrustedAuthority
from clients.identity.revocation import Good, RevocationMethod, RevocationReason, Undetermined
from clients.identity.verifier import CardEvidence, DirectVerifier, RevocationSource
from services.sim.pki.authority import IssuedCertificate
from services.sim.pki.server import build_application
from tests.support.clock import FakeClock
from tests.support.identity import (
    NOW,
    RESIDENT,
    LocalSource,
    new_hierarchy,
    sign_as_card,
)

KIND = CertificateKind.AUTHENTICATION
TEXT = "受付をします".encode()


def evidence_of(issued: IssuedCertificate, message: bytes = TEXT) -> CardEvidence:
    return CardEvidence(
        certificate=issued.der, message=message, signature=sign_as_card(issued.key, TEXT)
    )


class OvertakenSource:
    """A source whose first answer arrives after its second."""

    def __init__(self, lists: list[bytes]) -> None:
        self._lists = iter(lists)
        self._second_is_out = asyncio.Event()
        self._is_first = True

    async def fetch_list(self, authority: TrustedAuthority) -> bytes:
        answer, is_first, self._is_first = next(self._lists), self._is_first, False
        if is_first:
            await self._second_is_out.wait()
        else:
            self._second_is_out.set()
        return answer

    async def ask(self, question: OcspQuestion) -> bytes:
        raise SourceUnavailable("only lists")


@pytest.mark.parametrize("method", list(RevocationMethod))
@pytest.mark.parametrize("generation", [1, 2, 3])
async def test_a_good_card_passes_by_either_method(
    method: RevocationMethod, generation: int
) -> None:
    hierarchy = new_hierarchy()
    card = hierarchy.issue_card(RESIDENT, at=NOW, generation=generation)
    verifier = DirectVerifier(hierarchy.trust_store(), LocalSource(hierarchy))

    verification = await verifier.verify(
        evidence_of(card.authentication), kind=KIND, method=method, now=NOW
    )

    assert verification.passed
    assert verification.report.broken_rules == ()
    assert isinstance(verification.status, Good)
    assert verification.checked_at == NOW
    assert verification.authority_key_hash is not None


@pytest.mark.parametrize("method", list(RevocationMethod))
@pytest.mark.parametrize("reason", list(RevocationReason))
async def test_a_revoked_card_of_each_reason_is_refused(
    method: RevocationMethod, reason: RevocationReason
) -> None:
    hierarchy = new_hierarchy()
    issued = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication
    hierarchy.authority(KIND, 3).revoke(issued.certificate, reason, NOW)
    verifier = DirectVerifier(hierarchy.trust_store(), LocalSource(hierarchy))

    verification = await verifier.verify(evidence_of(issued), kind=KIND, method=method, now=NOW)

    assert not verification.passed
    assert verification.report.broken_rules == ("ID-REVOCATION-STATUS",)
    assert f"revoked, reason {int(reason)}" in verification.report.checks[-1].found


async def test_another_text_is_not_what_the_card_signed() -> None:
    hierarchy = new_hierarchy()
    issued = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication
    verifier = DirectVerifier(hierarchy.trust_store(), LocalSource(hierarchy))

    verification = await verifier.verify(
        evidence_of(issued, b"another"), kind=KIND, method=RevocationMethod.CRL, now=NOW
    )

    assert verification.report.broken_rules == ("ID-SIGNATURE",)


async def test_an_unknown_authority_is_asked_nothing() -> None:
    hierarchy, impostor = new_hierarchy(), new_hierarchy()
    source = LocalSource(hierarchy)
    issued = impostor.issue_card(RESIDENT, at=NOW, generation=3).authentication
    verifier = DirectVerifier(hierarchy.trust_store(), source)

    verification = await verifier.verify(
        evidence_of(issued), kind=KIND, method=RevocationMethod.CRL, now=NOW
    )

    assert verification.status == Undetermined(why="no trusted authority to ask")
    assert verification.authority_key_hash is None
    assert source.fetched == 0


@pytest.mark.parametrize("method", list(RevocationMethod))
async def test_an_authority_out_of_reach_leaves_the_status_undetermined(
    method: RevocationMethod,
) -> None:
    hierarchy = new_hierarchy()
    source = LocalSource(hierarchy)
    source.is_reachable = False
    issued = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication
    verifier = DirectVerifier(hierarchy.trust_store(), source)

    verification = await verifier.verify(evidence_of(issued), kind=KIND, method=method, now=NOW)

    assert verification.report.broken_rules == ("ID-REVOCATION-STATUS",)
    assert isinstance(verification.status, Undetermined)


async def test_a_list_is_fetched_once_and_kept_through_an_outage_while_it_is_fresh() -> None:
    hierarchy = new_hierarchy()
    source = LocalSource(hierarchy)
    issued = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication
    verifier = DirectVerifier(hierarchy.trust_store(), source)
    verdicts = []

    for hours in (0, 23, 24, 36, 37):
        source.is_reachable = hours < 24
        verification = await verifier.verify(
            evidence_of(issued),
            kind=KIND,
            method=RevocationMethod.CRL,
            now=NOW + timedelta(hours=hours),
        )
        verdicts.append(verification.passed)

    assert verdicts == [True, True, True, True, False]
    assert source.fetched == 1


async def test_the_next_list_is_fetched_as_soon_as_it_is_due() -> None:
    hierarchy = new_hierarchy()
    source = LocalSource(hierarchy)
    issued = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication
    verifier = DirectVerifier(hierarchy.trust_store(), source)
    verdicts = []

    for hours in (0, 23, 24):
        source.now = NOW + timedelta(hours=hours)
        verification = await verifier.verify(
            evidence_of(issued), kind=KIND, method=RevocationMethod.CRL, now=source.now
        )
        verdicts.append(verification.passed)
        hierarchy.authority(KIND, 3).revoke(issued.certificate, RevocationReason.ON_HOLD, NOW)

    assert verdicts == [True, True, False]
    assert source.fetched == 2


async def test_a_list_that_arrives_late_does_not_replace_a_newer_one() -> None:
    hierarchy = new_hierarchy()
    issued = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication
    authority = hierarchy.authority(KIND, 3)
    before = authority.build_revocation_list(NOW)
    authority.revoke(issued.certificate, RevocationReason.KEY_COMPROMISED, NOW)
    source = OvertakenSource([before, authority.build_revocation_list(NOW)])
    verifier = DirectVerifier(hierarchy.trust_store(), source)

    verifications = await asyncio.gather(
        *(
            verifier.verify(evidence_of(issued), kind=KIND, method=RevocationMethod.CRL, now=NOW)
            for _ in range(2)
        )
    )

    assert [verification.passed for verification in verifications] == [False, False]


async def test_what_is_no_certificate_is_refused_before_anything_else() -> None:
    hierarchy = new_hierarchy()
    verifier = DirectVerifier(hierarchy.trust_store(), LocalSource(hierarchy))

    with pytest.raises(MalformedCertificate):
        await verifier.verify(
            CardEvidence(certificate=b"", message=TEXT, signature=b""),
            kind=KIND,
            method=RevocationMethod.CRL,
            now=NOW,
        )


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def serve(application: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


async def test_the_simulated_authorities_answer_over_a_socket(
    session: aiohttp.ClientSession,
) -> None:
    hierarchy = new_hierarchy()
    card = hierarchy.issue_card(RESIDENT, at=NOW)
    runner, address = await serve(build_application(hierarchy, FakeClock(NOW)))
    try:
        source: RevocationSource = HttpRevocationSource(session, address)
        verifier = DirectVerifier(hierarchy.trust_store(), source)
        passed = [
            (
                await verifier.verify(
                    evidence_of(card.authentication), kind=KIND, method=method, now=NOW
                )
            ).passed
            for method in RevocationMethod
        ]
        async with session.get(f"{address}/{'00' * 32}/crl") as unknown:
            assert unknown.status == 404
        async with session.post(
            f"{address}/{hierarchy.trust_store().authorities[0].key_hash.hex()}/ocsp", data=b"x"
        ) as malformed:
            assert malformed.status == 400
    finally:
        await runner.cleanup()

    assert passed == [True, True]
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        await source.fetch_list(hierarchy.trust_store().authorities[0])


@pytest.mark.parametrize("size_max", [LIST_SIZE_MAX, RESPONSE_SIZE_MAX])
async def test_a_server_that_says_too_much_is_cut_off(
    session: aiohttp.ClientSession, size_max: int
) -> None:
    hierarchy = new_hierarchy()
    authority = hierarchy.trust_store().authorities[0]
    sizes = iter((size_max, size_max + 1))

    async def flood(_: web.Request) -> web.Response:
        return web.Response(body=bytes(next(sizes)))

    application = web.Application()
    application.router.add_get("/{key}/crl", flood)
    application.router.add_get("/{key}/ocsp", flood)
    runner, address = await serve(application)
    source = HttpRevocationSource(session, address)
    path = f"{authority.key_hash.hex()}/{'crl' if size_max == LIST_SIZE_MAX else 'ocsp'}"
    try:
        assert len(await source._read("GET", path, None, size_max)) == size_max
        with pytest.raises(SourceUnavailable, match="more than"):
            await source._read("GET", path, None, size_max)
        with pytest.raises(SourceUnavailable, match="answers 404"):
            await source._read("GET", "elsewhere", None, size_max)
    finally:
        await runner.cleanup()
