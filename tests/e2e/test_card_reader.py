"""CARD-READER, CARD-RESET, CARD-ANSWER: our client through libpcsclite and the PC/SC daemon.

libpcsclite keeps the first daemon a process reached, so one daemon serves all such files.
"""

import time
from collections.abc import Iterator

import pytest

from clients.card.apdu import CardApplication, JpkiFile, select_application, select_file
from clients.card.codes import CodeKind, parse_code
from clients.card.errors import (
    CardLost,
    CardRefused,
    CardSilent,
    NoCard,
    NoReader,
    ReaderBusy,
    SeveralCards,
    UnknownReader,
)
from clients.card.pcsc import PcscContext, Reader, choose_reader
from clients.card.session import open_card
from clients.identity.certificate import CertificateKind
from services.sim.card.card import Fault, SimulatedCard
from services.sim.card.daemon import PrivateReaders
from services.sim.card.reader import HeldCard
from tests.support.cards import (
    FOREIGNER,
    card_of,
    certificate_of,
    held,
    order_for,
    run_beside,
    wait_for_card,
)

AUTHENTICATION = CertificateKind.AUTHENTICATION
PIN = parse_code(CodeKind.AUTHENTICATION, "1234")
VERIFY = 0x20


@pytest.fixture
def readers(own_readers: PrivateReaders) -> PrivateReaders:
    return own_readers


@pytest.fixture
def card(readers: PrivateReaders) -> Iterator[SimulatedCard]:
    one = card_of()
    with held(readers, one):
        yield one


@pytest.mark.usefixtures("card")
def test_certificate_attributes_and_signature_come_through_the_reader() -> None:
    with open_card() as client:
        certificate = client.read_certificate(AUTHENTICATION)
        attributes = client.read_attributes(parse_code(CodeKind.NUMBER_B, "90021720301234"))
        signed = client.sign(AUTHENTICATION, b"text", PIN)

    assert certificate.der == certificate_of("authentication", order_for())
    assert attributes.name == "台帳　花子"
    assert signed.certificate.der == certificate.der


def test_no_verified_code_outlives_the_session(
    readers: PrivateReaders, card: SimulatedCard
) -> None:
    with open_card() as client:
        client.sign(AUTHENTICATION, b"text", PIN)
        assert card.state.verified

    left = run_beside(
        readers, "opensc-tool",
        "-s", select_application(CardApplication.JPKI).hex(),
        "-s", select_file(JpkiFile.AUTHENTICATION_KEY).hex(),
        "-s", "802a00800401020304" + "00",
    ).stdout  # fmt: skip

    assert "SW1=0x69, SW2=0x82" in left
    assert not card.state.verified


def test_the_card_is_reset_when_the_block_fails(card: SimulatedCard) -> None:
    class Interrupted(Exception):
        pass

    def use() -> None:
        with open_card() as client:
            client.sign(AUTHENTICATION, b"text", PIN)
            raise Interrupted

    with pytest.raises(Interrupted):
        use()
    assert not card.state.verified


@pytest.mark.usefixtures("card")
def test_nobody_else_reaches_the_card_meanwhile(readers: PrivateReaders) -> None:
    with open_card() as client:
        client.token_kind()
        tool = run_beside(readers, "opensc-tool", "-n")
        with pytest.raises(ReaderBusy), open_card():
            pytest.fail("two sessions hold one card")

    assert tool.returncode != 0


def test_an_empty_reader_is_told_from_no_reader(readers: PrivateReaders) -> None:
    del readers
    with pytest.raises(NoCard), open_card(wait_s=0):
        pytest.fail("there is no card")
    with PcscContext() as context:
        assert [reader.has_card for reader in context.readers()] == [False] * 2


def test_a_card_held_up_a_moment_later_is_waited_for(readers: PrivateReaders) -> None:
    with HeldCard(card_of(), port=readers.ports[1]), open_card(wait_s=15) as client:
        assert client.tries_left(CodeKind.AUTHENTICATION) == 3
    wait_for_card(readers, 0)


def test_with_two_cards_a_reader_must_be_named(
    readers: PrivateReaders, card: SimulatedCard
) -> None:
    other = order_for(FOREIGNER)
    with HeldCard(SimulatedCard.issue(other), port=readers.ports[1]):
        wait_for_card(readers, 2)
        with pytest.raises(SeveralCards) as several, open_card():
            pytest.fail("a card was taken at random")
        names = several.value.values["readers"]
        assert isinstance(names, list)
        with open_card(names[1]) as client:
            read = client.read_certificate(AUTHENTICATION)
    wait_for_card(readers, 1)

    assert read.der == certificate_of("authentication", other)
    assert len(names) == 2
    assert not card.state.verified


@pytest.mark.usefixtures("card")
def test_a_reader_nobody_has_is_named_as_such() -> None:
    with pytest.raises(UnknownReader), open_card("another reader", wait_s=0):
        pytest.fail("there is no such reader")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(Fault.TORN_AWAY, CardLost, id="torn away"),
        pytest.param(Fault.TRUNCATED, CardLost, id="truncated"),
        pytest.param(Fault.REFUSED, CardRefused, id="refused"),
    ],
)
def test_a_fault_while_the_code_is_checked_is_never_success(
    readers: PrivateReaders, fault: Fault, error: type[Exception]
) -> None:
    card = card_of()
    with HeldCard(card, port=readers.ports[0]):
        wait_for_card(readers)
        card.plan(fault, instruction=VERIFY, after=1)
        with pytest.raises(error), open_card() as client:
            client.sign(AUTHENTICATION, b"text", PIN)
    wait_for_card(readers, 0)


def test_a_card_put_back_after_a_tear_works_again(readers: PrivateReaders) -> None:
    card = card_of()
    with HeldCard(card, port=readers.ports[0]) as holder:
        wait_for_card(readers)
        card.plan(Fault.TORN_AWAY, instruction=0x2A)
        with pytest.raises(CardLost), open_card() as client:
            client.sign(AUTHENTICATION, b"text", PIN)
        holder.remove()
        wait_for_card(readers, 0)
        holder.insert()
        with open_card(wait_s=15) as client:
            assert client.sign(AUTHENTICATION, b"text", PIN)
    wait_for_card(readers, 0)


def test_readers_are_chosen_by_what_they_hold() -> None:
    first, second = (Reader(name=f"Reader {at}", has_card=True) for at in (1, 2))
    empty = Reader(name="Reader 12", has_card=False)

    assert choose_reader((empty, first), None) == first
    assert choose_reader((first, second), "2") == second
    assert choose_reader((first, Reader(name="Reader 11", has_card=True)), "Reader 1") == first
    with pytest.raises(NoReader):
        choose_reader((), None)


def test_a_silent_card_is_given_up_in_time(readers: PrivateReaders) -> None:
    card = card_of()
    with HeldCard(card, port=readers.ports[1]):
        wait_for_card(readers)
        card.plan(Fault.SILENT, instruction=0xB0)
        started = time.monotonic()
        with pytest.raises(CardSilent), open_card(timeout_s=0.5) as client:
            client.read_certificate(AUTHENTICATION)
        assert time.monotonic() - started < 5
    wait_for_card(readers, 0)

    with held(readers, card_of()), open_card() as client:
        assert client.tries_left(CodeKind.AUTHENTICATION) == 3
