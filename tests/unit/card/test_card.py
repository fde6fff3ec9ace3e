"""CARD-TRIES, CARD-READ, CARD-SIGN, CARD-TEXT, CARD-RESET: a client and a card on the table.

The card is the simulated one, of which OpenSC is the judge elsewhere.
"""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from clients.card.card import FILE_SIZE_MAX, MyNumberCard, TokenKind
from clients.card.codes import RULES, Code, CodeKind, parse_code
from clients.card.errors import (
    CardMalformed,
    CardRefused,
    CodeLastTry,
    CodeLocked,
    CodeWrong,
    NoSigningCertificate,
    SignatureMismatch,
    UnknownCard,
)
from clients.identity.attributes import Sex
from clients.identity.certificate import CertificateKind
from node.primitives.errors import InvariantViolation
from services.sim.card.card import SimulatedCard
from services.sim.card.files import (
    Application,
    CardContents,
    CardFile,
    DataFile,
    Habits,
    KeyFile,
    LockedStatus,
)
from services.sim.card.layout import ATTRIBUTES, AUTHENTICATION_CERTIFICATE, AUTHENTICATION_KEY
from tests.support.cards import (
    FOREIGNER,
    HANAKO,
    NEXT_GENERATION,
    DirectChannel,
    card_of,
    certificate_of,
    order_for,
    rsa_key_of_another,
)

AUTHENTICATION = CertificateKind.AUTHENTICATION
SIGNING = CertificateKind.SIGNING
CODES = {
    CodeKind.AUTHENTICATION: "1234",
    CodeKind.SIGNING: "abc123",
    CodeKind.TEXT: "4321",
    CodeKind.NUMBER_B: "900217 2030 1234",
}
WRONG_CODES = {
    CodeKind.AUTHENTICATION: "9999",
    CodeKind.SIGNING: "WRONG1",
    CodeKind.TEXT: "9999",
    CodeKind.NUMBER_B: "00000000000000",
}
KEY_OF = {CodeKind.AUTHENTICATION: AUTHENTICATION, CodeKind.SIGNING: SIGNING}
MESSAGE = "境町の端末を登録します".encode()


def code(kind: CodeKind) -> Code:
    return parse_code(kind, CODES[kind])


def wrong(kind: CodeKind) -> Code:
    return parse_code(kind, WRONG_CODES[kind])


def client_of(card: SimulatedCard) -> MyNumberCard:
    return MyNumberCard(DirectChannel(card))


def use(card: MyNumberCard, attempt: Code) -> None:
    """Offer a code in the way it is used."""
    if attempt.kind in KEY_OF:
        card.sign(KEY_OF[attempt.kind], MESSAGE, attempt)
    else:
        card.read_attributes(attempt)


def with_file(index: int, file_id: int, file: CardFile) -> SimulatedCard:
    """Return Hanako's card with one file replaced."""
    contents = card_of().contents
    applications = list(contents.applications)
    files = {**applications[index].files, file_id: file}
    applications[index] = replace(applications[index], files=files)
    return SimulatedCard(replace(contents, applications=tuple(applications)))


@pytest.mark.parametrize("kind", [AUTHENTICATION, SIGNING])
@pytest.mark.parametrize("clears", [True, False])
def test_a_signature_verifies_with_the_certificate_it_comes_with(
    kind: CertificateKind, clears: bool
) -> None:
    card = card_of(habits=Habits(is_cleared_by_selecting=clears, is_cleared_by_signing=clears))

    signed = client_of(card).sign(kind, MESSAGE, code(CodeKind(kind.value)))

    key = signed.certificate.key
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(signed.signature, MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    assert signed.certificate.der == certificate_of(kind.value, order_for())


def test_two_signatures_follow_each_other_on_a_card_that_forgets() -> None:
    client = client_of(card_of(habits=Habits(is_cleared_by_signing=True)))

    first = client.sign(SIGNING, b"one", code(CodeKind.SIGNING))
    second = client.sign(SIGNING, b"two", code(CodeKind.SIGNING))

    assert first.signature != second.signature


def test_the_next_generation_signs_too() -> None:
    client = client_of(SimulatedCard.issue(order_for(generation=NEXT_GENERATION)))

    signed = client.sign(AUTHENTICATION, MESSAGE, code(CodeKind.AUTHENTICATION))

    assert isinstance(signed.certificate.key, ec.EllipticCurvePublicKey)


def test_the_authentication_certificate_needs_no_code() -> None:
    certificate = client_of(card_of()).read_certificate(AUTHENTICATION)

    assert certificate.der == certificate_of("authentication", order_for())


def test_a_phones_certificate_needs_its_code() -> None:
    phone = SimulatedCard.issue(replace(order_for(), label="JPKIAPGPSETOKEN"))
    client = client_of(phone)

    with pytest.raises(CardRefused):
        client.read_certificate(AUTHENTICATION)

    assert client.read_certificate(AUTHENTICATION, code(CodeKind.AUTHENTICATION))
    assert client.token_kind() is TokenKind.ANDROID


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        pytest.param("JPKIAPICCTOKEN2", TokenKind.CARD, id="card"),
        pytest.param("JPKIAPIOSTOKEN", TokenKind.IPHONE, id="iPhone"),
        pytest.param("JPKIAPICCTOKEN", TokenKind.RESIDENT_REGISTRY_CARD, id="old card"),
        pytest.param("SOMETHING", TokenKind.UNKNOWN, id="another"),
    ],
)
def test_the_label_tells_what_carries_the_keys(label: str, kind: TokenKind) -> None:
    client = client_of(SimulatedCard.issue(replace(order_for(), label=label)))

    assert client.token_kind() is kind


@pytest.mark.parametrize(
    "resident", [pytest.param(HANAKO, id="Hanako"), pytest.param(FOREIGNER, id="foreigner")]
)
@pytest.mark.parametrize("kind", [CodeKind.TEXT, CodeKind.NUMBER_B])
def test_attributes_are_read_with_either_code(
    kind: CodeKind, resident: type[HANAKO] | object
) -> None:
    order = order_for(FOREIGNER if resident is FOREIGNER else HANAKO)
    typed = order.codes.number_b if kind is CodeKind.NUMBER_B else order.codes.text

    read = client_of(SimulatedCard.issue(order)).read_attributes(parse_code(kind, typed))

    expected = FOREIGNER if resident is FOREIGNER else HANAKO
    assert (read.name, read.address, read.birth_date) == (
        expected.name,
        expected.address,
        expected.birth_date,
    )
    assert read.sex is Sex.FEMALE


@pytest.mark.parametrize(
    ("kind", "tries"),
    [
        pytest.param(CodeKind.AUTHENTICATION, 3, id="authentication"),
        pytest.param(CodeKind.SIGNING, 5, id="signing"),
        pytest.param(CodeKind.TEXT, 3, id="text"),
        pytest.param(CodeKind.NUMBER_B, 10, id="number B"),
    ],
)
def test_wrong_codes_stop_with_one_try_left(kind: CodeKind, tries: int) -> None:
    client = client_of(card_of())
    left = []
    for _ in range(tries - 1):
        with pytest.raises(CodeWrong) as refusal:
            use(client, wrong(kind))
        left.append(refusal.value.values["tries_left"])

    with pytest.raises(CodeLastTry):
        use(client, wrong(kind))
    with pytest.raises(CodeLastTry):
        use(client, code(kind))

    assert left == list(range(tries - 1, 0, -1))
    assert client.tries_left(kind) == 1


def test_asking_for_the_tries_costs_none() -> None:
    client = client_of(card_of())

    assert [client.tries_left(CodeKind.AUTHENTICATION) for _ in range(5)] == [3] * 5


@pytest.mark.parametrize("status", LockedStatus)
def test_a_locked_code_is_not_offered(status: LockedStatus) -> None:
    card = card_of(habits=Habits(locked_status=status))
    rule = RULES[CodeKind.AUTHENTICATION]
    card.state = replace(card.state, tries={(rule.application.value, int(rule.file)): 0})
    channel = DirectChannel(card)

    with pytest.raises(CodeLocked):
        MyNumberCard(channel).sign(AUTHENTICATION, MESSAGE, code(CodeKind.AUTHENTICATION))

    assert not [command for command in channel.commands if b"1234" in command]


def test_the_right_code_restores_the_tries() -> None:
    client = client_of(card_of())
    with pytest.raises(CodeWrong):
        use(client, wrong(CodeKind.AUTHENTICATION))

    use(client, code(CodeKind.AUTHENTICATION))

    assert client.tries_left(CodeKind.AUTHENTICATION) == 3


def test_a_child_is_told_that_there_is_no_signing_certificate() -> None:
    client = client_of(SimulatedCard.issue(order_for(is_child=True)))

    with pytest.raises(NoSigningCertificate):
        client.sign(SIGNING, MESSAGE, code(CodeKind.SIGNING))
    with pytest.raises(NoSigningCertificate):
        client.read_certificate(SIGNING, code(CodeKind.SIGNING))


def test_another_card_is_named_as_such() -> None:
    with pytest.raises(UnknownCard):
        client_of(SimulatedCard(CardContents(applications=()))).token_kind()


def test_a_signature_by_another_key_is_not_handed_on() -> None:
    key = KeyFile(key=rsa_key_of_another(), opened_by=0x18, is_for_documents=False)
    card = with_file(0, AUTHENTICATION_KEY, key)

    with pytest.raises(SignatureMismatch):
        client_of(card).sign(AUTHENTICATION, MESSAGE, code(CodeKind.AUTHENTICATION))


@pytest.mark.parametrize(
    ("attempt", "kind"),
    [
        pytest.param(CodeKind.SIGNING, AUTHENTICATION, id="signing code, authentication key"),
        pytest.param(CodeKind.TEXT, AUTHENTICATION, id="text code, authentication key"),
    ],
)
def test_a_code_meant_for_another_key_never_leaves(
    attempt: CodeKind, kind: CertificateKind
) -> None:
    channel = DirectChannel(card_of())

    with pytest.raises(InvariantViolation):
        MyNumberCard(channel).sign(kind, MESSAGE, code(attempt))

    assert not [command for command in channel.commands if command[1] == 0x20]


def test_attributes_are_not_opened_by_a_key_code() -> None:
    with pytest.raises(InvariantViolation):
        client_of(card_of()).read_attributes(code(CodeKind.AUTHENTICATION))


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"\x30\x82\xff\xff", id="longer than any certificate"),
        pytest.param(b"\x30\x83\x01\x00\x00", id="a length of three bytes"),
        pytest.param(b"\x30\x80", id="no length"),
        pytest.param(b"\x30\x82\x04\x00" + bytes(100), id="shorter than it says"),
    ],
)
def test_a_certificate_file_that_lies_about_its_size_is_refused(start: bytes) -> None:
    card = with_file(0, AUTHENTICATION_CERTIFICATE, DataFile(data=start))

    with pytest.raises(CardMalformed):
        client_of(card).read_certificate(AUTHENTICATION)


def test_a_file_of_the_longest_size_is_read() -> None:
    size = FILE_SIZE_MAX - 4
    start = b"\x30\x82" + size.to_bytes(2, "big")
    card = with_file(0, AUTHENTICATION_CERTIFICATE, DataFile(data=start + bytes(size)))
    longer = b"\x30\x82" + (size + 1).to_bytes(2, "big") + bytes(size + 1)
    too_long = with_file(0, AUTHENTICATION_CERTIFICATE, DataFile(data=longer))

    with pytest.raises(Exception, match="does not decode"):
        client_of(card).read_certificate(AUTHENTICATION)
    with pytest.raises(CardMalformed, match="at most"):
        client_of(too_long).read_certificate(AUTHENTICATION)


def test_attributes_in_another_form_are_refused() -> None:
    file = DataFile(data=b"\x10\x0c" + b"0" * 12)

    with pytest.raises(CardMalformed):
        client_of(with_file(1, ATTRIBUTES, file)).read_attributes(code(CodeKind.TEXT))


def test_closing_resets_the_card() -> None:
    channel = DirectChannel(card_of())
    client = MyNumberCard(channel)
    use(client, code(CodeKind.AUTHENTICATION))

    client.close()

    assert channel.closed_count == 1
    assert channel.card.state.verified == frozenset()


def test_an_application_that_lacks_files_is_refused() -> None:
    contents = CardContents(
        applications=(Application(identifier=bytes.fromhex("d392f000260100000001"), files={}),)
    )

    with pytest.raises(CardRefused):
        client_of(SimulatedCard(contents)).tries_left(CodeKind.AUTHENTICATION)
