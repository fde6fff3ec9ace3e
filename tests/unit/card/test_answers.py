"""The simulated card answers byte for byte as sources say a My Number Card does.

The sequences are those of OpenSC's driver and of published clients; digests of signatures are
checked by `cryptography`, not by the card's own code.
"""

from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import load_der_x509_certificate

from services.sim.card.card import Fault, SimulatedCard
from services.sim.card.files import CONTACTLESS_ATR, Habits, LockedStatus
from tests.support.cards import NEXT_GENERATION, card_of, certificate_of, order_for

SELECT_JPKI = "00a4040c0ad392f000260100000001"
SELECT_TEXT = "00a4040c0ad3921000310001010408"
AUTH_CODE = "00a4020c020018"
SIGN_CODE = "00a4020c02001b"
AUTH_KEY = "00a4020c020017"
SIGN_KEY = "00a4020c02001a"
AUTH_CERTIFICATE = "00a4020c02000a"
SIGN_CERTIFICATE = "00a4020c020001"
TRIES_LEFT = "00200080"
VERIFY_1234 = "002000800431323334"
VERIFY_9999 = "002000800439393939"
VERIFY_ABC123 = "0020008006414243313233"
READ_4 = "00b0000004"
DIGEST_INFO = "3031300d060960864801650304020105000420"
SIGN_ABC = (
    "802a008033"
    + DIGEST_INFO
    + "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    + "00"
)


def exchange(card: SimulatedCard, *commands: str) -> list[str]:
    """Send commands and return the answers in hexadecimal."""
    answers = [card.transmit(bytes.fromhex(command)) for command in commands]
    return [answer.hex() if isinstance(answer, bytes) else answer.value for answer in answers]


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        pytest.param([SELECT_JPKI], "9000", id="the JPKI application"),
        pytest.param([SELECT_TEXT], "9000", id="the text application"),
        pytest.param(["00a4040c07a0000000031010"], "6a82", id="another applet"),
        pytest.param(["00ca006e00"], "6d00", id="GET DATA"),
        pytest.param(["90ca006e00"], "6e00", id="another class"),
        pytest.param([AUTH_CERTIFICATE], "6a82", id="a file without an application"),
        pytest.param([SELECT_JPKI, "00a4020c021234"], "6a82", id="a file that is not there"),
        pytest.param([SELECT_JPKI, "00a4000c023f00"], "6a86", id="selection in another way"),
        pytest.param([SELECT_JPKI, AUTH_CODE, TRIES_LEFT], "63c3", id="tries of the auth PIN"),
        pytest.param([SELECT_JPKI, SIGN_CODE, TRIES_LEFT], "63c5", id="tries of the sign PIN"),
        pytest.param([SELECT_JPKI, AUTH_CODE, VERIFY_1234], "9000", id="the right PIN"),
        pytest.param([SELECT_JPKI, AUTH_CODE, VERIFY_9999], "63c2", id="a wrong PIN"),
        pytest.param(
            [SELECT_JPKI, AUTH_CODE, VERIFY_1234, TRIES_LEFT], "63c3", id="never 9000 for tries"
        ),
        pytest.param([SELECT_JPKI, SIGN_CERTIFICATE, READ_4], "6982", id="a closed file"),
        pytest.param([SELECT_JPKI, AUTH_CODE, READ_4], "6986", id="reading a PIN"),
        pytest.param([SELECT_JPKI, AUTH_CERTIFICATE, "00b07fff04"], "6b00", id="beyond the end"),
        pytest.param([SELECT_JPKI, AUTH_KEY, SIGN_ABC], "6982", id="a key without its PIN"),
        pytest.param(
            [SELECT_JPKI, AUTH_CODE, VERIFY_1234, SIGN_KEY, SIGN_ABC], "6982", id="another PIN"
        ),
        pytest.param(
            [SELECT_JPKI, AUTH_CODE, VERIFY_1234, AUTH_KEY, "802a098001aa00"], "6a86", id="P1 9"
        ),
        pytest.param(
            [SELECT_JPKI, AUTH_CODE, VERIFY_1234, AUTH_KEY, "802a028001aa00"],
            "6985",
            id="a short hash to wrap",
        ),
        pytest.param(
            [SELECT_JPKI, AUTH_CODE, VERIFY_1234, AUTH_KEY, "802a0080f6" + "aa" * 246 + "00"],
            "6700",
            id="246 bytes to pad",
        ),
        pytest.param([SELECT_JPKI, "002000"], "6700", id="no command at all"),
        pytest.param([SELECT_JPKI, AUTH_CODE, "0020008005313233"], "6700", id="a length that lies"),
        pytest.param([SELECT_TEXT, "00a4020c020002", READ_4], "6982", id="attributes, no code"),
    ],
)
def test_the_last_of_these_commands_is_answered(commands: Sequence[str], expected: str) -> None:
    assert exchange(card_of(), *commands)[-1] == expected


def test_the_authentication_certificate_is_read_without_a_pin() -> None:
    card = card_of()
    wanted = certificate_of("authentication", order_for())
    reads = [f"00b0{offset:04x}00" for offset in range(0, len(wanted), 256)]

    parts = exchange(card, SELECT_JPKI, AUTH_CERTIFICATE, *reads)[2:]

    assert b"".join(bytes.fromhex(part[:-4]) for part in parts)[: len(wanted)] == wanted


def test_three_wrong_pins_lock_and_the_right_one_no_longer_helps() -> None:
    card = card_of()

    answers = exchange(card, SELECT_JPKI, AUTH_CODE, *[VERIFY_9999] * 3, VERIFY_1234, TRIES_LEFT)

    assert answers[2:] == ["63c2", "63c1", "63c0", "6983", "63c0"]


def test_the_right_pin_gives_all_tries_back() -> None:
    answers = exchange(card_of(), SELECT_JPKI, AUTH_CODE, VERIFY_9999, VERIFY_1234, TRIES_LEFT)

    assert answers[2:] == ["63c2", "9000", "63c3"]


def test_a_wrong_pin_closes_what_the_right_one_opened() -> None:
    answers = exchange(
        card_of(), SELECT_JPKI, AUTH_CODE, VERIFY_1234, VERIFY_9999, AUTH_KEY, SIGN_ABC
    )

    assert answers[-1] == "6982"


def test_reset_closes_codes_but_keeps_the_tries() -> None:
    card = card_of()
    exchange(card, SELECT_JPKI, SIGN_CODE, "002000800430303030", AUTH_CODE, VERIFY_1234)

    card.reset()

    assert exchange(card, SELECT_JPKI, AUTH_KEY, SIGN_ABC, SIGN_CODE, TRIES_LEFT)[2:] == [
        "6982",
        "9000",
        "63c4",
    ]


@pytest.mark.parametrize("status", LockedStatus)
def test_a_locked_card_answers_in_any_way_sources_tell(status: LockedStatus) -> None:
    card = card_of(habits=Habits(locked_status=status))

    answers = exchange(card, SELECT_JPKI, AUTH_CODE, *[VERIFY_9999] * 3, VERIFY_1234)

    assert answers[-1] == f"{status.value:04x}"


@pytest.mark.parametrize(
    ("is_cleared", "expected"),
    [pytest.param(True, "6982", id="forgets"), pytest.param(False, "", id="remembers")],
)
def test_selecting_again_forgets_codes_where_the_card_does_so(
    is_cleared: bool, expected: str
) -> None:
    card = card_of(habits=Habits(is_cleared_by_selecting=is_cleared))

    last = exchange(card, SELECT_JPKI, AUTH_CODE, VERIFY_1234, SELECT_JPKI, AUTH_KEY, SIGN_ABC)[-1]

    assert last == expected or (not expected and last.endswith("9000"))


def test_a_signature_can_use_the_signing_code_up() -> None:
    card = card_of(habits=Habits(is_cleared_by_signing=True))

    answers = exchange(card, SELECT_JPKI, SIGN_CODE, VERIFY_ABC123, SIGN_KEY, SIGN_ABC, SIGN_ABC)

    assert answers[-2].endswith("9000")
    assert answers[-1] == "6982"


@pytest.mark.parametrize(
    ("kind", "code", "verify", "key"),
    [
        pytest.param("authentication", AUTH_CODE, VERIFY_1234, AUTH_KEY, id="authentication"),
        pytest.param("signing", SIGN_CODE, VERIFY_ABC123, SIGN_KEY, id="signing"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(SIGN_ABC, id="padded"),
        pytest.param("802a02" + "8020" + SIGN_ABC[-66:], id="wrapped"),
        pytest.param("802a038003" + b"abc".hex() + "00", id="hashed on the card"),
    ],
)
def test_signatures_verify_with_the_certificate(
    kind: str, code: str, verify: str, key: str, command: str
) -> None:
    answer = exchange(card_of(), SELECT_JPKI, code, verify, key, command)[-1]

    public = load_der_x509_certificate(certificate_of(kind, order_for()))
    signer = public.public_key()
    assert isinstance(signer, rsa.RSAPublicKey)
    assert answer.endswith("9000")
    signer.verify(bytes.fromhex(answer[:-4]), b"abc", padding.PKCS1v15(), hashes.SHA256())


def test_the_key_may_be_named_in_the_command() -> None:
    named = SIGN_ABC.replace("802a0080", "802a0097")

    assert exchange(card_of(), SELECT_JPKI, AUTH_CODE, VERIFY_1234, named)[-1].endswith("9000")


def test_the_card_signs_anything_of_up_to_245_bytes() -> None:
    command = "802a0080f5" + "aa" * 245 + "00"

    answer = exchange(card_of(), SELECT_JPKI, AUTH_CODE, VERIFY_1234, AUTH_KEY, command)[-1]

    assert len(bytes.fromhex(answer)) == 258


def test_the_next_generation_signs_with_p384() -> None:
    order = order_for(generation=NEXT_GENERATION)
    card = SimulatedCard.issue(order)
    digest = hashes.Hash(hashes.SHA384())
    digest.update(b"abc")

    answer = exchange(
        card, SELECT_JPKI, AUTH_CODE, VERIFY_1234, AUTH_KEY,
        "802a008030" + digest.finalize().hex() + "00",
    )[-1]  # fmt: skip

    certificate = certificate_of("authentication", order)
    signer = load_der_x509_certificate(certificate).public_key()
    assert isinstance(signer, ec.EllipticCurvePublicKey)
    signer.verify(bytes.fromhex(answer[:-4]), b"abc", ec.ECDSA(hashes.SHA384()))


def test_a_child_has_no_signing_key() -> None:
    card = SimulatedCard.issue(order_for(is_child=True))

    answers = exchange(card, SELECT_JPKI, SIGN_CODE, TRIES_LEFT, VERIFY_ABC123, SIGN_KEY)

    assert answers[2:] == ["63c0", "6983", "6a82"]


def test_a_code_is_changed_by_who_knows_it() -> None:
    card = card_of()
    change = "002401800435353535"

    answers = exchange(
        card, SELECT_JPKI, AUTH_CODE, change, VERIFY_1234, change, "0024018003353535",
        "002000800435353535",
    )  # fmt: skip

    assert answers[2:] == ["6982", "9000", "9000", "6700", "9000"]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(Fault.TORN_AWAY, "torn-away", id="torn away"),
        pytest.param(Fault.SILENT, "silent", id="silent"),
        pytest.param(Fault.TRUNCATED, "63", id="truncated"),
        pytest.param(Fault.REFUSED, "6f00", id="refused"),
    ],
)
def test_a_fault_happens_once_after_the_command_was_carried_out(
    fault: Fault, expected: str
) -> None:
    card = card_of()
    card.plan(fault, instruction=0x20, after=1)

    answers = exchange(card, SELECT_JPKI, AUTH_CODE, VERIFY_9999, VERIFY_9999, TRIES_LEFT)

    assert answers[2:] == ["63c2", expected, "63c1"]


def test_the_contactless_answer_to_reset_has_its_check_byte() -> None:
    check = 0
    for byte in CONTACTLESS_ATR[1:]:
        check ^= byte

    assert check == 0
