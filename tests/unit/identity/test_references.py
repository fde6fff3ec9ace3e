"""ID-REFERENCE: what is kept of a certificate finds it on its authority's list, and no more."""

from dataclasses import replace
from datetime import timedelta

import pytest

from clients.identity.certificate import CertificateKind, decode_certificate
from clients.identity.reference import (
    MalformedReference,
    decode_reference,
    encode_reference,
    refer_to,
)
from clients.identity.revocation import Good, RevocationReason, Revoked, Undetermined
from clients.identity.verifier import DirectVerifier
from tests.support.identity import NOW, RESIDENT, LocalSource, new_hierarchy

HIERARCHY = new_hierarchy()
CARD = HIERARCHY.issue_card(RESIDENT, at=NOW - timedelta(days=30))
STORE = HIERARCHY.trust_store()
CERTIFICATE = decode_certificate(CARD.authentication.der)
ISSUER = STORE.find_issuer(CERTIFICATE)
assert ISSUER is not None
REFERENCE = refer_to(CERTIFICATE, kind=CertificateKind.AUTHENTICATION, issuer=ISSUER)


def test_a_reference_reads_back_from_its_bytes() -> None:
    assert decode_reference(encode_reference(REFERENCE)) == REFERENCE


def test_a_reference_holds_no_subject_and_prints_no_serial() -> None:
    shown = repr(REFERENCE) + encode_reference(REFERENCE).decode()

    assert CERTIFICATE.parsed.subject.rfc4514_string() not in shown
    assert repr(REFERENCE).count("=") == 1


async def test_a_reference_is_found_on_its_own_authority_s_list_only() -> None:
    verifier = DirectVerifier(STORE, LocalSource(HIERARCHY))
    before = verifier.find_listed_status(REFERENCE, now=NOW)
    assert await verifier.fetch_lists() == {}
    good = verifier.find_listed_status(REFERENCE, now=NOW)
    HIERARCHY.authority(CertificateKind.AUTHENTICATION).revoke(
        CARD.authentication.certificate, RevocationReason.ON_HOLD, NOW
    )
    await verifier.fetch_lists()
    revoked = verifier.find_listed_status(REFERENCE, now=NOW)
    other = HIERARCHY.authority(CertificateKind.AUTHENTICATION, 1)
    other_hash = decode_certificate(other.der).key_hash
    stranger = verifier.find_listed_status(
        replace(REFERENCE, authority_key_hash=other_hash), now=NOW
    )

    assert isinstance(before, Undetermined)
    assert isinstance(good, Good)
    assert isinstance(revoked, Revoked)
    assert isinstance(stranger, Undetermined)


async def test_a_list_too_old_vouches_for_nobody_and_the_fault_is_told() -> None:
    source = LocalSource(HIERARCHY)
    verifier = DirectVerifier(STORE, source)
    await verifier.fetch_lists()
    source.is_reachable = False
    faults = await verifier.fetch_lists()

    assert set(faults.values()) == {"the authority's list cannot be fetched"}
    fresh = replace(REFERENCE, serial=REFERENCE.serial + 1_000)
    late = verifier.find_listed_status(fresh, now=NOW + timedelta(hours=37))
    assert isinstance(late, Undetermined)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"kind":"authentication"}'])
def test_other_bytes_are_no_reference(data: bytes) -> None:
    with pytest.raises(MalformedReference):
        decode_reference(data)
