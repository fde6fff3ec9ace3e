"""ID-CERTIFICATE, ID-TRUST, ID-KEY, ID-PATH-ISSUER, ID-PATH-VALIDITY, ID-PATH-POLICY: paths.

And ID-PATH-USAGE, ID-PATH-X509. OpenSSL judges the same chains.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from clients.identity.certificate import (
    CERTIFICATE_SIZE_MAX,
    SIGNING_POLICY,
    CertificateKind,
    MalformedCertificate,
    decode_certificate,
)
from clients.identity.path import (
    AUTHORITIES_MAX,
    POLICIES,
    UntrustedAuthority,
    build_trust_store,
    verify_path,
)
from clients.identity.signature import is_accepted_key
from services.sim.pki.authority import AuthorityKey, KeyType, SimulatedAuthority
from services.sim.pki.profiles import end_of_validity
from tests.support.identity import NOW, RESIDENT, new_hierarchy, openssl, prepared_key

AUTHENTICATION, SIGNING = CertificateKind.AUTHENTICATION, CertificateKind.SIGNING


@pytest.mark.parametrize("generation", [1, 2, 3])
@pytest.mark.parametrize("kind", list(CertificateKind))
def test_a_card_of_every_kind_and_generation_has_a_valid_path(
    kind: CertificateKind, generation: int, tmp_path: Path
) -> None:
    hierarchy = new_hierarchy()
    card = hierarchy.issue_card(RESIDENT, at=NOW, generation=generation)
    issued = card.authentication if kind is AUTHENTICATION else card.signing
    assert issued is not None

    path = verify_path(decode_certificate(issued.der), hierarchy.trust_store(), kind=kind, at=NOW)

    assert path.report.broken_rules == ()
    assert path.authority is not None
    assert path.authority.certificate.der == hierarchy.authority(kind, generation).der
    (tmp_path / "leaf.pem").write_bytes(issued.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "all.pem").write_bytes(
        b"".join(
            hierarchy.authority(kind, at).certificate.public_bytes(Encoding.PEM) for at in (1, 2, 3)
        )
    )
    said = openssl(
        *("verify", "-attime", str(int(NOW.timestamp()))),
        *("-CAfile", str(tmp_path / "all.pem"), str(tmp_path / "leaf.pem")),
    )
    assert said.endswith("leaf.pem: OK\n")


def test_generations_share_a_name_and_not_a_key() -> None:
    hierarchy = new_hierarchy()
    first, second = hierarchy.authority(SIGNING, 1), hierarchy.authority(SIGNING, 2)
    certificate = decode_certificate(hierarchy.issue_card(RESIDENT, at=NOW).authentication.der)
    store = hierarchy.trust_store()

    assert first.certificate.subject == second.certificate.subject
    issuer = store.find_issuer(certificate)
    assert issuer is not None
    assert store.find_by_key(issuer.key_hash) is issuer
    assert store.find_by_key(bytes(32)) is None


@pytest.mark.parametrize(
    ("at", "broken"),
    [
        pytest.param(timedelta(seconds=-1), ("ID-PATH-VALIDITY", "ID-PATH-X509"), id="too early"),
        pytest.param(timedelta(0), (), id="first second"),
        pytest.param(timedelta(days=30), (), id="last second"),
        pytest.param(
            timedelta(days=30, seconds=1), ("ID-PATH-VALIDITY", "ID-PATH-X509"), id="expired"
        ),
    ],
)
def test_validity_includes_its_first_and_last_second(
    at: timedelta, broken: tuple[str, ...]
) -> None:
    hierarchy = new_hierarchy()
    issued = hierarchy.authority(AUTHENTICATION).issue(
        RESIDENT, key=prepared_key(KeyType.P_384), at=NOW, not_after=NOW + timedelta(days=30)
    )

    path = verify_path(
        decode_certificate(issued.der),
        hierarchy.trust_store(),
        kind=AUTHENTICATION,
        at=NOW + at,
    )

    assert path.report.broken_rules == broken


def test_a_certificate_outlives_its_authority_for_nothing() -> None:
    hierarchy = new_hierarchy()
    after_authority = datetime(2030, 11, 1, tzinfo=UTC)
    issued = hierarchy.authority(AUTHENTICATION, 1).issue(
        RESIDENT, key=prepared_key(KeyType.P_384), at=NOW, not_after=after_authority
    )

    path = verify_path(
        decode_certificate(issued.der),
        hierarchy.trust_store(),
        kind=AUTHENTICATION,
        at=after_authority,
    )

    assert path.report.broken_rules == ("ID-PATH-VALIDITY", "ID-PATH-X509")


def test_another_policy_than_the_kind_has_is_refused() -> None:
    hierarchy = new_hierarchy()
    issued = hierarchy.authority(AUTHENTICATION).issue(
        RESIDENT, key=prepared_key(KeyType.P_384), at=NOW, policy=SIGNING_POLICY
    )

    path = verify_path(
        decode_certificate(issued.der), hierarchy.trust_store(), kind=AUTHENTICATION, at=NOW
    )

    assert path.report.broken_rules == ("ID-PATH-POLICY",)


def test_a_policy_beside_the_right_one_is_refused() -> None:
    hierarchy = new_hierarchy()
    authority = hierarchy.authority(AUTHENTICATION, 3)
    builder = authority.leaf_builder(
        RESIDENT,
        key=prepared_key(KeyType.P_384),
        not_before=NOW,
        not_after=NOW + timedelta(days=1),
    ).add_extension(
        x509.CertificatePolicies(
            [x509.PolicyInformation(policy, None) for policy in POLICIES.values()]
        ),
        critical=False,
    )

    path = verify_path(
        decode_certificate(authority.sign(builder).public_bytes(Encoding.DER)),
        hierarchy.trust_store(),
        kind=AUTHENTICATION,
        at=NOW,
    )

    assert path.report.broken_rules == ("ID-PATH-POLICY",)


@pytest.mark.parametrize("is_critical", [True, False])
def test_a_policy_may_be_critical_or_not(is_critical: bool) -> None:
    hierarchy = new_hierarchy()
    authority = hierarchy.authority(AUTHENTICATION)
    builder = authority.leaf_builder(
        RESIDENT,
        key=prepared_key(KeyType.P_384),
        not_before=NOW,
        not_after=NOW + timedelta(days=1),
    ).add_extension(
        x509.CertificatePolicies([x509.PolicyInformation(POLICIES[AUTHENTICATION], None)]),
        critical=is_critical,
    )

    path = verify_path(
        decode_certificate(authority.sign(builder).public_bytes(Encoding.DER)),
        hierarchy.trust_store(),
        kind=AUTHENTICATION,
        at=NOW,
    )

    assert path.report.passed


def test_one_kind_does_not_pass_for_the_other() -> None:
    hierarchy = new_hierarchy()
    card = hierarchy.issue_card(RESIDENT, at=NOW)

    path = verify_path(
        decode_certificate(card.authentication.der),
        hierarchy.trust_store(),
        kind=SIGNING,
        at=NOW,
    )

    assert path.report.broken_rules == ("ID-PATH-ISSUER", "ID-PATH-POLICY", "ID-PATH-USAGE")


def test_an_authority_is_no_card() -> None:
    hierarchy = new_hierarchy()

    path = verify_path(
        decode_certificate(hierarchy.authority(AUTHENTICATION).der),
        hierarchy.trust_store(),
        kind=AUTHENTICATION,
        at=NOW,
    )

    assert {"ID-PATH-POLICY", "ID-PATH-USAGE", "ID-PATH-X509"} <= set(path.report.broken_rules)


def test_an_unknown_critical_extension_is_refused() -> None:
    hierarchy = new_hierarchy()
    authority = hierarchy.authority(AUTHENTICATION)
    builder = (
        authority.leaf_builder(
            RESIDENT,
            key=prepared_key(KeyType.P_384),
            not_before=NOW,
            not_after=NOW + timedelta(days=1),
        )
        .add_extension(
            x509.CertificatePolicies([x509.PolicyInformation(POLICIES[AUTHENTICATION], None)]),
            critical=True,
        )
        .add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"),
            critical=True,
        )
    )

    path = verify_path(
        decode_certificate(authority.sign(builder).public_bytes(Encoding.DER)),
        hierarchy.trust_store(),
        kind=AUTHENTICATION,
        at=NOW,
    )

    assert path.report.broken_rules == ("ID-PATH-X509",)


def test_reports_and_certificates_say_nothing_about_the_holder() -> None:
    hierarchy = new_hierarchy()
    card = hierarchy.issue_card(RESIDENT, at=NOW)
    assert card.signing is not None
    certificate = decode_certificate(card.signing.der)
    late = certificate.not_after + timedelta(days=1)

    path = verify_path(certificate, hierarchy.trust_store(), kind=AUTHENTICATION, at=late)

    said = f"{path.report!r} {certificate!r}"
    for personal in ("Sakai", RESIDENT.name, RESIDENT.window_code, certificate.key_hash.hex()):
        assert personal not in said


@pytest.mark.parametrize(
    ("key", "is_accepted"),
    [
        pytest.param(lambda: prepared_key(KeyType.RSA_2048), True, id="RSA-2048"),
        pytest.param(lambda: prepared_key(KeyType.P_384), True, id="P-384"),
        pytest.param(lambda: rsa.generate_private_key(65537, 1024), False, id="RSA-1024"),
        pytest.param(lambda: rsa.generate_private_key(3, 2048), False, id="exponent 3"),
        pytest.param(lambda: ec.generate_private_key(ec.SECP256R1()), False, id="P-256"),
    ],
)
def test_only_keys_that_cards_have_are_accepted(key, is_accepted: bool) -> None:  # type: ignore[no-untyped-def]
    assert is_accepted_key(key().public_key()) is is_accepted


def test_a_certificate_beyond_the_bound_is_not_read() -> None:
    for size in (CERTIFICATE_SIZE_MAX, CERTIFICATE_SIZE_MAX + 1):
        with pytest.raises(MalformedCertificate) as refused:
            decode_certificate(bytes(size))
        assert ("at most" in refused.value.message) is (size > CERTIFICATE_SIZE_MAX)


def test_a_name_that_is_a_bit_string_is_malformed() -> None:
    der = new_hierarchy().issue_card(RESIDENT, at=NOW).authentication.der
    country = bytes.fromhex("060355040613024a50")
    assert country in der

    with pytest.raises(MalformedCertificate, match="does not decode"):
        decode_certificate(der.replace(country, bytes.fromhex("060355040603020050")))


def test_a_trust_store_holds_authorities_only() -> None:
    hierarchy = new_hierarchy()
    leaf = hierarchy.issue_card(RESIDENT, at=NOW).authentication.der
    good = hierarchy.authority(AUTHENTICATION).der
    many = [_small_authority(number) for number in range(AUTHORITIES_MAX + 1)]

    with pytest.raises(UntrustedAuthority, match="no self-signed"):
        build_trust_store(((AUTHENTICATION, leaf),))
    with pytest.raises(UntrustedAuthority, match="one key twice"):
        build_trust_store(((AUTHENTICATION, good), (SIGNING, good)))
    with pytest.raises(UntrustedAuthority, match="configure 1 to"):
        build_trust_store(())
    with pytest.raises(UntrustedAuthority, match="configure 1 to"):
        build_trust_store(tuple((AUTHENTICATION, der) for der in many))
    assert build_trust_store(tuple((AUTHENTICATION, der) for der in many[:-1]))


def _small_authority(number: int) -> bytes:
    key: AuthorityKey = prepared_key(KeyType.P_384)
    return SimulatedAuthority(
        kind=AUTHENTICATION,
        generation=number + 1,
        not_before=NOW,
        not_after=NOW + timedelta(days=1),
        key=key,
        responder_key=key,
    ).der


@pytest.mark.parametrize(
    ("born", "issued", "end"),
    [
        pytest.param(date(1990, 2, 17), date(2025, 10, 27), (2030, 2, 17), id="birthday ahead"),
        pytest.param(date(1990, 10, 27), date(2025, 10, 27), (2030, 10, 27), id="on the day"),
        pytest.param(date(1992, 2, 29), date(2025, 3, 1), (2030, 2, 28), id="leap day"),
    ],
)
def test_simulated_certificates_end_with_the_fifth_birthday_in_japan(
    born: date, issued: date, end: tuple[int, int, int]
) -> None:
    assert end_of_validity(born, issued) == datetime(*end, 14, 59, 59, tzinfo=UTC)
