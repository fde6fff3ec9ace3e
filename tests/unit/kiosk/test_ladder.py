"""KIOSK-RUNG, KIOSK-PATH, KIOSK-REVOCATION: who is received how, and what the record may claim."""

from datetime import timedelta

import pytest

from clients.card.codes import CodeKind, parse_code
from clients.identity.attributes import TEXT_LENGTH_MAX
from clients.identity.certificate import CertificateKind
from clients.identity.path import build_trust_store
from clients.identity.revocation import Good, RevocationReason, Undetermined
from clients.identity.signature import is_card_signature
from clients.identity.statement import Purpose, decode_statement
from clients.kiosk.ladder import (
    CertificateRefused,
    InvalidEntry,
    KioskTrust,
    Rung,
    StaffCheckIn,
    check_in_by_number_b,
    check_in_by_signature,
    check_in_by_staff,
    check_in_by_tap,
    is_authenticated,
    rung_of,
)
from services.sim.card.card import SimulatedCard
from services.sim.card.issue import order_card
from services.sim.pki.hierarchy import Hierarchy
from tests.support.cards import HANAKO, ISSUED_AT
from tests.support.identity import NOW, new_hierarchy
from tests.support.kiosks import (
    PIN,
    client_of,
    revocation_list,
    signed_check_in,
    statement,
)

AUTHENTICATION = CertificateKind.AUTHENTICATION


@pytest.fixture
def authorities() -> Hierarchy:
    """Authorities that have revoked nothing, for tests that revoke."""
    return new_hierarchy()


@pytest.fixture
def card(authorities: Hierarchy) -> SimulatedCard:
    return SimulatedCard.issue(order_card(authorities, HANAKO, at=ISSUED_AT))


def trust_with(authorities: Hierarchy, age: timedelta) -> KioskTrust:
    """Return trust with the list of the second generation, some time old."""
    authority = authorities.authority(AUTHENTICATION)
    return KioskTrust(
        store=authorities.trust_store(),
        lists=(revocation_list(authority, authorities, age=age),),
    )


def revoke(authorities: Hierarchy, card: SimulatedCard) -> None:
    certificate = client_of(card).read_certificate(AUTHENTICATION)
    authorities.authority(AUTHENTICATION).revoke(
        certificate.parsed, RevocationReason.ON_HOLD, NOW - timedelta(days=10)
    )


def test_a_signature_authenticates_by_the_text_that_was_shown(
    authorities: Hierarchy, card: SimulatedCard
) -> None:
    signed = signed_check_in(card, trust_with(authorities, timedelta(hours=1)))

    shown = decode_statement(signed.text)
    assert shown == statement()
    assert shown.purpose is Purpose.CHECK_IN
    assert is_card_signature(signed.certificate.key, signed.text, signed.signature)
    assert (rung_of(signed), is_authenticated(signed)) == (Rung.SIGNATURE, True)
    assert isinstance(signed.revocation, Good)
    assert signed.revocation.as_of == NOW - timedelta(hours=1)


def test_a_tap_recognises_and_does_not_authenticate(
    authorities: Hierarchy, card: SimulatedCard
) -> None:
    tapped = check_in_by_tap(
        client_of(card), trust=trust_with(authorities, timedelta(hours=1)), now=NOW
    )

    assert (rung_of(tapped), is_authenticated(tapped)) == (Rung.TAP, False)
    assert not card.state.tries


def test_number_b_gives_attributes_of_unverified_source(card: SimulatedCard) -> None:
    read = check_in_by_number_b(client_of(card), parse_code(CodeKind.NUMBER_B, "90021720301234"))

    assert read.attributes.name == HANAKO.name
    assert (rung_of(read), is_authenticated(read)) == (Rung.NUMBER_B, False)


def test_staff_take_down_who_has_no_card() -> None:
    entry = check_in_by_staff(name=" 台帳　次郎 ", note="札12", entered_by="受付1")

    assert entry == StaffCheckIn(name="台帳　次郎", note="札12", entered_by="受付1")
    assert (rung_of(entry), is_authenticated(entry)) == (Rung.STAFF, False)


@pytest.mark.parametrize(
    ("name", "note", "entered_by"),
    [
        pytest.param(" ", "", "受付1", id="no name"),
        pytest.param("次郎", "", "", id="no author"),
        pytest.param("次" * (TEXT_LENGTH_MAX + 1), "", "受付1", id="long name"),
        pytest.param("次郎", "次" * (TEXT_LENGTH_MAX + 1), "受付1", id="long note"),
    ],
)
def test_an_entry_needs_a_name_and_an_author(name: str, note: str, entered_by: str) -> None:
    with pytest.raises(InvalidEntry):
        check_in_by_staff(name=name, note=note, entered_by=entered_by)


def test_an_entry_of_the_longest_name_is_taken() -> None:
    name = "次" * TEXT_LENGTH_MAX

    assert check_in_by_staff(name=name, note="", entered_by="受付1").name == name


@pytest.mark.parametrize(
    "age", [pytest.param(timedelta(hours=1), id="fresh"), pytest.param(timedelta(days=9), id="old")]
)
def test_a_revoked_card_is_refused_however_old_the_list(
    authorities: Hierarchy, card: SimulatedCard, age: timedelta
) -> None:
    revoke(authorities, card)
    trust = trust_with(authorities, age)

    with pytest.raises(CertificateRefused) as by_signature:
        signed_check_in(card, trust)
    with pytest.raises(CertificateRefused):
        check_in_by_tap(client_of(card), trust=trust, now=NOW)

    assert by_signature.value.values["reason"] == "on_hold"


@pytest.mark.parametrize(
    "hours",
    [pytest.param(None, id="no list"), pytest.param(73, id="older than a shelter may rely on")],
)
def test_unknown_revocation_is_recorded_and_turns_nobody_away(
    authorities: Hierarchy, card: SimulatedCard, hours: int | None
) -> None:
    trust = (
        KioskTrust(store=authorities.trust_store())
        if hours is None
        else trust_with(authorities, timedelta(hours=hours))
    )

    assert isinstance(signed_check_in(card, trust).revocation, Undetermined)


def test_a_list_of_exactly_three_days_is_relied_on(
    authorities: Hierarchy, card: SimulatedCard
) -> None:
    trust = trust_with(authorities, timedelta(hours=72))

    assert isinstance(signed_check_in(card, trust).revocation, Good)


def test_a_list_of_another_generation_acquits_nobody(
    authorities: Hierarchy, card: SimulatedCard
) -> None:
    other = revocation_list(authorities.authority(AUTHENTICATION, 1), authorities)
    trust = KioskTrust(store=authorities.trust_store(), lists=(other,))

    assert isinstance(signed_check_in(card, trust).revocation, Undetermined)


def test_a_card_of_authorities_nobody_trusts_is_refused(card: SimulatedCard) -> None:
    strangers = new_hierarchy()

    with pytest.raises(CertificateRefused) as refusal:
        signed_check_in(card, KioskTrust(store=strangers.trust_store()))

    assert "ID-PATH-ISSUER" in str(refusal.value.values["broken"])


def test_a_card_issued_by_the_authority_of_the_other_key_is_refused(
    authorities: Hierarchy, card: SimulatedCard
) -> None:
    signing_only = tuple(
        (kind, authority.der)
        for (kind, _), authority in authorities.authorities.items()
        if kind is CertificateKind.SIGNING
    )

    with pytest.raises(CertificateRefused):
        signed_check_in(card, KioskTrust(store=build_trust_store(signing_only)))


def test_an_expired_card_is_refused(authorities: Hierarchy, card: SimulatedCard) -> None:
    trust = KioskTrust(store=authorities.trust_store())

    with pytest.raises(CertificateRefused):
        check_in_by_signature(
            client_of(card),
            PIN,
            statement=statement(),
            trust=trust,
            now=NOW + timedelta(days=6 * 365),
        )
