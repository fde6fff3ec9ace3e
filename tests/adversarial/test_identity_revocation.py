"""Forged, borrowed and stale revocation data: ID-CRL-SIGNATURE, ID-OCSP-SIGNER, ID-OCSP-MATCH.

And ID-OCSP-NONCE, ID-PATH-ISSUER. The attacker owns a certificate authority of the same name, a
real card, and everything the real authorities have ever published.
"""

from contextlib import suppress
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from clients.identity.certificate import CertificateKind, decode_certificate
from clients.identity.crl import RefusedRevocationList, accept_revocation_list
from clients.identity.ocsp import (
    RESPONDERS_MAX,
    OcspQuestion,
    RefusedOcspResponse,
    accept_ocsp_response,
    build_ocsp_question,
)
from clients.identity.path import TrustedAuthority, verify_path
from clients.identity.revocation import ONLINE, Good, RevocationReason, Undetermined
from services.sim.pki.authority import IssuedCertificate, SimulatedAuthority
from services.sim.pki.hierarchy import Hierarchy
from tests.support.identity import NOW, RESIDENT, new_hierarchy

KIND = CertificateKind.AUTHENTICATION
NONCE = b"n" * 32


def trusted(simulated: SimulatedAuthority) -> TrustedAuthority:
    return TrustedAuthority(kind=simulated.kind, certificate=decode_certificate(simulated.der))


def question_for(hierarchy: Hierarchy, issued: IssuedCertificate, generation: int) -> OcspQuestion:
    return build_ocsp_question(
        decode_certificate(issued.der),
        authority=trusted(hierarchy.authority(KIND, generation)),
        nonce=NONCE,
    )


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_a_card_from_an_authority_that_only_has_the_name_is_refused(generation: int) -> None:
    impostor, real = new_hierarchy(), new_hierarchy()
    forged = impostor.issue_card(RESIDENT, at=NOW, generation=generation).authentication

    path = verify_path(decode_certificate(forged.der), real.trust_store(), kind=KIND, at=NOW)

    assert path.authority is None
    assert path.report.broken_rules == ("ID-PATH-ISSUER", "ID-PATH-X509")


def test_a_key_identifier_that_lies_does_not_move_a_card_to_another_generation() -> None:
    hierarchy = new_hierarchy()
    first, second = hierarchy.authority(KIND, 1), hierarchy.authority(KIND, 2)
    disguised = first.leaf_builder(
        RESIDENT,
        key=first._key,
        not_before=NOW,
        not_after=NOW + timedelta(days=1),
    )
    kept = [
        extension
        for extension in disguised._extensions
        if not isinstance(extension.value, x509.AuthorityKeyIdentifier)
    ]
    disguised._extensions = kept
    lying = disguised.add_extension(second._key_identifier(), critical=False)
    certificate = decode_certificate(first.sign(lying).public_bytes(Encoding.DER))

    issuer = hierarchy.trust_store().find_issuer(certificate)

    assert issuer is not None
    assert issuer.certificate.der == first.der


def test_an_empty_list_signed_by_an_impostor_frees_nobody() -> None:
    impostor, real = new_hierarchy(), new_hierarchy()
    forged = impostor.authority(KIND).build_revocation_list(NOW)

    with pytest.raises(RefusedRevocationList, match="not signed by this authority"):
        accept_revocation_list(forged, authority=trusted(real.authority(KIND)))


def test_a_list_altered_in_any_byte_never_says_anything_else() -> None:
    hierarchy = new_hierarchy()
    authority = hierarchy.authority(KIND, 3)
    issued = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication
    authority.revoke(issued.certificate, RevocationReason.KEY_COMPROMISED, NOW)
    der = authority.build_revocation_list(NOW)
    original = accept_revocation_list(der, authority=trusted(authority))
    accepted = []

    for at in range(len(der)):
        altered = der[:at] + bytes([der[at] ^ 1]) + der[at + 1 :]
        with suppress(RefusedRevocationList):
            accepted.append(accept_revocation_list(altered, authority=trusted(authority)))

    # The count of unused bits of the signature may change where the last bit is zero anyway.
    assert accepted in ([], [original])


def test_the_list_of_one_generation_neither_condemns_nor_frees_another() -> None:
    hierarchy = new_hierarchy()
    first, second = hierarchy.authority(KIND, 1), hierarchy.authority(KIND, 2)
    lost = hierarchy.issue_card(RESIDENT, at=NOW, generation=1).authentication
    stranger = hierarchy.issue_card(RESIDENT, at=NOW, generation=2).authentication
    assert lost.certificate.serial_number == stranger.certificate.serial_number
    first.revoke(lost.certificate, RevocationReason.KEY_COMPROMISED, NOW)
    accepted = accept_revocation_list(first.build_revocation_list(NOW), authority=trusted(first))

    status = accepted.status_of(
        decode_certificate(stranger.der), issuer=trusted(second), now=NOW, freshness=ONLINE
    )

    assert status == Undetermined(why="the list is another authority's")
    with pytest.raises(RefusedRevocationList, match="not signed by this authority"):
        accept_revocation_list(second.build_revocation_list(NOW), authority=trusted(first))


def test_an_answer_about_the_same_number_of_another_generation_is_refused() -> None:
    hierarchy = new_hierarchy()
    lost = hierarchy.issue_card(RESIDENT, at=NOW, generation=1).authentication
    twin = hierarchy.issue_card(RESIDENT, at=NOW, generation=2).authentication
    question = question_for(hierarchy, lost, 1)
    about_twin = hierarchy.authority(KIND, 2).answer_ocsp(
        question_for(hierarchy, twin, 2).request, NOW
    )

    with pytest.raises(RefusedOcspResponse, match="ID-OCSP-SIGNER"):
        accept_ocsp_response(about_twin, question=question, now=NOW, freshness=ONLINE)


def test_an_answer_about_another_card_of_the_same_authority_is_refused() -> None:
    hierarchy = new_hierarchy()
    lost = hierarchy.issue_card(RESIDENT, at=NOW).authentication
    good = hierarchy.issue_card(RESIDENT, at=NOW).authentication
    about_good = hierarchy.authority(KIND).answer_ocsp(
        question_for(hierarchy, good, 2).request, NOW
    )

    with pytest.raises(RefusedOcspResponse, match="another certificate"):
        accept_ocsp_response(
            about_good, question=question_for(hierarchy, lost, 2), now=NOW, freshness=ONLINE
        )


def test_yesterdays_good_answer_cannot_be_played_again() -> None:
    hierarchy = new_hierarchy()
    card = hierarchy.issue_card(RESIDENT, at=NOW).authentication
    old = build_ocsp_question(
        decode_certificate(card.der), authority=trusted(hierarchy.authority(KIND)), nonce=b"o" * 32
    )
    replayed = hierarchy.authority(KIND).answer_ocsp(old.request, NOW)

    with pytest.raises(RefusedOcspResponse, match="ID-OCSP-NONCE"):
        accept_ocsp_response(
            replayed, question=question_for(hierarchy, card, 2), now=NOW, freshness=ONLINE
        )
    late = accept_ocsp_response(
        replayed, question=old, now=NOW + timedelta(days=1), freshness=ONLINE
    )
    assert isinstance(late, Undetermined)


def answer_signed_by(
    question: OcspQuestion, signer: IssuedCertificate, padding_certificates: int = 0
) -> bytes:
    """Return a good answer by whoever holds ``signer``, with its certificate enclosed."""
    asked = ocsp.load_der_ocsp_request(question.request)
    response = (
        ocsp.OCSPResponseBuilder()
        .add_response_by_hash(
            issuer_name_hash=asked.issuer_name_hash,
            issuer_key_hash=asked.issuer_key_hash,
            serial_number=asked.serial_number,
            algorithm=asked.hash_algorithm,
            cert_status=ocsp.OCSPCertStatus.GOOD,
            this_update=NOW,
            next_update=NOW + timedelta(minutes=5),
            revocation_time=None,
            revocation_reason=None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        .certificates(
            [question.authority.certificate.parsed] * padding_certificates + [signer.certificate]
        )
        .add_extension(x509.OCSPNonce(question.nonce), critical=False)
        .sign(signer.key, hashes.SHA384())
    )
    return response.public_bytes(Encoding.DER)


def test_a_card_is_no_responder() -> None:
    hierarchy = new_hierarchy()
    lost = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication
    accomplice = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication
    question = question_for(hierarchy, lost, 3)

    with pytest.raises(RefusedOcspResponse, match="ID-OCSP-SIGNER"):
        accept_ocsp_response(
            answer_signed_by(question, accomplice), question=question, now=NOW, freshness=ONLINE
        )


def test_the_responder_of_another_generation_is_not_appointed() -> None:
    hierarchy = new_hierarchy()
    lost = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication
    question = question_for(hierarchy, lost, 3)
    other = hierarchy.authority(KIND, 2)
    foreign = IssuedCertificate(certificate=other.responder_certificate, key=other._responder_key)

    with pytest.raises(RefusedOcspResponse, match="ID-OCSP-SIGNER"):
        accept_ocsp_response(
            answer_signed_by(question, foreign), question=question, now=NOW, freshness=ONLINE
        )


@pytest.mark.parametrize("in_front", [RESPONDERS_MAX - 1, RESPONDERS_MAX])
def test_only_so_many_enclosed_certificates_are_looked_at(in_front: int) -> None:
    hierarchy = new_hierarchy()
    card = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication
    question = question_for(hierarchy, card, 3)
    authority = hierarchy.authority(KIND, 3)
    responder = IssuedCertificate(
        certificate=authority.responder_certificate, key=authority._responder_key
    )
    answer = answer_signed_by(question, responder, padding_certificates=in_front)

    if in_front < RESPONDERS_MAX:
        status = accept_ocsp_response(answer, question=question, now=NOW, freshness=ONLINE)
        assert isinstance(status, Good)
    else:
        with pytest.raises(RefusedOcspResponse, match="ID-OCSP-SIGNER"):
            accept_ocsp_response(answer, question=question, now=NOW, freshness=ONLINE)


def test_an_answer_altered_in_any_byte_never_frees() -> None:
    hierarchy = new_hierarchy()
    authority = hierarchy.authority(KIND, 3)
    lost = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication
    authority.revoke(lost.certificate, RevocationReason.KEY_COMPROMISED, NOW)
    question = question_for(hierarchy, lost, 3)
    response = authority.answer_ocsp(question.request, NOW)

    for at in range(len(response)):
        altered = response[:at] + bytes([response[at] ^ 1]) + response[at + 1 :]
        try:
            status = accept_ocsp_response(altered, question=question, now=NOW, freshness=ONLINE)
        except RefusedOcspResponse:
            continue
        assert not isinstance(status, Good)
