"""ID-CERTIFICATE, ID-STATEMENT-TEXT, ID-CRL-SIGNATURE, ID-OCSP-MATCH: no bytes do more than fail.

Bytes from outside raise ``InvalidInput`` or decode, whatever they are.
"""

from contextlib import suppress
from datetime import timedelta
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.identity.attributes import decode_attributes
from clients.identity.certificate import CertificateKind, decode_certificate
from clients.identity.crl import accept_revocation_list
from clients.identity.ocsp import OcspQuestion, accept_ocsp_response, build_ocsp_question
from clients.identity.path import TrustedAuthority, TrustStore, verify_path
from clients.identity.revocation import ONLINE
from clients.identity.statement import (
    PURPOSES,
    Purpose,
    Statement,
    decode_statement,
    encode_statement,
)
from node.primitives.errors import InvalidInput
from node.primitives.types import Address
from tests.support.identity import NOW, RESIDENT, new_hierarchy

KIND = CertificateKind.SIGNING


@lru_cache(maxsize=1)
def published() -> tuple[TrustStore, TrustedAuthority, OcspQuestion, dict[str, bytes]]:
    """Return real bytes of each kind, and who vouches for them."""
    hierarchy = new_hierarchy()
    simulated = hierarchy.authority(KIND, 3)
    card = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).signing
    assert card is not None
    certificate = decode_certificate(card.der)
    authority = TrustedAuthority(kind=KIND, certificate=decode_certificate(simulated.der))
    question = build_ocsp_question(certificate, authority=authority, nonce=bytes(32))
    return (
        hierarchy.trust_store(),
        authority,
        question,
        {
            "certificate": card.der,
            "list": simulated.build_revocation_list(NOW),
            "response": simulated.answer_ocsp(question.request, NOW),
        },
    )


def read(what: str, data: bytes) -> None:
    """Read bytes as what they claim to be."""
    store, authority, question, _ = published()
    match what:
        case "certificate":
            certificate = decode_certificate(data)
            verify_path(certificate, store, kind=KIND, at=NOW)
            decode_attributes(certificate)
            assert certificate.distribution_names is not None
        case "list":
            accept_revocation_list(data, authority=authority)
        case _:
            accept_ocsp_response(data, question=question, now=NOW, freshness=ONLINE)


@pytest.mark.parametrize("what", ["certificate", "list", "response"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_bytes_raise_invalid_input_or_read(what: str, data: st.DataObject) -> None:
    original = published()[3][what]
    at = data.draw(st.integers(0, len(original) - 1))
    cut = data.draw(st.integers(0, 4))
    put = data.draw(st.binary(max_size=4))

    with suppress(InvalidInput):
        read(what, original[:at] + put + original[at + cut :])


@pytest.mark.parametrize("what", ["certificate", "list", "response"])
@settings(max_examples=50, deadline=None)
@given(noise=st.binary(max_size=300))
def test_noise_raises_invalid_input(what: str, noise: bytes) -> None:
    with pytest.raises(InvalidInput):
        read(what, noise)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_damaged_certificate_never_has_a_valid_path(data: st.DataObject) -> None:
    store, _, _, originals = published()
    original = originals["certificate"]
    at = data.draw(st.integers(0, len(original) - 1))
    bit = data.draw(st.integers(0, 7))
    damaged = original[:at] + bytes([original[at] ^ (1 << bit)]) + original[at + 1 :]

    with suppress(InvalidInput):
        path = verify_path(decode_certificate(damaged), store, kind=KIND, at=NOW)
        same_body = decode_certificate(damaged).parsed.tbs_certificate_bytes
        if path.report.passed:  # only the encoding of the signature may differ
            assert same_body == decode_certificate(original).parsed.tbs_certificate_bytes


def statements() -> st.SearchStrategy[Statement]:
    """Return statements of every purpose."""

    def build(purpose: Purpose, draw: tuple[bytes, bytes, bytes, int, str]) -> Statement:
        device, record_key, binding, seconds, audience = draw
        rule = PURPOSES[purpose]
        return Statement(
            purpose=purpose,
            audience=audience,
            nonce=record_key,
            issued_at=NOW + timedelta(seconds=seconds),
            expires_at=NOW + timedelta(seconds=seconds * 2 + 1),
            device=Address(device) if rule.has_device else None,
            record_key_hash=record_key if rule.has_device and seconds % 2 else None,
            binding_id=binding if rule.has_binding else None,
        )

    fields = st.tuples(
        st.binary(min_size=20, max_size=20),
        st.binary(min_size=32, max_size=32),
        st.binary(min_size=16, max_size=16),
        st.integers(0, 899),
        st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True),
    )
    return st.builds(build, st.sampled_from(Purpose), fields)


@settings(max_examples=150, deadline=None)
@given(statement=statements())
def test_a_statement_survives_its_text(statement: Statement) -> None:
    assert decode_statement(encode_statement(statement)) == statement


@settings(max_examples=200, deadline=None)
@given(statement=statements(), data=st.data())
def test_no_other_text_reads_as_the_same_statement(
    statement: Statement, data: st.DataObject
) -> None:
    text = encode_statement(statement)
    at = data.draw(st.integers(0, len(text) - 1))
    cut = data.draw(st.integers(0, 3))
    put = data.draw(st.binary(max_size=3))
    altered = text[:at] + put + text[at + cut :]

    with suppress(InvalidInput):
        assert decode_statement(altered) != statement or altered == text
