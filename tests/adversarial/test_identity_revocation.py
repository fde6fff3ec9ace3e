"""Forged, borrowed and stale revocation data: ID-CRL-SIGNATURE, ID-OCSP-SIGNER, ID-OCSP-MATCH.

And ID-OCSP-NONCE, ID-PATH-ISSUER. The attacker owns a certificate authority of the same name, a
real card, and everything the real authorities have ever published.
"""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

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
from tests.support.identity import NOW, RESIDENT, new_hierarchy, openssl

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
    question: OcspQuestion,
    signer: IssuedCertificate,
    *,
    padding_certificates: int = 0,
    algorithm: hashes.HashAlgorithm | None = None,
    is_nonce_critical: bool = False,
    about: OcspQuestion | None = None,
) -> bytes:
    """Return a good answer by whoever holds ``signer``, with its certificate enclosed."""
    asked = ocsp.load_der_ocsp_request((about or question).request)
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
        .add_extension(x509.OCSPNonce(question.nonce), critical=is_nonce_critical)
        .sign(signer.key, algorithm or hashes.SHA384())
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


@pytest.mark.parametrize(
    ("purposes", "has_nocheck", "days"),
    [
        pytest.param([ExtendedKeyUsageOID.OCSP_SIGNING], True, 1, id="appointed"),
        pytest.param([ExtendedKeyUsageOID.OCSP_SIGNING], True, -1, id="appointment over"),
        pytest.param([ExtendedKeyUsageOID.OCSP_SIGNING], False, 1, id="revocable itself"),
        pytest.param([ExtendedKeyUsageOID.CLIENT_AUTH], True, 1, id="for something else"),
        pytest.param([], True, 1, id="for nothing said"),
    ],
)
def test_only_an_appointed_responder_is_believed(
    purposes: list[x509.ObjectIdentifier], has_nocheck: bool, days: int
) -> None:
    hierarchy = new_hierarchy()
    authority = hierarchy.authority(KIND, 3)
    card = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication
    builder = authority.leaf_builder(
        RESIDENT,
        key=card.key,
        not_before=NOW - timedelta(days=9),
        not_after=NOW + timedelta(days=days),
    )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=True)
    if has_nocheck:
        builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
    signer = IssuedCertificate(certificate=authority.sign(builder), key=card.key)
    question = question_for(hierarchy, card, 3)
    answer = answer_signed_by(question, signer)

    if purposes == [ExtendedKeyUsageOID.OCSP_SIGNING] and has_nocheck and days > 0:
        assert isinstance(
            accept_ocsp_response(answer, question=question, now=NOW, freshness=ONLINE), Good
        )
    else:
        with pytest.raises(RefusedOcspResponse, match="ID-OCSP-SIGNER"):
            accept_ocsp_response(answer, question=question, now=NOW, freshness=ONLINE)


def test_weak_hashes_do_not_count() -> None:
    hierarchy = new_hierarchy()
    authority = hierarchy.authority(KIND)
    card = hierarchy.issue_card(RESIDENT, at=NOW).authentication
    listed = authority.list_builder(NOW, 1).builder.sign(authority._key, hashes.SHA224())
    question = question_for(hierarchy, card, 2)
    signer = IssuedCertificate(certificate=authority.certificate, key=authority._key)

    with pytest.raises(RefusedRevocationList, match="weak hash"):
        accept_revocation_list(listed.public_bytes(Encoding.DER), authority=trusted(authority))
    weak = answer_signed_by(question, signer, algorithm=hashes.SHA224())
    with pytest.raises(RefusedOcspResponse, match="ID-OCSP-SIGNER"):
        accept_ocsp_response(weak, question=question, now=NOW, freshness=ONLINE)
    strong = answer_signed_by(question, signer, algorithm=hashes.SHA256())
    assert isinstance(
        accept_ocsp_response(strong, question=question, now=NOW, freshness=ONLINE), Good
    )


def test_the_right_signer_answering_about_another_generations_key_is_refused() -> None:
    hierarchy = new_hierarchy()
    cards = [
        hierarchy.issue_card(RESIDENT, at=NOW, generation=generation).authentication
        for generation in (2, 3)
    ]
    assert cards[0].certificate.serial_number == cards[1].certificate.serial_number
    question, about = question_for(hierarchy, cards[1], 3), question_for(hierarchy, cards[0], 2)
    authority = hierarchy.authority(KIND, 3)
    signer = IssuedCertificate(certificate=authority.certificate, key=authority._key)

    with pytest.raises(RefusedOcspResponse, match="another certificate"):
        accept_ocsp_response(
            answer_signed_by(question, signer, about=about),
            question=question,
            now=NOW,
            freshness=ONLINE,
        )


def test_an_answer_with_a_critical_extension_is_refused() -> None:
    hierarchy = new_hierarchy()
    authority = hierarchy.authority(KIND, 3)
    card = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication
    question = question_for(hierarchy, card, 3)
    signer = IssuedCertificate(certificate=authority.certificate, key=authority._key)

    with pytest.raises(RefusedOcspResponse, match="critical extension"):
        accept_ocsp_response(
            answer_signed_by(question, signer, is_nonce_critical=True),
            question=question,
            now=NOW,
            freshness=ONLINE,
        )


def test_several_answers_at_once_are_refused(tmp_path: Path) -> None:
    hierarchy = new_hierarchy()
    authority = hierarchy.authority(KIND, 3)
    cards = [hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication for _ in range(2)]
    files = [tmp_path / f"card{at}.pem" for at in range(2)]
    for file, card in zip(files, cards, strict=True):
        file.write_bytes(card.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "index").write_text(
        "".join(f"V\t310101000000Z\t\t{at:02X}\tunknown\t/CN={at}\n" for at in (1, 2))
    )
    (tmp_path / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "ca.key").write_bytes(
        authority._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    openssl(
        *("ocsp", "-index", str(tmp_path / "index"), "-CA", str(tmp_path / "ca.pem")),
        *("-rsigner", str(tmp_path / "ca.pem"), "-rkey", str(tmp_path / "ca.key")),
        *("-issuer", str(tmp_path / "ca.pem"), "-sha256", "-no_nonce", "-noverify"),
        *("-rmd", "sha384", "-respout", str(tmp_path / "answers")),
        *(argument for file in files for argument in ("-cert", str(file))),
    )
    answers = (tmp_path / "answers").read_bytes()
    assert len(list(ocsp.load_der_ocsp_response(answers).responses)) == 2

    with pytest.raises(RefusedOcspResponse, match="2 answers"):
        accept_ocsp_response(
            answers,
            question=question_for(hierarchy, cards[0], 3),
            now=NOW,
            freshness=ONLINE,
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
