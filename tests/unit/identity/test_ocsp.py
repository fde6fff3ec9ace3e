"""ID-OCSP-SIGNER, ID-OCSP-MATCH, ID-OCSP-NONCE, ID-REVOCATION-STATUS: a question and its answer."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from clients.identity.certificate import CertificateKind, decode_certificate
from clients.identity.ocsp import (
    RESPONSE_SIZE_MAX,
    OcspQuestion,
    RefusedOcspResponse,
    accept_ocsp_response,
    build_ocsp_question,
)
from clients.identity.path import TrustedAuthority
from clients.identity.revocation import (
    ONLINE,
    Good,
    RevocationMethod,
    RevocationReason,
    Revoked,
    Undetermined,
)
from node.primitives.errors import InvalidInput, MalformedMessage
from services.sim.pki.authority import SimulatedAuthority
from tests.support.identity import NOW, RESIDENT, new_hierarchy, openssl

KIND = CertificateKind.AUTHENTICATION
NONCE = bytes(range(32))


def trusted(simulated: SimulatedAuthority) -> TrustedAuthority:
    return TrustedAuthority(kind=simulated.kind, certificate=decode_certificate(simulated.der))


def ask(generation: int = 2) -> tuple[SimulatedAuthority, OcspQuestion, bytes]:
    """Return an authority, a question about a card of it, and the card's certificate."""
    hierarchy = new_hierarchy()
    authority = hierarchy.authority(KIND, generation)
    der = hierarchy.issue_card(RESIDENT, at=NOW, generation=generation).authentication.der
    question = build_ocsp_question(
        decode_certificate(der), authority=trusted(authority), nonce=NONCE
    )
    return authority, question, der


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_a_good_answer_is_good_here_and_for_openssl(generation: int, tmp_path: Path) -> None:
    authority, question, der = ask(generation)
    response = authority.answer_ocsp(question.request, NOW)

    status = accept_ocsp_response(response, question=question, now=NOW, freshness=ONLINE)

    assert status == Good(method=RevocationMethod.OCSP, as_of=NOW)
    (tmp_path / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    leaf = decode_certificate(der).parsed
    (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    (tmp_path / "response").write_bytes(response)
    said = openssl(
        *("ocsp", "-respin", str(tmp_path / "response"), "-CAfile", str(tmp_path / "ca.pem")),
        *("-issuer", str(tmp_path / "ca.pem"), "-sha256", "-cert", str(tmp_path / "leaf.pem")),
        *("-no_nonce", "-attime", str(int(NOW.timestamp())), "-validity_period", "315360000"),
    )
    assert "Response verify OK" in said
    assert "leaf.pem: good" in said


def test_openssl_can_ask_our_responder(tmp_path: Path) -> None:
    authority, _, der = ask()
    (tmp_path / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    leaf = decode_certificate(der).parsed
    (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    openssl(
        *("ocsp", "-issuer", str(tmp_path / "ca.pem"), "-cert", str(tmp_path / "leaf.pem")),
        *("-reqout", str(tmp_path / "question")),
    )

    answer = ocsp.load_der_ocsp_response(
        authority.answer_ocsp((tmp_path / "question").read_bytes(), NOW)
    )

    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD
    with pytest.raises(MalformedMessage):
        authority.answer_ocsp(b"no question", NOW)


@pytest.mark.parametrize("reason", list(RevocationReason))
def test_each_reason_is_told_by_the_answer(reason: RevocationReason) -> None:
    authority, question, der = ask()
    since = NOW - timedelta(hours=1)
    authority.revoke(decode_certificate(der).parsed, reason, since)

    status = accept_ocsp_response(
        authority.answer_ocsp(question.request, NOW), question=question, now=NOW, freshness=ONLINE
    )

    assert status == Revoked(
        method=RevocationMethod.OCSP, as_of=NOW, reason=reason, revoked_at=since
    )


@pytest.mark.parametrize(
    ("age", "is_good"),
    [
        pytest.param(timedelta(minutes=5, seconds=-1), True, id="fresh"),
        pytest.param(timedelta(minutes=5), False, id="ended"),
        pytest.param(timedelta(minutes=11), False, id="too old"),
        pytest.param(timedelta(minutes=-5), True, id="a clock ahead"),
        pytest.param(timedelta(minutes=-6), False, id="from the future"),
    ],
)
def test_an_answer_has_an_age(age: timedelta, is_good: bool) -> None:
    authority, question, _ = ask(3)
    response = authority.answer_ocsp(question.request, NOW - age)

    status = accept_ocsp_response(response, question=question, now=NOW, freshness=ONLINE)

    assert isinstance(status, Good if is_good else Undetermined)


def test_a_certificate_the_responder_does_not_know_is_undetermined() -> None:
    authority, question, _ = ask(3)
    authority._serial = 0

    status = accept_ocsp_response(
        authority.answer_ocsp(question.request, NOW), question=question, now=NOW, freshness=ONLINE
    )

    assert status == Undetermined(why="the responder does not know the certificate")


def test_a_responder_that_cannot_answer_leaves_the_status_undetermined() -> None:
    _, question, _ = ask(3)
    busy = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)

    status = accept_ocsp_response(
        busy.public_bytes(Encoding.DER), question=question, now=NOW, freshness=ONLINE
    )

    assert status == Undetermined(why="the responder says try_later")


def test_sizes_are_bounded() -> None:
    _, question, der = ask(3)

    for size in (RESPONSE_SIZE_MAX, RESPONSE_SIZE_MAX + 1):
        with pytest.raises(RefusedOcspResponse) as refused:
            accept_ocsp_response(bytes(size), question=question, now=NOW, freshness=ONLINE)
        assert ("at most" in refused.value.message) is (size > RESPONSE_SIZE_MAX)
    with pytest.raises(InvalidInput, match="32 bytes"):
        build_ocsp_question(decode_certificate(der), authority=question.authority, nonce=bytes(31))
