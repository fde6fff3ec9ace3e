"""CARD-PKCS11, CARD-SIGN, CARD-TRIES, CARD-RESET: signatures through OpenSC's own module.

Client, driver process, PC/SC daemon and reader are as in the field; only the card is simulated.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from clients.card.apdu import CardApplication, JpkiFile, select_application, select_file
from clients.card.codes import CodeKind, parse_code
from clients.card.errors import (
    CardLost,
    CardRefused,
    CardSilent,
    CodeLastTry,
    CodeLocked,
    CodeWrong,
    NoCard,
    NoSigningCertificate,
    Pkcs11Missing,
    SeveralCards,
)
from clients.card.pcsc import PcscContext
from clients.card.pkcs11 import ModuleRefusal, sign_by_module
from clients.card.signing import sign_text
from clients.identity.certificate import CertificateKind
from services.sim.card.card import Fault, SimulatedCard
from services.sim.card.daemon import PrivateReaders
from services.sim.card.files import CONTACTLESS_ATR, DataFile, Habits, LockedStatus
from services.sim.card.layout import (
    AUTHENTICATION_CODE,
    INDIVIDUAL_NUMBER,
    JPKI,
    NUMBER_A,
    SIGNING_CERTIFICATE,
    TEXT,
)
from services.sim.card.reader import HeldCard
from tests.support.cards import (
    FOREIGNER,
    NEXT_GENERATION,
    card_of,
    certificate_of,
    held,
    order_for,
    run_beside,
    wait_for_card,
)

AUTHENTICATION = CertificateKind.AUTHENTICATION
SIGNING = CertificateKind.SIGNING
PINS = {
    AUTHENTICATION: parse_code(CodeKind.AUTHENTICATION, "1234"),
    SIGNING: parse_code(CodeKind.SIGNING, "ABC123"),
}
WRONG = parse_code(CodeKind.AUTHENTICATION, "9999")
MESSAGE = "この端末の鍵を、あなたの本人確認と結びつけます".encode()
AUTHENTICATION_PIN = (JPKI, AUTHENTICATION_CODE)
OPENSC_ATTEMPTS = 4
READ, VERIFY, COMPUTE_SIGNATURE = 0xB0, 0x20, 0x2A


@pytest.fixture
def card(own_readers: PrivateReaders) -> Iterator[SimulatedCard]:
    one = card_of()
    with held(own_readers, one):
        yield one
        assert {(TEXT, INDIVIDUAL_NUMBER), (TEXT, NUMBER_A)}.isdisjoint(one.selections)


@pytest.mark.parametrize("kind", [AUTHENTICATION, SIGNING])
@pytest.mark.parametrize("clears", [True, False], ids=["forgets", "remembers"])
def test_the_module_signs_with_either_key(
    own_readers: PrivateReaders, kind: CertificateKind, clears: bool
) -> None:
    strict = Habits(is_cleared_by_selecting=clears, is_cleared_by_signing=clears)
    with held(own_readers, card_of(habits=strict)):
        first = sign_text(kind, MESSAGE, PINS[kind])
        second = sign_text(kind, b"again", PINS[kind])

    key = first.certificate.key
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(first.signature, MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    key.verify(second.signature, b"again", padding.PKCS1v15(), hashes.SHA256())
    assert first.certificate.der == certificate_of(kind.value, order_for())


@pytest.mark.parametrize(
    "card_atr", [pytest.param(CONTACTLESS_ATR, id="contactless"), pytest.param(None, id="contact")]
)
def test_a_foreign_residents_card_signs_in_any_reader(
    own_readers: PrivateReaders, card_atr: bytes | None
) -> None:
    order = order_for(FOREIGNER)
    with held(own_readers, SimulatedCard.issue(replace(order, atr=card_atr or order.atr))):
        signed = sign_text(SIGNING, MESSAGE, PINS[SIGNING])

    assert signed.certificate.der == certificate_of("signing", order)


def test_the_next_generation_signs_although_opensc_does_not_know_it(
    own_readers: PrivateReaders,
) -> None:
    order = order_for(generation=NEXT_GENERATION)
    with held(own_readers, SimulatedCard.issue(order)):
        signed = sign_text(AUTHENTICATION, MESSAGE, PINS[AUTHENTICATION])

    key = signed.certificate.key
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signed.signature, MESSAGE, ec.ECDSA(hashes.SHA384()))


def test_a_childs_card_has_no_key_for_documents(own_readers: PrivateReaders) -> None:
    child = SimulatedCard.issue(order_for(is_child=True))
    with held(own_readers, child):
        with pytest.raises(NoSigningCertificate):
            sign_text(SIGNING, MESSAGE, PINS[SIGNING])
        assert sign_text(AUTHENTICATION, MESSAGE, PINS[AUTHENTICATION])


def test_no_verified_code_outlives_a_signature(
    own_readers: PrivateReaders, card: SimulatedCard
) -> None:
    sign_text(AUTHENTICATION, MESSAGE, PINS[AUTHENTICATION])

    left = run_beside(
        own_readers, "opensc-tool",
        "-s", select_application(CardApplication.JPKI).hex(),
        "-s", select_file(JpkiFile.AUTHENTICATION_KEY).hex(),
        "-s", "802a00800401020304" + "00",
    ).stdout  # fmt: skip

    assert "SW1=0x69, SW2=0x82" in left
    assert not card.state.verified


def test_a_wrong_pin_costs_one_try_and_says_how_many_are_left(card: SimulatedCard) -> None:
    with pytest.raises(CodeWrong) as refusal:
        sign_text(AUTHENTICATION, MESSAGE, WRONG)

    assert refusal.value.values["tries_left"] == 2
    assert card.state.tries == {AUTHENTICATION_PIN: 2}
    assert "9999" not in repr(refusal.value)


def test_the_last_try_is_left_alone(card: SimulatedCard) -> None:
    card.state = replace(card.state, tries={AUTHENTICATION_PIN: 1})

    with pytest.raises(CodeLastTry):
        sign_text(AUTHENTICATION, MESSAGE, PINS[AUTHENTICATION])

    assert card.state.tries == {AUTHENTICATION_PIN: 1}


@pytest.mark.parametrize("status", LockedStatus)
def test_a_locked_pin_is_told_whatever_the_card_answers(
    own_readers: PrivateReaders, status: LockedStatus
) -> None:
    locked = card_of(habits=Habits(locked_status=status))
    locked.state = replace(locked.state, tries={AUTHENTICATION_PIN: 0})
    with held(own_readers, locked), pytest.raises(CodeLocked):
        sign_text(AUTHENTICATION, MESSAGE, PINS[AUTHENTICATION])


def test_a_pin_locked_by_others_meanwhile_is_told_from_a_wrong_one(
    card: SimulatedCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lock_first(*arguments: object, **named: object) -> object:
        card.state = replace(card.state, tries={AUTHENTICATION_PIN: 0})
        return sign_by_module(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("clients.card.signing.sign_by_module", lock_first)

    with pytest.raises(CodeLocked):
        sign_text(AUTHENTICATION, MESSAGE, PINS[AUTHENTICATION])


@pytest.mark.parametrize(
    ("instruction", "after"),
    [
        pytest.param(VERIFY, 4, id="while the code is checked"),
        pytest.param(COMPUTE_SIGNATURE, 0, id="while it signs"),
        pytest.param(READ, 6, id="while the certificate is read"),
    ],
)
def test_a_card_torn_away_in_the_middle_is_lost(
    own_readers: PrivateReaders, instruction: int, after: int
) -> None:
    torn = card_of()
    with HeldCard(torn, port=own_readers.ports[0]):
        wait_for_card(own_readers)
        torn.plan(Fault.TORN_AWAY, instruction=instruction, after=after)
        with pytest.raises((CardLost, NoCard)):
            sign_text(AUTHENTICATION, MESSAGE, PINS[AUTHENTICATION])
    wait_for_card(own_readers, 0)

    with held(own_readers, card_of()):
        assert sign_text(AUTHENTICATION, MESSAGE, PINS[AUTHENTICATION])


@pytest.mark.parametrize(
    ("instruction", "after"),
    [
        pytest.param(VERIFY, 4, id="while the code is checked"),
        pytest.param(COMPUTE_SIGNATURE, 0, id="while it signs"),
    ],
)
def test_a_driver_that_waits_for_ever_is_ended(
    own_readers: PrivateReaders, instruction: int, after: int
) -> None:
    silent = card_of()
    with HeldCard(silent, port=own_readers.ports[0]):
        wait_for_card(own_readers)
        silent.plan(Fault.SILENT, instruction=instruction, after=after)
        started = time.monotonic()
        with pytest.raises(CardSilent) as given_up:
            sign_text(AUTHENTICATION, MESSAGE, PINS[AUTHENTICATION], timeout_s=3)
        assert time.monotonic() - started < 15
    wait_for_card(own_readers, 0)

    assert given_up.value.__cause__ is None
    assert given_up.value.__suppress_context__
    with held(own_readers, card_of()):
        assert sign_text(AUTHENTICATION, MESSAGE, PINS[AUTHENTICATION])


def test_a_card_that_refuses_to_sign_is_told_without_a_lost_try(card: SimulatedCard) -> None:
    for _ in range(OPENSC_ATTEMPTS):
        card.plan(Fault.REFUSED, instruction=COMPUTE_SIGNATURE)

    with pytest.raises(CardRefused):
        sign_text(AUTHENTICATION, MESSAGE, PINS[AUTHENTICATION])

    assert not card.state.tries


def test_a_certificate_that_stays_closed_is_no_signature(own_readers: PrivateReaders) -> None:
    contents = card_of().contents
    jpki, text = contents.applications
    closed = DataFile(
        data=certificate_of("signing", order_for()), opened_by=frozenset({AUTHENTICATION_CODE})
    )
    files = {**jpki.files, SIGNING_CERTIFICATE: closed}
    hollow = SimulatedCard(replace(contents, applications=(replace(jpki, files=files), text)))
    with held(own_readers, hollow):
        with PcscContext() as context:
            reader = context.wait_for_card()
        answer = sign_by_module(SIGNING, MESSAGE, PINS[SIGNING], reader=reader.name)
        with pytest.raises(CardRefused):
            sign_text(SIGNING, MESSAGE, PINS[SIGNING])

    assert answer == ModuleRefusal(outcome="no-certificate")


def test_with_two_cards_the_one_named_signs(
    own_readers: PrivateReaders, card: SimulatedCard
) -> None:
    other = order_for(FOREIGNER)
    with HeldCard(SimulatedCard.issue(other), port=own_readers.ports[1]):
        wait_for_card(own_readers, 2)
        with pytest.raises(SeveralCards) as several:
            sign_text(AUTHENTICATION, MESSAGE, PINS[AUTHENTICATION])
        names = several.value.values["readers"]
        assert isinstance(names, list)
        signed = sign_text(AUTHENTICATION, MESSAGE, PINS[AUTHENTICATION], reader=names[1])
    wait_for_card(own_readers, 1)

    assert signed.certificate.der == certificate_of("authentication", other)
    assert not card.state.verified


@pytest.mark.usefixtures("card")
def test_a_missing_module_is_named() -> None:
    with pytest.raises(Pkcs11Missing):
        sign_text(AUTHENTICATION, MESSAGE, PINS[AUTHENTICATION], module="no-such-module.so")


@pytest.mark.usefixtures("card")
def test_the_driver_writes_no_commands_whatever_the_environment_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "opensc.log"
    settings = tmp_path / "opensc.conf"
    settings.write_text(f'app default {{ debug = 9; debug_file = "{log}"; }}')
    monkeypatch.setenv("OPENSC_CONF", str(settings))
    monkeypatch.setenv("OPENSC_DEBUG", "9")

    sign_text(AUTHENTICATION, MESSAGE, PINS[AUTHENTICATION])

    assert not log.exists()
