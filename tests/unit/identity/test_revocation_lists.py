"""ID-CRL-SIGNATURE, ID-CRL-SCOPE, ID-CRL-NUMBER, ID-CRL-ENTRY, ID-REVOCATION-STATUS: the list."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from clients.identity.certificate import CertificateKind, decode_certificate
from clients.identity.crl import (
    LIST_SIZE_MAX,
    RefusedRevocationList,
    RevocationList,
    accept_revocation_list,
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
from services.sim.pki.authority import KeyType, SimulatedAuthority, issuing_distribution_point
from services.sim.pki.hierarchy import Hierarchy
from tests.support.identity import NOW, RESIDENT, new_hierarchy, openssl, prepared_key

KIND = CertificateKind.AUTHENTICATION
Builder = x509.CertificateRevocationListBuilder


def trusted(simulated: SimulatedAuthority) -> TrustedAuthority:
    return TrustedAuthority(kind=simulated.kind, certificate=decode_certificate(simulated.der))


def accept(hierarchy: Hierarchy, *, generation: int = 2, number_min: int = 0) -> RevocationList:
    authority = hierarchy.authority(KIND, generation)
    return accept_revocation_list(
        authority.build_revocation_list(NOW), authority=trusted(authority), number_min=number_min
    )


@pytest.mark.parametrize("reason", list(RevocationReason))
@pytest.mark.parametrize("generation", [2, 3])
def test_each_reason_is_told_by_the_list(
    reason: RevocationReason, generation: int, tmp_path: Path
) -> None:
    hierarchy = new_hierarchy()
    authority = hierarchy.authority(KIND, generation)
    issued = hierarchy.issue_card(RESIDENT, at=NOW, generation=generation).authentication
    since = NOW - timedelta(hours=3)
    authority.revoke(issued.certificate, reason, since)

    status = accept(hierarchy, generation=generation).status_of(
        decode_certificate(issued.der), issuer=trusted(authority), now=NOW, freshness=ONLINE
    )

    assert status == Revoked(
        method=RevocationMethod.CRL, as_of=NOW, reason=reason, revoked_at=since
    )
    (tmp_path / "leaf.pem").write_bytes(issued.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    crl = x509.load_der_x509_crl(authority.build_revocation_list(NOW))
    (tmp_path / "crl.pem").write_bytes(crl.public_bytes(Encoding.PEM))
    said = openssl(
        *("verify", "-attime", str(int(NOW.timestamp())), "-crl_check", "-extended_crl"),
        *("-CAfile", str(tmp_path / "ca.pem"), "-CRLfile", str(tmp_path / "crl.pem")),
        str(tmp_path / "leaf.pem"),
    )
    assert "certificate revoked" in said


def test_a_certificate_that_is_not_listed_is_good_as_of_the_list(tmp_path: Path) -> None:
    hierarchy = new_hierarchy()
    authority = hierarchy.authority(KIND)
    issued = hierarchy.issue_card(RESIDENT, at=NOW).authentication
    later = NOW + timedelta(hours=36)

    status = accept(hierarchy).status_of(
        decode_certificate(issued.der), issuer=trusted(authority), now=later, freshness=ONLINE
    )

    assert status == Good(method=RevocationMethod.CRL, as_of=NOW)


def test_a_list_too_old_acquits_nobody_and_still_condemns() -> None:
    hierarchy = new_hierarchy()
    authority = hierarchy.authority(KIND)
    good = hierarchy.issue_card(RESIDENT, at=NOW).authentication
    lost = hierarchy.issue_card(RESIDENT, at=NOW).authentication
    authority.revoke(lost.certificate, RevocationReason.ON_HOLD, NOW)
    accepted = accept(hierarchy)
    late = NOW + timedelta(hours=36, seconds=1)

    statuses = [
        accepted.status_of(
            decode_certificate(issued.der), issuer=trusted(authority), now=late, freshness=ONLINE
        )
        for issued in (good, lost)
    ]

    assert isinstance(statuses[0], Undetermined)
    assert isinstance(statuses[1], Revoked)


def test_the_number_never_falls() -> None:
    hierarchy = new_hierarchy()
    first = accept(hierarchy)
    second = accept(hierarchy, number_min=first.number)

    assert second.number == first.number + 1
    replayed = hierarchy.authority(KIND).list_builder(NOW, first.number)
    with pytest.raises(RefusedRevocationList, match="ID-CRL-NUMBER"):
        accept_revocation_list(
            replayed.sign_der(hierarchy.authority(KIND)._key),
            authority=trusted(hierarchy.authority(KIND)),
            number_min=second.number,
        )


def with_scope(**changes: object) -> Callable[[SimulatedAuthority], Builder]:
    """Return a builder of lists whose scope is changed."""

    def build(authority: SimulatedAuthority) -> Builder:
        scope = {
            "full_name": [authority.distribution_point],
            "relative_name": None,
            "only_contains_user_certs": False,
            "only_contains_ca_certs": False,
            "only_some_reasons": None,
            "indirect_crl": False,
            "only_contains_attribute_certs": False,
        }
        point = x509.IssuingDistributionPoint(**(scope | changes))  # type: ignore[arg-type]
        return _bare(authority).add_extension(point, critical=True)

    return build


def _bare(authority: SimulatedAuthority) -> Builder:
    return _unscoped(authority.certificate.subject, NOW + timedelta(days=1))


def _unscoped(name: x509.Name, due: datetime) -> Builder:
    return (
        Builder()
        .issuer_name(name)
        .last_update(NOW)
        .next_update(due)
        .add_extension(x509.CRLNumber(1), critical=False)
    )


def _not_critical(authority: SimulatedAuthority) -> Builder:
    point = issuing_distribution_point(authority.distribution_point)
    return _bare(authority).add_extension(point, critical=False)


def _delta(authority: SimulatedAuthority) -> Builder:
    return with_scope()(authority).add_extension(x509.DeltaCRLIndicator(1), critical=True)


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(_bare, id="no scope"),
        pytest.param(_not_critical, id="scope not critical"),
        pytest.param(with_scope(indirect_crl=True), id="indirect"),
        pytest.param(with_scope(only_contains_ca_certs=True), id="authorities only"),
        pytest.param(with_scope(only_contains_attribute_certs=True), id="attributes only"),
        pytest.param(
            with_scope(only_some_reasons=frozenset([x509.ReasonFlags.key_compromise])),
            id="some reasons only",
        ),
        pytest.param(
            with_scope(full_name=[x509.UniformResourceIdentifier("http://example.test/crl")]),
            id="an address instead of a directory name",
        ),
        pytest.param(_delta, id="delta list"),
    ],
)
def test_a_list_that_does_not_cover_everything_is_refused(
    build: Callable[[SimulatedAuthority], Builder],
) -> None:
    authority = new_hierarchy().authority(KIND, 3)
    sign = authority.list_builder(NOW, 1)
    sign.builder = build(authority)

    with pytest.raises(RefusedRevocationList, match="ID-CRL-SCOPE"):
        accept_revocation_list(sign.sign_der(authority._key), authority=trusted(authority))


def test_a_list_under_another_name_is_refused_also_when_the_key_is_right() -> None:
    hierarchy = new_hierarchy()
    authority = hierarchy.authority(KIND, 3)
    sign = authority.list_builder(NOW, 1)
    name = hierarchy.authority(CertificateKind.SIGNING, 3).certificate.subject
    sign.builder = _named(authority, name)

    with pytest.raises(RefusedRevocationList, match="another issuer"):
        accept_revocation_list(sign.sign_der(authority._key), authority=trusted(authority))


def test_a_list_says_when_the_next_is_due() -> None:
    authority = new_hierarchy().authority(KIND, 3)
    sign = authority.list_builder(NOW, 1)
    sign.builder = _named(authority, authority.certificate.subject, due=NOW)

    with pytest.raises(RefusedRevocationList, match="when the next is due"):
        accept_revocation_list(sign.sign_der(authority._key), authority=trusted(authority))


def _named(
    authority: SimulatedAuthority, name: x509.Name, due: datetime = NOW + timedelta(days=1)
) -> Builder:
    point = issuing_distribution_point(authority.distribution_point)
    return _unscoped(name, due).add_extension(point, critical=True)


def test_a_list_for_users_only_is_whole() -> None:
    authority = new_hierarchy().authority(KIND, 3)
    sign = authority.list_builder(NOW, 1)
    sign.builder = with_scope(only_contains_user_certs=True)(authority)

    assert accept_revocation_list(sign.sign_der(authority._key), authority=trusted(authority))


@pytest.mark.parametrize(
    ("flag", "is_critical", "reason"),
    [
        pytest.param(
            x509.ReasonFlags.privilege_withdrawn,
            False,
            RevocationReason.KEY_COMPROMISED,
            id="a reason cards do not have",
        ),
        pytest.param(x509.ReasonFlags.remove_from_crl, False, None, id="a hold lifted"),
    ],
)
def test_reasons_outside_the_seven_are_read_strictly(
    flag: x509.ReasonFlags, is_critical: bool, reason: RevocationReason | None
) -> None:
    authority = new_hierarchy().authority(KIND, 3)
    sign = authority.list_builder(NOW, 1)
    entry = (
        x509.RevokedCertificateBuilder()
        .serial_number(7)
        .revocation_date(NOW)
        .add_extension(x509.CRLReason(flag), critical=is_critical)
        .build()
    )
    sign.builder = with_scope()(authority).add_revoked_certificate(entry)
    der = sign.sign_der(authority._key)

    if reason is None:
        with pytest.raises(RefusedRevocationList, match="ID-CRL-ENTRY"):
            accept_revocation_list(der, authority=trusted(authority))
    else:
        accepted = accept_revocation_list(der, authority=trusted(authority))
        assert accepted.entries[7].reason is reason


@pytest.mark.parametrize("fault", ["twice", "critical"])
def test_entries_are_plain_and_single(fault: str) -> None:
    authority = new_hierarchy().authority(KIND, 3)
    sign = authority.list_builder(NOW, 1)
    entry = x509.RevokedCertificateBuilder().serial_number(7).revocation_date(NOW)
    if fault == "critical":
        issuer = x509.CertificateIssuer([authority.distribution_point])
        sign.builder = with_scope()(authority).add_revoked_certificate(
            entry.add_extension(issuer, critical=True).build()
        )
    else:
        sign.builder = (
            with_scope()(authority)
            .add_revoked_certificate(entry.build())
            .add_revoked_certificate(entry.build())
        )

    with pytest.raises(RefusedRevocationList, match="ID-CRL-ENTRY"):
        accept_revocation_list(sign.sign_der(authority._key), authority=trusted(authority))


def test_a_list_of_another_distribution_point_says_nothing() -> None:
    hierarchy = new_hierarchy()
    authority = hierarchy.authority(KIND, 3)
    issued = hierarchy.issue_card(RESIDENT, at=NOW, generation=3).authentication
    sign = authority.list_builder(NOW, 1)
    sign.builder = with_scope(full_name=[hierarchy.authority(KIND, 1).distribution_point])(
        authority
    )
    accepted = accept_revocation_list(sign.sign_der(authority._key), authority=trusted(authority))

    status = accepted.status_of(
        decode_certificate(issued.der), issuer=trusted(authority), now=NOW, freshness=ONLINE
    )

    assert status == Undetermined(why="the list does not cover this certificate")


def test_a_list_beyond_the_bound_is_not_read() -> None:
    authority = trusted(new_hierarchy().authority(KIND, 3))

    with pytest.raises(RefusedRevocationList, match="at most"):
        accept_revocation_list(bytes(LIST_SIZE_MAX + 1), authority=authority)
    with pytest.raises(RefusedRevocationList, match="does not decode"):
        accept_revocation_list(bytes(LIST_SIZE_MAX), authority=authority)


def test_a_list_shows_no_serial_numbers() -> None:
    hierarchy = new_hierarchy()
    authority = hierarchy.authority(KIND, 3)
    issued = authority.issue(RESIDENT, key=prepared_key(KeyType.P_384), at=NOW)
    authority.revoke(issued.certificate, RevocationReason.ON_HOLD, NOW)

    assert "ON_HOLD" not in repr(accept(hierarchy, generation=3))
