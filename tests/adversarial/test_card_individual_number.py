"""CARD-NUMBER: no way leads from a client to the Individual Number, by mistake or by malice.

The simulated card has the file and would hand it out after the PIN, so a client that asked would
be seen doing so.
"""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clients
from clients.card.apdu import (
    CardApplication,
    JpkiFile,
    TextFile,
    select_application,
    select_file,
)
from clients.card.card import MyNumberCard
from clients.card.channel import GuardedChannel
from clients.card.codes import CodeKind, parse_code
from clients.card.errors import ForbiddenFile
from clients.identity.certificate import CertificateKind
from services.sim.card.card import Fault, SimulatedCard
from services.sim.card.layout import INDIVIDUAL_NUMBER, NUMBER_A, TEXT
from tests.support.cards import DirectChannel, card_of

FORBIDDEN = {(TEXT, INDIVIDUAL_NUMBER), (TEXT, NUMBER_A)}
SELECT_TEXT = select_application(CardApplication.TEXT)


def use_everything(card: SimulatedCard) -> None:
    """Call every method of a client, with every code."""
    client = MyNumberCard(DirectChannel(card))
    authentication = parse_code(CodeKind.AUTHENTICATION, "1234")
    signing = parse_code(CodeKind.SIGNING, "ABC123")
    client.token_kind()
    for kind in CodeKind:
        client.tries_left(kind)
    client.read_certificate(CertificateKind.AUTHENTICATION)
    client.read_certificate(CertificateKind.SIGNING, signing)
    client.sign(CertificateKind.AUTHENTICATION, b"text", authentication)
    client.sign(CertificateKind.SIGNING, b"text", signing)
    client.read_attributes(parse_code(CodeKind.TEXT, "4321"))
    client.read_attributes(parse_code(CodeKind.NUMBER_B, "90021720301234"))
    client.close()


def test_a_client_that_uses_everything_never_selects_the_number() -> None:
    card = card_of()

    use_everything(card)

    assert (TEXT, TextFile.ATTRIBUTES) in card.selections
    assert FORBIDDEN.isdisjoint(card.selections)


def test_the_simulated_card_would_tell_on_a_client_that_did() -> None:
    card = card_of()
    for command in (SELECT_TEXT, b"\x00\xa4\x02\x0c\x02\x00\x11", b"\x00\x20\x00\x80\x044321"):
        card.transmit(command)

    card.transmit(b"\x00\xa4\x02\x0c\x02\x00\x01")

    assert (TEXT, INDIVIDUAL_NUMBER) in card.selections
    assert card.transmit(b"\x00\xb0\x00\x00\x0e") == b"\x10\x0c" + b"0" * 12 + b"\x90\x00"


@pytest.mark.parametrize(
    "commands",
    [
        pytest.param([SELECT_TEXT, b"\x00\xa4\x02\x0c\x02\x00\x01"], id="the number"),
        pytest.param([SELECT_TEXT, b"\x00\xa4\x02\x0c\x02\x00\x14"], id="number A"),
        pytest.param([SELECT_TEXT, b"\x00\xa4\x02\x04\x02\x00\x01"], id="asking for its header"),
        pytest.param([SELECT_TEXT, b"\x00\xa4\x00\x0c\x02\x00\x01"], id="by another selector"),
        pytest.param([SELECT_TEXT, b"\x00\xa4\x08\x0c\x02\x00\x01"], id="by path"),
        pytest.param([SELECT_TEXT, b"\x0c\xa4\x02\x0c\x02\x00\x01"], id="in another class"),
        pytest.param([SELECT_TEXT, b"\x00\xb0\x81\x00\x00"], id="by short file id"),
        pytest.param([SELECT_TEXT, b"\x00\xb1\x00\x01\x04\x54\x02\x00\x00"], id="READ of data"),
        pytest.param([SELECT_TEXT, b"\x00\xb2\x01\x0c\x00"], id="as a record"),
        pytest.param([SELECT_TEXT, b"\x00\xca\x00\x01\x00"], id="as an object"),
        pytest.param([SELECT_TEXT, b"\x00\xa4\x02\x0c\x03\x00\x01\x00"], id="with a byte more"),
        pytest.param(
            [b"\x00\xa4\x04\x0c\x0a\xd3\x92\x10\x00\x31\x00\x01\x01\x04\x02"],
            id="the application of images",
        ),
        pytest.param([b"\x00\xa4\x02\x0c\x02\x00\x01"], id="before any application"),
        pytest.param([b""], id="nothing"),
    ],
)
def test_the_gate_stops_every_way_to_it(commands: list[bytes]) -> None:
    channel = DirectChannel(card_of())
    guarded = GuardedChannel(channel)
    for command in commands[:-1]:
        guarded.exchange(command)

    with pytest.raises(ForbiddenFile):
        guarded.exchange(commands[-1])

    assert commands[-1] not in channel.commands


def test_file_names_count_in_the_selected_application_only() -> None:
    guarded = GuardedChannel(DirectChannel(card_of()))
    guarded.exchange(select_application(CardApplication.JPKI))
    guarded.exchange(select_file(JpkiFile.SIGNING_CERTIFICATE))
    guarded.exchange(SELECT_TEXT)

    with pytest.raises(ForbiddenFile):
        guarded.exchange(select_file(JpkiFile.SIGNING_CERTIFICATE))


def test_a_card_that_refuses_to_leave_the_text_application_gains_nothing() -> None:
    """The file of the signing certificate has the number's file id."""
    card = card_of()
    guarded = GuardedChannel(DirectChannel(card))
    guarded.exchange(SELECT_TEXT)
    card.plan(Fault.REFUSED, instruction=0xA4)
    guarded.exchange(select_application(CardApplication.JPKI))

    with pytest.raises(ForbiddenFile):
        guarded.exchange(select_file(JpkiFile.SIGNING_CERTIFICATE))


@given(st.lists(st.binary(max_size=12), max_size=6))
def test_no_command_that_passes_selects_the_number(commands: list[bytes]) -> None:
    card = card_of()
    guarded = GuardedChannel(DirectChannel(card))
    guarded.exchange(SELECT_TEXT)
    for command in commands:
        try:
            guarded.exchange(b"\x00\xa4" + command)
        except ForbiddenFile:
            continue

    assert FORBIDDEN.isdisjoint(card.selections)


def test_no_client_code_sends_commands_past_the_gate() -> None:
    folder = Path(clients.__file__).parent
    senders = {
        str(path.relative_to(folder))
        for path in folder.rglob("*.py")
        if re.search(r"\.transmit\(|SCardTransmit", path.read_text())
    }

    assert senders == {"card/channel.py", "card/pcsc.py"}
